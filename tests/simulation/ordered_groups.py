"""Ordered groups under chaos: processes come, go, hang, die, and the server is killed; every key stays in order.

What must hold, whatever is drawn:

* an entry is given to a process only when everything before it of the same key is acknowledged, or was given to that
  very process before;
* nobody is given entries of a key that a live consumer has in its hands;
* who is a member is who the rule says: open connections that read, and those closed for less than the session timeout;
* once the chaos ends, everything is acknowledged, nothing is pending or unread, and the partitions are in balance.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

from tests.simulation.processes import GROUP, TOPIC, Item, Process
from tests.support.asking import NOTHING, asker
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import open_node

NAMES = ["ada", "bo", "cy", "dee", "eve"]


class OrderBroken(AssertionError):
    """What the simulation exists to find; it names the seed by which it comes again."""


class Simulation:
    """One run. Everything is drawn from the seed, time is virtual."""

    def __init__(self, seed: int, steps: int = 250) -> None:
        self.seed, self.steps = seed, steps
        self.rng = rng = random.Random(seed)
        self.disk = MemoryFileSystem()
        self.disk.mkdir("/data")
        self.node = open_node("/data", self.disk, appendfsync="everysec", segment_bytes=rng.choice((2000, 1 << 20)))
        self.timeout = rng.choice((0, 300, 2000, 10_000))
        self.partitions = rng.randint(2, 9)
        self.keys = [f"k{number}" for number in range(rng.randint(1, 12))]
        self.tool = asker(self.node)
        self._begin()
        self.processes: list[Process] = []
        self.zombies: list[Process] = []
        self.closed_at: dict[str, float] = {}  # consumers without a connection, live until their time is over
        self.known: set[str] = set()  # consumers that a connection has read for since the server started
        self.added: dict[str, int] = defaultdict(int)
        self.unacknowledged: dict[str, list[Item]] = defaultdict(list)
        self.events: dict[str, int] = defaultdict(int)

    def _begin(self) -> None:
        config = f"key.field key group.session.timeout.ms {self.timeout}"
        assert self.tool(f"XTOPIC CREATE {TOPIC} PARTITIONS {self.partitions} CONFIG {config}") == "OK"
        assert self.tool(f"XGROUP CREATE {TOPIC} {GROUP} 0") == "OK"

    def run(self) -> Simulation:
        try:
            for _ in range(self.steps):
                self._chaos()
            self._calm()
        except (AssertionError, KeyError, IndexError) as failure:
            replay = f"python -m tests.simulation --first {self.seed} --seeds 1 --steps {self.steps}"
            raise OrderBroken(f"seed {self.seed}: {failure}\nreplay it by: {replay}") from failure
        return self

    # -- what happens --------------------------------------------------------------------------------------

    def _chaos(self) -> None:
        rng = self.rng
        self._pass_time(rng.choice((0, 0, 1, 20, 100, 400, 3000 if rng.random() < 0.1 else 10)))
        action = rng.choices(
            (
                self._add,
                self._work,
                self._come,
                self._die,
                self._leave,
                self._hang,
                self._cut,
                self._give_back,
                self._kill,
            ),
            (30, 80, 6, 2, 2, 2, 2, 3, 0.4),
        )[0]
        self.events[action.__name__.strip("_")] += 1
        action()
        self._pass_time(0)
        self._check_members()

    def _pass_time(self, milliseconds: int) -> None:
        self.node.clock.advance(milliseconds)
        self.node.tick()
        live = self._live()
        for process in [*self.processes, *self.zombies]:
            process.fenced = process.fenced or (bool(process.in_hand) and process.name not in live)
        self._listen()

    def _add(self) -> None:
        for _ in range(self.rng.randint(1, 8)):
            key = self.rng.choice(self.keys)
            count = self.added[key]
            entry_id = self.tool(f"XADD {TOPIC} * key {key} count {count}")
            self.added[key] += 1
            self.unacknowledged[key].append(Item(entry_id, key, count))
            self._listen()

    def _come(self) -> None:
        taken = {process.name for process in [*self.processes, *self.zombies]}
        free = [name for name in NAMES if name not in taken]
        if free:
            rng = self.rng
            name = rng.choice(free)
            process = Process(name, rng.choice((1, 2, 5, 50)), rng.random() < 0.6, rng.random() < 0.3)
            process.client = self.node.client()
            self.processes.append(process)

    def _work(self) -> None:
        """Somebody takes its next step: handles an entry, acknowledges, or reads."""
        able = [each for each in [*self.processes, *self.zombies] if each.hangs_until <= self.node.clock.seconds]
        if not able:
            return
        process = self.rng.choice(able)
        if process.waiting:
            return
        if process.in_hand and process.client is not None and not process.recovering and self.rng.random() < 0.1:
            self._read(process, process.ahead_line())
        elif process.handled < len(process.in_hand):
            process.handled += 1
            if self.rng.random() < 0.4:
                self._acknowledge(process)
        elif process.in_hand:
            self._acknowledge(process)
        elif process in self.zombies:
            self.zombies.remove(process)
        else:
            self._read(process, process.read_line(self.rng))

    def _acknowledge(self, process: Process) -> None:
        done = process.acknowledge(self.rng)
        if not done:
            return
        for item in done:
            if item in self.unacknowledged[item.key]:
                self.unacknowledged[item.key].remove(item)
        asking = process if process.client is not None else None
        line = f"XACK {TOPIC} {GROUP} {' '.join(item.entry_id for item in done)}"
        if asking is not None:
            asking.ask(self.node, line)
        else:
            self.tool(line)  # a zombie acknowledges by some connection of its own

    def _read(self, process: Process, line: str) -> None:
        assert process.client is not None
        if line.startswith("XREADGROUP"):
            self.known.add(process.name)
            self.closed_at.pop(process.name, None)
        reply = process.ask(self.node, line)
        self._give(process, process.take(line, reply))

    def _listen(self) -> None:
        """Who waits may have been given something by what just happened."""
        for process in self.processes:
            if process.waiting and process.client is not None:
                reply = process.heard(self.node)
                if reply != NOTHING:
                    self._give(process, process.take("XREADGROUP", reply))

    def _die(self) -> None:
        """A process ends without a word."""
        if self.processes:
            process = self.processes.pop(self.rng.randrange(len(self.processes)))
            self._disconnect(process)

    def _leave(self) -> None:
        """A process acknowledges what it has, and closes its connection."""
        idle = [process for process in self.processes if not process.waiting]
        if idle:
            process = self.rng.choice(idle)
            process.handled, process.noisy = len(process.in_hand), False
            self._acknowledge(process)
            self.processes.remove(process)
            self._disconnect(process)

    def _hang(self) -> None:
        """A process does nothing for a while; its connection stays open."""
        if self.processes:
            self.rng.choice(self.processes).hangs_until = self.node.clock.seconds + self.rng.random() * 20

    def _cut(self) -> None:
        """The network takes a connection away: it begins anew, or works on what it has without knowing."""
        if self.processes:
            process = self.rng.choice(self.processes)
            self._disconnect(process)
            if self.rng.random() < 0.5:
                process.begin_anew()
                process.client = self.node.client()
            else:
                self.processes.remove(process)
                self.zombies.append(process)

    def _give_back(self) -> None:
        """A process gives back all that it has in hand (XNACK), handled or not."""
        holding = [each for each in self.processes if each.in_hand and not (each.fenced or each.recovering)]
        if holding:
            process = self.rng.choice(holding)
            entry_ids = [item.entry_id for item in process.in_hand]
            process.drop()
            mode = self.rng.choice(("FAIL", "SILENT"))
            process.ask(self.node, f"XNACK {TOPIC} {GROUP} {mode} IDS {len(entry_ids)} {' '.join(entry_ids)}")

    def _kill(self) -> None:
        """The server is killed and started again; the processes live on and connect when they next have to."""
        self.node.kill()
        clock = self.node.clock
        clock.advance(self.rng.choice((10, 1000)))
        self.node = open_node("/data", self.disk, appendfsync="everysec")
        self.node.clock.ms, self.node.clock.seconds = clock.ms, clock.seconds
        self.node.tick()
        self.tool = asker(self.node)
        self.closed_at, self.known = {}, set()
        for process in self.processes:
            process.waiting = False
            process.client = self.node.client()
        self._first_use()

    def _first_use(self) -> None:
        """Let the group be used, so that the sessions of those who hold entries begin to run."""
        rows = self.tool(f"XPENDING {TOPIC} {GROUP}")[3] or []
        self.tool(f"XAUTOCLAIM {TOPIC} {GROUP} tool 0 0 COUNT 1")
        self.closed_at = {name: self.node.clock.seconds for name, _ in rows if name}

    def _disconnect(self, process: Process) -> None:
        assert process.client is not None
        self.node.node.disconnect(process.client)
        process.client, process.waiting = None, False
        if process.name in self.known:
            self.known.discard(process.name)
            self.closed_at[process.name] = self.node.node.now

    # -- what must hold ------------------------------------------------------------------------------------

    def _live(self) -> set[str]:
        now = self.node.node.now
        away = {name for name, since in self.closed_at.items() if since + self.timeout / 1000 > now}
        return self.known | away

    def _check_members(self) -> None:
        found: Any = self.node.node.find(TOPIC.encode())
        group = found.groups.get(GROUP.encode())
        members = {name.decode() for name in group.membership.members} if group else set()
        assert members == self._live(), f"members are {sorted(members)}, not {sorted(self._live())}"

    def _give(self, process: Process, items: list[Item]) -> None:
        """A process is given entries: look at each before it goes into its hands."""
        if not items:
            return
        if process.fenced:
            process.drop()
        live = self._live()
        for item in items:
            before = [other for other in self.unacknowledged[item.key] if other.count < item.count]
            missing = [other for other in before if other not in process.in_hand]
            assert not missing, f"{process.name} was given {item} before {missing[0]}"
            for other in [*self.processes, *self.zombies]:
                # What somebody else has acknowledged meanwhile, a zombie, is done for the server.
                open_items = [held for held in other.in_hand if held in self.unacknowledged[item.key]]
                holds = other is not process and not other.fenced and open_items
                assert not (holds and other.name in live), f"{item} went to {process.name}, {other.name} has its key"
            assert item not in process.in_hand, f"{process.name} was given {item} twice"
            process.in_hand.append(item)

    # -- the end -------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        """No more trouble: two processes at least, and everything is worked off."""
        self.zombies.clear()
        self._first_use_if_needed()
        while len(self.processes) < 2:
            self._come()
        for process in self.processes:
            process.hangs_until, process.blocks, process.count = 0.0, False, 20
            if process.waiting:
                self._disconnect(process)
                process.begin_anew()
                process.client = self.node.client()
        for _ in range(200):
            self._pass_time(self.timeout // 2 + 100)
            for process in self.processes:
                while process.in_hand:
                    process.handled = len(process.in_hand)
                    self._acknowledge(process)
                self._read(process, process.read_line(self.rng))
            if not any(self.unacknowledged.values()) and not any(process.in_hand for process in self.processes):
                break
        self._pass_time(self.timeout + 200)
        self._check_end()

    def _first_use_if_needed(self) -> None:
        if not self.known and not self.closed_at:
            self._first_use()

    def _check_end(self) -> None:
        left = [item for items in self.unacknowledged.values() for item in items]
        assert not left, f"never acknowledged: {left[:3]}"
        assert self.tool(f"XPENDING {TOPIC} {GROUP}")[0] == 0, "something is pending still"
        topic: Any = self.node.node.find(TOPIC.encode())
        for stream in topic.partitions:
            group = stream.groups[GROUP.encode()]
            unread = stream.live_ranges(group.next_ordinal, stream.end_ordinal)
            assert not unread, f"{stream.key} has unread entries"
        ownership = topic.groups[GROUP.encode()].ownership
        assert not ownership.moving
        sizes = [ownership.owners.count(process.name.encode()) for process in self.processes]
        assert max(sizes) - min(sizes) <= 1, f"out of balance: {ownership.owners}"
