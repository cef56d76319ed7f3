"""A fresh follower of a leader with data: how fast it has everything, and what its leader notices of that."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from tests.benchmarks.measure import Peak, percentile
from tests.benchmarks.pairs import follow, target, until_level
from tests.benchmarks.peers import OURS, Target
from tests.benchmarks.report import number
from tests.benchmarks.scenarios import Scale

STREAMS, VALUE_BYTES = 10, 1000
PING_SECONDS = 0.002  # between two
IN_MEMORY_GB_MAX = 2.0  # of the others, which hold everything in memory, twice while they copy


@attrs.frozen
class Copy:
    """One copy."""

    megabytes: float
    seconds: float
    leader_mb: float
    follower_mb: float
    leader_cpu: float
    follower_cpu: float
    ping_p50_ms: float
    ping_p99_ms: float
    ping_max_ms: float


@contextlib.contextmanager
def pinging(server: Target) -> Iterator[list[float]]:
    """Seconds that each of the PINGs took which are sent one after the other while the block runs."""
    latencies: list[float] = []
    ended = threading.Event()

    def ping() -> None:
        with server.server.connect(timeout=60) as wire:
            while not ended.wait(PING_SECONDS):
                began = time.perf_counter()
                wire.call("PING")
                latencies.append(time.perf_counter() - began)

    thread = threading.Thread(target=ping)
    thread.start()
    try:
        yield latencies
    finally:
        ended.set()
        thread.join()


def copy(leader: Target, root: Path | None, megabytes: float) -> Copy:
    """A fresh follower, until it is level."""
    with target(leader.name, root) as follower:
        leader_cpu, follower_cpu = leader.cpu_seconds, follower.cpu_seconds
        peaks = Peak(leader.server.process.pid), Peak(follower.server.process.pid)
        with peaks[0], peaks[1], pinging(leader) as latencies:
            began = time.perf_counter()
            follow(follower, leader)
            until_level(follower)
            seconds = time.perf_counter() - began
        latencies.sort()
        entries = [each.lengths([f"s{at}" for at in range(STREAMS)]) for each in (leader, follower)]
        assert entries[0] == entries[1], entries
        return Copy(
            megabytes, seconds, peaks[0].mb, peaks[1].mb, leader.cpu_seconds - leader_cpu,
            follower.cpu_seconds - follower_cpu, *(percentile(latencies, share) * 1e3 for share in (0.5, 0.99, 1.0)),
        )  # fmt: skip


def catching_up(rounds: int, scale: Scale, names: Sequence[str], root: Path | None) -> None:
    """A table; no more than three rounds, for each writes everything once more."""
    print(
        "| copy of 10 streams | MB/s until level | leader: largest MB | follower: largest MB | CPU s a GB: leader "
        "| follower | PING p50 ms | p99 | largest |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for name in names:
        gigabytes = scale.gigabytes if name == OURS else min(scale.gigabytes, IN_MEMORY_GB_MAX)
        with target(name, root) as leader:
            entries = max(200, int(gigabytes * 1e9 / STREAMS / (VALUE_BYTES + 60)))
            for at in range(STREAMS):
                leader.fill(f"s{at}", entries, VALUE_BYTES)
            megabytes = leader.disk_bytes / 1e6
            found = [copy(leader, root, megabytes) for _ in range(min(rounds, 3))]
        print(line(name, found), flush=True)


def line(name: str, copies: Sequence[Copy]) -> str:
    """A row of the table."""

    def middle(field: str) -> float:
        return statistics.median(getattr(each, field) for each in copies)

    rates = [each.megabytes / each.seconds for each in copies]
    rate, low, high = map(number, (statistics.median(rates), min(rates), max(rates)))
    gigabytes = copies[0].megabytes / 1e3
    return (
        f"| {name}, {gigabytes:.2g} GB | {rate} ({low}–{high}) "
        f"| {middle('leader_mb'):.0f} | {middle('follower_mb'):.0f} | {middle('leader_cpu') / gigabytes:.2f} "
        f"| {middle('follower_cpu') / gigabytes:.2f} | {middle('ping_p50_ms'):.2f} | {middle('ping_p99_ms'):.2f} "
        f"| {middle('ping_max_ms'):.1f} |"
    )
