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
class Cutter:
    """The second run: opens a node on what is left at every event."""

    seed: int
    policy: str
    ticks: int
    survivals: int  # random survivals of unsynced writes and names tried at each event
    every: int = 1  # look at every n-th event only
    workload: type[Workload] = Workload
    tally: Tally = attrs.field(factory=Tally)
    history: History = attrs.field(init=False)
    disk: WatchedDisk = attrs.field(init=False)
    driver: Driver = attrs.field(init=False)
    exec_steps: set[int] = attrs.field(init=False, factory=set)  # written as one

    def run(self) -> Tally:
        self.history = record(self.seed, self.policy, self.ticks, self.workload)
        self.disk = new_disk()
        self.driver = Driver(self.disk, self.policy, self.seed)
        self.driver.before_flush = self._note_exec
        self.driver.after_flush = lambda: [state_of(self.driver.node), None][1]  # type: ignore[assignment, return-value]
        self.disk.on_event = self._cut
        self.workload(self.driver, self.seed).run(self.ticks)
        self.disk.on_event = None
        assert self.disk.log == self.history.events, "the two runs must be alike"
        self.tally.events.update(event.split(" /")[0] for event in self.disk.log)
        return self.tally

    def _note_exec(self) -> None:
        """Note which steps are to be written as one."""
        if self.driver.node.keyspace.atomic:
            self.exec_steps.add(self.driver.steps + 1)

    def _cut(self, torn: int) -> None:
        if self.disk.events % self.every:
            return
        watching, self.disk.on_event = self.disk.on_event, None
        driver = self.driver
        self.tally.cuts += 1
        safe = max(driver.synced, driver.answered if self.policy == "always" else 0)
        self._judge("kill -9", self.disk.killed(), driver.steps, torn)
        self._judge("power loss, nothing unsynced survives", self.disk.powered_off(), safe, torn)
        for number in range(self.survivals):
            seed = self.disk.events * 1000 + number
            self._judge(f"power loss, survival {seed}", self.disk.powered_off(seed), safe, torn)
        self.disk.on_event = watching

    def _judge(self, crash: str, left: MemoryFileSystem, at_least: int, torn: int) -> None:
        self.tally.opened += 1
        try:
            clock = TestClock(self.driver.clock.ms, self.driver.clock.seconds)
            node = open_node(left, clock, appendfsync=self.policy)
            found = state_of(node)
            self._compare(found, at_least)
        except Exception as error:
            event = self.history.events[self.disk.events]
            raise Unsound(
                f"{error}\n"
                f"seed {self.seed}, {self.policy}: {crash} at event {self.disk.events} ({event}), torn {torn}; "
                f"{self.driver.steps} steps were written, what was there behind step {at_least} must be there"
            ) from error

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
        self._compare_whole(times, last)

    def _compare_whole(self, times: dict[int, list[int]], last: int) -> None:
        """A tick with an EXEC is there in everything it wrote, or in nothing."""
        for tick in self.exec_steps:
            if tick > last:
                continue
            written = self.history.whole[tick] & set(times)
            with_it = {number for number in written if times[number][0] >= tick}
            without = {number for number in written if times[number][-1] < tick}
            assert not (with_it and without), f"tick {tick} is there in {with_it} and not in {without}"


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
