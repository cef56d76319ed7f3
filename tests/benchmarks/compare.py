"""respbroker beside Redis and Valkey on this machine: the same load, the same durability, in turns.

    python -m tests.benchmarks.compare [--only NAME ...] [--quick] [--rounds N] [--gb N] [--json FILE] [--chart FILE]

Every workload has fresh servers, a warm-up that is not counted, and rounds in rotated order; a table of medians is
printed. `--list` names the workloads. It needs redis-benchmark, and the packages of the extra `tests`.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.loader import WrongReply, drive
from tests.benchmarks.measure import Sample, Summary
from tests.benchmarks.null_peer import null_peer
from tests.benchmarks.peers import NAMES, PROMISES, Target, running
from tests.benchmarks.report import Row, as_json, chart, details, machine, table
from tests.benchmarks.scenarios import Scale
from tests.benchmarks.workloads import WORKLOADS, Workload
from tests.support.servers import NotStarted

QUICK = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status is 0 whatever the figures are; 1 where a server answered wrongly."""
    wanted = _parser().parse_args(arguments)
    chosen = [w for w in WORKLOADS if not wanted.only or any(fnmatch.fnmatch(w.name, n) for n in wanted.only)]
    if wanted.list:
        print("\n".join(f"{workload.name:20} {workload.title}" for workload in chosen))
        return 0
    if wanted.check_loader:
        check_loader()
        return 0
    rounds = wanted.rounds or (2 if wanted.quick else 5)
    scale = Scale(wanted.scale or (QUICK if wanted.quick else 1.0), wanted.gb or (0.05 if wanted.quick else 1.0))
    rows: list[Row] = []
    wrong: list[str] = []
    settings = {"rounds": rounds, "scale": scale.factor, "gigabytes": scale.gigabytes, "failed": wrong}
    for workload in chosen:
        try:
            rows.append(measured(workload, scale, rounds, wanted))
            print(table(rows[-1:]).splitlines()[2], flush=True)
        except (WrongReply, NotStarted, AssertionError) as problem:
            wrong.append(f"{workload.name}: {problem}")
            print(wrong[-1], file=sys.stderr, flush=True)
        if wanted.json:  # after each, so that a run that is broken off was not for nothing
            Path(wanted.json).write_text(as_json(rows, settings))
        if wanted.chart:
            Path(wanted.chart).write_text(chart(rows))
    print("\n" + table(rows) + "\n" + details(rows))
    print("\n".join(f"appendfsync {name}: {PROMISES[name]}" for name in _policies(chosen, wanted.appendfsync)))
    print(machine())
    return 1 if wrong else 0


def measured(workload: Workload, scale: Scale, rounds: int, wanted: argparse.Namespace) -> Row:
    """All rounds of one workload on fresh servers.

    Raises:
        WrongReply: a server answered with an error, or with another number of entries.
    """
    rounds = min(rounds, workload.rounds_max or rounds)
    samples: dict[str, list[Sample]] = {name: [] for name in wanted.servers}
    policy = wanted.appendfsync or workload.appendfsync
    with running(wanted.directory, policy, workload.ours, tuple(wanted.servers)) as targets:
        for target in targets:
            workload.scenario.prepare(target, scale)
        if workload.rounds_max is None:
            for target in targets:
                workload.scenario.round(
                    target, Scale(scale.factor / 4, scale.gigabytes) if _shrinks(workload) else scale
                )
        for number in range(rounds):
            for target in rotated(targets, number):
                samples[target.name].append(workload.scenario.round(target, scale))
                time.sleep(wanted.pause)  # lets a sync that is due end before the next server has its turn
    return Row(workload, {name: Summary.of(found) for name, found in samples.items()})


def _shrinks(workload: Workload) -> bool:
    """Whether a round may be smaller than what was prepared."""
    return workload.name.startswith(("ping", "xadd", "always"))


def rotated(targets: list[Target], number: int) -> list[Target]:
    """Another one begins each round."""
    shift = number % len(targets)
    return targets[shift:] + targets[:shift]


def check_loader() -> None:
    """How fast the raw loader is against a peer that does nothing."""
    for size in (1_500, 15_000, 150_000):
        with null_peer(b"x" * size) as port:
            load = drive(port, [[b"?"] * 2000 for _ in range(10)], size=size)
        print(f"replies of {size:7} bytes: {load.operations / load.seconds:9,.0f}/s, loader {load.loader_share:.0%}")


def _policies(chosen: Sequence[Workload], forced: str | None) -> list[str]:
    return sorted({forced or workload.appendfsync for workload in chosen})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compare", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="workloads, as names or patterns")
    parser.add_argument("--servers", nargs="+", default=list(NAMES), choices=NAMES, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="two short rounds, small data")
    parser.add_argument("--rounds", type=int, metavar="N", help="5 by default")
    parser.add_argument(
        "--scale", type=float, metavar="X", help="length of the rounds and size of the data, 1 by default"
    )
    parser.add_argument("--gb", type=float, metavar="N", help="size of the large streams together, 1 by default")
    parser.add_argument("--appendfsync", choices=sorted(PROMISES), help="instead of what each workload asks for")
    parser.add_argument("--directory", metavar="DIR", help="where the servers keep their files")
    parser.add_argument("--pause", type=float, default=0.1, metavar="SECONDS", help="between two rounds")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--chart", metavar="FILE", help="an SVG")
    parser.add_argument("--check-loader", action="store_true", help="how fast the raw loader is by itself")
    parser.add_argument("--list", action="store_true", help="name the workloads")
    return parser


if __name__ == "__main__":
    sys.exit(main())
