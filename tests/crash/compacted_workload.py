"""Random requests to compacted topics, with time passing often, for the same cuts as `tests.crash.workload`."""

from __future__ import annotations

from collections.abc import Callable

from tests.crash.workload import FIELDS, Workload

SETTINGS = {
    "cleanup.policy": "compact",
    "key.field": "k",
    "segment.bytes": "1kb",
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "15000",
}


class CompactedWorkload(Workload):
    """Two compacted topics of one partition, one of which also forgets by age, and all that streams are asked."""

    keys = (b"a", b"b")

    def _requests_by_weight(self) -> list[tuple[int, Callable[[], list[bytes]]]]:
        return [*super()._requests_by_weight(), (150, self._add_by_key), (12, self._add_tombstone), (1, self._alter)]

    def run(self, ticks: int) -> None:
        words = [word.encode() for setting in SETTINGS.items() for word in setting]
        create = [[b"XTOPIC", b"CREATE", key, b"PARTITIONS", b"1", b"CONFIG", *words] for key in self.keys]
        self.driver.tick([(0, [*create, [b"XTOPIC", b"ALTER", b"b", b"CONFIG", *BOTH]])])
        for turn in range(ticks // 5):
            super().run(5)
            self.driver.pass_time(10_001 if turn % 2 else 300)
            for _ in range(3):
                self.driver.pass_time(110)
                self.driver.settle()

    def _add_by_key(self) -> list[bytes]:
        return [b"XADD", self._key(), b"*", b"k", b"%d" % self.rng.randrange(5), *FIELDS]

    def _add_tombstone(self) -> list[bytes]:
        return [b"XADD", self._key(), b"*", b"k", b"%d" % self.rng.randrange(5)]

    def _alter(self) -> list[bytes]:
        policy = self.rng.choice((b"compact", b"delete", b"compact,delete"))
        return [b"XTOPIC", b"ALTER", self._key(), b"CONFIG", b"cleanup.policy", policy]


BOTH = (b"cleanup.policy", b"compact,delete", b"retention.ms", b"60000")
