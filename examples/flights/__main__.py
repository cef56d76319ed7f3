"""The flights of 2013 through a stream, with a consumer and the server killed on the way."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.flights.data import FLIGHTS_COUNT
from examples.flights.processes import Server
from examples.flights.run import CONSUMERS, VICTIM, Run, Story

QUICK_COUNT = 20_000


@click.command(help=__doc__)
@click.option("--url", help="A server that runs already; it is not killed. Its key 'flights' is overwritten.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Where to keep everything [a temporary one]")
@click.option("--quick", is_flag=True, help=f"Only the first {QUICK_COUNT:,} flights.")
@click.option("--producers", "producers_count", default=2, show_default=True, help="Producer processes.")
def main(url: str | None, directory: Path | None, quick: bool, producers_count: int) -> None:
    console = Console()
    flights_count = QUICK_COUNT if quick else FLIGHTS_COUNT
    with contextlib.ExitStack() as stack:
        place = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flights-")))
        place.mkdir(parents=True, exist_ok=True)
        server = None
        if url is None:
            server = Server(place)
            stack.callback(server.stop)
            console.print(f"a server on port {server.port}, files in {server.directory}: {server.start():.2f} s")
            url = server.url
        story = show_run(console, url, server, Path(place), flights_count, producers_count)
    console.print(summary(story))
    verdict = "every flight was handled, none is missing" if story.is_good else "flights were lost or appended twice"
    console.print(f"[bold]{verdict}[/bold]")
    sys.exit(0 if story.is_good else 1)


def show_run(
    console: Console, url: str, server: Server | None, place: Path, flights_count: int, producers_count: int
) -> Story:
    """Run with a bar for flights appended and one for flights handled."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        appended = progress.add_task(f"appended by {producers_count} producers", total=flights_count)
        handled = progress.add_task(f"handled by {CONSUMERS} consumers", total=flights_count)

        def show(appended_count: int, handled_count: int) -> None:
            progress.update(appended, completed=appended_count)
            progress.update(handled, completed=handled_count)

        return Run(url, server, place, flights_count, producers_count, progress.console.print, show).run()


def summary(story: Story) -> Table:
    """What happened, with the numbers that prove it."""
    table = Table(show_header=False, title=f"{story.flights_count:,} flights in {story.seconds:.1f} s")
    table.add_row("entries in the stream", f"{story.appended_count:,}")
    table.add_row("flights handled", f"{story.handled_count:,}")
    table.add_row("flights missing", f"{story.missing_count:,}")
    for number, results in enumerate(story.results):
        killed = " (killed)" if number == VICTIM else ""
        taken = f", of them {results.taken:,} taken over" if results.taken else ""
        table.add_row(f"  by consumer-{number}{killed}", f"{results.handled_count:,}{taken}")
    table.add_row("pending with the killed consumer", f"{story.victim_pending_count:,}")
    repeated = f"{story.repeated_count:,}" + (
        " (not yet acknowledged when a process died)" * bool(story.repeated_count)
    )
    table.add_row("handled once more", repeated)
    if story.server_away_seconds is not None:
        table.add_row("server killed, away for", f"{story.server_away_seconds:.2f} s")
    return table


if __name__ == "__main__":
    main()
