"""Output commit: no reply leaves before what it speaks of is as durable as `appendfsync` says.

With `always` the outputs of a tick that wrote, and of all ticks behind it, are held until the sync that covers them is
done; meanwhile the next ticks are read and run, and their writes share the sync after it. Before that one starts,
those that were just answered may join (`company.py`). Outputs leave in the order of ticks, always.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import attrs

from respbroker.server.company import Company
from respbroker.server.connection import Connection
from respbroker.sessions.client import Client, Output

_log = logging.getLogger("respbroker.disk")
SYNC_SECONDS: Final = 1.0  # everysec
LOGS_AT_ONCE: Final = 2  # synced without handing over; more take longer than what is known of the disk
SLOW_SECONDS: Final = 2.0  # a sync that takes longer is worth a line in the log


@attrs.define(eq=False)
class Sending:
    """What one tick says to one connection, and whether the connection ends with it."""

    connection: Connection
    pieces: list[Output]
    closing: bool


class Durability(Protocol):
    """The node's side: what was written and not synced (see `respbroker.broker.durability`)."""

    @property
    def needs_sync(self) -> bool: ...
    @property
    def wants_sync_now(self) -> bool: ...
    @property
    def logs_to_sync(self) -> int: ...
    def take_syncs(self) -> Any: ...
    def synced(self, request: Any) -> None: ...
    def sync_failed(self, request: Any, error: OSError) -> None: ...


class OutputCommit:
    """Starts syncs and holds outputs. At most one sync runs at a time; its thread is behind ``submit``.

    ``pace`` says how many seconds the next sync will take; 0 if none is to wait for others to join.
    """

    def __init__(
        self, durability: Durability, submit: Callable[[Any], None], pace: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._durability = durability
        self._submit = submit
        self._held: deque[tuple[int, list[Sending]]] = deque()  # with the number of the sync that covers them
        self._coming = 1  # number of the sync that starts next
        self._running: Any = None
        self._started_at = 0.0
        self._warned = False
        self._failed = False  # after that nothing is synced any more, and nothing waits for it
        self._next_at = 0.0  # everysec: when the next sync is due
        self.company = Company(pace)

    @property
    def holding(self) -> bool:
        return bool(self._held)

    @property
    def syncing(self) -> bool:
        return self._running is not None

    def holds_back(self, policy: str) -> bool:
        """Whether the outputs of the tick that just ran have to wait: `after_tick` takes them."""
        return bool(self._held) or (policy == "always" and not self._failed and self._durability.needs_sync)

    def gathers(self, policy: str, now: float) -> bool:
        """Whether the next sync waits for others to join."""
        return (
            policy == "always"
            and self._running is None
            and not self._failed
            and self.company.is_awaited(now)
            and not self._durability.wants_sync_now
        )

    def sync_at_once(self, clients: list[Client], perform: Callable[[Any], None], now: float) -> list[Sending] | None:
        """Sync what was written with ``perform``, for `holds_back` said that the tick's outputs must wait for that.

        Gives back what was held for that sync and leaves before them. None where others wait or there is much to sync:
        then the outputs are to be held. If the sync fails all of them are closed unanswered.
        """
        durability = self._durability
        if self._running is not None or durability.logs_to_sync > LOGS_AT_ONCE or self.gathers("always", now):
            return None
        self.company.left()
        request = durability.take_syncs()
        self._coming += 1
        failure: OSError | None = None
        try:
            perform(request)
        except OSError as error:
            failure = error
            self._fail(request, error)
            for client in clients:
                client.kill = True
        else:
            durability.synced(request)
        released = self._release(failure)
        self._answered(released, [client.connection for client in clients if client.connection is not None], now)
        return released

    def after_tick(self, sendings: list[Sending], policy: str, now: float) -> list[Sending]:
        """Take the outputs of a tick; gives back what may leave now."""
        held = self._held
        if self.holds_back(policy):
            wrote = policy == "always" and not self._failed and self._durability.needs_sync
            held.append((self._coming if wrote else held[-1][0], sendings))
            sendings = []
        self.start_due(policy, now)
        return sendings

    def start_due(self, policy: str, now: float) -> None:
        """Start a sync if there is reason to."""
        if self._running is not None:
            self._warn_if_slow(now)
            return
        durability = self._durability
        if self._failed or not (durability.needs_sync or self._held) or self.gathers(policy, now):
            return
        due = policy == "always" or (policy == "everysec" and now >= self._next_at)
        if due or self._held or durability.wants_sync_now:
            self.company.left()
            self._running = durability.take_syncs()
            self._coming += 1
            self._started_at, self._warned = now, False
            self._next_at = now + SYNC_SECONDS
            self._submit(self._running)

    def finished(self, error: Exception | None, now: float = 0.0) -> list[Sending]:
        """The running sync is done: gives back what may leave now.

        If it failed, nobody knows what is on disk: connections whose replies were held are closed without them.
        """
        request, self._running = self._running, None
        if error is not None:
            self._fail(request, error if isinstance(error, OSError) else OSError(str(error)))
        else:
            self._durability.synced(request)
        released = self._release(error)
        self._answered(released, (), now)
        return released

    def _release(self, error: Exception | None) -> list[Sending]:
        """What was held for syncs that are done; everything, and without what it says, if one failed."""
        released: list[Sending] = []
        while self._held and (self._held[0][0] < self._coming or error is not None):
            released += self._held.popleft()[1]
        if error is not None:
            for sending in released:
                sending.pieces, sending.closing = [], True
                sending.connection.client.kill = True
        return released

    def _answered(self, sendings: list[Sending], others: Iterable[Connection], now: float) -> None:
        connections = [sending.connection for sending in sendings]
        connections += others
        self.company.answered(connections, now)

    def _fail(self, request: Any, error: OSError) -> None:
        _log.error("sync failed: %s. Writes are refused until a restart.", error)
        self._failed = True
        self._durability.sync_failed(request, error)

    def release_all(self) -> list[Sending]:
        """At the end, when everything has been synced: all that was held."""
        released = [sending for _, sendings in self._held for sending in sendings]
        self._held.clear()
        return released

    def next_deadline(self, policy: str) -> float | None:
        """When `start_due` should be called at the latest."""
        if policy == "everysec" and self._running is None and not self._failed and self._durability.needs_sync:
            return self._next_at
        if policy == "always" and self._held and self._running is None:
            return self.company.until
        return None

    def _warn_if_slow(self, now: float) -> None:
        if not self._warned and now - self._started_at > SLOW_SECONDS:
            self._warned = True
            _log.warning("a sync takes more than %d seconds: is the disk busy?", SLOW_SECONDS)
