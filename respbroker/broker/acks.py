"""What ``acks`` and ``min.insync.replicas`` mean for a write: what its reply waits for, and when it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.commands.table import Command, Flag
from respbroker.errors import Loading, NoReplicas, ReplyError

if TYPE_CHECKING:
    from respbroker.broker.gate import Gate
    from respbroker.broker.leading import Leading
    from respbroker.broker.node import Node
    from respbroker.replication.state import ReplicationState
    from respbroker.sessions.client import Client
    from respbroker.streams.catalog import KeyEntry


def waits_for_replicas(command: Command) -> bool:
    """Whether a write may be refused for want of replicas, or answered when they have it. Not so XTOPIC: what asks for
    more replicas than there are is to be had back always.
    """
    return command.is_write and not command.name.startswith("xtopic|")


class Acks:
    """The part of `respbroker.broker.replication.Replication` that is asked for each write."""

    _node: Node
    gate: Gate
    leading: Leading | None
    state: ReplicationState

    if TYPE_CHECKING:

        @property
        def follows(self) -> bool: ...
        @property
        def refusal(self) -> ReplyError | None: ...

    def __init__(self) -> None:
        #: Some writes may have to be refused for want of in-sync replicas.
        self.is_short = False
        #: ``acks`` of every write; None where topics have others than the server.
        self.acks_of_all: str | None = "1"
        #: Who wants to write is told READONLY until then, and sent away: sentinels may still name this server.
        self.sends_away_until = 0.0

    def settings_changed(self) -> None:
        """Work out ``is_short`` and ``acks_of_all`` again: settings, the in-sync set or the role are others."""
        size = self._present
        keys = [entry for database in self._node.keyspace.databases for entry in database.keys.values()]
        topics = [entry for entry in keys if entry.settings is not None]
        self.is_short = not self.follows and (
            size < self._minimum(None) or any(size < self._minimum(entry) for entry in topics)
        )
        acks = self._node.settings.acks
        self.acks_of_all = acks if all(self.wants_all(entry) == (acks == "all") for entry in topics) else None

    @property
    def is_loading(self) -> bool:
        """Whether this node follows, and its copy of the leader's data is not whole."""
        return self.follows and not self.state.complete

    def refuse(self, client: Client, command: Command, words: list[bytes]) -> None:
        """Raise what stands against a command: no leader, no copy of its data yet, too few in-sync replicas."""
        if self.is_loading and Flag.LOADING not in command.flags:
            raise Loading
        if command.name == "exec" and client.transaction is not None:
            for queued, queued_words in client.transaction.queue:
                self.refuse(client, queued, queued_words)
        if not command.is_write:
            return
        if (refusal := self.refusal) is not None:
            if self._node.now < self.sends_away_until:
                self._node.close(client)
            raise refusal
        if not waits_for_replicas(command):
            return
        keys, present = command.spec.keys, self._present
        names = (None,) if keys is None else keys.of(words)  # whole databases go by the server's settings
        for name in names:
            entry = None if name is None else self.gate.entry_of(client.db, name)
            if self.wants_all(entry) and present < self._minimum(entry):
                raise NoReplicas

    def wants_all(self, entry: KeyEntry | None) -> bool:
        """Whether writes to a key are answered when every in-sync replica has them."""
        acks = None if entry is None or entry.settings is None else entry.settings.acks
        return (acks or self._node.settings.acks) == "all"

    @property
    def _present(self) -> int:
        """How many replicas are in sync, this one included; one that nobody has ever followed is alone."""
        return 1 if self.leading is None else self.leading.in_sync.size()

    def _minimum(self, entry: KeyEntry | None) -> int:
        own = None if entry is None or entry.settings is None else entry.settings.min_insync_replicas
        return own or self._node.settings.min_insync_replicas
