"""What held the node up: per kind of event, the worst latency of each second it was slow in."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

SAMPLES_MAX: Final = 160  # seconds remembered of an event, as in Redis


@attrs.define(eq=False)
class Event:
    """One kind of event: ``samples`` of (Unix seconds, milliseconds), oldest first; ``worst`` since the last reset."""

    samples: deque[tuple[int, int]] = attrs.Factory(lambda: deque(maxlen=SAMPLES_MAX))
    worst: int = 0


class LatencyMonitor:
    """Fed only above latency-monitor-threshold, so it costs nothing while nothing is slow."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}

    def add(self, event: str, now_ms: int, seconds: float) -> None:
        """``event`` (``command``, ``fast-command``, ``aof-fsync-always`` …) took that long."""
        latency_ms, unix_seconds = int(seconds * 1000), now_ms // 1000
        found = self.events.setdefault(event, Event())
        found.worst = max(found.worst, latency_ms)
        if found.samples and found.samples[-1][0] == unix_seconds:
            latency_ms = max(latency_ms, found.samples.pop()[1])
        found.samples.append((unix_seconds, latency_ms))

    def reset(self, events: list[str]) -> int:
        """Forget these events, all if none is named; how many there were."""
        doomed = [name for name in (events or list(self.events)) if name in self.events]
        for name in dict.fromkeys(doomed):
            del self.events[name]
        return len(dict.fromkeys(doomed))
