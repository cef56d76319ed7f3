"""The entries of a stream: by ID and by ordinal, live or gone, in the log or still staged for the next append."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from sortedcontainers import SortedDict

from respbroker.streams.compacted import NEVER, Compacted
from respbroker.streams.deletions import Deletions
from storage import Log, OutOfRange

Id = tuple[int, int]
Range = tuple[int, int]  # ordinals, half-open
ZERO: Id = (0, 0)
Buffer = bytes | memoryview


class StreamEntries:
    """The half of `respbroker.streams.stream.Stream` that only looks; the fields are explained there."""

    __slots__ = ()

    log: Log
    compacted: Compacted
    deletions: Deletions
    detached: SortedDict[int, Id]
    first_ordinal: int
    end_ordinal: int
    added_bias: int
    last_id: Id
    _staged_from: int
    _ms: list[int]
    _seqs: list[int]
    _payloads: list[bytes]

    @property
    def length(self) -> int:
        """Live entries (XLEN)."""
        return self.end_ordinal - self.first_ordinal - self.deletions.count

    @property
    def entries_added(self) -> int:
        return self.end_ordinal + self.added_bias

    @property
    def highest_id(self) -> Id:
        """The ID of the last entry that is stored, live or not: what is appended next must be above it."""
        return (self._ms[-1], self._seqs[-1]) if self._ms else self.log.last_id or ZERO

    def is_live(self, ordinal: int) -> bool:
        return self.first_ordinal <= ordinal < self.end_ordinal and ordinal not in self.deletions

    def ordinal_of(self, entry_id: Id) -> int:
        """The first ordinal in ``[first_ordinal, end_ordinal]`` whose ID is at or behind ``entry_id``."""
        if entry_id > self.last_id:
            return self.end_ordinal
        if self._ms:
            low = bisect_left(self._ms, entry_id[0])
            high = bisect_left(self._ms, entry_id[0] + 1, low)
            place = bisect_left(self._seqs, entry_id[1], low, high)
            if place:
                return max(self._staged_from + place, self.first_ordinal)
        ordinal = self.log.ordinal_of(entry_id)
        return ordinal if ordinal > self.first_ordinal else self.first_ordinal

    def find_live(self, entry_id: Id) -> int | None:
        """The ordinal of the live entry with that ID."""
        ordinal = self.find_stored(entry_id)
        return ordinal if ordinal is not None and self.is_live(ordinal) else None

    def find_stored(self, entry_id: Id) -> int | None:
        """The ordinal of an entry with that ID that is, or was, here, as long as its ID is known."""
        if self._ms and entry_id >= (self._ms[0], self._seqs[0]):
            ordinal = self.ordinal_of(entry_id)
            return ordinal if ordinal < self.end_ordinal and self.id_at(ordinal) == entry_id else None
        found = self.log.find(entry_id)
        if found is None and self.detached:
            return self._find_detached(entry_id)
        return found

    def _find_detached(self, entry_id: Id) -> int | None:
        ordinal = self.first_detached(entry_id)
        return ordinal if ordinal is not None and self.detached[ordinal] == entry_id else None

    def first_detached(self, entry_id: Id) -> int | None:
        """Of pending entries whose segment was dropped, the first whose ID is at or behind ``entry_id``."""
        ordinals = self.detached.keys()
        place = bisect_left(ordinals, entry_id, key=self.detached.__getitem__)
        return int(ordinals[place]) if place < len(ordinals) else None

    def id_at(self, ordinal: int) -> Id:
        """The ID of an entry that is, or was, here."""
        if ordinal >= self._staged_from:
            place = ordinal - self._staged_from
            return self._ms[place], self._seqs[place]
        if self.detached and ordinal < self.log.first_ordinal:
            known: Id = self.detached[ordinal]
            return known
        return self.log.id_at(ordinal)

    def ids(self, first: int, end: int) -> list[Id]:
        """The IDs of ``[first, end)``, which must be stored or staged; what was cleaned away has a negative number."""
        return list(zip(*self.id_columns(first, end), strict=True))

    def id_columns(self, first: int, end: int) -> tuple[list[int], list[int]]:
        """The same as two parallel lists."""
        if end <= self._staged_from:
            return self.log.ids(first, end)
        ms, seqs = self.log.ids(first, self._staged_from) if first < self._staged_from else ([], [])
        low, high = max(first - self._staged_from, 0), end - self._staged_from
        return ms + self._ms[low:high], seqs + self._seqs[low:high]

    def packed_ids(self, first: int, end: int) -> tuple[bytes, bytes]:
        """The same, each as 64-bit numbers, little-endian."""
        if end <= self._staged_from:
            return self.log.packed_ids(first, end)
        ms, seqs = self.id_columns(first, end)
        return array("Q", ms).tobytes(), array("Q", [max(seq, 0) for seq in seqs]).tobytes()

    def stored(self, first: int, end: int) -> list[int]:
        """Those of ``[first, end)`` that were not cleaned away."""
        staged_from = self._staged_from
        ordinals = list(self.log.stored(first, min(end, staged_from))) if first < staged_from else []
        return [*ordinals, *range(max(first, staged_from), end)]

    def first_live(self) -> int | None:
        """The ordinal of the first live entry."""
        first = self.deletions.next_live(self.first_ordinal) if self.deletions.count else self.first_ordinal
        return first if first < self.end_ordinal else None

    def last_live(self) -> int | None:
        """The ordinal of the last live entry."""
        last = self.deletions.previous_live(self.end_ordinal - 1) if self.deletions.count else self.end_ordinal - 1
        return last if last >= self.first_ordinal else None

    def live_ranges(self, first: int, end: int, count: int | None = None) -> list[Range]:
        """The first ``count`` live entries of ``[first, end)`` as ranges of ordinals, in order."""
        if first < self.first_ordinal:
            first = self.first_ordinal
        if end > self.end_ordinal:
            end = self.end_ordinal
        if first >= end or count == 0:
            return []
        if not self.deletions.count:
            return [(first, end if count is None or end - first <= count else first + count)]
        ranges: list[Range] = []
        for low, high in self._live(first, end):
            if count is not None:
                high = min(high, low + count)
                count -= high - low
            if ranges and ranges[-1][1] == low:
                low = ranges.pop()[0]
            ranges.append((low, high))
            if count == 0:
                break
        return ranges

    def _live(self, first: int, end: int) -> Iterator[Range]:
        """All of them, not always joined. Where little is left of much, it is quicker to ask what is left."""
        deletions = self.deletions
        if self.compacted is NEVER:
            yield from deletions.live_ranges(first, end)
            return
        staged_from = self._staged_from
        if first < staged_from:
            for low, high in self.log.stretches(first, min(end, staged_from)):
                if high - low > 1:
                    yield from deletions.live_ranges(low, high)
                elif low not in deletions:
                    yield low, high
        if end > staged_from:
            yield from deletions.live_ranges(max(first, staged_from), end)

    def last_live_ranges(self, first: int, end: int, count: int | None = None) -> list[Range]:
        """The last ``count`` live entries of ``[first, end)`` as ranges of ordinals, still in rising order."""
        first, end = max(first, self.first_ordinal), min(end, self.end_ordinal)
        if first >= end or count == 0:
            return []
        if count is None:
            return self.live_ranges(first, end)
        if not self.deletions.count:
            return [(max(first, end - count), end)]
        start = self.deletions.nth_live_before(end, count, first)
        return self.live_ranges(start, end)

    def payloads(self, ranges: Iterable[Range]) -> list[Buffer]:
        """The entries of these ranges as they go out in a reply, as few buffers as it costs nothing to have."""
        pieces: list[Buffer] = []
        for first, end in ranges:
            if first < self._staged_from:
                pieces.extend(self.log.read(first, min(end, self._staged_from)))
            if end > self._staged_from:
                low = max(first - self._staged_from, 0)
                pieces.append(b"".join(self._payloads[low : end - self._staged_from]))
        return pieces

    def payloads_in_pieces(self, ranges: Sequence[Range], bytes_max: int) -> Iterator[list[Buffer]]:
        """The same, about ``bytes_max`` at a time."""
        stored = 0
        if self.compacted is not NEVER:  # many short ranges, which lie side by side on the disk
            stored = bisect_right(ranges, self._staged_from, key=itemgetter(1))
            yield from self.log.read_ranges(ranges[:stored])
        for first, end in ranges[stored:]:
            while first < end:
                pieces, stop = self.payloads_some(first, end, bytes_max)
                if self.compacted is not NEVER and len(self.stored(first, stop)) != stop - first:
                    raise OutOfRange("entries were cleaned away while they were read", file=self.log.directory)
                yield pieces
                first = stop

    def payloads_some(self, first: int, end: int, bytes_max: int) -> tuple[list[Buffer], int]:
        """The entries from ``first`` on, about ``bytes_max`` of them or up to ``end``; and where they stop."""
        staged_from = self._staged_from
        if first < staged_from:
            return self.log.read_some(first, end if end < staged_from else staged_from, bytes_max)
        return [b"".join(self._payloads[first - staged_from : end - staged_from])], end

    def payloads_from(self, wanted: Iterable[tuple[Id, int]], bytes_max: int) -> Iterator[tuple[list[Buffer], int]]:
        """For each ID and count the first live entries at or behind the ID, by one look into the log, and their number.

        It ends where that is not enough: some are deleted, or still staged, none is there, or they pass ``bytes_max``.
        """
        if self.deletions.count:
            return
        lowest, end = self.first_ordinal, self.end_ordinal
        for first, pieces, stop, wanted_stop in self.log.read_many(wanted, bytes_max):
            if first < lowest or first == stop or (stop < wanted_stop and stop < end):
                return
            yield pieces, stop - first

    def payloads_each(self, ranges: Iterable[Range]) -> list[bytes]:
        """The same, one ``bytes`` an entry."""
        entries: list[bytes] = []
        for first, end in ranges:
            if first < self._staged_from:
                entries.extend(self.log.read_each(first, min(end, self._staged_from)))
            if end > self._staged_from:
                entries.extend(self._payloads[max(first - self._staged_from, 0) : end - self._staged_from])
        return entries

    def sizes(self, first: int, end: int) -> list[int]:
        """Bytes of each entry's payload in ``[first, end)``."""
        sizes: list[int] = []
        if first < self._staged_from:
            sizes.extend(self.log.sizes(first, min(end, self._staged_from)))
        if end > self._staged_from:
            low = max(first - self._staged_from, 0)
            sizes.extend(map(len, self._payloads[low : end - self._staged_from]))
        return sizes
