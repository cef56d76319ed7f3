"""What `linger.ms` costs and gives: XADDs with keys to a topic of 16 partitions, with ``appendfsync always``.

    python -m tests.benchmarks.lingering [--rounds N] [--scale X] [--directory DIR] [--clients N]

Connections that each wait for a reply before they send the next; a fresh server for each value. Operations per second,
latencies and the server's CPU time are medians of the rounds; bytes and batches are what the topic's logs hold at the
end, for one entry.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from storage import Log, LogConfig, OsFileSystem
from tests.benchmarks.loader import redis_benchmark
from tests.benchmarks.peers import OURS, running
from tests.benchmarks.report import machine
from tests.benchmarks.scenarios import Scale, sampled

LINGERS_MS = (0, 1, 5, 20)
PARTITIONS, KEYS, VALUE_BYTES, OPERATIONS = 16, 100_000, 100, 20_000
WORDS = ["XADD", "t", "*", "customer", "__rand_int__", "value", "x" * VALUE_BYTES]


def on_disk(directory: Path) -> tuple[int, int]:
    """Bytes and batches of all streams of a server that has stopped."""
    size = batches = 0
    for path in sorted(directory.rglob("streams/*/")):
        log = Log.open(OsFileSystem(), str(path), LogConfig(), clock_ms=0)
        size += log.size
        batches += sum(segment.batch_count for segment in log.segments.all)
        log.close()
    return size, batches


def measure(linger_ms: int, clients: int, rounds: int, scale: Scale, root: str | None) -> str:
    """A row of the table."""
    with running(root, "always", (), (OURS,)) as [target]:
        settings = ["key.field", "customer", "linger.ms", linger_ms]
        target.call("XTOPIC", "CREATE", "t", "PARTITIONS", PARTITIONS, "CONFIG", *settings)
        count = scale(OPERATIONS, clients)
        samples = [
            sampled(target, 1, lambda: redis_benchmark(target.port, count, WORDS, clients=clients, keyspace=KEYS))
            for _ in range(rounds + 1)
        ]
        entries = target.lengths([f"t/{index}" for index in range(PARTITIONS)])
        target.server.stop()
        size, batches = on_disk(target.server.directory)
    rate, p50, p99, cpu = (
        statistics.median(figures)
        for figures in zip(
            *((s.figure, s.p50_ms, s.p99_ms, s.server_cpu / s.operations * 1e6) for s in samples[1:]), strict=True
        )
    )
    return (
        f"| {linger_ms} | {rate:,.0f} | {p50:.1f} | {p99:.1f} | {cpu:.0f} µs | {size / entries:.0f} "
        f"| {entries / batches:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lingering", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="length of the rounds")
    parser.add_argument("--directory", metavar="DIR", help="where the servers keep their files")
    parser.add_argument("--clients", type=int, default=50, metavar="N")
    wanted = parser.parse_args()
    print("| linger.ms | ops/s | p50 ms | p99 ms | CPU per XADD | bytes per entry | entries per batch |")
    print("|---|---|---|---|---|---|---|")
    for linger_ms in LINGERS_MS:
        print(measure(linger_ms, wanted.clients, wanted.rounds, Scale(wanted.scale), wanted.directory), flush=True)
    print(machine())


if __name__ == "__main__":
    main()
