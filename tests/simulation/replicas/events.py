"""Virtual time: what is to happen and when, in one heap; what is due at one moment comes in the order of asking."""

from __future__ import annotations

import heapq
from collections.abc import Callable

START_SECONDS = 1000.0
START_MS = 1_700_000_000_000


class Events:
    """Owns the time. Nothing but `run_until` moves it."""

    def __init__(self) -> None:
        self.now = START_SECONDS
        self.count = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Have something happen; at once if the moment is over."""
        self.count += 1
        heapq.heappush(self._heap, (max(moment, self.now), self.count, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen so many seconds from now."""
        self.at(self.now + seconds, action)

    def run_until(self, moment: float) -> None:
        """Let everything happen that is due before ``moment``, and stand there."""
        heap = self._heap
        while heap and heap[0][0] <= moment:
            self.now, _, action = heapq.heappop(heap)
            action()
        self.now = moment

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.now - START_SECONDS
