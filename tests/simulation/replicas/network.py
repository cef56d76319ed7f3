"""Connections in order, late, stuck or reset: what a network may do to TCP.

Bytes in flight wait while their direction is cut; they go on when it heals, as TCP would send them again, unless the
connection was reset meanwhile. An address is a port of a server, or a name of a client's.
"""

from __future__ import annotations

import random
import re
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from storage.batch import parse_header
from tests.simulation.replicas.events import Events

if TYPE_CHECKING:
    from tests.simulation.replicas.ends import Accepted
    from tests.simulation.replicas.server import Server

Address = int | str
DIAL_SECONDS: Final = 5.0  # without an answer
MAGIC: Final = b"SBL\x01"  # of a batch
RESET: Final = b""  # the end of what one side sends


class Caller(Protocol):
    """The side that dialled."""

    def connected(self, connection: Connection) -> None: ...
    def received(self, connection: Connection, data: bytes) -> None: ...
    def lost(self, connection: Connection, reason: str) -> None: ...


@attrs.define(eq=False)
class _Way:
    """One direction: what is under way, and how many deliveries wait for the network to heal."""

    source: Address
    target: Address
    flying: deque[bytes] = attrs.Factory(deque)
    stuck: int = 0
    free_at: float = 0.0


@attrs.define(eq=False)
class Connection:
    """``closed``: nobody is told anything more. ``counts``: the server promised what it said last."""

    caller: Caller
    there: _Way
    back: _Way
    server: Server
    accepted: Accepted | None = None
    incarnation: int = 0
    is_open: bool = False
    closed: bool = False
    counts: bool = True


class Network:
    """Owns the connections and what is cut."""

    def __init__(self, events: Events, rng: random.Random, delay: float) -> None:
        self._events = events
        self._rng = rng
        self.delay = delay
        self.flips = 0.0  # how likely a bit flips in what is sent at a time, where that is batches
        self.flipped = 0
        self.servers: dict[int, Server] = {}
        self.cuts: set[tuple[Address, Address]] = set()
        self.connections: dict[Connection, None] = {}

    def passes(self, source: Address, target: Address) -> bool:
        """Whether anything gets from one to the other."""
        return (source, target) not in self.cuts

    def _late(self) -> float:
        rng = self._rng
        return self.delay * rng.random() * (20 if rng.random() < 0.03 else 1)

    # -- what sides do ---------------------------------------------------------------------------------------------

    def dial(self, source: Address, port: int, caller: Caller) -> Connection:
        """Connect; the caller hears how it went."""
        connection = Connection(caller, _Way(source, port), _Way(port, source), self.servers[port])
        self.connections[connection] = None
        self._events.after(self._late(), partial(self._arrive, connection))
        return connection

    def _arrive(self, connection: Connection) -> None:
        if connection.closed:
            return
        there, server = connection.there, connection.server
        if not (self.passes(there.source, there.target) and self.passes(there.target, there.source)) or server.is_off:
            self._events.after(DIAL_SECONDS, partial(self._lose, connection, "Connection timed out"))
        elif server.node is None:
            self._lose(connection, "Connection refused")
        else:
            connection.is_open = True
            connection.incarnation = server.incarnation
            server.accept(connection)
            connection.caller.connected(connection)

    def send(self, connection: Connection, data: bytes, *, back: bool) -> None:
        """Bytes go off."""
        way = connection.back if back else connection.there
        if connection.closed or not connection.is_open:
            return
        if len(data) > 3 and self._rng.random() < 0.05:
            half = self._rng.randrange(1, len(data))
            self._put(connection, way, data[:half])
            data = data[half:]
        self._put(connection, way, data)

    def _put(self, connection: Connection, way: _Way, data: bytes) -> None:
        if self.flips and way is connection.back and self._rng.random() < self.flips:
            data = self._damaged(data)
        way.flying.append(data)
        way.free_at = max(way.free_at, self._events.now + self._late())
        self._events.at(way.free_at, partial(self._deliver, connection, way))

    def hang_up(self, connection: Connection, *, back: bool) -> None:
        """One side closes; the other hears of it behind all that was sent."""
        if connection.closed:
            return
        if not connection.is_open:
            self._forget(connection)
            return
        self._put(connection, connection.back if back else connection.there, RESET)

    def reset(self, connection: Connection) -> None:
        """The network breaks a connection; what is under way is lost."""
        if not connection.closed and connection.is_open:
            connection.server.lose(connection)
            self._lose(connection, "Connection reset by peer")

    def _damaged(self, data: bytes) -> bytes:
        """With another bit in one of the batches, if there are any; the words around them are TCP's to check."""
        places = [each.start() for each in re.finditer(re.escape(MAGIC), data)]
        if not places:
            return data
        first = self._rng.choice(places)
        header = parse_header(data, first)
        size = len(data) - first if header is None else min(header.size, len(data) - first)
        place = first + self._rng.randrange(size)
        self.flipped += 1
        return data[:place] + bytes([data[place] ^ 1 << self._rng.randrange(8)]) + data[place + 1 :]

    # -- what gets there -------------------------------------------------------------------------------------------

    def _deliver(self, connection: Connection, way: _Way) -> None:
        if connection.closed:
            return
        if not self.passes(way.source, way.target):
            way.stuck += 1
            return
        data = way.flying.popleft()
        if way is connection.back:
            if data == RESET:
                self._lose(connection, "Connection closed by peer")
            else:
                connection.caller.received(connection, data)
            return
        server = connection.server
        if server.is_off:
            return  # nobody is there to answer
        if connection.incarnation != server.incarnation or server.node is None:
            self._lose(connection, "Connection reset by peer")
        elif data == RESET:
            server.lose(connection)
            self._forget(connection)
        else:
            server.receive(connection, data)

    def _lose(self, connection: Connection, reason: str) -> None:
        if not connection.closed:
            self._forget(connection)
            connection.caller.lost(connection, reason)

    def _forget(self, connection: Connection) -> None:
        connection.closed = True
        self.connections.pop(connection, None)

    # -- faults ----------------------------------------------------------------------------------------------------

    def cut(self, source: Address, target: Address) -> None:
        """Let nothing pass in this direction."""
        self.cuts.add((source, target))

    def heal(self) -> None:
        """Let everything pass again."""
        self.cuts.clear()
        for connection in self.connections:
            for way in (connection.there, connection.back):
                while way.stuck:
                    way.stuck -= 1
                    way.free_at = max(way.free_at, self._events.now + self._late())
                    self._events.at(way.free_at, partial(self._deliver, connection, way))

    def server_died(self, server: Server, *, silently: bool) -> list[Connection]:
        """A process is gone. Its system resets all connections; if that went as well, nobody is told of it: then those
        that it had dialled are given back, for its next start to end them.
        """
        ghosts = []
        for connection in list(self.connections):
            if connection.server is server and connection.is_open and not silently:
                self.hang_up(connection, back=True)
            if connection.there.source == server.port:
                if silently and connection.is_open:
                    ghosts.append(connection)
                else:
                    self.hang_up(connection, back=False)
        return ghosts
