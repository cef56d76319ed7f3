"""The deleted entries of a stream, as a set of ordinals with rank.

Lengths and lags are differences of ordinals less the deletions in between, so they are exact at any time. Nearly all
streams have none: callers ask for ``stream.deletions.count`` first, which costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyroaring import BitMap64

_ROW = 1024  # deletions walked one by one before the end of their row is searched for
_BACKWARDS = 4096  # ordinals looked through at a time, for the marks can only be walked forwards


class Deletions:
    """A compressed set of ordinals (Roaring): ``in`` asks for one, ``len`` counts all.

    Counting and the questions for live neighbours cost a few µs, independent of the number of deletions between.
    """

    __slots__ = ("_marks", "count")

    def __init__(self) -> None:
        self._marks = BitMap64()
        #: How many there are, kept because the marks count slowly.
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def __len__(self) -> int:
        return self.count

    def __contains__(self, ordinal: int) -> bool:
        return ordinal in self._marks

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Deletions):
            return NotImplemented
        return bool(self._marks == other._marks)

    __hash__ = None  # type: ignore[assignment]

    # -- changes ---------------------------------------------------------------------------------------------

    def add(self, ordinal: int) -> None:
        """The entry is deleted."""
        self._marks.add(ordinal)
        self.count = len(self._marks)

    def add_many(self, ordinals: Iterable[int]) -> None:
        """These entries, in any order, are deleted."""
        self._marks.update(ordinals)
        self.count = len(self._marks)

    def add_range(self, first: int, end: int) -> None:
        """The entries ``[first, end)`` are deleted; nothing if it is empty."""
        if first < end:
            self._marks.add_range(first, end)
            self.count = len(self._marks)

    def add_dump(self, state: bytes, floor: int) -> None:
        """What another set, as ``dump`` gives it, has from ``floor`` on."""
        if state:
            marks = BitMap64.deserialize(state)
            marks.remove_range(0, floor)
            self._marks |= marks
            self.count = len(self._marks)

    def among(self, ranges: Iterable[tuple[int, int]]) -> Deletions:
        """Those of them that lie in some of the half-open ranges."""
        found = Deletions()
        for first, end in ranges:
            found._marks.add_range(first, end)
        found._marks &= self._marks
        found.count = len(found._marks)
        return found

    def trim(self, floor: int) -> None:
        """The stream now begins at ``floor``: marks below it mean nothing any more."""
        if self.count and floor > 0:
            self._marks.remove_range(0, floor)
            self.count = len(self._marks)

    # -- questions -------------------------------------------------------------------------------------------

    def count_between(self, first: int, end: int) -> int:
        """How many entries of ``[first, end)`` are deleted."""
        if not self.count or first >= end:
            return 0
        return int(self._marks.range_cardinality(first, end))

    def next_live(self, ordinal: int) -> int:
        """The lowest ordinal from ``ordinal`` on that is not deleted; it may lie behind the stream's end."""
        if ordinal not in self:
            return ordinal
        step = 1
        while self.count_between(ordinal, ordinal + step) == step:
            step *= 2
        low, high = step // 2, step  # the first `low` are deleted, the first `high` not all
        while high - low > 1:
            middle = (low + high) // 2
            if self.count_between(ordinal, ordinal + middle) == middle:
                low = middle
            else:
                high = middle
        return ordinal + low

    def previous_live(self, ordinal: int) -> int:
        """The highest ordinal up to ``ordinal`` that is not deleted; -1 if there is none."""
        if ordinal not in self:
            return ordinal
        low, high = 1, ordinal + 1  # the last `low` are deleted; `high` is the most there can be
        while low < high:
            middle = (low + high + 1) // 2
            if self.count_between(ordinal + 1 - middle, ordinal + 1) == middle:
                low = middle
            else:
                high = middle - 1
        return ordinal - low

    def live_ranges(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """What is left of ``[first, end)``, as half-open ranges in order. O(1) for each deletion in between, and
        O(log n) for a row of n that are deleted one behind the other."""
        row = _ROW if self.count else 0
        while row == _ROW:
            row = 0
            for mark in self._marks.iter_equal_or_larger(first):
                if mark >= end:
                    break
                if first < mark:
                    yield first, mark
                    row = 0
                first = mark + 1
                row += 1
                if row == _ROW:
                    first = self.next_live(mark)
                    break
        if first < end:
            yield first, end

    def live_ranges_backwards(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The same ranges from the last one to the first."""
        while first < end:
            end = self.previous_live(end - 1) + 1
            start = max(first, end - _BACKWARDS)  # a live entry may be cut off its neighbours here
            yield from reversed([*self.live_ranges(start, end)])
            end = start

    def nth_live_before(self, end: int, count: int, floor: int = 0) -> int:
        """The ordinal from which on ``count`` live entries lie below ``end``; ``floor`` if there are fewer."""
        low, high = floor, end - count  # high has at most `count`
        if high <= floor:
            return floor
        if end - low - self.count_between(low, end) < count:
            return floor
        while low < high:  # the highest start with at least `count`
            middle = (low + high + 1) // 2
            if end - middle - self.count_between(middle, end) >= count:
                low = middle
            else:
                high = middle - 1
        return low

    def copy(self) -> Deletions:
        """What is deleted now, whatever is deleted later."""
        copied = type(self)()
        copied._marks = self._marks.copy()
        copied.count = self.count
        return copied

    # -- as plain values --------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Roaring's portable 64-bit form; empty if nothing is deleted."""
        if not self.count:
            return b""
        self._marks.run_optimize()
        return bytes(self._marks.serialize())

    @classmethod
    def load(cls, state: bytes) -> Deletions:
        """The opposite of ``dump``."""
        deletions = cls()
        if state:
            deletions._marks = BitMap64.deserialize(state)
            deletions.count = len(deletions._marks)
        return deletions
