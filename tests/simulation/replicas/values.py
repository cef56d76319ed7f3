"""Clients that keep values: every write makes a name of its own, so that whenever it arrives it is there or it is not.

What was answered, and counts, must be there, and stay; what was deleted must be gone; a counter has at least as many as
were answered, and at most as many as were sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from respbroker.resp.reply_decoder import ErrorReply
from tests.simulation.replicas.clients import Caller, Words
from tests.simulation.replicas.history import Broken

if TYPE_CHECKING:
    from tests.simulation.replicas.network import Connection
    from tests.simulation.replicas.server import Server
    from tests.simulation.replicas.world import World

_COUNTER: Final = "counter"


class Keeper(Caller):
    """Sets strings, fields and members under new names, deletes some, counts, and looks at what it was promised.

    ``promised`` and ``deleted`` are names of strings, fields and members alike: number *n* is all three.
    """

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.count = self.sent_counts = self.promised_counts = 0
        self.sent: set[int] = set()
        self.promised: set[int] = set()
        self.deleting: set[int] = set()
        self.deleted: set[int] = set()
        self._told_here: set[int] = set()  # promised over this connection; another server may be behind
        self._kind = ""
        self._number = 0

    def key(self, number: int) -> str:
        return f"{self.name}:{number}"

    def connected(self, connection: Connection) -> None:
        self._told_here.clear()
        super().connected(connection)

    def next_requests(self) -> list[Words]:
        self._kind = self.rng.choices(("set", "delete", "count", "look"), (5, 1, 2, 3))[0]
        left = sorted((self._told_here if self._kind == "look" else self.promised) - self.deleting)
        if self._kind in ("delete", "look") and not left:
            self._kind = "set"
        if self._kind == "count":
            self.sent_counts += 1
            return [("INCR", _COUNTER)]
        if self._kind == "look":
            self._number = self.rng.choice(left)
            return self._looks(self._number)
        if self._kind == "delete":
            self._number = self.rng.choice(left)
            self.deleting.add(self._number)
            return [("DEL", self.key(self._number))]
        self.count += 1
        self._number = self.count
        self.sent.add(self._number)
        pad = "." * self.rng.choice((0, 10, 200))
        writes: list[Words] = [
            ("SET", self.key(self.count), f"{self.count}{pad}"),
            ("HSET", f"{self.name}:h", self.count, pad),
            ("ZADD", f"{self.name}:z", self.count, self.key(self.count)),
        ]
        return [("MULTI",), *writes, ("EXEC",)] if self.rng.random() < 0.3 else writes

    def _looks(self, number: int) -> list[Words]:
        return [
            ("GET", self.key(number)),
            ("HEXISTS", f"{self.name}:h", number),
            ("ZSCORE", f"{self.name}:z", self.key(number)),
        ]

    def answered(self, replies: list[Any]) -> bool:
        if len(replies) > 3:
            replies = replies[-1] if isinstance(replies[-1], list) else replies
        if any(isinstance(reply, ErrorReply) for reply in replies):
            return False
        if self._kind == "look":
            self._check(replies)
        elif self.counts and self._kind == "set":
            self.promised.add(self._number)
            self._told_here.add(self._number)
        elif self.counts and self._kind == "delete":
            self.deleted.add(self._number)
        elif self.counts and self._kind == "count":
            self.promised_counts += 1
        return True

    def _check(self, replies: list[Any]) -> None:
        if self.counts and (None in replies or replies[1] == 0):
            raise Broken(f"{self.target} answers {self.name} {replies} of {self._number}, which was promised")

    # -- the end ---------------------------------------------------------------------------------------------------

    def check(self, server: Server) -> None:
        """What is there at the end. What nobody promised may be, if it was sent."""
        ask, excused = self.world.checker.ask, self.world.checker.excused
        sent = [str(number).encode() for number in sorted(self.sent)]
        fields = {int(field) for field in ask(server, "HKEYS", f"{self.name}:h")}
        members = {int(member.rpartition(b":")[2]) for member in ask(server, "ZRANGE", f"{self.name}:z", 0, -1)}
        texts = {number for number in sorted(self.sent) if ask(server, "EXISTS", self.key(number))}
        for found, what in ((fields, "field"), (members, "member"), (texts, "string")):
            if found - self.sent:
                raise Broken(f"{self.name}: a {what} that nobody sent: {found - self.sent} of {sent}")
            lost = self.promised - found - (self.deleting if what == "string" else set())
            if lost and not excused:
                raise Broken(f"{self.name}: {what} {sorted(lost)[:5]} was promised, and is not there")
        if texts & self.deleted and not excused:
            raise Broken(f"{self.name}: {sorted(texts & self.deleted)[:5]} was deleted, and is there")


def check_counter(keepers: list[Keeper], server: Server) -> None:
    """The counter that all of them share."""
    world = keepers[0].world
    count = int(world.checker.ask(server, "MGET", _COUNTER)[0] or 0)
    sent, promised = (sum(each) for each in zip(*((k.sent_counts, k.promised_counts) for k in keepers), strict=True))
    if count > sent or (count < promised and not world.checker.excused):
        raise Broken(f"the counter is {count}; {promised} were promised, {sent} were sent")
