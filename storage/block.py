"""Entries in memory: a block loaded from disk, and the tail that was just appended.

Both answer the same questions about the entries ``a ≤ i < b`` counted from their first one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from crc32c import crc32c

from storage.batch import (
    CONTROL,
    CRC_START,
    DATA,
    ENTRY_TABLE,
    GAPS,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    NO_ID,
    SPARSE,
    Id,
    is_intact,
    parse_header,
    parse_table,
)
from storage.errors import CorruptLog, OutOfRange
from storage.index import SparseIndex, lower_bound

NO_SEQ = -1  # in the ID of an entry that was cleaned away


class Block:
    """The entries between two sparse index entries, their batches joined: immutable, safe to slice and send."""

    __slots__ = ("cost", "end_ordinal", "ends", "first_ordinal", "ms", "ordinals", "payload", "seqs")

    def __init__(self, first_ordinal: int, ms: Any, seqs: Any, ends: Any, payload: memoryview) -> None:
        self.first_ordinal = first_ordinal
        self.end_ordinal = first_ordinal + len(ends)
        #: None: none is missing. See `GapBlock`.
        self.ordinals: Any = None
        self.ms = ms
        self.seqs = seqs
        #: Where entry *i* ends in `payload`; it begins where the one before ends.
        self.ends = ends
        self.payload = payload
        self.cost = len(payload) + 20 * len(ends) + 600

    def piece(self, a: int, b: int) -> bytes | memoryview:
        """The payloads back to back."""
        return self.payload[self.ends[a - 1] if a else 0 : self.ends[b - 1]]

    def each(self, a: int, b: int) -> list[bytes]:
        """The payloads one by one."""
        payload = self.payload
        pieces = []
        start = self.ends[a - 1] if a else 0
        for end in self.ends[a:b]:
            pieces.append(bytes(payload[start:end]))
            start = end
        return pieces

    def sizes(self, a: int, b: int) -> list[int]:
        """Payload sizes."""
        ends = list(self.ends[a:b])
        starts = [self.ends[a - 1] if a else 0, *ends]
        return [end - start for start, end in zip(starts, ends, strict=False)]

    def ids(self, a: int, b: int) -> tuple[list[int], list[int]]:
        """Both columns of the IDs."""
        return self.ms[a:b].tolist(), self.seqs[a:b].tolist()

    def packed_ids(self, a: int, b: int) -> tuple[bytes, bytes]:
        """The same columns as 64-bit numbers, little-endian."""
        return self.ms[a:b].tobytes(), self.seqs[a:b].tobytes()

    def stored(self, a: int, b: int) -> Sequence[int]:
        """The ordinals."""
        return range(self.first_ordinal + a, self.first_ordinal + b)

    def id_at(self, place: int) -> Id:
        """The ID of one entry."""
        return self.ms[place], self.seqs[place]

    def lower_bound(self, entry_id: Id) -> int:
        """How many entries are below the ID."""
        return lower_bound(self.ms, self.seqs, entry_id)


class GapBlock(Block):
    """Entries from which some were cleaned away.

    It answers the same questions, about the entries that are left. `id_at` gives what is cleaned away the ID of the
    entry before it, so IDs and ordinals rise together all the same; `ids` gives it one that no entry has.
    """

    __slots__ = ("_first_id",)

    def __init__(self, block: Block, end_ordinal: int, ordinals: Any, first_id: Id) -> None:
        super().__init__(block.first_ordinal, block.ms, block.seqs, block.ends, block.payload)
        self.end_ordinal = end_ordinal
        #: Of each entry, counted from the block's first.
        self.ordinals = ordinals
        #: Of the first that was here before the cleaning.
        self._first_id = first_id
        self.cost += 8 * len(ordinals)

    def rows(self, a: int, b: int) -> tuple[int, int]:
        """Which rows of the columns ``a ≤ i < b`` are."""
        first = bisect_left(self.ordinals, a)
        return first, bisect_left(self.ordinals, b, first)

    def stored(self, a: int, b: int) -> Sequence[int]:
        first, end = self.rows(a, b)
        return [self.first_ordinal + ordinal for ordinal in self.ordinals[first:end]]

    def piece(self, a: int, b: int) -> bytes | memoryview:
        first, end = self.rows(a, b)
        return super().piece(first, end) if first < end else b""

    def each(self, a: int, b: int) -> list[bytes]:
        return super().each(*self.rows(a, b))

    def sizes(self, a: int, b: int) -> list[int]:
        return super().sizes(*self.rows(a, b))

    def ids(self, a: int, b: int) -> tuple[list[int], list[int]]:
        first, end = self.rows(a, b)
        if end - first == b - a:
            return super().ids(first, end)
        last = self.id_at(a)[0]
        ms, seqs = [], []
        expected = a
        for row in range(first, end):
            missing = self.ordinals[row] - expected
            ms += [last] * missing
            seqs += [NO_SEQ] * missing
            last = self.ms[row]
            ms.append(last)
            seqs.append(self.seqs[row])
            expected += missing + 1
        return ms + [last] * (b - expected), seqs + [NO_SEQ] * (b - expected)

    def packed_ids(self, a: int, b: int) -> tuple[bytes, bytes]:
        ms, seqs = self.ids(a, b)
        return array("Q", ms).tobytes(), array("Q", [max(seq, 0) for seq in seqs]).tobytes()

    def id_at(self, place: int) -> Id:
        row = bisect_right(self.ordinals, place) - 1
        return (self.ms[row], self.seqs[row]) if row >= 0 else self._first_id

    def stretches(self, a: int, b: int) -> Iterator[tuple[int, int]]:
        """What is left of the ordinals, as half-open ranges."""
        start = self.first_ordinal
        low = high = -1
        for row in range(*self.rows(a, b)):
            ordinal = self.ordinals[row]
            if ordinal != high:
                if low >= 0:
                    yield start + low, start + high
                low = ordinal
            high = ordinal + 1
        if low >= 0:
            yield start + low, start + high

    def pieces(self, ranges: Sequence[tuple[int, int]], place: int) -> tuple[list[bytes | memoryview], int]:
        """The payloads of those ranges from ``place`` on that lie in the block, neighbouring rows as one piece; and the
        place of the first that does not."""
        pieces: list[bytes | memoryview] = []
        start, ordinals = self.first_ordinal, self.ordinals
        low = high = -1
        while place < len(ranges) and ranges[place][1] <= self.end_ordinal:
            first, end = ranges[place]
            row = bisect_left(ordinals, first - start, max(high, 0))
            if ordinals[row : row + end - first][-1:] != array("Q", [end - 1 - start]):
                raise OutOfRange("entries were cleaned away while they were read")
            if row != high:
                if low < high:
                    pieces.append(super().piece(low, high))
                low = row
            high = row + end - first
            place += 1
        if low < high:
            pieces.append(super().piece(low, high))
        return pieces, place

    def place_of(self, row: int) -> int:
        """The ordinal of a row, counted from the block's first."""
        return int(self.ordinals[row]) if row < len(self.ordinals) else self.end_ordinal - self.first_ordinal

    def lower_bound(self, entry_id: Id) -> int:
        return self.place_of(lower_bound(self.ms, self.seqs, entry_id))


class Tail:
    """The newest entries of a log, as they were handed in; begins where a block begins."""

    __slots__ = ("first_ordinal", "ms", "payloads", "seqs", "size")

    ordinals: None = None  # as in `Block`

    def __init__(self, first_ordinal: int) -> None:
        self.first_ordinal = first_ordinal
        self.ms: list[int] = []
        self.seqs: list[int] = []
        self.payloads: list[bytes] = []
        self.size = 0

    def restart(self, ordinal: int) -> None:
        """Forget everything; the next entry is ``ordinal``."""
        self.first_ordinal = ordinal
        if self.payloads:
            self.ms.clear()
            self.seqs.clear()
            self.payloads.clear()
        self.size = 0

    def piece(self, a: int, b: int) -> bytes:
        return self.payloads[a] if b - a == 1 else b"".join(self.payloads[a:b])

    def each(self, a: int, b: int) -> list[bytes]:
        return self.payloads[a:b]

    def sizes(self, a: int, b: int) -> list[int]:
        return list(map(len, self.payloads[a:b]))

    def ids(self, a: int, b: int) -> tuple[list[int], list[int]]:
        return self.ms[a:b], self.seqs[a:b]

    def packed_ids(self, a: int, b: int) -> tuple[bytes, bytes]:
        return array("Q", self.ms[a:b]).tobytes(), array("Q", self.seqs[a:b]).tobytes()

    def stored(self, a: int, b: int) -> Sequence[int]:
        return range(self.first_ordinal + a, self.first_ordinal + b)

    def id_at(self, place: int) -> Id:
        return self.ms[place], self.seqs[place]

    def lower_bound(self, entry_id: tuple[int, int]) -> int:
        return lower_bound(self.ms, self.seqs, entry_id)


class Unlike(Exception):
    """The batches are not where the index says."""


def decode_block(raw: bytes, position: int, path: str, index: SparseIndex, number: int) -> Block:
    """Verify and join the batches of block ``number``, whose bytes ``raw`` were read from ``position``.

    Raises:
        CorruptLog: with the place of the first bad batch.
        Unlike: a good batch begins there, but not the one of which the index speaks.
    """
    ordinal = index.ordinals[number]
    offset = index.offsets[number]
    if len(raw) > HEADER_SIZE:
        magic, size, crc, _, base, first, _, _, _, _, _, count, span, kind, flags, _ = HEADER.unpack_from(raw)
        fills = size == len(raw) and not flags & GAPS  # one batch is all of it
        if fills and magic == MAGIC and kind == DATA and 0 < count <= span:
            columns = HEADER_SIZE + 4 * count
            start = HEADER_SIZE + (ENTRY_TABLE + (4 if flags & SPARSE else 0)) * count
            if start <= size:
                if first != ordinal or base != offset:
                    raise Unlike
                view = memoryview(raw)
                if crc32c(view[CRC_START:]) != crc:
                    raise CorruptLog("batch is damaged", file=path, offset=offset, position=position)
                ids = view[columns : columns + 16 * count].cast("Q")
                return Block(ordinal, ids[:count], ids[count:], view[HEADER_SIZE:columns].cast("I"), view[start:])
    header = parse_header(raw)
    if header is not None and (header.ordinal, header.base_offset) != (ordinal, offset):
        raise Unlike
    if header is not None and header.flags & GAPS:
        return _join_gappy(raw, position, path, ordinal, offset)
    return _join(raw, position, path, ordinal, offset)


def _join(raw: bytes, position: int, path: str, first_ordinal: int, offset: int) -> Block:
    """Many batches as one. The inner loop of cold reads in a segment of small batches: about 1 us for each."""
    view = memoryview(raw)
    unpack = HEADER.unpack_from
    ms: list[bytes | memoryview] = []
    seqs: list[bytes | memoryview] = []
    sizes: list[int] = []
    payloads: list[memoryview] = []
    at = 0
    end = len(raw)
    while at < end:
        if end - at < HEADER_SIZE:
            raise CorruptLog("batch is cut off", file=path, offset=offset, position=position + at)
        magic, size, crc, _, base, ordinal, _, _, _, _, _, count, span, kind, flags, _ = unpack(raw, at)
        stop = at + size
        if magic != MAGIC or stop > end or size < HEADER_SIZE or crc32c(view[at + CRC_START : stop]) != crc:
            raise CorruptLog("batch is damaged", file=path, offset=offset, position=position + at)
        if kind != CONTROL:
            if ordinal != first_ordinal + len(sizes):
                raise CorruptLog("batch is out of order", file=path, offset=base, position=position + at)
            table = at + HEADER_SIZE
            columns = table + 4 * count
            start = table + (ENTRY_TABLE + (4 if flags & SPARSE else 0)) * count
            ms.append(view[columns : columns + 8 * count])
            seqs.append(view[columns + 8 * count : columns + 16 * count])
            if count == 1:
                sizes.append(stop - start)
            else:
                previous = 0
                for entry_end in view[table:columns].cast("I"):
                    sizes.append(entry_end - previous)
                    previous = entry_end
            payloads.append(view[start:stop])
        offset = max(offset, base + span)
        at = stop
    return Block(
        first_ordinal,
        memoryview(b"".join(ms)).cast("Q"),
        memoryview(b"".join(seqs)).cast("Q"),
        array("Q", accumulate(sizes)),
        memoryview(b"".join(payloads)),
    )


def _join_gappy(raw: bytes, position: int, path: str, first_ordinal: int, offset: int) -> GapBlock:
    """The same where entries were cleaned away; every DATA batch of such a segment says which are left."""
    ms: list[memoryview] = []
    seqs: list[memoryview] = []
    ends = array("Q")
    ordinals = array("Q")
    payloads: list[memoryview] = []
    at = size = 0
    next_ordinal = first_ordinal
    first_id: Id | None = None
    while at < len(raw):
        header = parse_header(raw, at)
        if header is None or not is_intact(raw, at, header):
            raise CorruptLog("batch is damaged", file=path, offset=offset, position=position + at)
        if header.kind != CONTROL:
            if header.ordinal != next_ordinal:
                raise CorruptLog("batch is out of order", file=path, offset=offset, position=position + at)
            table = parse_table(raw, at, header)
            first_id = first_id or (header.first_ms, header.first_seq)
            ms.append(table.ms)
            seqs.append(table.seqs)
            ends.extend([size + end for end in table.ends])
            ordinals.extend([next_ordinal - first_ordinal + delta for delta in table.ordinals])
            payloads.append(table.payload)
            size += len(table.payload)
            next_ordinal = header.end_ordinal
        offset = max(offset, header.end_offset)
        at += header.size
    block = Block(
        first_ordinal,
        memoryview(b"".join(ms)).cast("Q"),
        memoryview(b"".join(seqs)).cast("Q"),
        ends,
        memoryview(b"".join(payloads)),
    )
    return GapBlock(block, next_ordinal, ordinals, first_id or NO_ID)
