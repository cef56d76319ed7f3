"""A consumer group: its cursor, its consumers, its read counter, and what is pending.

The ``apply_…`` methods are the effects that control batches hold: exact, so that no clock is read in applying them,
and idempotent, so that applying one twice in a row is applying it once. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from respbroker.streams.consumer import Consumer
from respbroker.streams.pending import PendingEntries


@attrs.define
class Group:
    """One consumer group of a stream.

    The cursor is kept twice, and its two forms always change together: ``last_delivered_id`` as clients named it
    (it may name no entry, and may lie behind the stream's end), and ``next_ordinal``, the first entry not delivered
    yet. ``entries_read`` is Redis' counter; None where Redis has -1 and answers nil.
    """

    name: bytes
    last_delivered_id: tuple[int, int] = (0, 0)
    next_ordinal: int = 0
    entries_read: int | None = None
    consumers: dict[bytes, Consumer] = attrs.field(factory=dict)
    pending: PendingEntries = attrs.field(factory=PendingEntries)

    # -- effects: the cursor ------------------------------------------------------------------------------

    def apply_cursor(self, last_delivered_id: tuple[int, int], next_ordinal: int, entries_read: int | None) -> None:
        """The group has been given everything up to here (XREADGROUP), or is told so (XGROUP SETID)."""
        self.last_delivered_id = last_delivered_id
        self.next_ordinal = next_ordinal
        self.entries_read = entries_read

    # -- effects: consumers -------------------------------------------------------------------------------

    def apply_consumer_created(self, name: bytes, seen_ms: int) -> None:
        """The consumer exists; one that already did stays as it is."""
        if name not in self.consumers:
            self.consumers[name] = Consumer(name, seen_ms)

    def apply_consumer_deleted(self, name: bytes) -> int:
        """The consumer is gone and nothing is pending with it; how many entries were."""
        self.consumers.pop(name, None)
        return self.pending.remove_consumer(name)

    def apply_seen(self, name: bytes, seen_ms: int, *, active: bool = False) -> None:
        """The consumer, made if need be, tried to read or claim; if ``active``, it was given something."""
        consumer = self.consumers.get(name)
        if consumer is None:
            consumer = self.consumers[name] = Consumer(name, seen_ms)
        consumer.seen_ms = seen_ms
        if active:
            consumer.active_ms = seen_ms

    # -- effects: pending entries ---------------------------------------------------------------------------

    def apply_delivered(
        self, consumer: bytes, first: int, end: int, time_ms: int, count: int = 1, holes: Iterable[int] = ()
    ) -> None:
        """``consumer``, made if need be, was given ``[first, end)`` except ``holes`` at ``time_ms``.

        Entries that were pending already change hands. The cursor is an effect of its own.
        """
        self.apply_seen(consumer, time_ms, active=True)
        self.pending.deliver(first, end, consumer, time_ms, count, holes)

    # -- as plain values --------------------------------------------------------------------------------------

    def dump(self) -> list[Any]:
        """The whole state as lists, numbers and bytes."""
        cursor = [*self.last_delivered_id, self.next_ordinal, self.entries_read]
        return [self.name, cursor, [consumer.dump() for consumer in self.consumers.values()], self.pending.dump()]

    @classmethod
    def load(cls, state: list[Any]) -> Group:
        """The opposite of ``dump``."""
        name, (ms, seq, next_ordinal, entries_read), consumers, pending = state
        loaded = [Consumer.load(each) for each in consumers]
        return cls(
            name, (ms, seq), next_ordinal, entries_read, {c.name: c for c in loaded}, PendingEntries.load(pending)
        )

    def check(self) -> None:
        """Assert that every entry is pending with a consumer that exists, and was delivered."""
        self.pending.check()
        assert all(name in self.consumers for name, _ in self.pending.counts())
