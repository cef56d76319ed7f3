"""Random requests to keys that hold values and to the same keys as streams, for the same cuts as
`tests.crash.workload`."""

from __future__ import annotations

from collections.abc import Callable

from tests.crash.workload import FIELDS, Workload


class ValuesWorkload(Workload):
    """Strings, hashes, sorted sets and streams that take each other's places, and time enough to compact."""

    def _requests_by_weight(self) -> list[tuple[int, Callable[[], list[bytes]]]]:
        return [
            *super()._requests_by_weight(),
            (40, self._set),
            (10, self._count),
            (30, self._put_field),
            (10, self._remove_field),
            (30, self._score),
            (10, self._remove_member),
            (8, self._expire),
            (8, self._rename),
            (5, self._copy),
            (8, self._drop),
            (1, self._move),
        ]

    def run(self, ticks: int) -> None:
        for turn in range(0, ticks, 5):
            super().run(min(5, ticks - turn))
            self.driver.pass_time(10_001 if turn % 2 else 300)
            for _ in range(2):
                self.driver.pass_time(110)
                self.driver.settle()

    def _name(self) -> bytes:
        return b"%b%d" % (self._key(), self.rng.randrange(2)) if self.rng.random() < 0.6 else self._key()

    def _member(self) -> bytes:
        return b"m%d" % self.rng.randrange(4)

    def _set(self) -> list[bytes]:
        lives = self.rng.choice(([], [], [b"PX", b"400"], [b"EX", b"90"], [b"KEEPTTL"]))
        return [b"SET", self._name(), FIELDS[1] * self.rng.choice((0, 1, 1, 3)), *lives]

    def _count(self) -> list[bytes]:
        return [b"INCR", b"counter"]

    def _put_field(self) -> list[bytes]:
        return [b"HSET", b"h" + self._name(), self._member(), FIELDS[1]]

    def _remove_field(self) -> list[bytes]:
        return [b"HDEL", b"h" + self._name(), self._member()]

    def _score(self) -> list[bytes]:
        return [b"ZADD", b"z" + self._name(), b"%d" % self.rng.randrange(9), self._member()]

    def _remove_member(self) -> list[bytes]:
        return [b"ZREM", b"z" + self._name(), self._member()]

    def _any(self) -> bytes:
        return self.rng.choice((b"", b"h", b"z")) + self._name()

    def _rename(self) -> list[bytes]:
        return [b"RENAME", self._any(), self._any()]

    def _copy(self) -> list[bytes]:
        db = [b"DB", b"1"] if self.rng.random() < 0.3 else []
        return [b"COPY", self._any(), self._any(), *db, b"REPLACE"]

    def _drop(self) -> list[bytes]:
        return [b"DEL", self._any()]

    def _move(self) -> list[bytes]:
        return [b"MOVE", self._any(), b"1"]

    def _expire(self) -> list[bytes]:
        how = self.rng.choice(([b"PEXPIRE", b"400"], [b"PEXPIRE", b"90000"], [b"PERSIST"]))
        return [how[0], self._any(), *how[1:]]
