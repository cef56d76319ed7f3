"""What INFO counts: connections, commands, bytes, keys, errors, and how long commands take.

Plain numbers are raised where things happen. Rates come from `sample`, which housekeeping calls about ten times a
second. Times are fed per run of neighbouring calls, not per request.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from respbroker.sessions.histogram import Histogram

if TYPE_CHECKING:
    pass

_SAMPLES: Final = 16  # a rate is the mean of so many samples, as in Redis: about 1.6 seconds
_ERROR_CODES_MAX: Final = 128  # distinct codes counted; Redis stops there too


class Rate:
    """How fast a counter rises, per second, over the last samples."""

    __slots__ = ("_seen", "_steps")

    def __init__(self) -> None:
        self._seen: tuple[float, int] | None = None
        self._steps: deque[float] = deque([0.0] * _SAMPLES, maxlen=_SAMPLES)

    def sample(self, now: float, counter: int) -> None:
        """The counter's value at monotonic ``now``."""
        if self._seen is not None:
            then, before = self._seen
            if now <= then:
                return
            self._steps.append(max(0, counter - before) / (now - then))
        self._seen = now, counter

    @property
    def per_second(self) -> float:
        return sum(self._steps) / _SAMPLES


class Statistics:
    """Counters of one node since its start or the last CONFIG RESETSTAT."""

    def __init__(self) -> None:
        self.reset()
        #: latency-tracking: whether the histograms are fed.
        self.tracking = True

    def reset(self) -> None:
        """CONFIG RESETSTAT: everything from zero."""
        self.connections_received = 0
        self.connections_rejected = 0
        self.commands_processed = 0
        self.net_input_bytes = 0
        self.net_output_bytes = 0
        self.net_repl_input_bytes = 0  # from a leader; a part of all
        self.net_repl_output_bytes = 0  # to replicas; a part of all
        self.reads_processed = 0
        self.writes_processed = 0
        self.expired_keys = 0
        self.keyspace_hits = 0
        self.keyspace_misses = 0
        self.query_limit_disconnections = 0
        self.output_limit_disconnections = 0
        self.denied_logins = 0
        self.unexpected_errors = 0
        self.dead_letters = 0
        self.unread_lost = 0
        self.error_replies = 0
        self.errors: dict[str, int] = {}
        self.histograms: dict[str, Histogram] = {}
        self.commands_rate = Rate()
        self.input_rate = Rate()
        self.output_rate = Rate()

    def count_error(self, code: str) -> None:
        """An error reply with that first word was given."""
        self.error_replies += 1
        errors = self.errors
        if code in errors or len(errors) < _ERROR_CODES_MAX:
            errors[code] = errors.get(code, 0) + 1

    def histogram_of(self, name: str) -> Histogram:
        """How long the command of that name takes; to be fed while ``tracking``."""
        histogram = self.histograms.get(name)
        if histogram is None:
            histogram = self.histograms[name] = Histogram()
        return histogram

    def sample(self, now: float) -> None:
        """Look at the counters from which rates are taken."""
        self.commands_rate.sample(now, self.commands_processed)
        self.input_rate.sample(now, self.net_input_bytes)
        self.output_rate.sample(now, self.net_output_bytes)
