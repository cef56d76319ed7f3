"""Who is live in an ordered group: consumers for which an open connection has read, and those not gone for long."""

from __future__ import annotations

from collections.abc import Hashable

_NO_CONNECTION: frozenset[Hashable] = frozenset()


class Membership:
    """The live consumers of one group.

    A consumer is live while a connection that read for it is open, and for the session timeout after the last one
    closed. Times are monotonic seconds. The timeout is given with each question, for it may be changed at any time.
    """

    __slots__ = ("_absent", "_by_connection", "_connections")

    def __init__(self) -> None:
        self._connections: dict[bytes, set[Hashable]] = {}  # never an empty set
        self._by_connection: dict[Hashable, set[bytes]] = {}
        self._absent: dict[bytes, float] = {}  # live without a connection, and since when; the earliest first

    @property
    def members(self) -> list[bytes]:
        """Who is live, by name."""
        return sorted([*self._connections, *self._absent])

    def __contains__(self, consumer: object) -> bool:
        return consumer in self._connections or consumer in self._absent

    def __len__(self) -> int:
        return len(self._connections) + len(self._absent)

    def connections_of(self, consumer: bytes) -> int:
        """How many open connections read for the consumer."""
        return len(self._connections.get(consumer, ()))

    def reads(self, consumer: bytes, connection: Hashable) -> bool:
        """Whether the connection is known to have read for the consumer."""
        return connection in self._connections.get(consumer, _NO_CONNECTION)

    # -- what happens --------------------------------------------------------------------------------------

    def read(self, consumer: bytes, connection: Hashable) -> bool:
        """A connection reads for a consumer; whether that made it a member."""
        is_new = consumer not in self
        self._absent.pop(consumer, None)
        self._connections.setdefault(consumer, set()).add(connection)
        self._by_connection.setdefault(connection, set()).add(consumer)
        return is_new

    def expect(self, consumer: bytes, now: float) -> None:
        """A consumer that was here before a restart, for it holds entries: it is waited for as if it had just left."""
        if consumer not in self:
            self._absent[consumer] = now

    def closed(self, connection: Hashable, now: float) -> bool:
        """A connection is gone; whether somebody has none left."""
        was_last = False
        for consumer in sorted(self._by_connection.pop(connection, ())):
            connections = self._connections[consumer]
            connections.remove(connection)
            if not connections:
                del self._connections[consumer]
                self._absent[consumer] = now
                was_last = True
        return was_last

    def forget(self, consumer: bytes) -> bool:
        """The consumer was deleted; whether it was a member. It is one again when it reads again."""
        connections = self._connections.pop(consumer, _NO_CONNECTION)
        for connection in connections:
            consumers = self._by_connection[connection]
            consumers.remove(consumer)
            if not consumers:
                del self._by_connection[connection]
        return self._absent.pop(consumer, None) is not None or bool(connections)

    # -- time ----------------------------------------------------------------------------------------------

    def expire(self, now: float, timeout: float) -> list[bytes]:
        """Who was away for as long as the session timeout; they are members no more."""
        lost = []
        for consumer, since in self._absent.items():
            if since + timeout > now:
                break
            lost.append(consumer)
        for consumer in lost:
            del self._absent[consumer]
        return lost

    def next_deadline(self, timeout: float) -> float | None:
        """The next moment at which `expire` has somebody to give; None while nobody is away."""
        return next((since + timeout for since in self._absent.values()), None)

    def check(self) -> None:
        """Assert that both directions agree."""
        assert not self._connections.keys() & self._absent.keys()
        assert all(self._connections.values())
        assert all(self._by_connection.values())
        pairs = {(consumer, each) for consumer, connections in self._connections.items() for each in connections}
        assert pairs == {(each, connection) for connection, names in self._by_connection.items() for each in names}
        assert list(self._absent.values()) == sorted(self._absent.values())
