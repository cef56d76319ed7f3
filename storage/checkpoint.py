"""Where recovery starts: everything before it has been synced, so a bad byte there is damage, never a torn tail."""

from __future__ import annotations

import struct

import attrs
from crc32c import crc32c

from storage.index import ENTRY_SIZE, SparseIndex
from storage.sync import Mark

CHECKPOINT_MAGIC = 0x01434253  # b"SBC" and format version 1

# Checkpoint header, little-endian, 160 bytes; then the columns of the sparse index.
_HEADER = struct.Struct(
    "<I"  # magic
    "I"  # crc              CRC32C of everything after this field
    "QQ"  # base_offset, position   the recovery point: a segment, a byte in it
    "QQ"  # offset, ordinal         of the first record behind it
    "QQ"  # last ID before it
    "QQ"  # first and last append ms of the segment, before it
    "QQ"  # batch_count, leader_epoch of the segment, before it
    "Q"  # state            of the segment, before it: 1 merged, 2 bare, 4 cleaned
    "Q"  # first_ordinal    of the segment
    "QQ"  # start offset, ordinal   of the first record; segments wholly below are on their way out
    "QQ"  # last ID before it
    "Q"  # start epoch      of the last batch before it
    "Q"  # snapshot_offset  the newest snapshot known to be synced; 0 for none
    "Q"  # entries          rows of the sparse index
)
HEADER_SIZE = 160
assert _HEADER.size == HEADER_SIZE


@attrs.frozen
class Checkpoint:
    """A recovery point, with the sparse index of its segment up to there."""

    mark: Mark
    first_ordinal: int
    #: Where the log begins.
    start: Mark
    snapshot_offset: int
    index: SparseIndex = attrs.field(eq=False)

    def encode(self) -> bytes:
        """The bytes of the file ``checkpoint``."""
        raw = _HEADER.pack(
            CHECKPOINT_MAGIC,
            0,
            *self.mark,
            self.first_ordinal,
            self.start.offset,
            self.start.ordinal,
            self.start.last_ms,
            self.start.last_seq,
            self.start.leader_epoch,
            self.snapshot_offset,
            len(self.index),
        )
        rest = raw[8:] + self.index.encode()
        return raw[:4] + struct.pack("<I", crc32c(rest)) + rest

    @classmethod
    def decode(cls, raw: bytes) -> Checkpoint | None:
        """The inverse; None if damaged."""
        if len(raw) < HEADER_SIZE:
            return None
        magic, crc, *values = _HEADER.unpack_from(raw)
        first_ordinal, offset, ordinal, last_ms, last_seq, epoch, snapshot_offset, entries = values[11:]
        if magic != CHECKPOINT_MAGIC or crc != crc32c(memoryview(raw)[8:]):
            return None
        if len(raw) != HEADER_SIZE + entries * ENTRY_SIZE:
            return None
        index = SparseIndex.decode(memoryview(raw)[HEADER_SIZE:])
        start = Mark(offset, 0, offset, ordinal, last_ms, last_seq, 0, 0, 0, epoch, 0)
        return cls(Mark(*values[:11]), first_ordinal, start, snapshot_offset, index)
