"""Random requests that make dead letters, for the same cuts as `tests.crash.workload`."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tests.crash.cuts import Cutter
from tests.crash.workload import CONSUMERS, Workload


class LettersWorkload(Workload):
    """Streams whose entries are delivered once or twice, letters to one stream and to a topic of several partitions."""

    keys = (b"a", b"b", b"c")

    def run(self, ticks: int) -> None:
        """Begins with groups that hold something."""
        for key in self.keys:
            create = [b"XTOPIC", b"CREATE", key, b"CONFIG", b"max.deliveries", b"1"]
            read = [b"XREADGROUP", b"GROUP", b"g1", b"c1", b"COUNT", b"2", b"STREAMS", key, b">"]
            entries = [[b"XADD", key, b"*", b"n", b"%d" % number] for number in range(4)]
            self.driver.tick([(0, [create, *entries, [b"XGROUP", b"CREATE", key, b"g1", b"0"], read])])
        super().run(ticks)

    def _requests_by_weight(self) -> list[tuple[int, Callable[[], list[bytes]]]]:
        return [
            (20, self._add),
            (6, self._configure),
            (6, self._create_group),
            (14, self._read_group),
            (14, self._read_again),
            (3, self._acknowledge),
            (8, self._claim),
            (8, self._autoclaim),
            (8, self._nack),
            (2, self._delete),
            (2, self._trim),
            (2, self._drop_letters),
            (1, self._save),
        ]

    def _configure(self) -> list[bytes]:
        deliveries = [b"max.deliveries", self.rng.choice((b"1", b"2"))]
        where = self.rng.choice(([], [], [b"dead.letter.topic", b"letters"]))
        if self.rng.random() < 0.1:
            return [b"XTOPIC", b"CREATE", b"letters", b"PARTITIONS", b"2", b"CONFIG", b"key.field", b"n"]
        return [b"XTOPIC", self.rng.choice((b"CREATE", b"ALTER")), self._key(), b"CONFIG", *deliveries, *where]

    def _read_again(self) -> list[bytes]:
        key, group = self._group()
        who = [b"GROUP", group, self.rng.choice(CONSUMERS)]
        if self.rng.random() < 0.5:
            return [b"XREADGROUP", *who, b"COUNT", b"3", b"STREAMS", key, b"0"]
        return [b"XREADGROUP", *who, b"COUNT", b"3", b"CLAIM", b"0", b"STREAMS", key, b">"]

    def _drop_letters(self) -> list[bytes]:
        return [b"DEL", self.rng.choice((b"letters", b"a.dlq", b"b.dlq"))]


@attrs.define
class LettersCutter(Cutter):
    """Wants every tick that sent letters whole, whatever the node means to do."""

    workload: type[Workload] = LettersWorkload
    letters: int = 0

    def _note_exec(self) -> None:
        sent = self.driver.node.statistics.dead_letters
        if sent > self.letters:
            self.exec_steps.add(self.driver.steps + 1)
            self.letters = sent
