"""Cutting a follower at every event of its disk: `tests.crash.cuts` for a keyspace that is fed with a leader's ticks.

It opens again with ticks of its leader, whole where they were one, and comes to be as the leader once it is sent the
rest.
"""

from __future__ import annotations

from typing import Any

import attrs

from storage.batch import parse_header
from tests.crash.cuts import DiskCutter, ensure_whole, new_disk
from tests.crash.disk import WatchedDisk
from tests.crash.driver import Driver
from tests.crash.state import CATALOG, State, state_of, state_of_keyspace
from tests.crash.workload import Workload
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.replicas import Follower, Leader, Tick, segments_on


@attrs.define
class Led:
    """What a leader wrote: ``states[k]`` is its state, and ``numbers[k]`` its logs, behind k ticks."""

    ticks: list[Tick]
    states: list[State]
    numbers: list[list[int]]

    def bases(self, number: int, count: int) -> list[int]:
        """Where the segments of a log begin, behind so many ticks."""
        parts = [part for tick in self.ticks[:count] for part in tick.parts if part.number == number and part.roll]
        headers = [parse_header(part.raw) for part in parts]
        return [header.base_offset for header in headers if header is not None]


def led(kind: type[Workload], seed: int, count: int) -> Led:
    driver = Driver(new_disk(), "everysec", seed)
    leader = Leader(driver, epoch=1)
    found = Led([], [state_of(driver.node)], [leader.keyspace.numbers()])
    after_flush = driver.after_flush

    def remember() -> None:
        after_flush()
        if len(leader.ticks) > len(found.ticks):
            found.ticks.append(leader.ticks[-1])
            found.states.append(state_of(driver.node))
            found.numbers.append(leader.keyspace.numbers())

    driver.after_flush = remember
    kind(driver, seed).run(count)
    return found


@attrs.define
class FollowerCutter(DiskCutter):
    """Feeds a follower, and opens another one on what is left of its disk at every event."""

    led: Led = attrs.field(init=False)
    disk: WatchedDisk = attrs.field(init=False, factory=WatchedDisk)
    follower: Follower = attrs.field(init=False)
    done: int = attrs.field(init=False, default=0)  # ticks

    def prepare(self) -> None:
        self.led = led(self.workload, self.seed, self.ticks)
        self.follower = Follower(self.disk, self.policy)

    def play(self) -> None:
        follower = self.follower
        for index, tick in enumerate(self.led.ticks):
            follower.follow([tick])
            self.done += 1
            if index % 3 == 0:
                follower.sync()
                follower.maintain()

    def written(self) -> int:
        return self.done

    def safe(self) -> int:
        return 0  # its leader has what it has lost

    def place(self, at_least: int, torn: int) -> str:
        return f", {self.done} ticks done"

    def judge(self, left: MemoryFileSystem, at_least: int) -> None:
        follower = Follower(left)
        self._compare(state_of_keyspace(follower.keyspace), at_least)
        last = min(self.done + 1, len(self.led.ticks))
        follower.catch_up(self.led.ticks[:last], self.led.numbers[last])
        assert state_of_keyspace(follower.keyspace) == self.led.states[last], "it is not as the leader in the end"
        for number in follower.keyspace.numbers():
            bases = sorted(segments_on(left, number))
            begun = self.led.bases(number, last)
            assert bases == [base for base in begun if base >= bases[0]], f"log {number} has other segments"

    def _compare(self, found: State, at_least: int) -> None:
        states = self.led.states
        candidates = range(at_least, min(self.done + 2, len(states)))
        times: dict[int, list[int]] = {}
        for number, state in found.items():
            times[number] = [tick for tick in candidates if states[tick].get(number) == state]
            if not times[number] and is_empty(number, state):  # its log was lost, or is still to come
                times[number] = [tick for tick in candidates if number not in states[tick]]
            assert times[number], f"stream {number} is as it never was since {at_least}: {state}"
        for number in {number for tick in candidates for number in states[tick]} - set(found):
            times[number] = [tick for tick in candidates if number not in states[tick]]
            assert times[number], f"stream {number} is gone"
        for tick in candidates[1:]:
            if self.led.ticks[tick - 1].atomic:
                ensure_whole(tick, {part.number for part in self.led.ticks[tick - 1].parts}, times)


def is_empty(number: int, state: Any) -> bool:
    return number != CATALOG and not any(state[0]) and not any(state[2]) and state[1][2] == 0
