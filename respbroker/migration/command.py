"""`respbroker migrate`: streams from a Redis, a Valkey or a respbroker into another, while they are in use."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import attrs
import click

from respbroker.migration.comparing import Compared
from respbroker.migration.link import Link
from respbroker.migration.memo import Memo, MemoFile
from respbroker.migration.progress import Meter
from respbroker.migration.rounds import Migration, Pass
from respbroker.model.phrases import FEW, few
from respbroker.tools.connection import Failed
from respbroker.tools.options import raw_name
from respbroker.tools.output import count, duration, shown

BETWEEN_PASSES: Final = 0.2  # seconds; at least as long as the pass was, so that the source is idle half of the time


@click.command()
@click.option("--from", "source_url", required=True, metavar="URL", help="The server to copy from; it is only read.")
@click.option("--to", "target_url", required=True, metavar="URL", help="The server to copy to.")
@click.option("--match", type=raw_name, default="*", metavar="PATTERN", help="Only streams with such names.")
@click.option("--db", "database", type=click.IntRange(0), help="This database of both, whatever the URLs say.")
@click.option("--follow", is_flag=True, help="Keep up with the source until Ctrl-C, and tell when both are level.")
@click.option("--verify", is_flag=True, help="Read both sides again at the end and compare them.")
@click.option("--verify-only", is_flag=True, help="Only compare; change nothing.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="FILE", help="Remember there what was begun; go on.")
@click.option("--replace", is_flag=True, help="Delete what the target has under the same names.")
def migrate(
    source_url: str,
    target_url: str,
    match: bytes,
    database: int | None,
    follow: bool,
    verify: bool,
    verify_only: bool,
    resume: Path | None,
    replace: bool,
) -> None:
    """Copy streams with their groups, consumers and pending entries to another server.

    \b
    URLs   redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// with TLS, unix://PATH

    The source may be in use. With --follow the copy keeps up with it: stop producers and consumers, wait for "level",
    press Ctrl-C; a last pass settles what is left.

    Interrupted, it is called again with the same --resume FILE and goes on where it was.
    """
    if verify_only and (follow or verify or replace):
        raise click.UsageError("--verify-only goes with none of --follow, --verify and --replace")
    with closing(Link(source_url, database)) as source, closing(Link(target_url, database)) as target:
        check(source, target)
        memo = MemoFile(resume, Memo(source.place, target.place, match))
        migration = Migration(source, target, memo, replaces=replace)
        if not verify_only:
            _copy(migration, follow)
        if verify or verify_only:
            _verify(migration)


def check(source: Link, target: Link) -> None:
    """Refuse what cannot end well."""
    if not target.side.knows_expiry_times:
        raise Failed(f"the server at {target.place} is older than Redis 7.0 and takes no counters")
    if source.identity == target.identity:
        raise Failed("the source and the target are the same database")


# -- copying -----------------------------------------------------------------------------------------------------


def _copy(migration: Migration, follow: bool) -> None:
    meter = Meter(migration.entries_to_copy())
    done = migration.run_pass(lambda: meter.show(migration.driver.entries), thorough=False)
    _tell_first(migration, done, meter)
    if follow:
        with stop_wish() as stop:
            done = _follow(migration, stop)
    if done.lost:
        click.echo(
            f"{count(done.lost, 'pending entry')} could not be kept: the entries are not in the stream any more."
        )
    if migration.left_out:
        click.echo(f"Left out, for they are topics of several partitions: {named(migration.left_out)}.")
    if migration.stale:
        click.echo(f"Not in the source any more, and left alone in the target: {named(migration.stale)}.")


def _tell_first(migration: Migration, done: Pass, meter: Meter) -> None:
    meter.clear()
    progress = meter.now(migration.driver.entries)
    what = f"{count(progress.done, 'entry')} of {count(done.streams, 'stream')}"
    click.echo(f"Copied {what} in {duration(progress.seconds)}: {progress.rate:,.0f} entries/s.")


def _follow(migration: Migration, stop: threading.Event) -> Pass:
    """Pass after pass until somebody wishes to stop; then a thorough one, behind which nothing may have changed."""
    click.echo('Following. Stop producers and consumers, wait for "level", then press Ctrl-C.')
    was_level = False
    while not stop.is_set():
        began = time.monotonic()
        done = migration.run_pass(lambda: None, thorough=False)
        if done.changed == 0 and not was_level:
            click.echo(f"{clock()} level: {count(done.streams, 'stream')}")
        elif was_level and done.changed:
            click.echo(f"{clock()} the source is written to")
        was_level = done.changed == 0
        stop.wait(max(BETWEEN_PASSES, time.monotonic() - began))
    last = migration.run_pass(lambda: None, thorough=True)
    behind = migration.run_pass(lambda: None, thorough=False)
    if behind.changed:
        raise Failed(
            f"not level: {count(behind.changed, 'stream')} changed during the last pass. Stop producers and consumers,"
            " then call again with the same --resume FILE"
        )
    click.echo(f"{clock()} level, and settled: {count(last.streams, 'stream')}")
    return last


@contextmanager
def stop_wish() -> Iterator[threading.Event]:
    """The first Ctrl-C or SIGTERM is a wish to end well; the second ends at once, as ever."""
    stop = threading.Event()

    def wish(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, wish)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- comparing ---------------------------------------------------------------------------------------------------


@attrs.define
class _Sums:
    streams: int = 0
    entries: int = 0
    pending: int = 0


def _verify(migration: Migration) -> None:
    sums = _Sums()
    unlike: list[Compared] = []
    for compared in migration.compare(lambda: None):
        sums.streams += 1
        sums.entries += compared.entries
        sums.pending += compared.pending
        if compared.difference is not None:
            unlike.append(compared)
        elif compared.entries and sums.streams <= FEW:
            click.echo(f"{shown(compared.key)}: {count(compared.entries, 'entry')}, digest {compared.digest}")
    if unlike:
        first = min(unlike, key=lambda compared: compared.key)
        more = f" ({count(len(unlike), 'stream')} of {sums.streams} differ)" if len(unlike) > 1 else ""
        raise Failed(f"{shown(first.key)}: {first.difference}{more}")
    what = f"{count(sums.entries, 'entry')}, {count(sums.pending, 'pending entry')}"
    click.echo(f"Both sides are alike: {count(sums.streams, 'stream')}, {what}.")


def named(names: list[bytes]) -> str:
    return few([shown(name) for name in names])


def clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S.%f")[:-3]
