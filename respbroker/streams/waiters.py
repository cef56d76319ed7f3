"""Blocked readers as data: who waits for which keys, in what order, and until when.

A waiter is no task and holds nothing but its request: ten thousand of them are ten thousand small objects in three
dictionaries and a heap. Serving them is the node's business; here is only who is next.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Any

import attrs

Key = tuple[int, bytes]  # database and name

DEADLINE, RETRY = 0, 1  # what a moment in the heap is
SLACK = 64
NEVER = float("inf")


@attrs.define(eq=False)
class Waiter:
    """One blocked client. A client waits for one request at a time.

    ``deadline`` and ``retry_at`` are monotonic seconds, None for never. ``retry_at`` is when time alone may have made
    something available, a pending entry come of age (XREADGROUP CLAIM); set it by `Waiters.set_retry`.
    """

    client: Any
    keys: list[Key]
    request: Any
    deadline: float | None = None
    retry_at: float | None = attrs.field(default=None, init=False)
    number: int = attrs.field(default=-1, init=False)  # order of arrival; -1 while it does not wait


class Waiters:
    """All blocked readers of a node. Adding and removing cost O(keys), and O(log n) for a deadline.

    Moments that no longer count stay in the heap until they come to the top or are too many.
    """

    __slots__ = ("_arrivals", "_by_client", "_by_key", "_moments")

    def __init__(self) -> None:
        self._arrivals = 0
        self._by_client: dict[Hashable, Waiter] = {}
        self._by_key: dict[Key, dict[Waiter, None]] = {}  # in order of arrival
        self._moments: list[tuple[float, int, int, Waiter]] = []  # time, number of arrival, DEADLINE or RETRY

    def __len__(self) -> int:
        return len(self._by_client)

    # -- coming and going -------------------------------------------------------------------------------------

    def add(self, waiter: Waiter) -> None:
        """The client is blocked from now on, behind all who wait already."""
        assert waiter.client not in self._by_client, "a client waits for one request at a time"
        waiter.number = self._arrivals
        self._arrivals += 1
        self._by_client[waiter.client] = waiter
        for key in waiter.keys:
            self._by_key.setdefault(key, {})[waiter] = None
        if waiter.deadline is not None:
            self._push(waiter.deadline, DEADLINE, waiter)

    def remove(self, waiter: Waiter) -> bool:
        """The client is served, gone or unblocked; False if it did not wait any more."""
        if self._by_client.get(waiter.client) is not waiter:
            return False
        del self._by_client[waiter.client]
        for key in waiter.keys:
            waiting = self._by_key.get(key)
            if waiting is not None:  # a key may be named twice
                waiting.pop(waiter, None)
                if not waiting:
                    del self._by_key[key]
        waiter.number = -1
        waiter.retry_at = None
        self._sweep()
        return True

    def set_retry(self, waiter: Waiter, when: float | None) -> None:
        """Try the waiter again at ``when`` though no key changes; replaces an earlier moment."""
        if waiter.number < 0 or waiter.retry_at == when:
            return
        waiter.retry_at = when
        if when is not None:
            self._push(when, RETRY, waiter)

    # -- by key and client -------------------------------------------------------------------------------------

    def of_client(self, client: Hashable) -> Waiter | None:
        """The waiter of a blocked client."""
        return self._by_client.get(client)

    def has_key(self, db: int, key: bytes) -> bool:
        """Whether somebody waits for the key."""
        return (db, key) in self._by_key

    def for_key(self, db: int, key: bytes) -> list[Waiter]:
        """Who waits for the key, first come first; a list of its own, so that they may be removed meanwhile."""
        return list(self._by_key.get((db, key), ()))

    def keys(self) -> list[Key]:
        """The keys that somebody waits for."""
        return list(self._by_key)

    def in_order(self) -> list[Waiter]:
        """All waiters, first come first."""
        return list(self._by_client.values())

    # -- by time -----------------------------------------------------------------------------------------------

    @property
    def next_moment(self) -> float:
        """A time before which neither `due` nor `due_retries` has anything to give."""
        return self._moments[0][0] if self._moments else NEVER

    def next_deadline(self) -> float | None:
        """The next moment at which `due` or `due_retries` have something to give."""
        moments = self._moments
        while moments:
            if self._counts(moments[0]):
                return moments[0][0]
            heappop(moments)
        return None

    def due(self, now: float) -> list[Waiter]:
        """Waiters whose deadline is at or before ``now``, the earliest first. They wait until they are removed."""
        return self._take(now, DEADLINE)

    def due_retries(self, now: float) -> list[Waiter]:
        """Waiters to be tried again, in order of their moments, each of which is given once."""
        taken = self._take(now, RETRY)
        for waiter in taken:
            waiter.retry_at = None
        return taken

    def _take(self, now: float, kind: int) -> list[Waiter]:
        moments, kept, taken = self._moments, [], []
        while moments and moments[0][0] <= now:
            moment = heappop(moments)
            if not self._counts(moment):
                continue
            if moment[2] == kind:
                taken.append(moment[3])
            if moment[2] != kind or kind == DEADLINE:
                kept.append(moment)
        for moment in kept:
            heappush(moments, moment)
        return list(dict.fromkeys(taken))

    def _counts(self, moment: tuple[float, int, int, Waiter]) -> bool:
        time, number, kind, waiter = moment
        return waiter.number == number and (waiter.deadline if kind == DEADLINE else waiter.retry_at) == time

    def _push(self, when: float, kind: int, waiter: Waiter) -> None:
        heappush(self._moments, (when, waiter.number, kind, waiter))
        self._sweep()

    def _sweep(self) -> None:
        """Forget the moments that no longer count, when they are too many; each waiter has two at most that do."""
        if len(self._moments) > 4 * len(self._by_client) + SLACK:
            self._moments = list(dict.fromkeys(filter(self._counts, self._moments)))
            heapify(self._moments)

    def check(self) -> None:
        """Assert that the indexes agree, and that nothing is left of those who went."""
        waiters = self.in_order()
        assert [waiter.number for waiter in waiters] == sorted(waiter.number for waiter in waiters)
        assert all(self._by_key.values())
        for key, waiting in self._by_key.items():
            assert list(waiting) == [waiter for waiter in waiters if key in waiter.keys]
        assert set(self._by_key) == {key for waiter in waiters for key in waiter.keys}
        counted = {(waiter.number, kind) for _, _, kind, waiter in filter(self._counts, self._moments)}
        assert counted == {(w.number, DEADLINE) for w in waiters if w.deadline is not None} | {
            (w.number, RETRY) for w in waiters if w.retry_at is not None
        }
        assert len(self._moments) <= 4 * len(waiters) + SLACK
