"""What order costs: four consumers of a group on 16 partitions, shared and ordered in turns.

    python -m tests.benchmarks.ordered [--rounds N] [--scale X]

One server and one topic, the group anew for each round; medians of entries per second and of the server's CPU time for
one entry, and the ratio of ordered to shared. The consumers are those of the comparison's whole pipeline: they read up
to 100 entries, acknowledge them and parse nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from tests.benchmarks.consumer import FIELD, VALUE
from tests.benchmarks.loader import drive, request
from tests.benchmarks.peers import OURS, Target, running
from tests.benchmarks.report import machine
from tests.benchmarks.scenarios import GROUP, KEY, Scale, expect

MODES = ("shared", "ordered")
PARTITIONS, CONSUMERS, ENTRIES, BATCH = 16, 4, 400_000, 200


def fill(target: Target, entries: int) -> None:
    """As many entries in each partition, appended in batches."""
    for index in range(PARTITIONS):
        piece = request("XADD", f"{KEY}/{index}", "*", FIELD, VALUE) * BATCH
        drive(target.port, [[piece] * (entries // PARTITIONS // BATCH)], lines=2 * BATCH)
    expect("entries", target.number("XLEN", KEY), entries)


def consume(target: Target, mode: str, entries: int) -> tuple[float, float, float]:
    """One round: entries per second, microseconds of server CPU for one, and the consumers' share of a core."""
    target.call("XTOPIC", "ALTER", KEY, "CONFIG", "group.mode", mode)
    target.restart_group(KEY, GROUP)
    command = [sys.executable, "-m", "tests.benchmarks.consumer", *map(str, (target.port, CONSUMERS, entries))]
    began, cpu = time.perf_counter(), target.cpu_seconds
    done = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    seconds = time.perf_counter() - began
    expect("pending afterwards", target.pending(KEY, GROUP), 0)
    expect("acknowledged", int(done[1]), entries)
    return entries / seconds, (target.cpu_seconds - cpu) / entries * 1e6, float(done[3]) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ordered", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="length of the rounds")
    wanted = parser.parse_args()
    entries = Scale(wanted.scale)(ENTRIES, PARTITIONS * BATCH)
    rounds: dict[str, list[tuple[float, float, float]]] = {mode: [] for mode in MODES}
    with running(None, "everysec", (), (OURS,)) as [target]:
        target.call("XTOPIC", "CREATE", KEY, "PARTITIONS", PARTITIONS)
        fill(target, entries)
        for number in range(wanted.rounds + 1):
            for mode in MODES if number % 2 else MODES[::-1]:
                round_ = consume(target, mode, entries)
                if number:  # the first is to warm up
                    rounds[mode].append(round_)
    print("| group | entries/s | CPU of an entry | consumers' share of a core |\n|---|---:|---:|---:|")
    medians = {
        mode: [statistics.median(column) for column in zip(*found, strict=True)] for mode, found in rounds.items()
    }
    for mode, (rate, cpu, share) in medians.items():
        print(f"| {mode} | {rate:,.0f} | {cpu:.2f} µs | {share:.0%} |")
    shared, ordered = medians["shared"], medians["ordered"]
    print(f"| ratio | {ordered[0] / shared[0]:.2f} | {shared[1] / ordered[1]:.2f} | |")
    print(machine())


if __name__ == "__main__":
    main()
