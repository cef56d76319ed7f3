"""Clients that keep values: each writes keys of its own, and readers ask any server for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from respbroker.resp.reply_decoder import ErrorReply
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.clients import Caller, Words
from tests.simulation.replicas.value_changes import Change, drawn
from tests.simulation.replicas.value_spaces import LEASE, Held, Key, Space

if TYPE_CHECKING:
    from tests.simulation.replicas.world import World

KINDS: Final = {"counter": 3.0, LEASE: 1.0, "plain": 3.0, "mixed": 4.0, "databases": 3.0}
DATABASES_PAIRS: Final = 7  # of databases 1 to 14
#: Answers of a server that did nothing.
_REFUSALS: Final = frozenset({"READONLY", "NOREPLICAS", "LOADING", "EXECABORT", "MISCONF"})
SLOWNESS: Final = 2.0  # beside other clients


class ValueWriter(Caller):
    """Changes its keys, one request at a time; keys of which it cannot say what they hold it leaves alone for good."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._spaces: dict[str, Space] = {}
        self._space: Space | None = None  # that of the request under way
        self._changes: list[Change] = []

    def thinks(self) -> float:
        return super().thinks() * SLOWNESS

    def next_requests(self) -> list[Words]:
        kind = self.rng.choices(list(KINDS), list(KINDS.values()))[0]
        space = self._spaces.get(kind)
        if space is not None and (space.may_be_half or space.lasts_with not in (None, self._leadership)):
            self._leave(space)
            space = None
        if space is None:
            space = self._new(kind)
        if space is None:
            return []
        self._space, self._changes = space, drawn(self.rng, space)
        space.versions.append(self._changes[-1].after)
        requests = [change.words for change in self._changes]
        if self._is_exec:
            return [("MULTI",), *requests, ("EXEC",)]
        return requests

    def _new(self, kind: str) -> Space | None:
        spaces = self.world.history.spaces
        if kind == "databases" and sum(space.kind == kind for space in spaces.all) == DATABASES_PAIRS:
            return None
        space = self._spaces[kind] = spaces.new(self.name, kind)
        return space

    def _leave(self, space: Space) -> None:
        self._spaces.pop(space.kind, None)

    @property
    def _is_exec(self) -> bool:
        return len(self._changes) > 1

    @property
    def _leadership(self) -> Any:
        """Of the server that is asked, over this connection."""
        node = self.world.servers[self.target].node
        return self.connection, None if node is None else node.replication.state.history.last

    def unanswered(self) -> None:
        if self._space is not None:
            self._leave(self._space)
            self._space = None

    def answered(self, replies: list[Any]) -> bool:
        space, self._space = self._space, None
        assert space is not None
        if space.may_be_half:
            self._leave(space)
            return True
        results = replies[-1] if self._is_exec else replies
        if isinstance(results, ErrorReply):
            results = [results]
        refusals = [result for result in results if isinstance(result, ErrorReply)]
        if refusals:
            self._refused(space, results, refusals)
            return False
        if not self.counts:
            self._leave(space)
            return True
        for change, result in zip(self._changes, results, strict=True):
            if change.reply is not None and result != change.reply:
                raise Broken(
                    f"values {space.name} on {self.target}: {change.words} was answered with {result!r} instead of"
                    f" {change.reply!r}, after {space.promised} acknowledged changes to {space.versions[-2]}"
                )
        if not self._is_exec and self._changes[0].words[0] == "SWAPDB":  # no key, so it waits for nobody
            space.lasts_with = self._leadership
        else:
            space.acknowledged()
            space.lasts_with = None
        return True

    def _refused(self, space: Space, results: list[Any], refusals: list[ErrorReply]) -> None:
        is_full = self.world.disks and all(each.code == "MISCONF" for each in refusals)  # no room to make a stream
        if is_full and len(refusals) < len(results):
            self._leave(space)
            return
        if self.counts and (len(refusals) < len(results) or any(each.code not in _REFUSALS for each in refusals)):
            words = [change.words for change in self._changes]
            raise Broken(f"values {space.name} on {self.target}: {words} were answered with {results}")
        if not self.counts or space.lasts_with is not None:
            self._leave(space)
        else:
            space.refused()


class ValueReader(Caller):
    """Reads any server; what it was told over one connection does not go back."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._floors: dict[Space, int] = {}
        self._space: Space | None = None
        self._keys: list[Key] = []
        self._left = 0

    def thinks(self) -> float:
        return super().thinks() * SLOWNESS

    def connected(self, connection: Any) -> None:
        self._floors.clear()
        self._left = self.rng.choice((5, 30, 1000))
        super().connected(connection)

    def next_requests(self) -> list[Words]:
        """Keys whose records are in one log: others may be told half, by a follower that is behind."""
        spaces = [space for space in self.world.history.spaces.all if space.kind in ("counter", LEASE, "plain")]
        if not spaces:
            return []
        space = self._space = self.rng.choice(spaces[-6:])
        self._keys = [self.rng.choice(space.keys)]
        key = self._keys[0][1]
        if space.kind != "plain":
            return [self.rng.choice((("GET", key), ("MGET", key)))]
        self._keys = list(space.keys)
        reads = [(name, key, *more) for _, key in space.keys for name, *more in _READS]
        return [("MULTI",), *reads, ("EXEC",)]

    def answered(self, replies: list[Any]) -> bool:
        space = self._space
        assert space is not None
        reply = replies[-1]
        if isinstance(reply, ErrorReply):
            return False
        if self.counts:
            number = space.check(f"{self.name} on {self.target}", self._found(space, reply), self._floors.get(space, 0))
            self._floors[space] = number
            space.seen = max(space.seen, number)
        self._left -= 1
        return self._left > 0

    def _found(self, space: Space, reply: Any) -> dict[Key, Held | None]:
        if space.kind != "plain":
            data = reply[0] if isinstance(reply, list) else reply
            return {self._keys[0]: None if data is None else ("string", data)}
        size = len(_READS)
        return {key: _held(*reply[at * size : (at + 1) * size]) for at, key in enumerate(self._keys)}


#: Of each key, in one EXEC; one of the last three is no error.
_READS: Final = (("TYPE",), ("GET",), ("HGETALL",), ("ZRANGE", 0, -1, "WITHSCORES"))


def _held(kind: bytes, data: Any, fields: Any, scores: Any) -> Held | None:
    match kind:
        case b"none":
            return None
        case b"string":
            return "string", data
        case b"hash":
            return "hash", dict(zip(fields[::2], fields[1::2], strict=True))
        case b"zset":
            return "zset", dict(zip(scores[::2], map(float, scores[1::2]), strict=True))
    raise Broken(f"a value is of the kind {kind!r}")
