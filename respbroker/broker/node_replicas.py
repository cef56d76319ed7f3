"""Other servers as the edge tells of them, and what a node does when its leader has changed something."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from respbroker.broker.blocking import Blocking
from respbroker.broker.clock import Now
from respbroker.broker.dispatch import Dispatcher
from respbroker.broker.gate import Batch
from respbroker.broker.replication import Replication
from respbroker.replication.messages import ACK_WORDS
from respbroker.sessions.client import Client
from respbroker.sessions.peer import Peer
from respbroker.sessions.watches import Watches
from respbroker.streams.keyspace import Keyspace
from respbroker.streams.stream import Stream
from respbroker.streams.waiters import Waiters


class NodeReplicas:
    """The half of `respbroker.broker.node.Node` that is about other servers. Peers are told of before the tick."""

    blocking: Blocking
    dispatcher: Dispatcher
    held: dict[int, Client]
    keyspace: Keyspace
    replication: Replication
    unfinished: bool
    waiters: Waiters
    watches: Watches

    if TYPE_CHECKING:

        def speaks(self, client: Client) -> None: ...

    def take_peers(self) -> list[Peer]:
        """Servers to connect to."""
        return self.replication.peers.take()

    def take_frames(self) -> list[Client]:
        """Followers with something to be sent, which waits for no sync of this node's."""
        leading = self.replication.leading
        return [] if leading is None else leading.take_frames()

    @property
    def holds_replies(self) -> bool:
        """Whether a reply waits for what followers acknowledge, so that they are to be sent frames before all else."""
        return self.replication.gate.holds_some or self.replication.waits.holds_some

    def awaited_replicas(self) -> list[Client]:
        """Followers whose acknowledgements `hear` may take behind this tick; none if no reply waits for them."""
        return self.replication.awaited_replicas()

    def hear(self, batch: Batch) -> None:
        """Take acknowledgements that came since the tick began, so that replies leave with those of the tick.

        They change nothing but who has what. Whatever else a follower has sent is run in the next tick.
        """
        for client, requests in batch:
            if all(words[:2] == ACK_WORDS for words in requests):
                self.dispatcher.run_all([(client, requests)])
                if client.out:  # an error
                    self.speaks(client)
            else:
                client.backlog.extend(requests)
                self.held[client.id] = client
        self.replication.heard()

    def leave(self) -> None:
        """This node is about to stop: its leader is to wait for it no more."""
        if self.replication.following is not None:
            self.replication.following.leave()

    def peer_connected(self, peer: Peer, now: Now) -> None:
        """The connection stands."""
        owner = self.replication.peers.of(peer)
        if owner is not None:
            owner.connected(peer)

    def peer_received(self, peer: Peer, replies: Sequence[Any], now: Now) -> None:
        """The peer has said something."""
        owner = self.replication.peers.of(peer)
        if owner is not None:
            owner.received(peer, replies)

    def peer_lost(self, peer: Peer, reason: str, now: Now) -> None:
        """The connection has ended, or could not be made."""
        owner = self.replication.peers.of(peer, forget=True)
        if owner is not None:
            owner.lost(peer, reason)

    def replicated(self, changed: Iterable[tuple[int, Stream | None]]) -> None:
        """The leader's changes have been made here as well: those who wait for them are served."""
        if self.waiters or self.watches:
            for _, stream in changed:
                if stream is not None:
                    self.key_replicated(stream.db, stream.key)

    def key_replicated(self, db: int, key: bytes) -> None:
        """The leader has changed a key, or made or dropped it."""
        for name in self.keyspace.names_of(db, key):
            self.watches.touched(db, name)
        self.blocking.key_changed(db, key)
