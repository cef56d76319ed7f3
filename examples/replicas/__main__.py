"""Three brokers, a producer and a group; the leader killed, a follower promoted, the old leader back, nothing lost."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs
import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.flights.processes import Server, check, ending, run_module
from examples.replicas import notes
from examples.replicas.brokers import Brokers
from examples.replicas.consumer import GROUP
from examples.replicas.leader import Leader
from examples.replicas.producer import STREAM
from examples.replicas.proof import Comparison, Proof, compare, prove

CONSUMERS: Final = 2
BOOKINGS: Final = 16_000
STALLED_SECONDS: Final = 60.0


@attrs.define
class Run:
    """One run: what is told goes to ``console``, what happened is kept for the summary."""

    console: Console
    brokers: Brokers
    produced: Path
    consumed: list[Path]
    count: int
    replaced: Server | None = None
    away_seconds: float = 0.0  #: from the kill to the new leader

    def run(self) -> None:
        leader = Leader(self.brokers.ports)
        leader.call(lambda client: client.xgroup_create(STREAM, GROUP, id="0", mkstream=True))
        ports = self.brokers.ports
        package = "examples.replicas"
        consumers = [
            run_module("consumer", f"consumer-{n}", path, *ports, package=package)
            for n, path in enumerate(self.consumed)
        ]
        producer = run_module("producer", self.produced, self.count, *ports, package=package)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with ending([producer, *consumers]), Progress(*columns, console=self.console) as progress:
            bars = [progress.add_task(name, total=self.count) for name in ("acknowledged", "handled")]

            def counts() -> tuple[int, int]:
                now = notes.count(self.produced), sum(map(notes.count, self.consumed))
                for bar, done in zip(bars, now, strict=True):
                    progress.update(bar, completed=min(done, self.count))
                return now

            processes = [producer, *consumers]
            wait_until(lambda: counts()[0] > self.count // 4, counts, processes)
            self._replace_the_leader(progress.console)
            wait_until(lambda: counts()[0] > self.count // 2, counts, processes)
            self._start_again(progress.console)
            wait_until(self.brokers.are_in_sync, counts, processes)
            progress.console.print(f"{self.replaced.port} follows {self.brokers.leader.port} and is in sync")
            wait_until(lambda: producer.poll() == 0 and is_done(leader), counts, processes)
        self.brokers.wait_until_equal()

    def _replace_the_leader(self, console: Console) -> None:
        killed = self.brokers.leader
        alone = self.brokers.isolate_and_kill()
        began = time.monotonic()
        console.print(f"killed the leader {killed.port} with -9: it had {alone:,} bytes that nobody else has")
        promoted = self.brokers.promote()
        self.away_seconds = time.monotonic() - began
        console.print(f"{promoted.port} leads, {self.away_seconds:.2f} s later")
        self.replaced = killed

    def _start_again(self, console: Console) -> None:
        assert self.replaced is not None
        self.replaced.launch()
        console.print(f"started {self.replaced.port} again")


def wait_until(
    reached: Callable[[], bool], counts: Callable[[], tuple[int, int]], processes: list[subprocess.Popen[bytes]]
) -> None:
    """Look twenty times a second; give up where nothing moves any more."""
    last, since = (-1, -1), time.monotonic()
    while not reached():
        for process in processes:
            check(process)
        if (now := counts()) != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STALLED_SECONDS:
            raise SystemExit(f"Nothing moves any more: {now[0]} acknowledged, {now[1]} handled.")
        time.sleep(0.05)


def is_done(leader: Leader) -> bool:
    """Whether nothing is left to be read and nothing is pending."""
    (group,) = leader.call(lambda client: client.xinfo_groups(STREAM))
    return bool(group["lag"] == 0 and group["pending"] == 0)


def shown(run: Run, proof: Proof, comparison: Comparison, seconds: float) -> Table:
    assert run.replaced is not None
    table = Table(show_header=False, title=f"three brokers, one of them killed, {seconds:.1f} s")
    table.add_row("entries acknowledged", f"{proof.acknowledged_count:,}")
    table.add_row("of them lost", f"{proof.lost_count:,}")
    table.add_row("in the stream twice", f"{proof.twice_count:,}")
    table.add_row("entries handled", f"{proof.handled_count:,}")
    table.add_row("handled, and then taken back by the failover", f"{proof.taken_back_count:,}")
    table.add_row("never handled", f"{proof.unhandled_count:,}")
    table.add_row("longest time without an acknowledgement", f"{proof.gap_seconds:.2f} s")
    table.add_row("records that the old leader cut off", f"{run.brokers.cut_off(run.replaced):,}")
    equal = f"{comparison.logs_count - len(comparison.different)} of {comparison.logs_count}"
    table.add_row("logs equal to the byte on all three", f"{equal}, {comparison.bytes_count:,} bytes")
    return table


@click.command(help=__doc__)
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Where to keep everything [a temporary one]")
@click.option("--count", default=BOOKINGS, show_default=True, help="Entries to append.")
def main(directory: Path | None, count: int) -> None:
    console = Console()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        place = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replicas-")))
        place.mkdir(parents=True, exist_ok=True)
        brokers = Brokers(place)
        stack.callback(brokers.stop)
        brokers.start()
        first, *others = brokers.ports
        console.print(f"{first} leads, {others[0]} and {others[1]} follow and are in sync; files in {place}")
        consumed = [place / f"handled-by-consumer-{number}" for number in range(CONSUMERS)]
        run = Run(console, brokers, place / "acknowledged", consumed, count)
        run.run()
        proof = prove(Leader(brokers.ports).find(), run.produced, consumed)
        comparison = compare([server.directory / "data" for server in brokers.servers])
        console.print(shown(run, proof, comparison, time.monotonic() - began))
    good = proof.is_good and proof.acknowledged_count == count and not comparison.different
    console.print(f"[bold]{'nothing that was acknowledged is lost' if good else 'something is missing'}[/bold]")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
