"""All connections: which are read from, what each is sent, and how each ends.

A client that cannot go on, or that leaves too much unread, is not read from until it can; what its socket does not take
is kept in its outbox, within `client-output-buffer-limit`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from respbroker.server.commit import Sending
from respbroker.server.connection import LISTENING, UNREAD_MAX, Connection
from respbroker.server.poller import GONE, READ, WRITE, Poller
from respbroker.sessions.client import Client, Output

if TYPE_CHECKING:
    from respbroker.broker.node import Node

_log = logging.getLogger("respbroker.server")


class Connections:
    """Owns every `Connection`, and what the poller awaits of each."""

    def __init__(self, node: Node, poller: Poller) -> None:
        self._node = node
        self._poller = poller
        self.by_fd: dict[int, Connection] = {}
        self.paused: set[Connection] = set()  #: not read from until they go on

    def __len__(self) -> int:
        return len(self.by_fd)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self.by_fd.values()))

    def add(self, connection: Connection) -> None:
        connection.client.connection = connection
        self.by_fd[connection.fd] = connection
        self._poller.register(connection.fd, LISTENING)

    def may_read(self, connection: Connection, mask: int, now: float) -> bool:
        """Whether to read from a connection that is not merely readable; its end and its turn to write are seen to."""
        if mask & WRITE:
            self._flush(connection, now)
            if connection.fd < 0:
                return False
        client = connection.client
        if client.stalled or client.closing or not connection.mask & READ:
            self._hold_back(connection, mask)
            return False
        return bool(mask & (READ | GONE))

    def _hold_back(self, connection: Connection, mask: int) -> None:
        """Stop reading from a client that cannot go on; its end is noticed all the same."""
        if mask & GONE:
            self.drop(connection)
        elif mask & READ and connection.mask & READ:
            self._pause(connection)

    # -- sending ---------------------------------------------------------------------------------------------------

    def answer(self, clients: list[Client], now: float) -> None:
        """Send what the tick says. The hot one: nearly always one small reply, taken whole."""
        sent = writes = 0
        for client in clients:
            connection = client.connection
            if connection is None:
                continue
            pieces, client.out = client.out, []
            if client.kill or not pieces:
                self._deliver(connection, pieces, client.closing, now)
                continue
            try:
                sent += connection.send(pieces)
                writes += 1
            except OSError:
                self.drop(connection)
                continue
            if connection.outbox is not None or client.closing or client.lagging:
                self._settle(connection, client.closing, now)
        self._node.statistics.net_output_bytes += sent
        self._node.statistics.writes_processed += writes

    def ship(self, replicas: list[Client], now: float) -> None:
        """Send frames: no sync holds them up, for a follower may have what its leader has not synced."""
        sent = 0
        for client in replicas:
            if client.connection is not None:
                pieces, client.out = client.out, []
                sent += self._deliver(client.connection, pieces, client.closing, now)
        self._node.statistics.net_output_bytes += sent
        self._node.statistics.net_repl_output_bytes += sent

    def collect(self, clients: list[Client]) -> list[Sending]:
        """What the tick says, to be sent later."""
        sendings = []
        for client in clients:
            if client.connection is not None:
                pieces, client.out = client.out, []
                sendings.append(Sending(client.connection, pieces, client.closing))
        return sendings

    def send(self, sendings: list[Sending], now: float) -> None:
        """Send what was held."""
        sent = 0
        for sending in sendings:
            sent += self._deliver(sending.connection, sending.pieces, sending.closing, now)
        self._node.statistics.net_output_bytes += sent

    def _deliver(self, connection: Connection, pieces: list[Output], closing: bool, now: float) -> int:
        """Send to one connection, which may end with it; the bytes that its socket took."""
        client = connection.client
        if connection.fd < 0:
            return 0
        if client.kill:
            self.drop(connection)
            return 0
        try:
            sent = connection.send(pieces) if pieces else 0
        except OSError:
            self.drop(connection)
            return 0
        self._node.statistics.writes_processed += bool(pieces)
        self._settle(connection, closing, now)
        return sent

    def _settle(self, connection: Connection, closing: bool, now: float) -> None:
        """What follows a sending: some of it is unsent, the connection ends with it, or its client may go on."""
        if connection.outbox is not None:
            self.keep(connection, now)
        elif closing:
            self.drop(connection)
        if connection.client.lagging:
            self._catch_up(connection)

    # -- connections that lag ------------------------------------------------------------------------------------

    def keep(self, connection: Connection, now: float) -> None:
        """Some replies could not be sent: wait until they can, within the limits."""
        client = connection.client
        if client.kill:
            self.drop(connection)
            return
        if client.replica:  # the node bounds what is on the way to it, and must hear what it acknowledges
            self._await(connection, connection.mask | WRITE)
            return
        spoken_to = client.subscribed or client.monitor  # gets what it did not ask for
        limit = self._node.settings.client_output_buffer_limit["pubsub" if spoken_to else "normal"]
        if connection.passes(limit, now):
            self._node.statistics.output_limit_disconnections += 1
            _log.warning("closing %s: it passed client-output-buffer-limit", client.address)
            client.kill = True
            self.drop(connection)
            return
        if connection.unsent_bytes > UNREAD_MAX:
            self._pause(connection)
        self._await(connection, connection.mask | WRITE)

    def _flush(self, connection: Connection, now: float) -> None:
        """The socket takes more."""
        try:
            sent = connection.flush()
        except OSError:
            self.drop(connection)
            return
        self._node.statistics.net_output_bytes += sent
        self._node.statistics.writes_processed += 1
        if connection.client.replica:
            self._node.statistics.net_repl_output_bytes += sent
        if connection.outbox is not None:
            self.keep(connection, now)
        elif connection.client.closing:
            self.drop(connection)
        else:
            self._await(connection, connection.mask & ~WRITE)
        if connection.client.lagging:
            self._catch_up(connection)

    def _catch_up(self, connection: Connection) -> None:
        """Let a client go on once it has taken most of its replies."""
        if connection.fd >= 0 and connection.unsent_bytes <= UNREAD_MAX // 2:
            self._node.go_on(connection.client)

    def _pause(self, connection: Connection) -> None:
        self.paused.add(connection)
        self._await(connection, connection.mask & ~READ)

    def resume(self) -> None:
        for connection in list(self.paused):
            client = connection.client
            if not (client.stalled or client.closing or connection.unsent_bytes > UNREAD_MAX // 2):
                self.paused.discard(connection)
                self._await(connection, connection.mask | LISTENING)

    def _await(self, connection: Connection, mask: int) -> None:
        if mask != connection.mask:
            connection.mask = mask
            self._poller.modify(connection.fd, mask)

    def drop(self, connection: Connection) -> None:
        """A connection ends, whoever wanted it."""
        if connection.fd < 0:
            return
        del self.by_fd[connection.fd]
        self._poller.unregister(connection.fd)
        self.paused.discard(connection)
        client = connection.client
        client.connection = None
        said_goodbye = client.closing and not client.kill
        self._node.disconnect(client)
        connection.close(linger=said_goodbye)
