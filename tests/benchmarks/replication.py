"""What a replica costs, and how fast one catches up: each server with one follower, beside the same without.

    python -m tests.benchmarks.replication [--only NAME ...] [--rounds N] [--scale X] [--gb N] [--directory DIR]

`one-*`: XADD with ``acks 1`` and a follower, beside a server of the same program that has none. `all-*`: XADD with
``acks all`` and ``min.insync.replicas 2``, beside XADD and WAIT 1 at Redis and Valkey; `p1` are 50 connections with one
request in flight on each, `c1` to `c400` as many as that. `copy`: a fresh follower until it has everything. Rounds
take turns; medians. Leader, follower and load are three programs: where there are two cores, everything is measured
twice, freely and with the leader on a core of its own, as on a machine of its own. The load is that of the raw loader,
for redis-benchmark would need more of the follower's core than there is.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from tests.benchmarks.catching_up import catching_up
from tests.benchmarks.loader import Load, drive, request
from tests.benchmarks.pairs import Pair, pair
from tests.benchmarks.peers import NAMES, OURS
from tests.benchmarks.report import machine, number
from tests.benchmarks.scenarios import KEY, Scale, expect

VALUE = "x" * 100
ADD = ("XADD", KEY, "*", "field", VALUE)
LOADS = {  # connections, pipeline, entries
    "p16": (50, 16, 400_000),
    "p100": (10, 100, 600_000),
    "p1": (50, 1, 60_000),
    "c1": (1, 1, 10_000),
    "c20": (20, 1, 60_000),
    "c100": (100, 1, 60_000),
    "c200": (200, 1, 60_000),
    "c400": (400, 1, 60_000),
}
PLACES = (False, True) if os.cpu_count() == 2 else (False,)  # of the leader: on any core, or on its own
MIN_IN_SYNC = ("--acks", "all", "--min.insync.replicas", "2")


@attrs.frozen
class Round:
    """One round at one pair; times of CPU are microseconds of one entry."""

    rate: float
    p50_ms: float
    p99_ms: float
    leader_cpu: float
    follower_cpu: float
    loader_share: float
    lag_ms: float  # the follower had everything so long after the last reply


def measured(target: Pair, entries: int, load: Callable[[], Load]) -> Round:
    """A load of so many entries, and what it cost until the follower has them too."""
    before, leader, follower = target.length(), target.leader.cpu_seconds, target.follower_cpu_seconds
    done = load()
    ended = time.perf_counter()
    target.wait()
    lag_ms = (time.perf_counter() - ended) * 1e3
    found = Round(
        entries / done.seconds,
        done.p50_ms,
        done.p99_ms,
        (target.leader.cpu_seconds - leader) / entries * 1e6,
        (target.follower_cpu_seconds - follower) / entries * 1e6,
        done.loader_share,
        lag_ms,
    )
    expect("entries added", target.length() - before, entries, entries + 2000)
    target.clear()
    return found


def add(target: Pair, clients: int, pipeline: int, entries: int, *, waits: bool = False) -> Round:
    """XADD; with ``waits`` a WAIT behind each pipeline."""
    piece = request(*ADD) * pipeline + (request("WAIT", 1, 0) if waits else b"")
    scripts = [[piece] * (entries // clients // pipeline) for _ in range(clients)]
    return measured(target, entries, lambda: drive(target.leader.port, scripts, lines=2 * pipeline + waits))


def add_for_all(target: Pair, clients: int, pipeline: int, entries: int) -> Round:
    """The same for all replicas: with WAIT where the server has no ``acks all``."""
    return add(target, clients, pipeline, entries, waits=target.name != OURS)


@contextlib.contextmanager
def placed(targets: Sequence[Pair], *, apart: bool) -> Iterator[None]:
    """With ``apart`` leaders run on the first core, followers and load on the others."""
    cores = sorted(os.sched_getaffinity(0))
    if apart:
        for target in targets:
            target.place(cores[:1], cores[1:])
        os.sched_setaffinity(0, cores[1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def in_turns(
    targets: Sequence[Pair], rounds: int, load: Callable[[Pair], Round], *, apart: bool = False
) -> list[list[Round]]:
    """Rounds at each of the pairs, another one first each time; one before is to warm up."""
    found: list[list[Round]] = [[] for _ in targets]
    with placed(targets, apart=apart):
        for count in range(rounds + 1):
            order = list(range(len(targets)))
            shift = count % len(targets)
            for at in order[shift:] + order[:shift]:
                each = load(targets[at])
                if count:
                    found[at].append(each)
    return found


# -- the rows --------------------------------------------------------------------------------------------------------


def one(shape: str, rounds: int, scale: Scale, wanted: argparse.Namespace) -> None:
    """``acks 1``: with a follower and without."""
    clients, pipeline, entries = LOADS[shape]
    entries = scale(entries, clients * pipeline)
    names = [name for name in wanted.servers if name in NAMES]
    for apart in PLACES:
        with contextlib.ExitStack() as stack:
            targets = [
                stack.enter_context(pair(name, wanted.directory, follower=follower))
                for name in names
                for follower in (False, True)
            ]
            found = in_turns(targets, rounds, lambda each: add(each, clients, pipeline, entries), apart=apart)
        for at, name in enumerate(names):
            alone, followed = found[2 * at], found[2 * at + 1]
            ratio = middle(followed, "rate") / middle(alone, "rate")
            by_cpu = middle(alone, "leader_cpu") / middle(followed, "leader_cpu")
            line(f"one-{shape}", f"{name} alone, {where(apart)}", alone)
            line(
                f"one-{shape}", f"{name} with a follower, {where(apart)}", followed, f"{ratio:.2f}, by CPU {by_cpu:.2f}"
            )


def every(shape: str, rounds: int, scale: Scale, wanted: argparse.Namespace) -> None:
    """``acks all`` beside WAIT 1."""
    clients, pipeline, entries = LOADS[shape]
    entries = scale(entries, clients * pipeline)
    for apart in PLACES:
        with contextlib.ExitStack() as stack:
            targets = [
                stack.enter_context(pair(name, wanted.directory, MIN_IN_SYNC, follower=True)) for name in wanted.servers
            ]
            found = in_turns(targets, rounds, lambda each: add_for_all(each, clients, pipeline, entries), apart=apart)
        rates = {target.name: middle(rounds_, "rate") for target, rounds_ in zip(targets, found, strict=True)}
        for target, rounds_ in zip(targets, found, strict=True):
            is_ours = target.name == OURS
            others = {name: rate for name, rate in rates.items() if name != OURS}
            ratio = ", ".join(f"{rates[OURS] / rate:.2f} of {name}" for name, rate in others.items()) if is_ours else ""
            title = f"{target.name}, {'acks all' if is_ours else 'WAIT 1'}, {where(apart)}"
            line(f"all-{shape}", title, rounds_, ratio)


def where(apart: bool) -> str:
    return "leader on its own core" if apart else "free"


def middle(rounds: Sequence[Round], field: str) -> float:
    return statistics.median(getattr(each, field) for each in rounds)


def line(name: str, title: str, rounds: Sequence[Round], ratio: str = "") -> None:
    """A row of the table."""
    rates = [each.rate for each in rounds]
    fields = ("p50_ms", "p99_ms", "leader_cpu", "follower_cpu", "lag_ms")
    figures = " | ".join(f"{middle(rounds, field):.2f}" for field in fields)
    print(
        f"| `{name}` | {title} | {number(middle(rounds, 'rate'))} ({number(min(rates))}–{number(max(rates))}) "
        f"| {ratio} | {figures} | {middle(rounds, 'loader_share'):.0%} |",
        flush=True,
    )


HEAD = (
    "| row | server | XADD/s | ratio | p50 ms | p99 ms | leader: CPU µs an entry | follower | lag ms | loader |\n"
    "|---|---|---:|---|---:|---:|---:|---:|---:|---:|"
)
ROWS: dict[str, Callable[[int, Scale, argparse.Namespace], None]] = {
    "one-p16": lambda *given: one("p16", *given),
    "one-p100": lambda *given: one("p100", *given),
    "all-p1": lambda *given: every("p1", *given),
    "all-c1": lambda *given: every("c1", *given),
    "all-c20": lambda *given: every("c20", *given),
    "all-c100": lambda *given: every("c100", *given),
    "all-c200": lambda *given: every("c200", *given),
    "all-c400": lambda *given: every("c400", *given),
    "all-p16": lambda *given: every("p16", *given),
    "copy": lambda rounds, scale, wanted: catching_up(rounds, scale, wanted.servers, wanted.directory),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.replication", description=__doc__)
    parser.add_argument("--only", nargs="+", default=["*"], metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="length of the rounds")
    parser.add_argument("--gb", type=float, default=5.0, metavar="N", help="what a fresh follower has to copy")
    parser.add_argument("--servers", nargs="+", default=list(NAMES), choices=NAMES, metavar="NAME")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="where the servers keep their files")
    wanted = parser.parse_args()
    scale = Scale(wanted.scale, wanted.gb)
    chosen = [name for name in ROWS if any(fnmatch.fnmatch(name, each) for each in wanted.only)]
    if chosen != ["copy"]:
        print(HEAD)
    for name in chosen:
        ROWS[name](wanted.rounds, scale, wanted)
    print(machine())


if __name__ == "__main__":
    main()
