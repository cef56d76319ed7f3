"""The order in which SCAN walks a database: newest key first, by numbers that never change.

A cursor must keep its meaning while keys come and go. Every key has a place, the number it was created with: it
stays the same for as long as the key exists, and later keys have higher ones. A scan starts above all places and goes
down, and its cursor is the place it has come to. So a key that is there from the start of a scan to its end
is returned exactly once, and a scan ends however fast new keys are made.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from respbroker.streams.catalog import KeyEntry


class KeyOrder:
    """The keys of one database by place, as they were when this was built; 16 bytes a key.

    Built when a scan starts and dropped when one ends. Keys that went since are told by the lookup (`page` takes
    the database's keys as they are now); keys that came since belong to no scan that is under way. Building sorts:
    about 0.3 s for a million keys.
    """

    def __init__(self, keys: dict[bytes, KeyEntry]) -> None:
        self._source = keys
        self._newest = _newest(keys)
        ordered = sorted(keys.items(), key=lambda item: item[1].place)
        self._places = array("Q", [entry.place for _, entry in ordered])
        self._keys = [key for key, _ in ordered]

    def covers(self, keys: dict[bytes, KeyEntry], cursor: int) -> bool:
        """Whether a scan at ``cursor`` may use this order.

        One under way may use any order built since it started. One that starts needs every key of now; keys are only
        ever added at the end of ``keys``, so one was added just when the last name or its entry is another.
        """
        return keys is self._source and (cursor != 0 or _newest(keys) == self._newest)

    def page(self, keys: dict[bytes, KeyEntry], cursor: int, count: int) -> tuple[int, list[bytes]]:
        """The next ``count`` keys below ``cursor`` (0: from the top) that are still there, and the new cursor."""
        end = bisect_left(self._places, cursor) if cursor else len(self._places)
        first = max(0, end - count)
        page = self._keys[first:end]
        page.reverse()
        return (self._places[first] if first else 0), [key for key in page if key in keys]


def _newest(keys: dict[bytes, KeyEntry]) -> tuple[bytes, KeyEntry] | None:
    return next(reversed(keys.items()), None)
