"""The ordered segments of a log; floor and range lookups, and reads across them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import attrgetter

from storage.batch import Id
from storage.block import Block
from storage.caches import Caches
from storage.index import lower_bound
from storage.segment import Segment

#: Whose, in which segment, the number of the block there, and the block.
Place = tuple["Segments", Segment, int, Block]
_last_id = attrgetter("last_id")
_base_offset = attrgetter("base_offset")


class Segments:
    """Segments in rising order, without a gap; the last one is active."""

    __slots__ = ("_first_ordinals", "active", "all", "caches", "cuts")

    def __init__(self, segments: list[Segment], caches: Caches) -> None:
        self.caches = caches
        self.all = segments
        #: How often the log was cut at its end.
        self.cuts = 0
        self._first_ordinals: list[int] = []
        self.changed()

    def changed(self) -> None:
        """The list is not what it was."""
        self.active = self.all[-1]
        self._first_ordinals = [segment.first_ordinal for segment in self.all]
        self.caches.recent = None

    @property
    def sealed(self) -> list[Segment]:
        return self.all[:-1]

    def add(self, segment: Segment) -> None:
        self.all.append(segment)
        self.changed()

    def replace(self, old: Segment, new: Segment, count: int = 1) -> None:
        """Put one in the place of ``count`` neighbours, of which ``old`` is the first."""
        place = self.all.index(old)
        self.all[place : place + count] = [new]
        self.changed()

    def drop_first(self, count: int) -> None:
        for segment in self.all[:count]:
            self.caches.forget(segment)
        del self.all[:count]
        self.changed()

    def drop_last(self) -> None:
        self.caches.forget(self.all.pop())
        self.changed()

    def of_ordinal(self, ordinal: int) -> Segment:
        """The last segment whose first ordinal is not above ``ordinal``."""
        return self.all[bisect_right(self._first_ordinals, ordinal) - 1]

    def floor(self, offset: int) -> Segment:
        """The last segment that begins at or before a stored offset."""
        return self.all[bisect_right(self.all, offset, key=_base_offset) - 1]

    def from_offset(self, offset: int) -> list[Segment]:
        """Those that hold records at or behind ``offset``."""
        return [segment for segment in self.all if segment.end_offset > offset]

    def spans(self, first: int, end: int) -> Iterator[tuple[Block, int, int]]:
        """Blocks, and which of their entries, for the stored ordinals ``first ≤ x < end``."""
        if first >= end:
            return
        place = self.locate(first)
        while True:
            block = place[3]
            start = block.first_ordinal
            stop = min(end, block.end_ordinal)
            yield block, first - start, stop - start
            if stop == end:
                return
            first = stop
            place = self.behind(place)

    def locate(self, ordinal: int) -> Place:
        """Where a stored entry is."""
        place = self.caches.recent
        if place is not None and place[0] is self:
            block = place[3]
            if block.first_ordinal <= ordinal < block.end_ordinal:
                return place
        segment = self.of_ordinal(ordinal)
        number = segment.load_index(self.caches).block_of_ordinal(ordinal)
        block = segment.block(self.caches, number)
        if ordinal >= block.end_ordinal:  # the index was wrong, and has been rebuilt
            number = segment.load_index(self.caches).block_of_ordinal(ordinal)
            block = segment.block(self.caches, number)
        return self._remember(segment, number, block)

    def behind(self, place: Place) -> Place:
        """Where the entry behind a block is; there is one."""
        _, segment, number, block = place
        first = block.end_ordinal
        if first < segment.end_ordinal and number + 1 < len(segment.load_index(self.caches)):  # it may be another index
            block = segment.block(self.caches, number + 1)
            if block.first_ordinal == first < block.end_ordinal:
                return self._remember(segment, number + 1, block)
        return self.locate(first)  # in the next segment, or behind a block of effects

    def search(self, entry_id: Id) -> tuple[int, Block | None]:
        """The ordinal of the first stored entry with an ID not below ``entry_id``, and the block looked into for it.

        The entry may be the one behind that block.
        """
        segment = self.active
        if len(self.all) > 1:
            for segment in self.all[bisect_left(self.all, entry_id, key=_last_id) :]:
                if segment.end_ordinal > segment.first_ordinal:
                    break
        if segment.last_id < entry_id or segment.end_ordinal == segment.first_ordinal:
            return segment.end_ordinal, None
        caches = self.caches
        index = segment.index
        if index is None:
            index = segment.load_index(caches)
        number = bisect_left(index.ms, entry_id[0])  # as `lower_bound`, which is called where that does not tell
        if number < len(index.ms) and index.ms[number] == entry_id[0]:
            number = lower_bound(index.ms, index.seqs, entry_id)
        number -= 1  # in this block, or right behind it
        if number < 0:
            return segment.first_ordinal, None
        place = caches.recent
        if place is not None and place[1] is segment and place[2] == number:
            block = place[3]
        else:
            block = segment.block(caches, number)
            if block.ms:
                self._remember(segment, number, block)
        if block.ordinals is not None:
            return block.first_ordinal + block.lower_bound(entry_id), block
        return block.first_ordinal + lower_bound(block.ms, block.seqs, entry_id), block

    def _remember(self, segment: Segment, number: int, block: Block) -> Place:
        """Look here first the next time; not in a block that still grows, for it will be another one, nor where nothing
        is left."""
        place = (self, segment, number, block)
        if (segment.index is None or number < len(segment.index.positions) - 1) and block.ms:
            self.caches.recent = place
        return place
