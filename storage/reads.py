"""Reading a log: by ordinal, by ID, and the effects by offset."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from storage.batch import CONTROL, Id
from storage.block import Block, GapBlock, Tail
from storage.caches import Caches
from storage.errors import CorruptLog, OutOfRange
from storage.index import lower_bound
from storage.scan import Effect, effects_of, walk
from storage.segments import Segments

READ_ALL = 1 << 62  # bytes
_ACROSS_MAX = 2000  # entries looked for in cached blocks only; more of them take so long that this gains nothing
PIECE_BYTES = 1 << 20  # read at a time, about, of a range that is longer
JOIN_BELOW = 8 << 10  # a piece smaller than this is cheaper copied than sent by itself


class LogReads:
    """The reading half of `storage.log.Log`; knows the segments and the tail, changes neither."""

    __slots__ = ()

    caches: Caches
    segments: Segments
    _tail: Tail

    def read(self, first: int, end: int) -> list[bytes | memoryview]:
        """The payloads of the entries ``first ≤ ordinal < end``, back to back, in pieces fit to be sent.

        What was cleaned away in between is passed over.

        Raises:
            OutOfRange: they are not within what is stored.
            CorruptLog: some are damaged; the place is named.
        """
        return self.read_some(first, end, READ_ALL)[0]

    def read_some(self, first: int, end: int, bytes_max: int) -> tuple[list[bytes | memoryview], int]:
        """As `read`, but stop behind the block that reaches ``bytes_max``; and the ordinal behind the last one read."""
        segments = self.segments
        recent = self.caches.recent
        if recent is not None and recent[0] is segments:
            block = recent[3]
            start = block.first_ordinal
            if start <= first < end <= block.end_ordinal:  # nearly always, where little is asked for
                return [block.piece(first - start, end - start)], end
        if first < segments.all[0].first_ordinal or end > segments.active.end_ordinal:
            raise self._out_of_range(first, end)
        if first >= end:
            return [], first
        tail = self._tail
        start = tail.first_ordinal
        if first >= start:
            return [tail.piece(first - start, end - start)], end
        place = segments.locate(first)
        block = place[3]
        if end <= block.end_ordinal:
            return [block.piece(first - block.first_ordinal, end - block.first_ordinal)], end
        pieces: list[bytes | memoryview] = []
        size = 0
        while True:
            stop = min(end, block.end_ordinal)
            piece = block.piece(first - block.first_ordinal, stop - block.first_ordinal)
            pieces.append(piece)
            size += len(piece)
            if stop == end or size >= bytes_max:
                return join_small(pieces), stop
            first = stop
            if first >= start:
                pieces.append(tail.piece(first - start, end - start))
                return join_small(pieces), end
            place = segments.behind(place)
            block = place[3]

    def read_from(self, entry_id: Id, count: int, bytes_max: int) -> tuple[int, list[bytes | memoryview], int]:
        """`ordinal_of` an ID, and `read_some` of at most ``count`` entries from there on, with one search."""
        tail = self._tail
        first = end = self.segments.active.end_ordinal
        if tail.ms and entry_id >= (tail.ms[0], tail.seqs[0]):
            first = tail.first_ordinal + tail.lower_bound(entry_id)
        elif entry_id <= self.segments.active.last_id:
            first, block = self.segments.search(entry_id)
            if block is not None:
                stop = first + count
                if first < stop <= block.end_ordinal:  # nearly always, where little is asked for
                    start = block.first_ordinal
                    return first, [block.piece(first - start, stop - start)], stop
        return first, *self.read_some(first, min(first + count, end), bytes_max)

    def read_many(
        self, wanted: Iterable[tuple[Id, int]], bytes_max: int
    ) -> Iterator[tuple[int, list[bytes | memoryview], int, int]]:
        """`read_from` for each of many IDs and counts, and the ordinal up to which entries were wanted.

        Most lie in a block of the active segment that is cached. No ID is looked at before the one before it is read.
        """
        active = self.segments.active
        index = active.index
        assert index is not None
        index_ms, index_seqs, positions, segment = index.ms, index.seqs, index.positions, active.number
        first_ms = index_ms[0] if len(self.segments.all) == 1 and len(index_ms) > 0 else 1 << 64
        caches = self.caches
        get = caches.get
        pieces: list[bytes | memoryview]
        for entry_id, count in wanted:
            ms, seq = entry_id
            block: Block | None = None
            is_inside = False
            if ms >= first_ms:
                number = bisect_right(index_ms, ms) - 1
                is_inside = index_ms[number] < ms or index_seqs[number] < seq
                place = caches.recent
                if place is not None and place[2] == number and place[1] is active:
                    block = place[3]
                else:
                    block = get((segment, positions[number]))
            if block is not None and block.ordinals is None:
                column = block.ms
                start = bisect_left(column, ms)
                if start < len(column) and column[start] == ms and block.seqs[start] < seq:
                    start += 1  # behind an entry, most often the only one of its millisecond
                    if start < len(column) and column[start] == ms and block.seqs[start] < seq:
                        start = lower_bound(column, block.seqs, entry_id)
                # A block may begin with effects; its ID in the index is then that of the entry before it.
                if start < len(column) and (is_inside or (column[start] == ms and block.seqs[start] == seq)):
                    first, stop = block.first_ordinal, start + count
                    if stop <= len(column):
                        ends = block.ends
                        pieces = [block.payload[ends[start - 1] if start else 0 : ends[stop - 1]]]
                        yield first + start, pieces, first + stop, first + stop
                        continue
                    if count <= _ACROSS_MAX and (pieces := self._across(block, number, start, count)):
                        yield first + start, pieces, first + stop, first + stop
                        continue
            first, pieces, stop = self.read_from(entry_id, count, bytes_max)
            yield first, pieces, stop, first + count

    def _across(self, block: Block, number: int, start: int, count: int) -> list[bytes | memoryview]:
        """The payloads of ``count`` entries from ``start`` in a block of the active segment on.

        Nothing if not all of the blocks that hold them are cached.
        """
        active = self.segments.active
        assert active.index is not None
        positions, segment, get = active.index.positions, active.number, self.caches.get
        ends = block.ends
        pieces: list[bytes | memoryview] = [block.payload[ends[start - 1] :] if start else block.payload]
        count -= len(ends) - start
        ordinal = block.end_ordinal
        for each in range(number + 1, len(positions)):
            following: Block | None = get((segment, positions[each]))
            if following is None or following.first_ordinal != ordinal:
                break
            ends = following.ends
            if count <= len(ends):
                pieces.append(following.payload[: ends[count - 1]])
                small = len(pieces[0]) < JOIN_BELOW or len(pieces[-1]) < JOIN_BELOW
                return join_small(pieces) if small else pieces
            pieces.append(following.payload)
            count -= len(ends)
            ordinal = following.end_ordinal
        return []

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> Iterator[list[bytes | memoryview]]:
        """The payloads of many ranges of entries, none of which was cleaned away, a piece of the log at a time."""
        place = 0
        while place < len(ranges):
            first, end = ranges[place]
            if first < self._tail.first_ordinal:
                block = self.segments.locate(first)[3]
                if isinstance(block, GapBlock) and end <= block.end_ordinal:
                    pieces, place = block.pieces(ranges, place)
                    yield pieces
                    continue
            while first < end:
                pieces, stop = self.read_some(first, end, PIECE_BYTES)
                if len(self.stored(first, stop)) != stop - first:
                    raise OutOfRange("entries were cleaned away while they were read", file=self.segments.active.path)
                yield pieces
                first = stop
            place += 1

    def stretches(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The ordinals that were not cleaned away, as half-open ranges in order."""
        for part, a, b in self._spans(first, end):
            if isinstance(part, GapBlock):
                yield from part.stretches(a, b)
            else:
                yield part.first_ordinal + a, part.first_ordinal + b

    def read_each(self, first: int, end: int) -> list[bytes]:
        """The same payloads one by one; nothing for entries that were cleaned away."""
        payloads: list[bytes] = []
        for part, a, b in self._spans(first, end):
            payloads += part.each(a, b)
        return payloads

    def sizes(self, first: int, end: int) -> list[int]:
        """Their sizes in bytes."""
        sizes: list[int] = []
        for part, a, b in self._spans(first, end):
            sizes += part.sizes(a, b)
        return sizes

    def ids(self, first: int, end: int) -> tuple[list[int], list[int]]:
        """Their IDs, as two parallel lists; of an entry that was cleaned away the sequence number is -1."""
        ms: list[int] = []
        seqs: list[int] = []
        for part, a, b in self._spans(first, end):
            more_ms, more_seqs = part.ids(a, b)
            ms += more_ms
            seqs += more_seqs
        return ms, seqs

    def packed_ids(self, first: int, end: int) -> tuple[bytes, bytes]:
        """The same, each column as 64-bit numbers, little-endian."""
        parts = [part.packed_ids(a, b) for part, a, b in self._spans(first, end)]
        if len(parts) == 1:
            return parts[0]
        return b"".join([ms for ms, _ in parts]), b"".join([seqs for _, seqs in parts])

    def stored(self, first: int, end: int) -> Sequence[int]:
        """The ordinals of those that were not cleaned away: what `sizes` and `read_each` speak of."""
        spans = list(self._spans(first, end))
        if all(part.ordinals is None for part, *_ in spans):
            return range(first, end)
        return [ordinal for part, a, b in spans for ordinal in part.stored(a, b)]

    def id_at(self, ordinal: int) -> Id:
        """The ID of one entry; if that was cleaned away, of the one before it."""
        if not self.segments.all[0].first_ordinal <= ordinal < self.segments.active.end_ordinal:
            raise self._out_of_range(ordinal, ordinal + 1)
        part = self._tail if ordinal >= self._tail.first_ordinal else self.segments.locate(ordinal)[3]
        place = ordinal - part.first_ordinal
        if part.ordinals is not None:
            return part.id_at(place)
        return part.ms[place], part.seqs[place]

    def ordinal_of(self, entry_id: Id) -> int:
        """The ordinal of the first stored entry whose ID is not below ``entry_id``; `end_ordinal` if there is none."""
        active = self.segments.active
        if entry_id > active.last_id:
            return active.end_ordinal
        tail = self._tail
        if tail.ms and entry_id >= (tail.ms[0], tail.seqs[0]):
            return tail.first_ordinal + tail.lower_bound(entry_id)
        return self.segments.search(entry_id)[0]

    def find(self, entry_id: Id) -> int | None:
        """The ordinal of the stored entry with exactly this ID."""
        ordinal = self.ordinal_of(entry_id)
        if ordinal >= self.segments.active.end_ordinal:
            return None
        return ordinal if self.id_at(ordinal) == entry_id else None

    def controls(self, from_offset: int = 0) -> Iterator[Effect]:
        """The stored effects at or behind an offset, in order: ``(offset, append_ms, effect)``.

        Raises:
            CorruptLog: the records cannot all be walked.
        """
        for segment in self.segments.from_offset(from_offset):
            index = segment.load_index(self.caches)
            block = index.block_of_offset(from_offset)
            position = index.positions[block] if block >= 0 else 0
            for found in walk(segment.open_file(self.caches), position, segment.size):
                if found.header.kind == CONTROL:
                    yield from (effect for effect in effects_of(found) if effect.offset >= from_offset)
                position = found.position + found.header.size
            if position != segment.size:
                raise CorruptLog("batch is damaged", file=segment.path, position=position)

    def _spans(self, first: int, end: int) -> Iterator[tuple[Block | Tail, int, int]]:
        """What holds the entries, in order, and which of its entries they are."""
        tail = self._tail
        start = tail.first_ordinal
        if first < self.segments.all[0].first_ordinal or end > self.segments.active.end_ordinal:
            raise self._out_of_range(first, end)
        if first < start:
            yield from self.segments.spans(first, min(end, start))
        if first < end and end > start:
            yield tail, max(0, first - start), end - start

    def _out_of_range(self, first: int, end: int) -> OutOfRange:
        stored = f"{self.segments.all[0].first_ordinal} ≤ ordinal < {self.segments.active.end_ordinal}"
        return OutOfRange(
            f"entries {first} to {end} were asked for, stored are {stored}", file=self.segments.active.path
        )


def join_small(pieces: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """The same bytes; pieces too small to be sent by themselves are joined with what follows them."""
    if len(pieces) < 2:
        return pieces
    joined: list[bytes | memoryview] = []
    small: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        small.append(piece)
        size += len(piece)
        if size >= JOIN_BELOW:
            joined.append(b"".join(small) if len(small) > 1 else piece)
            small = []
            size = 0
    if small:
        joined.append(b"".join(small))
    return joined
