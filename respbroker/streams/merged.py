"""Several streams read as one: their live entries in the order of IDs, forwards or backwards, a piece at a time.

Each stream gives a chunk of its IDs. What lies at or before the least of the chunks' ends is complete: it is sorted
(chunks are sorted already, so that costs little) and given out; streams whose chunk is used up fetch the next one,
twice as long. So a stream of which much is wanted is fetched in long chunks, the others hardly at all, and what is
held is a round of IDs and a piece of payloads, whatever there is to read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice, repeat
from operator import itemgetter, ne, neg
from typing import Final, Generic, TypeVar

import attrs

from respbroker.streams.runs import consecutive
from respbroker.streams.stream_entries import ZERO, Buffer, Id, Range, StreamEntries
from storage import OutOfRange

Key = tuple[int, int, int]  #: an ID and whose it is, all three negative where it is read backwards

ROUND_ENTRIES: Final = 16_384  # IDs held at a time, by all streams together
CHUNK_ENTRIES: Final = 1024  # of one stream
CHUNK_FIRST: Final = 4  # of one stream, to begin with: most that is asked for is short
PIECE_BYTES: Final = 1 << 20  # payloads held at a time, about
LISTED_MAX: Final = 1024  # up to so many live ranges are listed; beyond, the marks of deletions are copied
RUN_LONG: Final = 8  # entries on average; from here on runs are cheaper taken as slices

T = TypeVar("T")
S = TypeVar("S", bound=StreamEntries)

_whose = itemgetter(2)


class _Source:
    """One stream while it is read: the ranges still to be fetched, and what was fetched and not given out yet."""

    __slots__ = ("at", "high", "index", "keys", "low", "more", "ordinals", "ranges", "step", "stream")

    def __init__(self, stream: StreamEntries, index: int, ranges: Iterator[Range], step: int) -> None:
        self.stream = stream
        self.index = index
        self.ranges = ranges
        self.low, self.high = next(ranges)
        self.step = step
        self.more = True
        self.keys: list[Key] = []
        self.ordinals: list[int] = []
        self.at = 0  # how many of these have been given out

    def fetch(self, count_max: int, *, backwards: bool) -> None:
        """Replace what was given out by the next chunk."""
        left = self.step if self.step < count_max else count_max
        self.step = 2 * left
        self.keys, self.ordinals, self.at = [], [], 0
        while left and self.more:
            low, high = self.low, self.high
            if high - low > left:
                low, high = (high - left, high) if backwards else (low, low + left)
            left -= high - low
            ms, seqs = self.stream.id_columns(low, high)
            if backwards:
                self.keys += zip(map(neg, reversed(ms)), map(neg, reversed(seqs)), repeat(-self.index))
                self.ordinals += range(high - 1, low - 1, -1)
                self.high = low
            else:
                self.keys += zip(ms, seqs, repeat(self.index))
                self.ordinals += range(low, high)
                self.low = high
            if self.low == self.high:
                following = next(self.ranges, None)
                if following is None:
                    self.more = False
                else:
                    self.low, self.high = following

    def take(self, end: int) -> list[int]:
        """Give out the ordinals up to place ``end`` of the chunk."""
        start, self.at = self.at, end
        return self.ordinals[start:end]


@attrs.frozen
class _Round:
    """Some entries in the order in which they are read: whose each one is, and of each stream the ordinals."""

    order: list[int]
    ordinals: dict[int, list[int]]


class Merged(Generic[S]):
    """The live entries of ``streams`` with IDs from ``first_id`` to ``last_id``: the first ``count`` of them in the
    order of reading, or all. What is deleted or appended later changes nothing. Read it once.
    """

    def __init__(
        self,
        streams: Sequence[S],
        first_id: Id,
        last_id: Id,
        count: int | None = None,
        *,
        backwards: bool = False,
    ) -> None:
        self._streams = streams
        self._backwards = backwards
        step = CHUNK_FIRST if count is None else CHUNK_FIRST + 2 * count // len(streams)
        there = 0
        self._sources: list[_Source] = []
        for index, stream in enumerate(streams):
            end = stream.end_ordinal
            if first_id > stream.last_id or stream.first_ordinal == end:
                continue
            first = stream.ordinal_of(first_id) if first_id > ZERO else stream.first_ordinal
            if last_id < stream.last_id:
                end = stream.ordinal_of((last_id[0], last_id[1] + 1))
            live = end - first - stream.deletions.count_between(first, end)
            if live > 0:
                there += live
                ranges = _ranges(stream, first, end, count, backwards=backwards)
                self._sources.append(_Source(stream, index, ranges, step))
        #: How many entries there are to be read.
        self.count: Final = there if count is None or there < count else count
        self._chunk_max = max(1, min(CHUNK_ENTRIES, ROUND_ENTRIES // max(len(self._sources), 1)))

    def runs(self) -> Iterator[tuple[S, int, int]]:
        """The entries as runs of neighbours in one stream: a stream, and a half-open range of its ordinals.

        Where entries are read backwards, a run is read from its end.
        """
        for each in self._rounds():
            yield from self._runs(each)

    def pieces(self) -> Iterator[list[Buffer]]:
        """The entries as they go out in a reply, a megabyte at a time or a single larger entry."""
        for each in self._rounds():
            for part in self._cut(each):
                yield self._payloads(part)

    # -- rounds ------------------------------------------------------------------------------------------------

    def _rounds(self) -> Iterator[_Round]:
        left = self.count
        while left:
            keys, ordinals = self._next_round()
            if len(ordinals) > 1:
                keys.sort()
            if len(keys) > left:
                del keys[left:]
            left -= len(keys)
            order = [*map(_whose, keys)]
            if self._backwards:
                order = [-index for index in order]
            yield _Round(order, ordinals) if left else _shortened(order, ordinals)

    def _next_round(self) -> tuple[list[Key], dict[int, list[int]]]:
        """What is complete of the chunks: up to the least end of a chunk behind which there is more."""
        bound: Key | None = None
        used_up = False
        for source in self._sources:
            keys = source.keys
            if source.at == len(keys):
                if not source.more:
                    used_up = True
                    continue
                source.fetch(self._chunk_max, backwards=self._backwards)
                keys = source.keys
            if source.more and (bound is None or keys[-1] < bound):
                bound = keys[-1]
        if used_up:
            self._sources = [source for source in self._sources if source.at < len(source.keys)]
        taken: list[Key] = []
        ordinals: dict[int, list[int]] = {}
        for source in self._sources:
            keys, start = source.keys, source.at
            end = len(keys) if bound is None or keys[-1] <= bound else bisect_right(keys, bound, start)
            if end > start:
                taken += keys[start:end]
                ordinals[source.index] = source.take(end)
        return taken, ordinals

    # -- what is in a round ------------------------------------------------------------------------------------

    def _runs(self, each: _Round) -> Iterator[tuple[S, int, int]]:
        places = dict.fromkeys(each.ordinals, 0)
        for index, group in groupby(each.order):
            start = places[index]
            places[index] = end = start + sum(1 for _ in group)
            ranges = _ranges_of(each.ordinals[index][start:end])
            for first, stop in reversed(ranges) if self._backwards else ranges:
                yield self._streams[index], first, stop

    def _cut(self, each: _Round) -> Iterable[_Round]:
        """The round in parts that are small enough; how large its entries are says how many to fetch next."""
        sizes: dict[int, list[int]] = {}
        total = 0
        for index, ordinals in each.ordinals.items():
            stream = self._streams[index]
            sizes[index] = found = [size for first, end in _ranges_of(ordinals) for size in stream.sizes(first, end)]
            _ensure_all(stream, ordinals, found)
            total += sum(found)
        fitting = 4 * PIECE_BYTES * len(each.order) // (total * len(self._sources))
        self._chunk_max = max(1, min(CHUNK_ENTRIES, ROUND_ENTRIES // len(self._sources), fitting))
        if total <= PIECE_BYTES:
            return (each,)
        if self._backwards:
            for found in sizes.values():
                found.reverse()
        return _in_parts(each, _in_order(each.order, sizes))

    def _payloads(self, each: _Round) -> list[Buffer]:
        order = each.order
        switches = sum(map(ne, order, islice(order, 1, None)))
        if not self._backwards and switches * RUN_LONG < len(order):
            return [piece for stream, first, end in self._runs(each) for piece in stream.payloads([(first, end)])]
        payloads: dict[int, list[bytes]] = {}
        for index, ordinals in each.ordinals.items():
            stream = self._streams[index]
            payloads[index] = found = stream.payloads_each(_ranges_of(ordinals))
            _ensure_all(stream, ordinals, found)
            if self._backwards:
                found.reverse()
        in_order = _in_order(order, payloads)
        return [b"".join(in_order)]


def _ranges(stream: StreamEntries, first: int, end: int, count: int | None, *, backwards: bool) -> Iterator[Range]:
    """Ranges of live entries of ``[first, end)`` in the order of reading, ``count`` of them at least if there are."""
    deletions = stream.deletions
    if not deletions.count_between(first, end):
        if count is not None and count < end - first:
            first, end = (end - count, end) if backwards else (first, first + count)
        return iter([(first, end)])
    if count is not None and count <= LISTED_MAX:
        if backwards:
            return reversed(stream.last_live_ranges(first, end, count))
        return iter(stream.live_ranges(first, end, count))
    marks = deletions.copy()
    return marks.live_ranges_backwards(first, end) if backwards else marks.live_ranges(first, end)


def _ranges_of(ordinals: Sequence[int]) -> list[Range]:
    """Rising or falling ordinals as ranges, which rise."""
    first, last = ordinals[0], ordinals[-1]
    if first > last:
        first, last = last, first
        ordinals = ordinals[::-1]
    return [(first, last + 1)] if last - first < len(ordinals) else [*consecutive(ordinals)]


def _ensure_all(stream: StreamEntries, ordinals: Sequence[int], found: Sequence[object]) -> None:
    """Compaction may take entries while they are read, and a reply that is half sent cannot go on without them."""
    if len(found) != len(ordinals):
        raise OutOfRange("entries were cleaned away while they were read", file=stream.log.directory)


def _shortened(order: list[int], ordinals: dict[int, list[int]]) -> _Round:
    """A round of which only what ``order`` names is wanted."""
    return _Round(order, {index: ordinals[index][:count] for index, count in Counter(order).items()})


def _in_order(order: Iterable[int], values: dict[int, list[T]]) -> list[T]:
    """One value for each of ``order``, from the list that it names."""
    sources = {index: iter(found) for index, found in values.items()}
    return [*map(next, map(sources.__getitem__, order))]


def _in_parts(each: _Round, sizes: list[int]) -> Iterator[_Round]:
    """The round in parts of about `PIECE_BYTES`."""
    start = size = 0
    places = dict.fromkeys(each.ordinals, 0)
    for end, more in enumerate([*sizes[1:], PIECE_BYTES], 1):
        size += sizes[end - 1]
        if size + more > PIECE_BYTES:
            order = each.order[start:end]
            counts = Counter(order)
            ordinals = {i: each.ordinals[i][places[i] : places[i] + count] for i, count in counts.items()}
            yield _Round(order, ordinals)
            for index, count in counts.items():
                places[index] += count
            start, size = end, 0
