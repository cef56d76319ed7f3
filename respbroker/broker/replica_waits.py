"""WAIT and WAITAOF: clients that wait until so many replicas have, or have synced, what was written before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from respbroker.commands.delays import KeylessWait
from respbroker.resp.replies import array, integer
from respbroker.sessions.client import Client, Reply

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication


@attrs.define(eq=False)
class ReplicaWait(KeylessWait):
    """One client's wait; ``position`` is what must be had, -1 until the tick that began it is written.

    ``ticket`` is the sync that covers it here, for WAITAOF, which asks ``local`` syncs of this node as well.
    """

    waits: ReplicaWaits
    replicas: int
    aof: bool
    local: int
    ticket: int
    position: int = -1

    def timed_out(self, client: Client) -> bytes:
        return self.waits.reply(self)


class ReplicaWaits:
    """Owns the clients that wait for replicas."""

    def __init__(self, node: Node, replication: Replication) -> None:
        self._node = node
        self._replication = replication
        self._waiting: dict[Client, ReplicaWait] = {}

    def begin(self, client: Client, replicas: int, timeout_ms: int, *, aof: bool = False, local: int = 0) -> Reply:
        """Answer how many replicas have everything written so far, when it is enough or the time is over (0: never)."""
        node = self._node
        wait = ReplicaWait(self, replicas, aof, local, node.durability.ticket + 1)
        if not node.keyspace.is_dirty:
            wait.position = self._replication.position
            if not node.durability.needs_sync:
                wait.ticket -= 1
        if node.in_exec or (wait.position >= 0 and self.is_met(wait)):
            wait.position = max(wait.position, 0) or self._replication.position
            return self.reply(wait)
        node.block(wait, [], timeout_ms)
        self._waiting[client] = wait
        return None

    def look(self) -> None:
        """Answer those for whom enough has come."""
        for client, wait in list(self._waiting.items()):
            if not self._node.blocking.is_waiting(client, wait):  # its time was over
                del self._waiting[client]
                continue
            if wait.position < 0:
                wait.position = self._replication.position
            if self.is_met(wait):
                del self._waiting[client]
                self._node.unblock(client, self.reply(wait))

    @property
    def holds_some(self) -> bool:
        return bool(self._waiting)

    @property
    def awaits_sync(self) -> bool:
        """Whether somebody waits for a sync of this node."""
        return any(wait.local and not self._is_synced(wait) for wait in self._waiting.values())

    def forget(self, client: Client) -> None:
        """The client is gone."""
        self._waiting.pop(client, None)

    def is_met(self, wait: ReplicaWait) -> bool:
        """Whether enough have it."""
        return self._count(wait) >= wait.replicas and (not wait.local or self._is_synced(wait))

    def reply(self, wait: ReplicaWait) -> bytes:
        """How many have it now."""
        count = integer(self._count(wait))
        return array([integer(int(self._is_synced(wait))), count]) if wait.aof else count

    def _is_synced(self, wait: ReplicaWait) -> bool:
        return self._node.durability.synced_ticket >= wait.ticket

    def _count(self, wait: ReplicaWait) -> int:
        leading = self._replication.leading
        if leading is None or wait.position < 0:
            return 0
        return leading.in_sync.synced(wait.position) if wait.aof else leading.in_sync.reached(wait.position)
