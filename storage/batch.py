"""The record batch: header and table layout, encode, slice, verify.

A batch is what one append wrote for one kind of record: a header, a small table, and the records' bytes back to
back. The table lets a search inside the batch parse nothing. `docs/log-format.md` has the same layout with a worked
example, `tests/golden/` the bytes.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from crc32c import crc32c

MAGIC = 0x014C4253  # b"SBL" and format version 1, little-endian

DATA = 0  # records with an ID; what readers read
CONTROL = 1  # effects of whoever uses the log; replayed, never read

#: The next batch was written together with this one: recovery keeps both or neither.
MORE = 1
#: Offsets inside are not dense (the result of a merge): the table says them.
SPARSE = 2
#: Ordinals inside are not dense either (the result of a cleaning): the table says them, and how many are covered.
GAPS = 4
#: Effects were left out by a cleaning: only a snapshot from behind this segment has them.
BARE = 8

# Batch header, little-endian, 84 bytes.
HEADER = struct.Struct(
    "<I"  # magic
    "I"  # size           bytes of the whole batch, this header included
    "I"  # crc            CRC32C of everything after this field
    "I"  # leader_epoch   written by the leader of this epoch; 0 without replication
    "Q"  # base_offset    offset of the first record
    "Q"  # ordinal        DATA records of the log before this batch
    "Q"  # append_ms      wall clock at the append
    "QQ"  # first ID      of the first entry; CONTROL: the last entry ID before it, (0, 0) if there was none
    "QQ"  # last ID       of the last entry; CONTROL: as above
    "I"  # records
    "I"  # span           offsets covered: as many as records, or more when SPARSE
    "B"  # kind           DATA or CONTROL
    "B"  # flags          MORE, SPARSE, GAPS, BARE
    "H"  # reserved       0
)
HEADER_SIZE = 84
assert HEADER.size == HEADER_SIZE
CRC_START = 12  # where the covered bytes begin

PREFIX = struct.Struct("<III")  # magic, size, crc
_U64 = struct.Struct("<Q")
_REST = struct.Struct("<IQQQQQQQIIBBH")  # the covered part of the header
_ONE_ENTRY = struct.Struct("<IQQQQQQQIIBBHIQQ")  # the same with the table of a single DATA record
_ONE_EFFECT = struct.Struct("<IQQQQQQQIIBBHI")  # the same with the table of a single CONTROL record
assert CRC_START + _REST.size == HEADER_SIZE

ENTRY_TABLE = 20  # bytes per DATA record: end u32, ms u64, seq u64
EFFECT_TABLE = 4  # bytes per CONTROL record: end u32
SPARSE_ENTRY_TABLE = 24  # the same with the offset's distance from the base, u32
SPARSE_EFFECT_TABLE = 16  # the same with distance u32 and append time u64
GAPS_ENTRY_TABLE = 28  # as SPARSE, and the ordinal's distance from that of the batch, u32
REACH = struct.Struct("<I")  # before the table of a batch with GAPS: ordinals covered

# Tables are written with `array` and read with `memoryview.cast`, which know the machine's order only.
assert sys.byteorder == "little", "the log format is little-endian, and so must the machine be"
assert array("I").itemsize == 4
assert array("Q").itemsize == 8

Id = tuple[int, int]
NO_ID: Id = (0, 0)


class Header(NamedTuple):
    """A batch's header, field by field."""

    magic: int
    size: int
    crc: int
    leader_epoch: int
    base_offset: int
    ordinal: int
    append_ms: int
    first_ms: int
    first_seq: int
    last_ms: int
    last_seq: int
    records: int
    span: int
    kind: int
    flags: int
    reserved: int
    #: With GAPS, the ordinals covered; stands behind the header.
    reach: int = 0

    @property
    def end_offset(self) -> int:
        return self.base_offset + self.span

    @property
    def end_ordinal(self) -> int:
        if self.flags & GAPS:
            return self.ordinal + self.reach
        return self.ordinal + self.records if self.kind == DATA else self.ordinal

    @property
    def payload_start(self) -> int:
        """Bytes of header and table."""
        prefix = REACH.size if self.flags & GAPS else 0
        return HEADER_SIZE + prefix + self.records * table_size(self.kind, self.flags)


def table_size(kind: int, flags: int) -> int:
    """Bytes of table per record."""
    if flags & GAPS:
        return GAPS_ENTRY_TABLE
    if flags & SPARSE:
        return SPARSE_EFFECT_TABLE if kind else SPARSE_ENTRY_TABLE
    return EFFECT_TABLE if kind else ENTRY_TABLE


def encode_entries(
    ms: Sequence[int],
    seqs: Sequence[int],
    payloads: Sequence[bytes],
    base_offset: int,
    ordinal: int,
    append_ms: int,
    leader_epoch: int,
    flags: int,
) -> tuple[bytes, bytes]:
    """A DATA batch in two buffers (so that one `writev` takes them and nothing is copied twice)."""
    count = len(payloads)
    if count == 1:
        ms0 = ms[0]
        seq0 = seqs[0]
        payload = payloads[0]
        size = len(payload)
        rest = (
            _ONE_ENTRY.pack(
                leader_epoch, base_offset, ordinal, append_ms, ms0, seq0, ms0, seq0, 1, 1, 0, flags, 0, size, ms0, seq0
            )
            + payload
        )
    else:
        rest = b"".join((
            _REST.pack(
                leader_epoch, base_offset, ordinal, append_ms,
                ms[0], seqs[0], ms[-1], seqs[-1], count, count, DATA, flags, 0,
            ),
            array("I", accumulate(map(len, payloads))).tobytes(),
            _U64.pack(ms[0]) * count if ms[0] == ms[-1] else array("Q", ms).tobytes(),
            array("Q", seqs).tobytes(),
            *payloads,
        ))  # fmt: skip
    return PREFIX.pack(MAGIC, CRC_START + len(rest), crc32c(rest)), rest


def encode_entry(
    ms: int, seq: int, payload: bytes, base_offset: int, ordinal: int, append_ms: int, leader_epoch: int
) -> bytes:
    """The DATA batch of a single entry, whole: `encode_entries` for what is small enough to be copied."""
    size = len(payload)
    table = _ONE_ENTRY.pack(
        leader_epoch, base_offset, ordinal, append_ms, ms, seq, ms, seq, 1, 1, DATA, 0, 0, size, ms, seq
    )
    return PREFIX.pack(MAGIC, HEADER_SIZE + ENTRY_TABLE + size, crc32c(payload, crc32c(table))) + table + payload


def encode_effects(
    effects: Sequence[bytes], last_id: Id, base_offset: int, ordinal: int, append_ms: int, leader_epoch: int
) -> tuple[bytes, bytes]:
    """A CONTROL batch in two buffers."""
    count = len(effects)
    ms, seq = last_id
    if count == 1:
        effect = effects[0]
        rest = (
            _ONE_EFFECT.pack(
                leader_epoch, base_offset, ordinal, append_ms, ms, seq, ms, seq, 1, 1, 1, 0, 0, len(effect)
            )
            + effect
        )
    else:
        rest = b"".join((
            _REST.pack(
                leader_epoch, base_offset, ordinal, append_ms, ms, seq, ms, seq, count, count, CONTROL, 0, 0
            ),
            array("I", accumulate(map(len, effects))).tobytes(),
            *effects,
        ))  # fmt: skip
    return PREFIX.pack(MAGIC, CRC_START + len(rest), crc32c(rest)), rest


def encode_sparse_entries(header: Header, ends: bytes, ms: bytes, seqs: bytes, deltas: bytes, payload: bytes) -> bytes:
    """A merged DATA batch; ``size`` and ``crc`` of the given header are worked out here."""
    return _seal(header, b"".join((ends, ms, seqs, deltas, payload)))


def encode_sparse_effects(header: Header, ends: bytes, deltas: bytes, times: bytes, payload: bytes) -> bytes:
    """A merged CONTROL batch."""
    return _seal(header, b"".join((ends, deltas, times, payload)))


def encode_gappy_entries(
    header: Header, ends: bytes, ms: bytes, seqs: bytes, deltas: bytes, ordinals: bytes, payload: bytes
) -> bytes:
    """A cleaned DATA batch; it may have no records."""
    return _seal(header, b"".join((REACH.pack(header.reach), ends, ms, seqs, deltas, ordinals, payload)))


def _seal(header: Header, body: bytes) -> bytes:
    rest = _REST.pack(*header[3:16]) + body
    return PREFIX.pack(MAGIC, CRC_START + len(rest), crc32c(rest)) + rest


def parse_header(raw: bytes | memoryview, position: int = 0) -> Header | None:
    """The header at ``position``, or None if no batch can begin like this. Says nothing about the CRC."""
    if len(raw) - position < HEADER_SIZE:
        return None
    header = Header(*HEADER.unpack_from(raw, position))
    if header.magic != MAGIC or header.kind > CONTROL:
        return None
    if header.flags & GAPS:
        if header.kind or len(raw) - position < HEADER_SIZE + REACH.size:
            return None
        header = header._replace(reach=REACH.unpack_from(raw, position + HEADER_SIZE)[0])
        if not header.records <= header.reach <= header.span:
            return None
    elif not 0 < header.records <= header.span:
        return None
    return header if header.size >= header.payload_start else None


def is_intact(raw: bytes | memoryview, position: int, header: Header) -> bool:
    """True if the batch lies whole in ``raw`` and its CRC holds."""
    end = position + header.size
    return end <= len(raw) and crc32c(memoryview(raw)[position + CRC_START : end]) == header.crc


class Table(NamedTuple):
    """A batch's table, as views into its bytes. What the kind does not have is empty."""

    ends: memoryview
    ms: memoryview
    seqs: memoryview
    deltas: memoryview
    times: memoryview
    ordinals: memoryview
    payload: memoryview


_EMPTY = memoryview(b"")


def parse_table(raw: bytes | memoryview, position: int, header: Header) -> Table:
    """The table of an intact batch."""
    view = memoryview(raw)
    count = header.records
    start = position + HEADER_SIZE + (REACH.size if header.flags & GAPS else 0)
    ends = view[start : start + 4 * count].cast("I")
    start += 4 * count
    ms = seqs = deltas = times = ordinals = _EMPTY
    if header.kind == DATA:
        ms = view[start : start + 8 * count].cast("Q")
        seqs = view[start + 8 * count : start + 16 * count].cast("Q")
        start += 16 * count
    if header.flags & SPARSE:
        deltas = view[start : start + 4 * count].cast("I")
        start += 4 * count
        if header.kind == CONTROL:
            times = view[start : start + 8 * count].cast("Q")
            start += 8 * count
    if header.flags & GAPS:
        ordinals = view[start : start + 4 * count].cast("I")
        start += 4 * count
    return Table(ends, ms, seqs, deltas, times, ordinals, view[start : position + header.size])
