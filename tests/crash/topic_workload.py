"""Random requests to topics of several partitions, for the same cuts as `tests.crash.workload`."""

from __future__ import annotations

from collections.abc import Callable

from tests.crash.workload import FIELDS, Workload

TOPICS = [b"t", b"u"]


class TopicWorkload(Workload):
    """Two topics that come, grow, change and go, entries by key and by partition, and groups on partitions."""

    keys = (*(b"%b/%d" % (topic, index) for topic in TOPICS for index in range(3)), b"plain")

    def _requests_by_weight(self) -> list[tuple[int, Callable[[], list[bytes]]]]:
        of_streams = [(weight, kind) for weight, kind in super()._requests_by_weight() if kind not in self._not_here()]
        return [
            *of_streams,
            (12, self._create_topic),
            (8, self._alter_topic),
            (30, self._add_by_key),
            (3, self._move_topic),
            (2, self._drop_topic),
        ]

    def _not_here(self) -> set[object]:
        """A partition is no key by itself."""
        return {self._copy, self._rename, self._drop, self._expire}

    def _topic(self) -> bytes:
        return self.rng.choice(TOPICS)

    def _create_topic(self) -> list[bytes]:
        count = b"%d" % self.rng.choice((1, 2, 3))
        return [b"XTOPIC", b"CREATE", self._topic(), b"PARTITIONS", count, b"CONFIG", b"key.field", b"k"]

    def _alter_topic(self) -> list[bytes]:
        how = self.rng.choice(
            (
                [b"PARTITIONS", b"2"],
                [b"PARTITIONS", b"3"],
                [b"CONFIG", b"linger.ms", b"default", b"retention.ms", b"%d" % self.rng.randrange(10**6, 10**7)],
            )
        )
        return [b"XTOPIC", b"ALTER", self.rng.choice([*TOPICS, b"plain"]), *how]

    def _add_by_key(self) -> list[bytes]:
        return [b"XADD", self._topic(), b"*", b"k", b"%d" % self.rng.randrange(9), *FIELDS]

    def _move_topic(self) -> list[bytes]:
        return self.rng.choice(
            ([b"RENAME", b"t", b"u"], [b"RENAME", b"u", b"t"], [b"PEXPIRE", b"t", b"400"], [b"PERSIST", b"t"])
        )

    def _drop_topic(self) -> list[bytes]:
        return [b"XTOPIC", b"DELETE", self._topic()]
