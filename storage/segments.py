"""The ordered segments of a log; floor and range lookups, and reads across them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from storage.batch import Id
from storage.block import Block
from storage.caches import Caches
from storage.segment import Segment


class Segments:
    """Segments in rising order, without a gap; the last one is active."""

    __slots__ = ("_first_ordinals", "_segments", "active", "caches")

    def __init__(self, segments: list[Segment], caches: Caches) -> None:
        self.caches = caches
        self._segments = segments
        self._first_ordinals: list[int] = []
        self.changed()

    def changed(self) -> None:
        """The list is not what it was."""
        self.active = self._segments[-1]
        self._first_ordinals = [segment.first_ordinal for segment in self._segments]

    @property
    def all(self) -> list[Segment]:
        return self._segments

    @property
    def sealed(self) -> list[Segment]:
        return self._segments[:-1]

    def add(self, segment: Segment) -> None:
        self._segments.append(segment)
        self.changed()

    def replace(self, old: Segment, new: Segment) -> None:
        self._segments[self._segments.index(old)] = new
        self.changed()

    def drop_first(self, count: int) -> None:
        for segment in self._segments[:count]:
            self.caches.forget(segment)
        del self._segments[:count]
        self.changed()

    def drop_last(self) -> None:
        self.caches.forget(self._segments.pop())
        self.changed()

    def of_ordinal(self, ordinal: int) -> Segment:
        """The last segment whose first ordinal is not above ``ordinal``."""
        return self._segments[bisect_right(self._first_ordinals, ordinal) - 1]

    def from_offset(self, offset: int) -> list[Segment]:
        """Those that hold records at or behind ``offset``."""
        return [segment for segment in self._segments if segment.end_offset > offset]

    def spans(self, first: int, end: int) -> Iterator[tuple[Block, int, int]]:
        """Blocks, and which of their entries, for the stored ordinals ``first ≤ x < end``."""
        while first < end:
            segment = self.of_ordinal(first)
            number = segment.load_index(self.caches).block_of_ordinal(first)
            segment_end = min(end, segment.end_ordinal)
            while first < segment_end:
                block = segment.block(self.caches, number)
                start = block.first_ordinal
                stop = min(end, block.end_ordinal)
                if stop > first:
                    yield block, first - start, stop - start
                    first = stop
                number += 1

    def lower_bound(self, entry_id: Id) -> int:
        """The ordinal of the first stored entry with an ID not below ``entry_id``."""
        for segment in self._segments:
            if segment.last_id >= entry_id and segment.end_ordinal > segment.first_ordinal:
                break
        else:
            return self._segments[-1].end_ordinal
        number = segment.load_index(self.caches).block_before_id(entry_id)
        if number < 0:
            return segment.first_ordinal
        block = segment.block(self.caches, number)
        return block.first_ordinal + block.lower_bound(entry_id)
