"""Random requests that use everything that reaches the disk. The same seed gives the same requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from respbroker.streams.stream import Stream
from tests.crash.driver import Driver, Requests

KEYS = [b"a", b"b", b"c", b"d/../\x00", b"e"]
GROUPS = [b"g1", b"g2"]
CONSUMERS = [b"c1", b"c2", b"c3"]
FIELDS = [b"f", b"value " * 8]


class Workload:
    """Draws requests; remembers nothing but the seed, and asks the driver's node for IDs that exist."""

    keys: Sequence[bytes] = tuple(KEYS)

    def __init__(self, driver: Driver, seed: int) -> None:
        self.driver = driver
        self.rng = random.Random(seed)
        self._added = 0
        self._kinds = self._requests_by_weight()
        self._weights = [weight for weight, _ in self._kinds]

    def _requests_by_weight(self) -> list[tuple[int, Callable[[], list[bytes]]]]:
        return [
            (30, self._add),
            (4, self._add_once),
            (4, self._add_trimmed),
            (5, self._create_group),
            (14, self._read_group),
            (8, self._acknowledge),
            (5, self._claim),
            (3, self._autoclaim),
            (4, self._nack),
            (4, self._delete),
            (4, self._delete_extended),
            (4, self._trim),
            (3, self._set_id),
            (2, self._group_admin),
            (2, self._expire),
            (2, self._rename),
            (2, self._copy),
            (2, self._drop),
            (1, self._databases),
            (1, self._save),
        ]

    def run(self, ticks: int) -> None:
        """A number of ticks, each with up to three clients; now and then time passes."""
        rng = self.rng
        for _ in range(ticks):
            batch = [(client, self._requests()) for client in range(3) if rng.random() < 0.5]
            self.driver.tick(batch)
            if rng.random() < 0.08:
                self.driver.pass_time(11_000)
        self.driver.settle()

    def _requests(self) -> Requests:
        rng = self.rng
        if rng.random() < 0.15:
            return [[b"MULTI"], *(self._draw() for _ in range(rng.randint(1, 4))), [b"EXEC"]]
        return [self._draw() for _ in range(rng.choice((1, 1, 1, 2, 4)))]

    def _draw(self) -> list[bytes]:
        return self.rng.choices(self._kinds, self._weights)[0][1]()

    # -- words -------------------------------------------------------------------------------------------------

    def _key(self) -> bytes:
        return self.rng.choice(self.keys)

    def _ids(self, key: bytes, count: int = 3) -> list[bytes]:
        """IDs of live entries, or one that never was."""
        stream = self._stream(key)
        if stream is None or not stream.length:
            return [b"1-1"]
        ranges = stream.live_ranges(stream.first_ordinal, stream.end_ordinal)
        live = [ordinal for first, end in ranges for ordinal in range(first, end)]
        chosen = self.rng.sample(live, min(count, len(live)))
        return [b"%d-%d" % stream.id_at(ordinal) for ordinal in chosen]

    def _stream(self, key: bytes) -> Stream | None:
        """The stream, if it is open."""
        keys = self.driver.node.keyspace.databases[0].keys
        entry = keys.get(key)
        if entry is None and key[-1:].isdigit():
            topic = keys.get(key[:-2])
            leaves = topic.parts if topic is not None else ()
            entry = leaves[int(key[-1:])] if int(key[-1:]) < len(leaves) else None
        return entry.stream if entry is not None else None

    def _groups(self, key: bytes) -> list[bytes]:
        stream = self._stream(key)
        return [] if stream is None else list(stream.groups)

    def _group(self) -> tuple[bytes, bytes]:
        """A group that exists, mostly."""
        existing = [(key, group) for key in self.keys for group in self._groups(key)]
        if existing and self.rng.random() < 0.9:
            return self.rng.choice(existing)
        return self._key(), self.rng.choice(GROUPS)

    def _pending(self, key: bytes, group: bytes) -> list[bytes]:
        """IDs of entries pending in the group, or one that is not."""
        stream = self._stream(key)
        if stream is None or group not in stream.groups:
            return [b"1-1"]
        pending = [stream.id_at(ordinal) for ordinal, *_ in stream.groups[group].pending.iterate(limit=8)]
        chosen = self.rng.sample(pending, min(3, len(pending)))
        return [b"%d-%d" % entry_id for entry_id in chosen] or [b"1-1"]

    def _with_count(self, ids: list[bytes]) -> list[bytes]:
        return [b"IDS", b"%d" % len(ids), *ids]

    # -- requests ----------------------------------------------------------------------------------------------

    def _add(self) -> list[bytes]:
        self._added += 1
        return [b"XADD", self._key(), b"*", b"n", b"%d" % self._added, *FIELDS * self.rng.choice((1, 1, 1, 6))]

    def _add_once(self) -> list[bytes]:
        once = [b"IDMP", b"p1", b"i%d" % self.rng.randrange(6)]
        return [b"XADD", self._key(), *once, b"*", *FIELDS]

    def _add_trimmed(self) -> list[bytes]:
        how = self.rng.choice(([b"MAXLEN", b"=", b"5"], [b"MAXLEN", b"~", b"6"], [b"MAXLEN", b"=", b"3", b"DELREF"]))
        return [b"XADD", self._key(), *how, b"*", *FIELDS]

    def _create_group(self) -> list[bytes]:
        start = self.rng.choice((b"0", b"0", b"$"))
        return [b"XGROUP", b"CREATE", self._key(), self.rng.choice(GROUPS), start, b"MKSTREAM"]

    def _read_group(self) -> list[bytes]:
        key, group = self._group()
        keys = [key, *(other for other in self.keys if other != key and group in self._groups(other))]
        keys = keys[: self.rng.choice((1, 1, 2))]
        count = b"%d" % self.rng.choice((1, 3, 10))
        who = [group, self.rng.choice(CONSUMERS)]
        return [b"XREADGROUP", b"GROUP", *who, b"COUNT", count, b"STREAMS", *keys, *[b">"] * len(keys)]

    def _acknowledge(self) -> list[bytes]:
        key, group = self._group()
        return [b"XACK", key, group, *self._pending(key, group)]

    def _claim(self) -> list[bytes]:
        key, group = self._group()
        options = self.rng.choice(([], [b"JUSTID"], [b"RETRYCOUNT", b"7"], [b"IDLE", b"5000"]))
        if self.rng.random() < 0.3:
            return [b"XCLAIM", key, group, self.rng.choice(CONSUMERS), b"0", *self._ids(key), b"FORCE"]
        return [b"XCLAIM", key, group, self.rng.choice(CONSUMERS), b"0", *self._pending(key, group), *options]

    def _autoclaim(self) -> list[bytes]:
        return [b"XAUTOCLAIM", *self._group(), self.rng.choice(CONSUMERS), b"10", b"0", b"COUNT", b"3"]

    def _nack(self) -> list[bytes]:
        key, group = self._group()
        mode = self.rng.choice((b"SILENT", b"FAIL", b"FATAL"))
        return [b"XNACK", key, group, mode, *self._with_count(self._pending(key, group))]

    def _delete(self) -> list[bytes]:
        key = self._key()
        return [b"XDEL", key, *self._ids(key)]

    def _delete_extended(self) -> list[bytes]:
        key = self._key()
        policy = self.rng.choice((b"KEEPREF", b"DELREF", b"ACKED"))
        if self.rng.random() < 0.5:
            key, group = self._group()
            return [b"XACKDEL", key, group, policy, *self._with_count(self._pending(key, group))]
        return [b"XDELEX", key, policy, *self._with_count(self._ids(key))]

    def _trim(self) -> list[bytes]:
        key = self._key()
        how = self.rng.choice(
            (
                [b"MAXLEN", b"%d" % self.rng.choice((0, 2, 6))],
                [b"MAXLEN", b"~", b"4"],
                [b"MINID", self._ids(key, 1)[0]],
                [b"MAXLEN", b"3", b"ACKED"],
            )
        )
        return [b"XTRIM", key, *how]

    def _set_id(self) -> list[bytes]:
        key = self._key()
        if self.rng.random() < 0.3:
            return [b"XSETID", key, b"%d-1" % self.rng.randrange(1000)]  # taken if nothing is left in it
        if self.rng.random() < 0.5:
            return [b"XSETID", key, b"%d-0" % (self.driver.clock.ms + 5)]
        return [b"XSETID", key, self._ids(key, 1)[0], b"ENTRIESADDED", b"50", b"MAXDELETEDID", b"0-1"]

    def _group_admin(self) -> list[bytes]:
        key, group = self._group()
        return self.rng.choice(
            (
                [b"XGROUP", b"DESTROY", key, group],
                [b"XGROUP", b"SETID", key, group, self._ids(key, 1)[0]],
                [b"XGROUP", b"DELCONSUMER", key, group, self.rng.choice(CONSUMERS)],
                [b"XGROUP", b"CREATECONSUMER", key, group, b"c4"],
                [b"XCFGSET", key, b"IDMP-DURATION", b"60", b"IDMP-MAXSIZE", b"3"],
            )
        )

    def _expire(self) -> list[bytes]:
        keys = self.driver.node.keyspace.databases[0].keys
        mortal = [key for key, entry in keys.items() if entry.expires_ms]
        if mortal and self.rng.random() < 0.5:
            return [b"PERSIST", self.rng.choice(mortal)]
        return self.rng.choice(
            ([b"PEXPIRE", self._key(), b"400"], [b"PEXPIRE", self._key(), b"90000"], [b"PERSIST", self._key()])
        )

    def _rename(self) -> list[bytes]:
        return [b"RENAME", self._key(), self._key()]

    def _copy(self) -> list[bytes]:
        db = [b"DB", b"1"] if self.rng.random() < 0.3 else []
        return [b"COPY", self._key(), self._key(), *db, b"REPLACE"]

    def _drop(self) -> list[bytes]:
        return [self.rng.choice((b"DEL", b"UNLINK")), self._key()]

    def _databases(self) -> list[bytes]:
        return self.rng.choice(([b"SWAPDB", b"0", b"1"], [b"SWAPDB", b"0", b"1"], [b"FLUSHDB"], [b"FLUSHALL"]))

    def _save(self) -> list[bytes]:
        return self.rng.choice(([b"SAVE"], [b"DEBUG", b"RELOAD"]))
