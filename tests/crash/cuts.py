"""Cutting a workload at every event of its disk, and judging what a node makes of what is left.

The workload runs twice with the same seed. The first run writes down the state behind every tick. The second one stops
for a moment at each event (a write, a sync, a change of a name), takes the disk as a crash would leave it at that
moment, opens a node on it, and compares. Every stream and the catalog must be as they were behind *some* tick, not
older than what was answered; a tick with an EXEC is there in all of them or in none.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from tests.crash.disk import WatchedDisk
from tests.crash.driver import DIRECTORY, Driver, open_node
from tests.crash.state import CATALOG, State, state_of
from tests.crash.workload import Workload
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import TestClock


class Unsound(BaseException):
    """A crash left something that it may not. Not an `Exception`, for the node that goes on must not catch it."""


@attrs.define
class Tally:
    """What was tried."""

    events: Counter[str] = attrs.field(factory=Counter)
    cuts: int = 0
    opened: int = 0

    def add(self, other: Tally) -> None:
        self.events += other.events
        self.cuts += other.cuts
        self.opened += other.opened


@attrs.define
class History:
    """The first run: ``states[k]`` is the state behind step k, ``whole[k]`` what step k changed."""

    states: list[State]
    whole: dict[int, set[int]]
    events: list[str]


def new_disk() -> WatchedDisk:
    disk = WatchedDisk()
    disk.mkdir(DIRECTORY)
    disk.sync_directory("")
    return disk


def record(seed: int, policy: str, ticks: int, workload: type[Workload] = Workload) -> History:
    """The first run."""
    disk = new_disk()
    driver = Driver(disk, policy, seed)
    history = History([state_of(driver.node)], {}, disk.log)

    def remember() -> None:
        before, after = history.states[-1], state_of(driver.node)
        history.states.append(after)
        changed = {number for number in after if number in before and before[number] != after[number]}
        history.whole[driver.steps] = changed | {number for number in after if number not in before}

    driver.after_flush = remember
    workload(driver, seed).run(ticks)
    return history


@attrs.define
class DiskCutter:
    """Something runs on ``disk``, and what a crash at each of its events leaves is judged: subclasses say what and how.

    Places in the run are counts of its steps.
    """

    seed: int
    policy: str
    ticks: int
    survivals: int  # random survivals of unsynced writes and names tried at each event
    every: int = 1  # look at every n-th event only
    workload: type[Workload] = Workload
    tally: Tally = attrs.field(factory=Tally)
    disk: WatchedDisk = attrs.field(init=False, factory=new_disk)

    def run(self) -> Tally:
        self.prepare()
        self.disk.on_event = self._cut
        self.play()
        self.disk.on_event = None
        self.tally.events.update(event.split(" /")[0] for event in self.disk.log)
        return self.tally

    def prepare(self) -> None:
        """What comes before the run that is cut."""
        raise NotImplementedError

    def play(self) -> None:
        """The run."""
        raise NotImplementedError

    def written(self) -> int:
        """Up to where everything must be there if the process is killed."""
        raise NotImplementedError

    def safe(self) -> int:
        """Up to where everything must be there if power goes."""
        raise NotImplementedError

    def judge(self, left: MemoryFileSystem, at_least: int) -> None:
        """Open what is left, and raise what is wrong with it."""
        raise NotImplementedError

    def place(self, at_least: int, torn: int) -> str:
        """Where in the run this is, for whoever reads of a failure."""
        raise NotImplementedError

    def _cut(self, torn: int) -> None:
        if self.disk.events % self.every:
            return
        watching, self.disk.on_event = self.disk.on_event, None
        self.tally.cuts += 1
        safe = self.safe()
        self._judge("kill -9", self.disk.killed(), self.written(), torn)
        self._judge("power loss, nothing unsynced survives", self.disk.powered_off(), safe, torn)
        for number in range(self.survivals):
            seed = self.disk.events * 1000 + number
            self._judge(f"power loss, survival {seed}", self.disk.powered_off(seed), safe, torn)
        self.disk.on_event = watching

    def _judge(self, crash: str, left: MemoryFileSystem, at_least: int, torn: int) -> None:
        self.tally.opened += 1
        try:
            self.judge(left, at_least)
        except Exception as error:
            where = f"seed {self.seed}, {self.policy}: {crash} at event {self.disk.events}"
            raise Unsound(f"{error}\n{where}{self.place(at_least, torn)}") from error


def ensure_whole(tick: int, written: set[int], times: dict[int, list[int]]) -> None:
    """A tick with an EXEC is there in all that it wrote, or in nothing; ``times``: when each log was as it is found."""
    written = written & set(times)
    with_it = {number for number in written if times[number][0] >= tick}
    without = {number for number in written if times[number][-1] < tick}
    assert not (with_it and without), f"tick {tick} is there in {with_it} and not in {without}"


@attrs.define
class Cutter(DiskCutter):
    """The second run: opens a node on what is left at every event."""

    history: History = attrs.field(init=False)
    driver: Driver = attrs.field(init=False)
    exec_steps: set[int] = attrs.field(init=False, factory=set)  # written as one

    def prepare(self) -> None:
        self.history = record(self.seed, self.policy, self.ticks, self.workload)
        self.driver = Driver(self.disk, self.policy, self.seed)
        self.driver.before_flush = self._note_exec
        self.driver.after_flush = lambda: [state_of(self.driver.node), None][1]  # type: ignore[assignment, return-value]

    def play(self) -> None:
        self.workload(self.driver, self.seed).run(self.ticks)
        assert self.disk.log == self.history.events, "the two runs must be alike"

    def written(self) -> int:
        return self.driver.steps

    def safe(self) -> int:
        return max(self.driver.synced, self.driver.answered if self.policy == "always" else 0)

    def place(self, at_least: int, torn: int) -> str:
        return (
            f" ({self.history.events[self.disk.events]}), torn {torn}; {self.driver.steps} steps were written, what was"
            f" there behind step {at_least} must be there"
        )

    def judge(self, left: MemoryFileSystem, at_least: int) -> None:
        clock = TestClock(self.driver.clock.ms, self.driver.clock.seconds)
        node = open_node(left, clock, appendfsync=self.policy)
        self._compare(state_of(node), at_least)

    def _note_exec(self) -> None:
        """Note which steps are to be written as one."""
        if self.driver.node.keyspace.atomic:
            self.exec_steps.add(self.driver.steps + 1)

    def _compare(self, found: State, at_least: int) -> None:
        states, last = self.history.states, min(self.driver.steps + 1, len(self.history.states) - 1)
        candidates = range(at_least, last + 1)
        times: dict[int, list[int]] = {}
        for number, state in found.items():
            as_then = _same_keys if number == CATALOG else _same
            old = set(states[at_least])
            times[number] = [tick for tick in candidates if as_then(states[tick].get(number), state, old)]
            if not times[number]:
                raise AssertionError(_difference(number, state, states, at_least, last))
        for number in {number for tick in candidates for number in states[tick]} - set(found):
            times[number] = [tick for tick in candidates if number not in states[tick]]
            assert times[number], f"stream {number} is gone"
        for tick in self.exec_steps:
            if tick <= last:
                ensure_whole(tick, self.history.whole[tick], times)


def _same(then: object, found: object, old: set[int]) -> bool:
    return then == found


def _same_keys(then: Any, found: Any, old: set[int]) -> bool:
    """The catalog: a key made since then may be missing, for its stream did not reach the disk."""
    return set(found) <= set(then) and all(old.isdisjoint(numbers) for _, _, numbers, *_ in set(then) - set(found))


def _difference(number: int, state: object, states: list[State], at_least: int, last: int) -> str:
    what = "the catalog" if number == CATALOG else f"stream {number}"
    lines = [f"{what} is as it never was since tick {at_least}:", f"  found  {state}"]
    lines += [f"  {tick:5}  {states[tick].get(number)}" for tick in range(max(at_least, last - 3), last + 1)]
    older = [tick for tick in range(at_least) if states[tick].get(number) == state]
    lines.append(f"  it was so behind the earlier ticks {older[-3:]}")
    return "\n".join(lines)
