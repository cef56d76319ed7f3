"""Sparse map from ordinal, offset and ID to file position; rebuilt, never trusted.

An entry names a batch border about every `LogConfig.index_interval_bytes`. What lies between two entries is a
*block*: the unit that cold reads load and verify. No entry names a CONTROL batch that was written together with the
DATA batch before it, so in a merged segment (where such a pair covers interleaved offsets) offsets still rise from
block to block.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import attrs
from crc32c import crc32c

from storage.batch import CONTROL, MORE, Header, Id

COLUMNS = 5
ENTRY_SIZE = 8 * COLUMNS


class SparseIndex:
    """Five columns of equal length, each rising; index *i* describes the batch at the start of block *i*."""

    __slots__ = ("ms", "offsets", "ordinals", "positions", "seqs")

    def __init__(self, columns: Sequence[Any] | None = None) -> None:
        #: Byte position in the segment; ordinal and offset of the first record; the first ID of the header.
        self.positions: Any
        self.ordinals: Any
        self.offsets: Any
        self.ms: Any
        self.seqs: Any
        if columns is None:
            columns = [array("Q") for _ in range(COLUMNS)]
        self.positions, self.ordinals, self.offsets, self.ms, self.seqs = columns

    def __len__(self) -> int:
        return len(self.positions)

    def add(self, position: int, ordinal: int, offset: int, ms: int, seq: int) -> None:
        """A block begins here."""
        self.positions.append(position)
        self.ordinals.append(ordinal)
        self.offsets.append(offset)
        self.ms.append(ms)
        self.seqs.append(seq)

    def block_of_ordinal(self, ordinal: int) -> int:
        """The last block whose first ordinal is not above ``ordinal``."""
        return bisect_right(self.ordinals, ordinal) - 1

    def block_of_offset(self, offset: int) -> int:
        """The last block whose first offset is not above ``offset``; -1 if all are."""
        return bisect_right(self.offsets, offset) - 1

    def below(self, position: int) -> SparseIndex:
        """A copy of the entries below a position."""
        count = bisect_left(self.positions, position)
        columns = (self.positions, self.ordinals, self.offsets, self.ms, self.seqs)
        return SparseIndex([array("Q", column[:count]) for column in columns])

    def encode(self) -> bytes:
        """The columns one after the other, u64 little-endian."""
        columns = (self.positions, self.ordinals, self.offsets, self.ms, self.seqs)
        return b"".join([column.tobytes() for column in columns])

    @classmethod
    def decode(cls, raw: bytes | memoryview) -> SparseIndex:
        """Views into ``raw`` (read only)."""
        column_size = len(raw) // COLUMNS
        view = memoryview(raw)
        return cls([view[i * column_size : (i + 1) * column_size].cast("Q") for i in range(COLUMNS)])


def lower_bound(ms: Any, seqs: Any, entry_id: Id) -> int:
    """How many of the IDs (two parallel rising columns) are below ``entry_id``."""
    wanted, seq = entry_id
    first = bisect_left(ms, wanted)
    if first == len(ms) or ms[first] != wanted or seqs[first] >= seq:
        return first
    return bisect_left(seqs, seq, first, bisect_right(ms, wanted, first))


class IndexBuilder:
    """Decides which batches get an entry: the one place that knows the rule."""

    __slots__ = ("_after_more", "due", "index", "interval")

    def __init__(self, interval: int, index: SparseIndex | None = None, due: int = 0) -> None:
        self.interval = interval
        self.index = SparseIndex() if index is None else index
        #: The next batch at or behind this position begins a block.
        self.due = due
        self._after_more = False

    def see(self, position: int, header: Header) -> None:
        """Look at the next batch of the segment."""
        if position >= self.due and not (header.kind == CONTROL and self._after_more):
            self.index.add(position, header.ordinal, header.base_offset, header.first_ms, header.first_seq)
            self.due = position + self.interval
        self._after_more = bool(header.flags & MORE)


# Index file header, little-endian, 120 bytes; then the columns.
_SUMMARY = struct.Struct(
    "<I"  # magic
    "I"  # crc          CRC32C of the rest of this header
    "Q"  # base_offset
    "Q"  # end_offset
    "Q"  # first_ordinal
    "Q"  # end_ordinal
    "QQ"  # last ID     of the log, up to here; (0, 0) if there was none
    "Q"  # first_append_ms
    "Q"  # last_append_ms
    "Q"  # log_size     bytes of the segment this describes
    "Q"  # batch_count
    "I"  # leader_epoch of the last batch
    "I"  # state        1 if small batches have been merged, 2 if effects have been left out, 4 if cleaned
    "Q"  # entries      rows of the sparse index
    "I"  # body_crc     CRC32C of the columns
    "I"  # reserved     0
)
SUMMARY_SIZE = 112
assert _SUMMARY.size == SUMMARY_SIZE
INDEX_MAGIC = 0x01494253  # b"SBI" and format version 1


@attrs.frozen
class Summary:
    """A sealed segment in numbers, as its index file keeps it."""

    base_offset: int
    end_offset: int
    first_ordinal: int
    end_ordinal: int
    last_ms: int
    last_seq: int
    first_append_ms: int
    last_append_ms: int
    log_size: int
    batch_count: int
    leader_epoch: int
    merged: bool
    bare: bool = False
    cleaned: bool = False


def encode_index(summary: Summary, index: SparseIndex) -> bytes:
    """The bytes of an index file."""
    body = index.encode()
    values = attrs.astuple(summary)
    state = summary.merged | summary.bare << 1 | summary.cleaned << 2
    raw = _SUMMARY.pack(INDEX_MAGIC, 0, *values[:-3], state, len(index), crc32c(body), 0)
    return raw[:4] + struct.pack("<I", crc32c(raw[8:])) + raw[8:] + body


def decode_summary(raw: bytes) -> Summary | None:
    """The summary from the first `SUMMARY_SIZE` bytes of an index file; None if damaged."""
    if len(raw) < SUMMARY_SIZE:
        return None
    magic, crc, *values = _SUMMARY.unpack_from(raw)
    if magic != INDEX_MAGIC or crc != crc32c(raw[8:SUMMARY_SIZE]):
        return None
    values[11:12] = [bool(values[11] & bit) for bit in (1, 2, 4)]
    return Summary(*values[:14])


def decode_index(raw: bytes) -> tuple[Summary, SparseIndex] | None:
    """A whole index file; None if damaged."""
    summary = decode_summary(raw)
    if summary is None:
        return None
    entries, body_crc, reserved = struct.unpack_from("<QII", raw, SUMMARY_SIZE - 16)
    body = memoryview(raw)[SUMMARY_SIZE:]
    if reserved or len(body) != entries * ENTRY_SIZE or crc32c(body) != body_crc:
        return None
    return summary, SparseIndex.decode(body)
