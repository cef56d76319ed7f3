"""The two ends of a connection as the servers of the simulation know them: accepted by one, dialled by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from respbroker.resp.decoder import Decoder
from respbroker.resp.reply_decoder import ReplyDecoder
from respbroker.sessions.client import Client
from respbroker.sessions.peer import Peer
from tests.simulation.replicas.network import Connection

if TYPE_CHECKING:
    from tests.simulation.replicas.server import Server


@attrs.define(eq=False)
class Accepted:
    """The server's side of a connection, and of each thing said there and not sent whether it was promised to stay."""

    connection: Connection
    client: Client
    decoder: Decoder
    fd: int = 7
    promised: list[bool] = attrs.Factory(list)


@attrs.define(eq=False)
class Dialled:
    """The caller's side of a connection to another server."""

    server: Server
    incarnation: int
    peer: Peer
    answers: ReplyDecoder = attrs.Factory(ReplyDecoder)

    def connected(self, connection: Connection) -> None:
        self.peer.connected = True
        self.server.hear(self.incarnation, lambda node, now: node.peer_connected(self.peer, now))

    def received(self, connection: Connection, data: bytes) -> None:
        said = self.answers.feed(data)
        self.server.hear(self.incarnation, lambda node, now: node.peer_received(self.peer, said, now))

    def lost(self, connection: Connection, reason: str) -> None:
        self.server.hear(self.incarnation, lambda node, now: node.peer_lost(self.peer, reason, now))
