"""What producers have added already, so that an XADD sent again adds nothing (IDMP, IDMPAUTO).

Each producer has a map from idempotent ID to the entry it made, in the order of recording. It forgets an ID when its
time is over and when there are too many, the oldest first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import xxhash

Record = tuple[int, int, int]  # the entry's ID (ms, seq), and when it was recorded, in ms


class IdempotencyMaps:
    """The maps of one stream.

    ``duration`` (seconds) and ``maxsize`` (IDs for each producer) are the stream's own; a new stream takes the
    server's defaults. The counters count over the stream's whole life.
    """

    __slots__ = ("_producers", "defaults", "duration", "iids_added", "iids_duplicates", "iids_tracked", "maxsize")

    def __init__(self, duration: int, maxsize: int) -> None:
        self.defaults = (duration, maxsize)
        self.duration = duration
        self.maxsize = maxsize
        self.iids_tracked = 0
        self.iids_added = 0
        self.iids_duplicates = 0
        self._producers: dict[bytes, OrderedDict[bytes, Record]] = {}

    def __bool__(self) -> bool:
        return bool(self._producers)

    @property
    def pids_tracked(self) -> int:
        """Producers with at least one ID remembered. `expire` first to leave out what is over."""
        return len(self._producers)

    def lookup(self, producer: bytes, idempotent_id: bytes, now_ms: int) -> tuple[int, int] | None:
        """The ID of the entry that this request made before; None if it is new or was forgotten."""
        records = self._producers.get(producer)
        record = None if records is None else records.get(idempotent_id)
        if record is None or self._is_over(record, now_ms):
            return None
        return record[0], record[1]

    def _is_over(self, record: Record, now_ms: int) -> bool:
        return now_ms - record[2] > self.duration * 1000

    # -- effects ----------------------------------------------------------------------------------------------

    def record(self, producer: bytes, idempotent_id: bytes, entry_id: tuple[int, int], time_ms: int) -> None:
        """``producer`` made ``entry_id`` at ``time_ms``. Exact and idempotent: what falls out depends on this alone."""
        records = self._producers.setdefault(producer, OrderedDict())
        record = (*entry_id, time_ms)
        if records.get(idempotent_id) == record:
            return
        self.iids_added += 1
        self.iids_tracked += 1
        if records.pop(idempotent_id, None) is not None:
            self.iids_tracked -= 1
        records[idempotent_id] = record
        self._forget_over(records, time_ms)
        while len(records) > self.maxsize:
            records.popitem(last=False)
            self.iids_tracked -= 1

    def count_duplicate(self) -> None:
        """A request was found to be a repetition."""
        self.iids_duplicates += 1

    def configure(self, duration: int, maxsize: int) -> bool:
        """Set the limits (XCFGSET). Another value than before forgets everything; whether it was another."""
        if (duration, maxsize) == (self.duration, self.maxsize):
            return False
        self.duration, self.maxsize = duration, maxsize
        self._producers.clear()
        self.iids_tracked = 0
        return True

    # -- forgetting -------------------------------------------------------------------------------------------

    def expire(self, now_ms: int) -> None:
        """Forget what is over; O(producers). No effect of its own: `lookup` never answers what is over."""
        for producer, records in list(self._producers.items()):
            self._forget_over(records, now_ms)
            if not records:
                del self._producers[producer]

    def _forget_over(self, records: OrderedDict[bytes, Record], now_ms: int) -> None:
        while records and self._is_over(next(iter(records.values())), now_ms):
            records.popitem(last=False)
            self.iids_tracked -= 1

    # -- as plain values --------------------------------------------------------------------------------------

    def dump(self) -> list[Any]:
        """The whole state as lists, numbers and bytes."""
        producers = [
            [producer, [[idempotent_id, *record] for idempotent_id, record in records.items()]]
            for producer, records in self._producers.items()
        ]
        return [*self.defaults, self.duration, self.maxsize, self.iids_added, self.iids_duplicates, producers]

    @classmethod
    def load(cls, state: list[Any]) -> IdempotencyMaps:
        """The opposite of ``dump``."""
        *defaults, duration, maxsize, added, duplicates, producers = state
        maps = cls(*defaults)
        maps.duration, maps.maxsize = duration, maxsize
        maps.iids_added, maps.iids_duplicates = added, duplicates
        for producer, records in producers:
            maps._producers[producer] = OrderedDict((key, (ms, seq, time_ms)) for key, ms, seq, time_ms in records)
            maps.iids_tracked += len(records)
        return maps

    def check(self) -> None:
        """Assert the invariants."""
        assert self.iids_tracked == sum(map(len, self._producers.values()))
        assert all(0 < len(records) <= self.maxsize for records in self._producers.values())


def idempotent_id_of(words: Iterable[bytes]) -> bytes:
    """The idempotent ID that IDMPAUTO gives to an entry: 16 bytes, XXH128 over its fields and values in order.

    Each word is fed behind its length (8 bytes, little-endian), so that moving a byte from one word to the next makes
    another ID. It is kept on disk for as long as the ID is remembered.
    """
    fed = bytearray()
    for word in words:
        fed += len(word).to_bytes(8, "little")
        fed += word
    return xxhash.xxh3_128_digest(fed)
