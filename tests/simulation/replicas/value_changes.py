"""Changes of values as they are drawn: a request, what the keys hold after it, and how it is to be answered."""

from __future__ import annotations

import random
from typing import Any

import attrs

from tests.simulation.replicas.value_spaces import LEASE, Held, Key, Space, State

Words = tuple[bytes | str | int, ...]


@attrs.frozen
class Change:
    """``reply`` None: it may be any."""

    words: Words
    after: State
    reply: Any = None


@attrs.frozen
class Draw:
    """One key, another of the same database, and a number that was never written; what can be done with them."""

    rng: random.Random
    state: State
    place: Key
    other: Key
    number: int

    def _with(self, words: Words, reply: Any, held: Held | None, **more: Any) -> Change:
        after = dict(self.state)
        after.pop(self.place, None)
        if held is not None:
            after[self.place] = held
        return Change(words, after, reply)

    def set(self) -> Change:
        keep = ("KEEPTTL",) if self.rng.random() < 0.2 else ()
        data = b"%d" % self.number
        return self._with(("SET", self.place[1], data, *keep), b"OK", ("string", data))

    def incr(self) -> Change:
        held = self.state.get(self.place, ("string", b"0"))
        count = int(held[1]) + 1
        return self._with(("INCR", self.place[1]), count, ("string", b"%d" % count))

    def lease(self) -> Change:
        """A string that expires, or did."""
        key, data = self.place[1], b"%d" % self.number
        held = self.state.get(self.place)
        kind = self.rng.random()
        if held is None or kind < 0.5:
            return self._with(
                ("SET", key, data, "PX", self.rng.choice((30, 500, 5000, 60_000))), b"OK", (LEASE, data)
            )  # fmt: skip
        if kind < 0.7:
            return self._with(("SET", key, data, "KEEPTTL"), b"OK", (LEASE, data))
        words: Words = ("PERSIST", key) if kind < 0.8 else ("PEXPIRE", key, self.rng.choice((100, 60_000)))
        return self._with(words, None, held)

    def delete(self) -> Change:
        return self._with(("DEL", self.place[1]), int(self.place in self.state), None)

    def hset(self) -> Change:
        fields = dict(self.state.get(self.place, ("hash", {}))[1])
        before = len(fields)
        names = self.rng.sample((b"f", b"g", b"h", b"i"), self.rng.randint(1, 3))
        pad = b"." * self.rng.choice((0, 0, 100))
        news = dict.fromkeys(names, b"%d%b" % (self.number, pad))
        fields |= news
        words = (word for item in news.items() for word in item)
        return self._with(("HSET", self.place[1], *words), len(fields) - before, ("hash", fields))

    def zadd(self) -> Change:
        scores = dict(self.state.get(self.place, ("zset", {}))[1])
        before = len(scores)
        members = self.rng.sample((b"m", b"n", b"o", b"p"), self.rng.randint(1, 3))
        scores |= dict.fromkeys(members, float(self.number))
        words = (word for member in members for word in (self.number, member))
        return self._with(("ZADD", self.place[1], *words), len(scores) - before, ("zset", scores))

    def remove(self) -> Change:
        """Take members away, perhaps the last."""
        kind, members = self.state[self.place]
        names = self.rng.sample((b"f", b"g", b"h", b"m", b"n", b"o"), 3)
        rest = {name: payload for name, payload in members.items() if name not in names}
        words = ("HDEL" if kind == "hash" else "ZREM", self.place[1], *names)
        return self._with(words, len(members) - len(rest), (kind, rest) if rest else None)

    def xadd(self) -> Change:
        data = b"%d" % self.number
        entries = [*self.state.get(self.place, ("stream", []))[1], data]
        return self._with(("XADD", self.place[1], "*", "v", data), None, ("stream", entries))

    def rename(self) -> Change:
        after = dict(self.state)
        after[self.other] = after.pop(self.place)
        return Change(("RENAME", self.place[1], self.other[1]), after, b"OK")

    def copy(self) -> Change:
        after = self.state | {self.other: self.state[self.place]}
        return Change(("COPY", self.place[1], self.other[1], "REPLACE"), after, 1)

    def move(self, db: int) -> Change:
        after = dict(self.state)
        target = db, self.place[1]
        is_moved = self.place in after and target not in after
        if is_moved:
            after[target] = after.pop(self.place)
        return Change(("MOVE", self.place[1], db), after, int(is_moved))

    def any(self, *, streams: bool) -> Change:
        """Whatever can be done with a key that holds what it holds."""
        held = self.state.get(self.place)
        kind = held[0] if held is not None else ""
        choices = [self.set, self.set, self.delete]
        if held is not None:
            choices += [self.rename, self.copy]
        if kind in ("", "string"):
            choices += [self.incr]
        if kind in ("", "hash"):
            choices += [self.hset, self.hset]
        if kind in ("", "zset"):
            choices += [self.zadd, self.zadd]
        if kind in ("hash", "zset"):
            choices += [self.remove, self.remove]
        if kind in ("", "stream") and streams:
            choices += [self.xadd] * 4
        return self.rng.choice(choices)()


def _draw(rng: random.Random, space: Space, state: State, db: int) -> Draw:
    space.number += 1
    place, other = rng.sample([key for key in space.keys if key[0] == db], 2)
    return Draw(rng, state, place, other, space.number)


def _drawn_of_databases(rng: random.Random, space: Space, state: State) -> list[Change]:
    """Something in one of two databases, or with both."""
    one, other = sorted({db for db, _ in space.keys})
    db = rng.choice((one, other))
    kind = rng.random()
    if kind < 0.2:
        after = {((other if key[0] == one else one), key[1]): held for key, held in state.items()}
        return [Change(("SWAPDB", one, other), after, b"OK")]
    select = Change(("SELECT", db), state, b"OK")
    if kind < 0.3:
        rest = {key: held for key, held in state.items() if key[0] != db}
        return [select, Change(("FLUSHDB",), rest, b"OK")]
    draw = _draw(rng, space, state, db)
    if kind < 0.4:
        return [select, draw.move(other if db == one else one)]
    return [select, draw.any(streams=True)]


def drawn(rng: random.Random, space: Space) -> list[Change]:
    """The next changes of a client's keys. Several are for an EXEC, and so is one that selects a database."""
    state = space.newest
    if space.kind in ("counter", LEASE):
        space.number += 1
        place = space.keys[0]
        held = state.get(place, ("string", b"0"))
        draw = Draw(rng, state, place, place, int(held[1]) + 1)
        return [draw.lease() if space.kind == LEASE else rng.choice((draw.set, draw.incr))()]
    changes: list[Change] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        if space.kind == "databases":
            changes += _drawn_of_databases(rng, space, state)
        else:
            changes.append(_draw(rng, space, state, 0).any(streams=space.kind == "mixed"))
        state = changes[-1].after
    if space.kind == "databases" and len(changes) > 1:
        changes.append(Change(("SELECT", 0), state, b"OK"))
    return changes
