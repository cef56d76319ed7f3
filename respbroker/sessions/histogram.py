"""A histogram of durations with a bounded relative error, cheap to feed.

Durations fall into buckets of 1/128 of their size at most (two significant digits, as Redis keeps them), so a
percentile is exact to 0.8 percent and the printed bounds are those that Redis prints.
"""

from __future__ import annotations

from typing import Final

_DIGITS: Final = 8  # binary digits of a bucket's number: 128 buckets for each doubling
_SPAN_MAX: Final = 1_000_000_000  # nanoseconds: longer durations count as one second, as in Redis
_TICK: Final = 1024  # nanoseconds: the first bound of `doublings`


class Histogram:
    """Counts per bucket; a bucket is the pair (leading digits, shift) packed into one number."""

    __slots__ = ("buckets", "count")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0

    def add(self, seconds: float, count: int) -> None:
        """``count`` calls took ``seconds`` each."""
        nanoseconds = int(seconds * 1e9)
        if nanoseconds > _SPAN_MAX:
            nanoseconds = _SPAN_MAX
        shift = nanoseconds.bit_length() - _DIGITS
        bucket = (shift << _DIGITS) | (nanoseconds >> shift) if shift > 0 else max(nanoseconds, 0)
        buckets = self.buckets
        buckets[bucket] = buckets.get(bucket, 0) + count
        self.count += count

    def _bounds(self) -> list[tuple[int, int]]:
        """Upper bounds in nanoseconds, rising, with the count of each bucket."""
        return sorted((_upper_bound(bucket), count) for bucket, count in self.buckets.items())

    def percentile_micros(self, percent: float) -> float:
        """What ``percent`` of the calls did not exceed, in microseconds; 0.0 when there were none."""
        wanted = max(1, int(self.count * percent / 100 + 0.5))
        seen = 0
        for bound, count in self._bounds():
            seen += count
            if seen >= wanted:
                return bound / 1000
        return 0.0

    def doublings(self) -> list[tuple[int, int]]:
        """``(microseconds, calls that took no longer)`` at bounds that double, where there are any more of them."""
        bounds = self._bounds()
        found: list[tuple[int, int]] = []
        seen = at = 0
        limit = _TICK
        while at < len(bounds):
            before = seen
            top = _upper_bound(_packed(limit))
            while at < len(bounds) and bounds[at][0] <= top:
                seen += bounds[at][1]
                at += 1
            if seen > before:
                found.append((top // 1000, seen))
            limit *= 2
        return found


def _packed(nanoseconds: int) -> int:
    shift = max(0, nanoseconds.bit_length() - _DIGITS)
    return (shift << _DIGITS) | (nanoseconds >> shift)


def _upper_bound(bucket: int) -> int:
    """The longest duration that falls into a bucket, in nanoseconds."""
    shift, digits = bucket >> _DIGITS, bucket & ((1 << _DIGITS) - 1)
    return ((digits + 1) << shift) - 1
