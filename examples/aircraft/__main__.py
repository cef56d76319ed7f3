"""Each aircraft's flights in order through four consumers, one of them killed; and the last flight of each."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.aircraft import notes, topics
from examples.aircraft.latest import compacted, last_flights, table_is_right
from examples.aircraft.proof import Proof, prove
from examples.flights.connection import connect
from examples.flights.data import FLIGHTS_COUNT
from examples.flights.processes import Server, check, ending, run_module

CONSUMERS: Final = 4
VICTIM: Final = 2
QUICK_COUNT: Final = 12_000
STALLED_SECONDS: Final = 90.0


@click.command(help=__doc__)
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Where to keep everything [a temporary one]")
@click.option("--quick", is_flag=True, help=f"Only the first {QUICK_COUNT:,} flights.")
def main(directory: Path | None, quick: bool) -> None:
    console = Console()
    count = QUICK_COUNT if quick else FLIGHTS_COUNT
    with contextlib.ExitStack() as stack:
        place = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aircraft-")))
        place.mkdir(parents=True, exist_ok=True)
        server = Server(place)
        stack.callback(server.stop)
        console.print(f"a server on port {server.port}, files in {server.directory}: {server.start():.2f} s")
        client = connect(server.url)
        topics.make(client)
        paths = [place / f"notes-of-consumer-{number}" for number in range(CONSUMERS)]
        run(console, client, server.url, paths, count)
        proof = prove(paths, count, VICTIM)
        console.print(shown(proof, count))
        before, after = compacted(client, count)
        console.print(f"the topic 'latest' was compacted from {before:,} entries to {after:,}")
        last = last_flights(client)
        console.print(last_table(last))
        good = proof.is_good and table_is_right(last, count)
    verdict = "each aircraft's flights were handled in order" if proof.is_good else "flights were lost or out of order"
    console.print(f"[bold]{verdict}[/bold]")
    sys.exit(0 if good else 1)


def run(console: Console, client: redis.Redis, url: str, paths: list[Path], count: int) -> None:
    """Produce and consume everything; kill a consumer when a quarter is done."""
    consumers = [
        run_module("consumer", url, f"consumer-{n}", path, package="examples.aircraft") for n, path in enumerate(paths)
    ]
    producer = run_module("producer", url, count, package="examples.aircraft")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ending([producer, *consumers]), Progress(*columns, console=console) as progress:
        bar = progress.add_task(f"handled by {CONSUMERS} consumers", total=count)

        def handled() -> int:
            done = sum(map(notes.count, paths))
            progress.update(bar, completed=min(done, count))
            return done

        alive = [producer, *consumers]
        wait_until(lambda: handled() > count // 4, handled, alive)
        kill(progress.console, client, consumers[VICTIM])
        alive.remove(consumers[VICTIM])
        wait_until(lambda: handled() >= count and is_done(client, producer), handled, alive)


def wait_until(
    reached: Callable[[], bool], progress: Callable[[], int], processes: list[subprocess.Popen[bytes]]
) -> None:
    """Look ten times a second; give up where nothing moves any more."""
    last, since = -1, time.monotonic()
    while not reached():
        for process in processes:
            check(process)
        if (now := progress()) != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STALLED_SECONDS:
            raise SystemExit(f"Nothing moves any more: {now} handled.")
        time.sleep(0.1)


def kill(console: Console, client: redis.Redis, consumer: subprocess.Popen[bytes]) -> None:
    """SIGKILL at a moment at which the consumer holds entries."""
    name = f"consumer-{VICTIM}"
    while True:
        os.kill(consumer.pid, signal.SIGSTOP)
        rows = {each["name"]: each for each in client.xinfo_consumers(topics.FLIGHTS, topics.GROUP)}
        if name in rows and rows[name]["pending"]:
            break
        os.kill(consumer.pid, signal.SIGCONT)
        time.sleep(0.001)
    consumer.kill()
    held, owned = rows[name]["pending"], rows[name]["partitions"]
    console.print(f"killed {name} with -9: it owned the partitions {owned}, and {held} entries were pending with it")


def is_done(client: redis.Redis, producer: subprocess.Popen[bytes]) -> bool:
    (group,) = client.xinfo_groups(topics.FLIGHTS)
    return producer.poll() is not None and group["lag"] == 0 and group["pending"] == 0


def shown(proof: Proof, count: int) -> Table:
    table = Table(show_header=False, title=f"{count:,} flights of {proof.aircraft_count:,} aircraft")
    table.add_row("handled", f"{proof.handled_count:,}")
    table.add_row("of them once more, by whoever took over", f"{proof.repeated_count:,}")
    table.add_row("aircraft whose flights went to another consumer", f"{proof.hand_overs_count:,}")
    table.add_row("aircraft with flights out of order", f"{len(proof.out_of_order):,}")
    table.add_row("aircraft with flights missing", f"{len(proof.incomplete):,}")
    return table


def last_table(last: dict[str, dict[str, str]]) -> Table:
    table = Table("aircraft", "date", "flight", "from", "to", title=f"the last known flight of {len(last):,} aircraft")
    for aircraft in sorted(last)[:5]:
        flight = last[aircraft]
        date = f"{flight['year']}-{int(flight['month']):02}-{int(flight['day']):02}"
        table.add_row(aircraft, date, flight["carrier"] + flight["flight"], flight["origin"], flight["dest"])
    return table


if __name__ == "__main__":
    main()
