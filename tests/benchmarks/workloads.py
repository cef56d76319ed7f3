"""The table of workloads: names, what is compared, and what is aimed at."""

from __future__ import annotations

import attrs

from tests.benchmarks.extents import BlockedReaders, IdleConnections, PendingMemory, ResidentMemory, Restart, Tail
from tests.benchmarks.scenarios import Acknowledge, Append, GroupRead, PendingPages, Ping, Pipeline, Read, Scenario

RATE, LATENCY, MEMORY, TIME = "ops/s", "ms p99", "MB", "s"
_SEALED = ("--segment.bytes", "1mb")


@attrs.frozen
class Workload:
    """One row of the table.

    ``aim`` is the least ratio to the faster peer (of rates; of times and sizes it is the peer's divided by ours);
    ``limit`` the most that our own figure may be. ``ours`` are settings of respbroker alone.
    """

    name: str
    title: str
    scenario: Scenario
    aim: float | None = None
    limit: float | None = None
    figure: str = RATE
    appendfsync: str = "everysec"
    ours: tuple[str, ...] = ()
    rounds_max: int | None = None  # where a round is long, or changes what the next one finds


def _add(
    name: str, title: str, aim: float, operations: int, clients: int, pipeline: int = 1, **more: object
) -> Workload:
    policy = str(more.pop("appendfsync", "everysec"))
    scenario = Append(operations, clients, pipeline, **more)  # type: ignore[arg-type]  # reason: fields of Append
    return Workload(name, title, scenario, aim, appendfsync=policy)


def _reads(prefix: str, title: str, aims: dict[int, float], batch: int, ours: tuple[str, ...] = ()) -> list[Workload]:
    operations = {10: 60_000, 100: 30_000, 1000: 6_000}
    stored = 200_000 if batch > 1 else 40_000
    return [
        Workload(
            f"{command.lower()}-{prefix}-{count}",
            f"{command} COUNT {count}, {title}",
            Read(command, count, operations[count], stored, batch),
            aim,
            ours=ours,
        )
        for command in ("XRANGE", "XREAD")
        for count, aim in aims.items()
    ]


WORKLOADS: tuple[Workload, ...] = (
    Workload("ping", "PING, 50 connections", Ping(100_000, 50), 1.0),
    _add("xadd-p1", "XADD, 50 connections, no pipelining", 1.0, 100_000, 50),
    _add("xadd-p16", "XADD, 50 connections, pipeline 16", 1.0, 400_000, 50, 16),
    _add("xadd-p100", "XADD, 10 connections, pipeline 100", 1.0, 400_000, 10, 100),
    _add("xadd-10b", "XADD of 10 bytes, 50 connections, pipeline 16", 1.0, 400_000, 50, 16, value_size=10),
    _add("xadd-1kb", "XADD of 1 kB, 50 connections, pipeline 16", 1.0, 100_000, 50, 16, value_size=1000),
    _add("xadd-10kb", "XADD of 10 kB, 50 connections, pipeline 16", 1.0, 20_000, 50, 16, value_size=10_000),
    _add("always-c1", "XADD always, 1 connection", 1.0, 4_000, 1, appendfsync="always"),
    _add("always-c50", "XADD always, 50 connections", 1.2, 60_000, 50, appendfsync="always"),
    _add("always-c200", "XADD always, 200 connections", 1.2, 100_000, 200, appendfsync="always"),
    _add("always-p100", "XADD always, 10 connections, pipeline 100", 1.2, 300_000, 10, 100, appendfsync="always"),
    _add(
        "xadd-maxlen",
        "XADD MAXLEN ~ 10000, 50 connections, pipeline 16",
        1.0,
        400_000,
        50,
        16,
        trim=("MAXLEN", "~", "10000"),
    ),
    _add(
        "xadd-1000-streams", "XADD over 1000 streams, 50 connections, pipeline 16", 1.0, 200_000, 50, 16, streams=1000
    ),
    *_reads("batched", "written in batches", {10: 0.9, 100: 2.0, 1000: 5.0}, 200),
    *_reads("sealed", "written one by one, sealed", {1000: 2.0}, 1, _SEALED),
    *_reads("active", "written one by one, active", {1000: 1.0}, 1),
    Workload("xreadgroup-1", "XREADGROUP > COUNT 1", GroupRead(1, 60_000), 1.0),
    Workload("xreadgroup-10", "XREADGROUP > COUNT 10", GroupRead(10, 400_000), 3.0),
    Workload("xreadgroup-100", "XREADGROUP > COUNT 100", GroupRead(100, 600_000), 10.0),
    Workload("xreadgroup-1000", "XREADGROUP > COUNT 1000", GroupRead(1000, 600_000), 20.0),
    Workload("xack-100", "XACK, 100 IDs a call", Acknowledge(100, 400_000), 1.0),
    Workload("xack-1", "XACK, 1 ID a call, pipeline 100", Acknowledge(1, 300_000, 100), 0.7),
    Workload("xautoclaim", "XAUTOCLAIM, pages of 100 of a million", PendingPages("XAUTOCLAIM", 1_000_000, 10_000), 1.0),
    Workload("xpending", "XPENDING, pages of 100 of a million", PendingPages("XPENDING", 1_000_000, 20_000), 1.0),
    Workload("pipeline", "XADD P16, four consumers XREADGROUP and XACK 100", Pipeline(400_000), 3.0),
    Workload("tail", "delivery at 10k/s beside a scan of history", Tail(4.0), 1.0, figure=LATENCY),
    Workload("memory", "resident memory, large streams", ResidentMemory(), None, 150, MEMORY, rounds_max=2),
    Workload("memory-pending", "memory of a million pending", PendingMemory(1_000_000), None, 10, MEMORY, rounds_max=1),
    Workload("restart", "restart after kill -9, large streams", Restart(), None, 1.0, TIME, rounds_max=3),
    Workload("restart-streams", "restart, 10,000 streams", Restart(10_000), None, 5.0, TIME, rounds_max=3),
    Workload("idle", "PING beside 10,000 idle connections", IdleConnections(10_000), 1.0, figure=LATENCY, rounds_max=3),
    Workload("blocked", "10,000 blocked readers woken", BlockedReaders(10_000), 1.0, figure=LATENCY, rounds_max=3),
)
