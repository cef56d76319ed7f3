"""Clients: producers, readers and a group's consumers, which look for the leader as programs do.

Each asks one thing at a time. If nothing comes in time, or the connection ends, it does not know what was done.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from respbroker.resp.replies import bulk_array
from respbroker.resp.reply_decoder import ErrorReply, ReplyDecoder
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.history import ORDERS_PARTITIONS, Id, Write, parse_id
from tests.simulation.replicas.network import Connection
from tests.simulation.replicas.topics import AGED, LINGERING, SIZED, TRIMMED

if TYPE_CHECKING:
    from tests.simulation.replicas.world import World

Words = tuple[bytes | str | int, ...]


def _wire(words: Words) -> bytes:
    return bulk_array([word if isinstance(word, bytes) else str(word).encode() for word in words])


NO_ROOM: Final = re.compile("Errors writing to the log|no room")


class Caller:
    """A program with one connection at a time; ``target`` is the port that it talks to."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.rng = world.rng
        self.target = self.rng.choice(world.ports)
        self.connection: Connection | None = None
        self.asked_at = 0.0
        self.patience = 3.0
        self.retired = False
        self._answers = ReplyDecoder()
        self._got: list[Any] = []
        self._awaited = 0
        self._turn = 0

    # -- what a program says: for subclasses -----------------------------------------------------------------------

    def next_requests(self) -> list[Words]:
        """What to ask now; nothing if there is nothing to do."""
        raise NotImplementedError

    def answered(self, replies: list[Any]) -> bool:
        """The replies are here; whether this is a server to stay with."""
        raise NotImplementedError

    def unanswered(self) -> None:
        """Nobody knows what became of the requests."""

    def thinks(self) -> float:
        """Seconds until it asks again."""
        return self.rng.expovariate(1.0) * self.world.plan.think

    # -- the connection --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Go on with the next request, connected or not."""
        self._turn += 1
        if self.world.is_over or self.retired:
            return
        if self.connection is None:
            self._answers = ReplyDecoder()
            self.connection = self.world.network.dial(self.name, self.target, self)
            self._in_time(8.0)
            return
        requests = self.next_requests()
        if not requests:
            self._later()
            return
        self._got, self._awaited = [], len(requests)
        self.asked_at = self.world.events.now
        self.world.network.send(self.connection, b"".join(map(_wire, requests)), back=False)
        self._in_time(self.patience)

    def _in_time(self, seconds: float) -> None:
        self.world.events.after(seconds, partial(self._too_late, self._turn))

    def _too_late(self, turn: int) -> None:
        if turn == self._turn and self.connection is not None:
            self.world.network.hang_up(self.connection, back=False)
            self._without()

    def _later(self, seconds: float | None = None) -> None:
        self._turn += 1
        self.world.events.after(self.thinks() if seconds is None else seconds, partial(self._go_on, self._turn))

    def _go_on(self, turn: int) -> None:
        if turn == self._turn:
            self.begin()

    def _without(self) -> None:
        """There is no connection any more."""
        self.connection = None
        if self._awaited:
            self._awaited = 0
            self.unanswered()
        self._look_elsewhere()
        self._later(0.05 + self.rng.random() * 0.5)

    def _look_elsewhere(self) -> None:
        self.target = self.rng.choice(self.world.ports)

    def connected(self, connection: Connection) -> None:
        if connection is self.connection:
            self._later(0.0)

    def lost(self, connection: Connection, reason: str) -> None:
        if connection is self.connection:
            self._without()

    def received(self, connection: Connection, data: bytes) -> None:
        if connection is not self.connection:
            return
        self._got += self._answers.feed(data)
        if self._awaited and len(self._got) >= self._awaited:
            self._awaited = 0
            self.world.history.replies += 1
            for reply in self._got:
                if isinstance(reply, ErrorReply):
                    self._count_error(reply)
            if self.answered(self._got):
                self._later()
            else:
                self.world.network.hang_up(connection, back=False)
                self._without()

    def _count_error(self, reply: ErrorReply) -> None:
        errors = self.world.history.errors
        errors[reply.code] = errors.get(reply.code, 0) + 1
        is_unread = reply.code == "MISCONF" and not NO_ROOM.search(reply.text)
        if is_unread and self.counts and self.target not in self.world.faults.damaged:
            raise Broken(f"{self.target} cannot read what it has for {self.name}: {reply.text}")

    @property
    def counts(self) -> bool:
        """Whether what was just answered is promised to stay."""
        return self.connection is not None and self.connection.counts and not self.world.checker.excused


_STREAMS: Final = ("s0", "s1", "orders", "trimmed", "work", "fast", "temp", AGED, SIZED, LINGERING)
_WEIGHTS: Final = (3, 1, 3, 2, 3, 1, 1, 2, 2, 2)


class Producer(Caller):
    """Adds entries; ``idempotent``: with IDMP, again and again until it is told the ID."""

    streams: tuple[str, ...] = ()  # to these; none: to all there are
    weights: tuple[int, ...] = ()

    def __init__(self, world: World, name: str, *, idempotent: bool) -> None:
        super().__init__(world, name)
        self.idempotent = idempotent
        self._count = 0
        self._writes: list[Write] = []
        self._again = False  # the last write is to be tried again
        self._lost = False  # nobody knows what became of one of its attempts
        self._kind = ""

    def _new(self, stream: str) -> Write:
        self._count += 1
        pad = self.rng.choice((0, 10, 10, 100, 600 if self.world.plan.large else 40))
        value = f"{self.name}.{self._count}".encode() + b"." * pad
        return self.world.history.began(Write(stream, value, self.world.events.now, self.idempotent))

    def next_requests(self) -> list[Words]:
        rng = self.rng
        if self._again:
            self._writes[0].refused = False
            return [self._add(self._writes[0])]
        self._kind = "add"
        if not (self.idempotent or self.streams) and rng.random() < 0.1:
            self._kind = rng.choice(("trim", "drop", "delete"))
            self._writes = []
            if self._kind == "trim":
                return [("XTRIM", "trimmed", "MAXLEN", rng.choice(("=", "~")), rng.randint(0, 20))]
            if self._kind == "drop":
                return [("DEL", "temp")]
            return [("XTRIM", "temp", "MAXLEN", 2)]
        if not (self.idempotent or self.streams) and rng.random() < 0.25:
            self._kind = "exec"
            one, other = self._new("s0"), self._new("s1")
            one.twin, other.twin = other, one
            self._writes = [one, other]
            return [("MULTI",), self._add(one), self._add(other), ("EXEC",)]
        streams, weights = (_STREAMS, _WEIGHTS) if self.world.topics else (_STREAMS[:7], _WEIGHTS[:7])
        if self.streams:
            streams, weights = self.streams, self.weights
        self._writes = [self._new(rng.choices(streams, weights)[0])]
        if self.idempotent:
            return [self._add(self._writes[0])]
        for _ in range(rng.choice((0, 0, 0, 1, 4))):
            self._writes.append(self._new(self._writes[0].stream))
        return [self._add(write) for write in self._writes]

    def _add(self, write: Write) -> Words:
        if self.idempotent:
            number = write.value.rstrip(b".").rpartition(b".")[2]
            return ("XADD", write.stream, "IDMP", self.name, number, "*", "v", write.value)
        return ("XADD", write.stream, "*", "v", write.value)

    def unanswered(self) -> None:
        self._again = self._lost = self.idempotent

    def answered(self, replies: list[Any]) -> bool:
        if self._kind == "exec":
            result = replies[-1]
            if not isinstance(result, ErrorReply):
                replies = result
            else:
                replies = [result, result]
        stays = True
        for write, reply in zip(self._writes, replies, strict=False):
            if isinstance(reply, ErrorReply):
                stays = False
                write.refused = not write.ids and not self._lost
            else:
                self._told(write, parse_id(reply))
        self._again = self.idempotent and not stays
        return stays and not any(isinstance(reply, ErrorReply) for reply in replies)

    def _told(self, write: Write, entry_id: Id) -> None:
        write.refused = self._lost = False
        self.world.history.added(write, entry_id, self.world.events.now, self.counts)


class Reader(Caller):
    """Reads any server; what it was promised over one connection it must go on seeing."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._key = ""
        self._newest: dict[str, Id] = {}  # seen in each key, where the next XREAD goes on
        self._promised: dict[str, Id] = {}  # the same, of replies that count only
        self._left = 0

    def connected(self, connection: Connection) -> None:
        self._newest.clear()
        self._promised.clear()
        self._left = self.rng.choice((1, 5, 30, 1000))
        super().connected(connection)

    def next_requests(self) -> list[Words]:
        self._key = self.rng.choice(self.world.history.keys)
        kind = self.rng.random()
        if kind < 0.5:
            return [("XREVRANGE", self._key, "+", "-", "COUNT", self.rng.choice((1, 5, 50)))]
        if kind < 0.8:
            return [("XRANGE", self._key, "-", "+")]
        last = self._newest.get(self._key, (0, 0))
        return [("XREAD", "COUNT", 10, "BLOCK", 500, "STREAMS", self._key, f"{last[0]}-{last[1]}")]

    def answered(self, replies: list[Any]) -> bool:
        reply = replies[0]
        if isinstance(reply, ErrorReply):
            return False
        promised = self._promised.get(self._key, (0, 0))
        is_read = bool(reply) and reply[0][0] == self._key.encode()
        rows = reply[0][1] if is_read else (reply or [])
        entries = sorted((parse_id(entry_id), fields[1]) for entry_id, fields in rows)
        self.world.history.read(self._key, entries, self.counts)
        newest = entries[-1][0] if entries else (0, 0)
        is_whole = self.counts and reply is not None and not is_read and self._key not in {"temp", *TRIMMED}
        if is_whole and newest < promised:
            raise Broken(f"{self._key} on {self.target}: {self.name} saw {promised}, and now no more than {newest}")
        self._newest[self._key] = max(newest, self._newest.get(self._key, (0, 0)))
        if self.counts:
            self._promised[self._key] = max(newest, promised)
        self._left -= 1
        return self._left > 0


class Consumer(Caller):
    """Reads ``work`` for the group, acknowledges most of it, and claims what others left."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._kind = ""
        self._held: list[Id] = []
        self._asked: list[Id] = []

    def next_requests(self) -> list[Words]:
        rng = self.rng
        if self._held and rng.random() < 0.6:
            self._kind = "acknowledge"
            self._asked = rng.sample(self._held, rng.randint(1, len(self._held)))
            self.world.history.let_go.update(self._asked)
            return [("XACK", "work", "g", *(f"{ms}-{seq}" for ms, seq in self._asked))]
        if rng.random() < 0.1:
            self._kind = "claim"
            return [("XAUTOCLAIM", "work", "g", self.name, 2000, "0", "COUNT", 3)]
        self._kind = "read"
        return [("XREADGROUP", "GROUP", "g", self.name, "COUNT", rng.choice((1, 3)), "STREAMS", "work", ">")]

    def unanswered(self) -> None:
        if self._kind == "acknowledge":
            self._held = [each for each in self._held if each not in self._asked]

    def answered(self, replies: list[Any]) -> bool:
        reply, history = replies[0], self.world.history
        if isinstance(reply, ErrorReply):
            return False
        if self._kind == "acknowledge":
            if reply == len(self._asked):  # else some were not pending: their delivery was lost with a leader
                for entry_id in self._asked:
                    history.acked(entry_id, self.world.events.now, self.counts)
            self._held = [each for each in self._held if each not in self._asked]
            return True
        rows = reply[1] if self._kind == "claim" else (reply[0][1] if reply else [])
        entries = [(parse_id(entry_id), fields[1]) for entry_id, fields in rows]
        history.read("work", entries, self.counts)
        ids = [entry_id for entry_id, _ in entries]
        history.gave(self.name, ids, self.asked_at, self.counts, new=self._kind == "read")
        self._held += [each for each in ids if each not in self._held]
        return True


#: What makes the streams, by the keys that are there then.
SETUP_REQUESTS: Final[dict[bytes, Words]] = {
    b"orders": ("XTOPIC", "CREATE", "orders", "PARTITIONS", ORDERS_PARTITIONS),
    b"fast": ("XTOPIC", "CREATE", "fast", "PARTITIONS", 1, "CONFIG", "acks", "1"),
    b"work": ("XGROUP", "CREATE", "work", "g", "0", "MKSTREAM"),
}
