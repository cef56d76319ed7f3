"""How fast `respbroker migrate` moves streams, what it takes of memory and time, and what the source's clients notice.

    python -m tests.benchmarks.migration [--rounds N] [--scale X] [--directory DIR]

One stream to a fresh server each round, medians of the rounds. The rate is that of the command from its start to its
end; CPU times are microseconds for each entry, of the command with its start, of the source, and of the target. PINGs
are sent to the source meanwhile, one after the other.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

import attrs

from tests.benchmarks.catching_up import pinging
from tests.benchmarks.measure import Peak, percentile
from tests.benchmarks.peers import OURS, Target, running
from tests.benchmarks.report import machine
from tests.benchmarks.scenarios import Scale

#: From, to, entries, bytes of each value, whether all are pending.
CASES = (
    ("redis", OURS, 1_000_000, 100, False),
    ("valkey", OURS, 1_000_000, 100, False),
    ("redis", OURS, 300_000, 100, True),
    ("redis", OURS, 100_000, 5_000, False),
    ("redis", OURS, 300, 1_000_000, False),
    (OURS, "redis", 1_000_000, 100, False),
)
KEY, GROUP = "s", "g"


@attrs.frozen
class Move:
    """One move."""

    rate: float
    own: float
    source: float
    target: float
    mb: float
    ping_p99_ms: float
    ping_max_ms: float


def move(source: Target, target: Target, entries: int) -> Move:
    """Run the command; CPU times are for each entry."""
    command = [sys.executable, "-m", "respbroker", "migrate", "--from", source.server.url, "--to", target.server.url]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    source_cpu, target_cpu = source.cpu_seconds, target.cpu_seconds
    with pinging(source) as latencies:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with Peak(process.pid) as peak:
            process.wait()
        seconds = time.perf_counter() - began
    assert process.returncode == 0
    assert target.number("XLEN", KEY) == entries
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    times = (own, source.cpu_seconds - source_cpu, target.cpu_seconds - target_cpu)
    each = [used / entries * 1e6 for used in times]
    ordered = sorted(latencies)
    return Move(entries / seconds, *each, peak.mb, *(percentile(ordered, share) * 1e3 for share in (0.99, 1.0)))


def measure(case: tuple[str, str, int, int, bool], rounds: int, scale: Scale, root: str | None) -> str:
    """A row of the table."""
    source_name, target_name, count, value_bytes, is_pending = case
    entries = scale(count, 1)
    moves = []
    with running(root, "everysec", (), (source_name,)) as [source]:
        source.fill(KEY, entries, value_bytes)
        if is_pending:
            source.fill_pending(KEY, GROUP, entries)
        for _ in range(rounds):
            with running(root, "everysec", (), (target_name,)) as [target]:
                moves.append(move(source, target, entries))
    middle = [statistics.median(figures) for figures in zip(*map(attrs.astuple, moves), strict=True)]
    rate, own, of_source, of_target, mb, p99, longest = middle
    what = f"{entries:,} of {value_bytes:,} B" + (", all pending" if is_pending else "")
    return (
        f"| {source_name} to {target_name} | {what} | {rate:,.0f} | {own:.1f} | {of_source:.1f} | {of_target:.1f} "
        f"| {mb:.0f} | {p99:.1f} | {longest:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.migration", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="how many entries")
    parser.add_argument("--directory", metavar="DIR", help="where the servers keep their files")
    wanted = parser.parse_args()
    print("| | entries | entries/s | own µs | source µs | target µs | own MB | PING p99 ms | longest ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        print(measure(case, wanted.rounds, Scale(wanted.scale), wanted.directory), flush=True)
    print(machine())


if __name__ == "__main__":
    main()
