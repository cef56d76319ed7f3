"""What partitions cost: the same XADDs with keys to a plain stream and to a topic of 16 partitions, in turns.

    python -m tests.benchmarks.topics [--rounds N] [--scale X]

One server, the same words, rounds that alternate; medians of operations per second and of the server's CPU time for one
operation, and the ratio of the topic to the stream. On a busy machine the CPU time is the better measure.
"""

from __future__ import annotations

import argparse
import statistics

from tests.benchmarks.loader import redis_benchmark
from tests.benchmarks.measure import Sample
from tests.benchmarks.peers import OURS, Target, running
from tests.benchmarks.report import machine
from tests.benchmarks.scenarios import Scale, expect, sampled

STREAM, TOPIC = "plain", "topic"
KEYS, PARTITIONS, VALUE_BYTES = 100_000, 16, 100
LOADS = ((50, 16, 400_000), (50, 1, 100_000), (1, 1, 20_000))  # connections, pipeline, operations


def measure(target: Target, key: str, clients: int, pipeline: int, operations: int) -> Sample:
    """One round."""
    words = ["XADD", key, "*", "customer", "__rand_int__", "value", "x" * VALUE_BYTES]
    before = entries(target, key)
    sample = sampled(
        target,
        1,
        lambda: redis_benchmark(target.port, operations, words, clients=clients, pipeline=pipeline, keyspace=KEYS),
    )
    expect("entries added", entries(target, key) - before, operations, operations + clients * pipeline)
    return sample


def entries(target: Target, key: str) -> int:
    """How many entries the key has."""
    keys = [key] if key == STREAM else [f"{key}/{index}" for index in range(PARTITIONS)]
    return target.lengths(keys)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.topics", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="length of the rounds")
    wanted = parser.parse_args()
    scale = Scale(wanted.scale)
    print(
        "| XADD | stream ops/s | topic ops/s | ratio | stream CPU | topic CPU | ratio |\n|---|---|---|---|---|---|---|"
    )
    with running(None, "everysec", (), (OURS,)) as [target]:
        target.call("XTOPIC", "CREATE", STREAM)
        target.call("XTOPIC", "CREATE", TOPIC, "PARTITIONS", PARTITIONS, "CONFIG", "key.field", "customer")
        for clients, pipeline, operations in LOADS:
            count = scale(operations, clients * pipeline)
            samples: dict[str, list[Sample]] = {STREAM: [], TOPIC: []}
            for number in range(wanted.rounds + 1):
                for key in (STREAM, TOPIC) if number % 2 else (TOPIC, STREAM):
                    sample = measure(target, key, clients, pipeline, count)
                    if number:  # the first is to warm up
                        samples[key].append(sample)
            rate = {key: statistics.median(each.figure for each in found) for key, found in samples.items()}
            cpu = {
                key: statistics.median(each.server_cpu / each.operations * 1e6 for each in found)
                for key, found in samples.items()
            }
            print(
                f"| {clients} connections, pipeline {pipeline} | {rate[STREAM]:,.0f} | {rate[TOPIC]:,.0f} "
                f"| {rate[TOPIC] / rate[STREAM]:.2f} | {cpu[STREAM]:.2f} µs | {cpu[TOPIC]:.2f} µs "
                f"| {cpu[STREAM] / cpu[TOPIC]:.2f} |",
                flush=True,
            )
    print(machine())


if __name__ == "__main__":
    main()
