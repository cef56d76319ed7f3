"""The places of values in the order of SCAN: numbers that rise with every key made, over all databases."""

from __future__ import annotations


class ValuePlaces:
    """The next place. What is read from the logs tells which were taken."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 1

    def take(self) -> int:
        """A place that no key has."""
        place = self._next
        self._next += 1
        return place

    def taken(self, place: int) -> None:
        """A key has this one."""
        if place >= self._next:
            self._next = place + 1
