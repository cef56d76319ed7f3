"""Which pending run is the oldest: a heap that forgets lazily.

Acknowledging touches nothing here; a key whose run has gone is dropped when it comes to the top. A key is one
integer, the delivery time above the run's first ordinal, so that keys sort by age and then by place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush

ORDINAL_BITS = 64
ORDINAL_MASK = (1 << ORDINAL_BITS) - 1
SLACK = 1024


class AgeIndex:
    """Starts of runs by delivery time.

    ``is_current(time_ms, first)`` tells whether a run delivered at that time still starts there, and ``runs()``
    lists all of them: the heap is built from it anew when it has doubled, so that dead keys never outnumber the
    living for long. Pushing costs O(log n), O(1) for rising times.
    """

    __slots__ = ("_heap", "_is_current", "_limit", "_runs")

    def __init__(self, is_current: Callable[[int, int], bool], runs: Callable[[], Iterable[tuple[int, int]]]) -> None:
        self._is_current = is_current
        self._runs = runs
        self._heap: list[int] = []
        self._limit = 0
        self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [time_ms << ORDINAL_BITS | first for time_ms, first in self._runs()]
        heapify(self._heap)
        self._limit = 2 * len(self._heap) + SLACK

    def push(self, time_ms: int, first: int) -> None:
        """A run delivered at ``time_ms`` now starts at ``first``."""
        heappush(self._heap, time_ms << ORDINAL_BITS | first)
        if len(self._heap) > self._limit:
            self._rebuild()

    def oldest(self) -> int | None:
        """The delivery time of the oldest run."""
        heap = self._heap
        while heap:
            time_ms = heap[0] >> ORDINAL_BITS
            if self._is_current(time_ms, heap[0] & ORDINAL_MASK):
                return time_ms
            heappop(heap)
        return None

    def up_to(self, bound_ms: int) -> Iterator[int]:
        """First ordinals of the runs delivered at or before ``bound_ms``, oldest first.

        What it has taken from the heap goes back when the iteration ends or is dropped.
        """
        heap, taken, last = self._heap, [], -1
        try:
            while heap and heap[0] >> ORDINAL_BITS <= bound_ms:
                key = heappop(heap)
                if key == last or not self._is_current(key >> ORDINAL_BITS, key & ORDINAL_MASK):
                    continue
                taken.append(key)
                last = key
                yield key & ORDINAL_MASK
        finally:
            for key in taken:
                heappush(self._heap, key)

    def check(self) -> None:
        """Assert that every run can be found and that dead keys are bounded."""
        assert {time_ms << ORDINAL_BITS | first for time_ms, first in self._runs()} <= set(self._heap)
        assert len(self._heap) <= self._limit + 1
