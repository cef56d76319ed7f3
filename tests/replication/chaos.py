"""`python -m tests.replication.chaos --seconds N --seed S`: three servers as processes, and everything that can fail.

Servers are killed, stopped and continued; their connections, which lead through proxies, are cut, and nothing passes
one way or both; leaders are replaced in order and out of order. Clients write and read on. At the end everything is
healed, and what clients were told must be so, on all servers alike.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from tests.replication.chaos_clients import Broken, Client, Consumer, Pairs, Producer, Reader, order, promise
from tests.support import servers
from tests.support.replica_sets import ReplicaSet, info, sentinels, until
from tests.support.servers import HOST, Server
from tests.support.tcp_proxy import Proxies, Proxy

COUNT = 3
OPTIONS = (
    "--acks", "all", "--min.insync.replicas", "2", "--replica.lag.time.max.ms", "1500", "--segment.bytes", "100000",
)  # fmt: skip
DEAD_SECONDS = 1.5  # without a leader, before the operator has another one
HEALED_SECONDS = 60.0


class World:
    """The servers, what is between them, and who operates them."""

    def __init__(self, directory: Path, seed: int, proxies: Proxies, together: list[Server]) -> None:
        self.directory = directory
        self.random = random.Random(seed)
        self.proxies: list[Proxy] = proxies.each
        self.servers = together
        self.stopped: set[int] = set()
        self.killed: set[int] = set()
        self.events: Counter[str] = Counter()
        self.leaders: dict[int, set[int]] = {}  # by epoch
        self.operated = True
        self._led_at = time.monotonic()

    # -- what happens ------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        for index in self._some(self.random.choice((1, 1, 1, 2, 3))):
            self._continue(index)
            self.servers[index].kill()
            self.killed.add(index)

    def start(self) -> None:
        for index in list(self.killed):
            self.servers[index].start_again(loaded=False)  # that may need another one, which is down
            self.killed.discard(index)

    def stop(self) -> None:
        for index in self._some(1):
            self.servers[index].process.send_signal(signal.SIGSTOP)
            self.stopped.add(index)

    def go_on(self) -> None:
        for index in list(self.stopped):
            self._continue(index)

    def _continue(self, index: int) -> None:
        if index in self.stopped:
            self.servers[index].process.send_signal(signal.SIGCONT)
            self.stopped.discard(index)

    def cut(self) -> None:
        self.random.choice(self.proxies).cut(self.random.choice((1, 2, 1 << 30)))

    def stall(self) -> None:
        ways = self.random.choice(({True}, {False}, {True, False}))
        self.random.choice(self.proxies).stalled = frozenset(ways)

    def part(self) -> None:
        """One server is cut off from the others; clients reach it."""
        proxy = self.random.choice(self.proxies)
        proxy.refuses = True
        proxy.cut()

    def heal(self) -> None:
        for proxy in self.proxies:
            proxy.heal()

    def fail_over(self) -> None:
        for index in self._running():
            self._tell(index, "FAILOVER", "TIMEOUT", "1000")

    def promote(self) -> None:
        self._tell(self.random.choice(self._running() or [0]), "REPLICAOF", "NO", "ONE")

    def step(self) -> None:
        """Something happens, or ends."""
        choices: tuple[tuple[int, Callable[[], None]], ...] = (
            (3, self.kill), (6, self.start), (2, self.stop), (4, self.go_on), (2, self.cut), (2, self.stall),
            (1, self.part), (5, self.heal), (1, self.fail_over), (1, self.promote),
        )  # fmt: skip
        (event,) = self.random.choices([event for _, event in choices], [weight for weight, _ in choices])
        self.events[event.__name__] += 1
        event()
        self.note(
            f"{event.__name__}: killed {self.killed}, stopped {self.stopped}, "
            f"stalled { {i: set(p.stalled) for i, p in enumerate(self.proxies) if p.stalled} }, "
            f"refusing {[i for i, p in enumerate(self.proxies) if p.refuses]}"
        )

    def note(self, what: str) -> None:
        """Write down what happened when, beside the logs of the servers."""
        now = datetime.now(UTC)
        with (self.directory / "events.log").open("a") as file:
            file.write(f"{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03} {what}\n")

    def _some(self, count: int) -> list[int]:
        running = self._running()
        return self.random.sample(running, min(count, len(running)))

    def _running(self) -> list[int]:
        return [index for index in range(COUNT) if index not in self.killed and index not in self.stopped]

    # -- the operator --------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """See who leads, and have another one lead where nobody does, or where none can be reached."""
        facts = {index: info(self.servers[index]) for index in self._running()}
        led = False
        for index, lines in facts.items():
            if lines.get("role") == "master":
                self.leaders.setdefault(int(lines["leader_epoch"]), set()).add(index)
                proxy = self.proxies[index]
                led = led or not (proxy.stalled or proxy.refuses)
        now = time.monotonic()
        if led:
            self._led_at = now
        elif self.operated and now - self._led_at > DEAD_SECONDS:
            self._led_at = now
            chosen = [index for index, lines in facts.items() if lines.get("slave_priority") != "0"]
            if chosen or facts:
                self.events["promoted by the operator"] += 1
                index = self.random.choice(chosen or list(facts))
                self.note(f"the operator has server {index} lead")
                self._tell(index, "REPLICAOF", "NO", "ONE")

    def _tell(self, index: int, *words: str) -> None:
        with contextlib.suppress(OSError, AssertionError, redis.RedisError):
            client = redis.Redis(host=HOST, port=self.servers[index].port, socket_timeout=1, retry=None)
            with contextlib.closing(client):
                client.execute_command(*words)

    # -- the end -------------------------------------------------------------------------------------------------------

    def settle(self) -> Server:
        """Heal everything and wait until all servers are in sync; the leader."""
        self.go_on()
        self.start()
        self.heal()
        together = ReplicaSet(self.servers)

        def is_whole() -> bool:
            self.look()
            leaders = together.leaders()
            return len(leaders) == 1 and together.info(leaders[0]).get("in_sync_replicas") == str(COUNT)

        until(is_whole, "one leader with all in sync", HEALED_SECONDS)
        return together.leaders()[0]


@contextlib.contextmanager
def world(directory: Path, seed: int) -> Iterator[World]:
    """Three servers behind proxies, all in sync, with the streams of the clients."""
    with contextlib.ExitStack() as stack:
        proxies = Proxies(COUNT, seed)
        stack.callback(proxies.close)
        started: list[Server] = []
        for index, proxy in enumerate(proxies.each):
            where = directory / f"server-{index}"
            where.mkdir(parents=True)
            announced = ("--replica-announce-ip", HOST, "--replica-announce-port", str(proxy.port))
            follow = ("--replicaof", HOST, str(proxies.each[0].port)) if index else ()
            command = servers.command_for("respbroker", (*OPTIONS, *announced, *follow))
            server = servers.start(f"server-{index}", command, where)
            proxy.target = server.port
            stack.callback(lambda server=server: server.has_ended() or server.kill())
            started.append(server)
        made = World(directory, seed, proxies, started)
        leader = made.settle()
        with contextlib.closing(redis.Redis(host=HOST, port=leader.port)) as client:
            client.execute_command("XTOPIC", "CREATE", "quick", "PARTITIONS", "1", "CONFIG", "acks", "1")
            client.execute_command("XTOPIC", "CREATE", "parts", "PARTITIONS", "3")
            client.execute_command("XGROUP", "CREATE", "safe", "g", "0", "MKSTREAM")
        yield made


def clients_of(made: World) -> list[Client]:
    """Who writes and reads."""
    ports, seed = [server.port for server in made.servers], made.random.randrange(1 << 30)
    return [
        *(Producer(ports, "safe", f"safe-{n}") for n in range(2)),
        Producer(ports, "quick", "quick-0"),
        Producer(ports, "parts", "parts-0"),
        Pairs(ports, ("left", "right"), "pairs"),
        *(Consumer(ports, "safe", f"consumer-{n}", seed + n) for n in range(2)),
        *(Reader(ports, stream, f"reader of {stream}", seed) for stream in ("safe", "quick", "parts")),
    ]


def run(directory: Path, seed: int, seconds: float, *, with_sentinels: bool = False) -> str:
    """Let all happen for so long, then check. A sentence about it. Raises Broken, or AssertionError: it hangs."""
    with world(directory, seed) as made, contextlib.ExitStack() as stack:
        if with_sentinels:
            stack.enter_context(sentinels(directory, made.proxies[0].port))
            made.operated = False
        clients = clients_of(made)
        for client in clients:
            client.start()
        end = time.monotonic() + seconds
        next_step = 0.0
        while time.monotonic() < end:
            made.look()
            if time.monotonic() >= next_step:
                made.step()
                next_step = time.monotonic() + made.random.expovariate(1 / 0.5)
            time.sleep(0.05)  # between two looks
        leader = made.settle()
        for client in clients:
            client.end()
        leader = made.settle()
        check(made, leader, clients)
        written = sum(len(client.acknowledged) for client in clients if isinstance(client, Producer | Pairs))
        refused = sum(client.refusals for client in clients)
        happened = ", ".join(f"{count} x {name}" for name, count in made.events.most_common())
        return f"seed {seed}: {written} writes, {refused} refusals, {len(made.leaders)} epochs; {happened}"


def check(made: World, leader: Server, clients: list[Client]) -> None:
    """Everything promised is so."""
    for epoch, led in made.leaders.items():
        promise(len(led) == 1, f"servers {led} led in epoch {epoch}")
    states = [state_of(server) for server in made.servers]
    for server, state in zip(made.servers, states, strict=True):
        for name, mine, other in zip(NAMES, state, state_of(leader), strict=True):
            promise(mine == other, f"{name} on {server.name} is not as on the leader {leader.name}")
    entries, (pending, cursor) = states[0][: len(STREAMS)], states[0][-1]
    stored: dict[str, Any] = dict(zip(STREAMS, entries, strict=True))
    for name, found in stored.items():
        ids = [order(entry) for entry, _ in found]
        promise(ids == sorted(set(ids)), f"IDs of {name} do not rise")
    for client in clients:
        if isinstance(client, Producer):
            client.check(stored[client.stream], all_of_them=client.stream != "quick")
        elif isinstance(client, Pairs):
            client.check(stored[client.streams[0]], stored[client.streams[1]])
        elif isinstance(client, Consumer):
            client.check(pending, cursor)
        elif isinstance(client, Reader):
            client.check(stored[client.stream])
    consumers = [client for client in clients if isinstance(client, Consumer)]
    for one in consumers:
        for other in consumers:
            twice = set(one.received) & set(other.received) if one is not other else ()
            promise(not twice, f"{twice} went to {one.name} and to {other.name}")


STREAMS = ("safe", "quick", "parts", "left", "right")
NAMES = (*STREAMS, "the group")


def state_of(server: Server) -> tuple[Any, ...]:
    """All entries of all streams, and what is pending with whom, and the group's cursor."""
    with contextlib.closing(redis.Redis(host=HOST, port=server.port, decode_responses=True, protocol=2)) as client:
        found = [[(entry, fields) for entry, fields in client.xrange(name)] for name in STREAMS]
        pending = {row["message_id"]: row["consumer"] for row in client.xpending_range("safe", "g", "-", "+", 1 << 30)}
        (group,) = client.xinfo_groups("safe")
        return (*found, (pending, group["last-delivered-id"]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.replication.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="of chaos, for each seed")
    parser.add_argument("--seed", type=int, default=1, help="the first")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--sentinels", action="store_true", help="three of them decide who leads")
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.seeds):
        directory = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
        try:
            print(run(directory, seed, options.seconds, with_sentinels=options.sentinels), flush=True)
            shutil.rmtree(directory)
        except AssertionError as failure:
            failed += 1
            kind = "broken" if isinstance(failure, Broken) else "failed"
            print(f"seed {seed}: {kind}: {str(failure)[:2000]}; logs are in {directory}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
