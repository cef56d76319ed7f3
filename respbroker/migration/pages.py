"""Reading a stream in pieces that are small for both servers, whatever the size of its entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from respbroker.errors import InvalidStreamId
from respbroker.migration.turns import Entry, Request
from respbroker.model.stream_id import MAX, StreamId, successor

COUNT_MAX: Final = 1000  # a server is held up for about a millisecond
COUNT_FIRST: Final = 64
BYTES: Final = 1 << 20
GROWTH: Final = 4


@attrs.frozen
class Pace:
    """How many entries to ask for next: few until their size is known, then about `BYTES` of them."""

    count: int

    @classmethod
    def at(cls, entry_bytes: int) -> Pace:
        """The first pace, in a stream that has at least one entry of so many bytes."""
        return cls(max(1, min(BYTES // max(entry_bytes, 1), COUNT_FIRST)))

    def after(self, page: Sequence[Entry]) -> Pace:
        """The pace behind a page that was read at this one."""
        if not page:
            return self
        average = max(weight(page) // len(page), 1)
        return Pace(max(1, min(BYTES // average, self.count * GROWTH, COUNT_MAX)))


def weight(page: Sequence[Entry]) -> int:
    """About the bytes of these entries; one whose fields are gone has none."""
    return sum([sum(map(len, fields)) for _, fields in page])


def following(entry_id: tuple[int, int]) -> StreamId | None:
    """The next possible ID, with which a range goes on behind this one; None behind the last.

    Ranges that exclude an end, ``(ID``, are newer than Redis 5.
    """
    return None if entry_id == MAX else successor(entry_id, InvalidStreamId())


def read(key: bytes, start: StreamId, end: StreamId, count: int) -> Request:
    return (b"XRANGE", key, bytes(start), bytes(end), b"COUNT", count)
