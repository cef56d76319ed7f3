"""`python -m tests.replication.rolling`: every server is restarted under load; how long is nothing acknowledged?

Three servers, ``acks all``, ``min.insync.replicas`` 2, each on one machine, and a producer that adds one entry after
the other and goes to the next server when one refuses or is gone. Followers are restarted by SIGTERM; a leader hands
over with FAILOVER first. Then the leader is killed with -9, three redis-sentinels have another one lead, and the
producer asks these. Every time is the longest one between two acknowledged writes.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.sentinel import Sentinel

from tests.replication.chaos_clients import Producer
from tests.support.replica_sets import SET_NAME, ReplicaSet, replica_set, sentinels, until
from tests.support.servers import HOST, Server

OPTIONS = ("--acks", "all", "--min.insync.replicas", "2")
DOWN_AFTER_MS = 2000


class Steady(Producer):
    """A producer that knows when each write was acknowledged."""

    def __init__(self, ports: Sequence[int], sentinel: Sentinel | None = None) -> None:
        super().__init__(ports, "s", "steady")
        self.times: list[float] = []
        options: dict[str, Any] = {"socket_timeout": 2, "protocol": 2, "decode_responses": True, "retry": None}
        self._client = sentinel.master_for(SET_NAME, **options) if sentinel is not None else None

    def ask(self, *words: object) -> object:
        if self._client is None:
            return super().ask(*words)
        try:
            return self._client.execute_command(*words)
        except redis.RedisError:
            self.over.wait(0.02)  # before it is tried again
            raise

    def once(self) -> None:
        super().once()
        self.times.append(time.monotonic())

    def longest_gap(self, since: float) -> float:
        """Seconds between two writes, from a moment on."""
        enough = len(self.times) + 10  # what was under way when it happened may have been acknowledged before
        until(lambda: len(self.times) >= enough, "writes are acknowledged again")
        times = [since, *(moment for moment in self.times if moment > since)]
        return max(later - earlier for earlier, later in itertools.pairwise(times))


@contextlib.contextmanager
def producing(together: ReplicaSet, sentinel: Sentinel | None = None) -> Iterator[Steady]:
    """A producer at work; what it was told is checked at the end, on every server."""
    producer = Steady([server.port for server in together.servers], sentinel)
    producer.start()
    try:
        until(lambda: len(producer.times) > 100, "writes are acknowledged")
        yield producer
    finally:
        producer.end()
    together.wait_until_in_sync()
    for server in together.servers:
        with redis.Redis(host=HOST, port=server.port, decode_responses=True, protocol=2) as client:
            producer.check(client.xrange("s"), all_of_them=True)


def roll(together: ReplicaSet, server: Server) -> str:
    """Restart a server; a leader hands over before. What it was, in words."""
    part = "follower"
    if together.leads(server):
        part = "leader"
        assert server.call("FAILOVER") == b"+OK\r\n"
        until(lambda: together.info(server).get("role") == "slave", "another one leads")
    server.stop()
    server.start_again()
    together.wait_until_in_sync()
    return part


def measure_rolling(directory: Path, rounds: int) -> list[tuple[str, float]]:
    """What was restarted, and the longest gap meanwhile."""
    directory.mkdir()
    found: list[tuple[str, float]] = []
    with replica_set(directory, *OPTIONS) as together, producing(together) as producer:
        for _ in range(rounds):
            leader = together.wait_until_in_sync()
            for server in sorted(together.servers, key=lambda each: each is leader):  # the leader last
                since = time.monotonic()
                part = roll(together, server)
                found.append((f"a {part} is restarted", producer.longest_gap(since)))
    return found


def measure_failovers(directory: Path, rounds: int) -> list[tuple[str, float]]:
    """FAILOVER from one to the next and on."""
    directory.mkdir()
    found: list[tuple[str, float]] = []
    with replica_set(directory, *OPTIONS) as together, producing(together) as producer:
        for _ in range(rounds):
            leader = together.wait_until_in_sync()
            since = time.monotonic()
            assert leader.call("FAILOVER") == b"+OK\r\n"
            until(lambda: not together.leads(leader), "another one leads")  # noqa: B023  # it is called here
            together.wait_until_in_sync()
            found.append(("FAILOVER", producer.longest_gap(since)))
    return found


def measure_sentinel(directory: Path) -> list[tuple[str, float]]:
    """The leader is killed under redis-sentinel."""
    directory.mkdir()
    with (
        replica_set(directory, *OPTIONS) as together,
        sentinels(directory, together.servers[0].port, down_after_ms=DOWN_AFTER_MS, failover_timeout_ms=10000) as each,
    ):
        sentinel = Sentinel([(HOST, server.port) for server in each], socket_timeout=1)
        until(lambda: len(sentinel.discover_slaves(SET_NAME)) == 2, "sentinels know the followers")
        with producing(together, sentinel) as producer:
            leader = together.wait_until_in_sync()
            since = time.monotonic()
            leader.kill()
            gap = producer.longest_gap(since)
            leader.start_again()
    return [(f"a leader is killed, redis-sentinel with down-after-milliseconds {DOWN_AFTER_MS}", gap)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.replication.rolling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is done")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rolling-") as name:
        directory = Path(name)
        found = measure_failovers(directory / "failover", 3 * options.rounds)
        found += measure_rolling(directory / "rolling", options.rounds)
        for number in range(options.rounds):
            found += measure_sentinel(directory / f"sentinel-{number}")
    for what in dict.fromkeys(what for what, _ in found):
        gaps = sorted(gap * 1000 for each, gap in found if each == what)
        middle = gaps[len(gaps) // 2]
        print(f"{what}: {middle:.0f} ms without an acknowledged write, at most {gaps[-1]:.0f} (of {len(gaps)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
