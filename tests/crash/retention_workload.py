"""Random requests to streams that give up what is old or too much, for the same cuts as `tests.crash.workload`."""

from __future__ import annotations

from collections.abc import Callable

from tests.crash.driver import Requests
from tests.crash.workload import Workload


class RetentionWorkload(Workload):
    """One stream with a retention by age, one by size, one whose settings change; groups that are behind."""

    keys = (b"age", b"size", b"either")

    def run(self, ticks: int) -> None:
        """Time passes quickly: there is a round of retention in most ticks."""
        limits = [b"retention.ms", b"25000"], [b"retention.bytes", b"1500"], []
        for key, words in zip(self.keys, limits, strict=True):
            create = [b"XTOPIC", b"CREATE", key, b"CONFIG", *words, b"segment.bytes", b"1024"]
            self.driver.tick([(0, [create, [b"XGROUP", b"CREATE", key, b"behind", b"0"]])])
        for _ in range(ticks):
            batch: list[tuple[int, Requests]] = [(client, self._requests()) for client in range(2)]
            self.driver.tick(batch)
            self.driver.pass_time(self.rng.choice((100, 5_000, 11_000)))
        for _ in range(4):
            self.driver.pass_time(11_000)
            self.driver.settle()

    def _requests_by_weight(self) -> list[tuple[int, Callable[[], list[bytes]]]]:
        return [
            (40, self._add),
            (4, self._configure),
            (3, self._read_group),
            (3, self._acknowledge),
            (3, self._claim),
            (3, self._delete),
            (2, self._trim),
            (1, self._save),
        ]

    def _configure(self) -> list[bytes]:
        settings = self.rng.choice(
            (
                [b"retention.ms", b"15000", b"retention.bytes", b"-1"],
                [b"retention.ms", b"-1", b"retention.bytes", b"1200"],
                [b"retention.ms", b"default", b"retention.bytes", b"default"],
            )
        )
        return [b"XTOPIC", b"ALTER", b"either", b"CONFIG", *settings]
