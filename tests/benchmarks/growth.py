"""How cost grows: with entries in one stream, with streams, and with connections.

    python -m tests.benchmarks.growth [--most-entries N] [--most-streams N] [--most-connections N] [--json FILE]

One server at a time, with files of its own; powers of ten up to the largest size, one measurement at each. It needs
redis-benchmark, and the packages of the extra `tests`.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from respbroker.server.listener import raise_file_limit
from tests.benchmarks.curves import Curve, Point, as_json, chart, row, table
from tests.benchmarks.loader import Load, WrongReply, drive, redis_benchmark, request
from tests.benchmarks.measure import Peak
from tests.benchmarks.peers import CLIENTS_MAX, NAMES, Target, running
from tests.benchmarks.report import machine
from tests.benchmarks.scenarios import KEY, Scale, drive_one, expect, keys_of
from tests.support.servers import NotStarted

VALUE = "x" * 100
READ = 100  # entries in a reply of XRANGE
CLIENTS, PIPELINE = 10, 100  # that fill one stream
FILES_OF_OUR_OWN = 100
TELLING = 100  # fewer streams or connections take less memory than a server's own changes by
POLICY = "everysec"


@attrs.frozen
class Sizes:
    """How far it goes, and where the servers keep their files."""

    entries: int = 10_000_000
    streams: int = 10_000
    connections: int = 10_000
    scale: Scale = attrs.field(factory=Scale)
    directory: str | None = None


def steps(first: int, most: int) -> list[int]:
    """Powers of ten from ``first`` that are below ``most``, and ``most``."""
    found = []
    while first < most:
        found.append(first)
        first *= 10
    return [*found, most]


def rate(load: Load) -> float:
    return load.operations / load.seconds


# -- entries in one stream ---------------------------------------------------------------------------


@attrs.frozen
class Stretch:
    """Entries that were added one after the other, between two times.

    Behind the last place where a read may ``begin`` there are enough for one reply.
    """

    entries: int
    first_ms: int
    last_begin_ms: int
    last_ms: int


def by_entries(name: str, sizes: Sizes) -> Iterator[Point]:
    """One server, filled further and further."""
    stretches: list[Stretch] = []
    with running(sizes.directory, POLICY, (), (name,)) as (target,):
        for size in steps(10_000, sizes.entries):
            before = sum(stretch.entries for stretch in stretches)
            count = max(2 * READ, size - before)
            words = ["XADD", KEY, "*", "f", VALUE]
            filled = redis_benchmark(target.port, count, words, clients=CLIENTS, pipeline=PIPELINE)
            found = target.number("XLEN", KEY)
            expect("entries in the stream", found, before + count, before + count + CLIENTS * PIPELINE)
            stretches.append(stretch_behind(target, stretches, found - before))
            figures = {
                "XADD/s": rate(filled),
                "XRANGE/s": rate(read_anywhere(target, stretches, sizes.scale)),
                "resident MB": target.rss_mb,
                "disk bytes per entry": target.disk_bytes / found,
            }
            yield Point(name, size, figures)


def stretch_behind(target: Target, stretches: Sequence[Stretch], entries: int) -> Stretch:
    """What was just added."""
    after = stretches[-1].last_ms + 1 if stretches else "-"
    first = milliseconds(drive_one(target, request("XRANGE", KEY, after, "+", "COUNT", 1)))
    last = milliseconds(drive_one(target, request("XREVRANGE", KEY, "+", "-", "COUNT", READ)))
    return Stretch(entries, first[0], last[-1], last[0])


def milliseconds(reply: bytes) -> list[int]:
    """Of the IDs in a reply of XRANGE, where each entry is eight lines and the third is its ID."""
    lines = reply.split(b"\r\n")[1:-1]
    return [int(line.partition(b"-")[0]) for line in lines[2::8]]


def read_anywhere(target: Target, stretches: Sequence[Stretch], scale: Scale) -> Load:
    """XRANGE COUNT 100 from random IDs. Pauses between stretches are left out: each entry is as likely as another."""
    chooser = random.Random(3)
    count = scale(5_000, CLIENTS)
    chosen = chooser.choices(stretches, [stretch.entries for stretch in stretches], k=count)
    starts = [chooser.randint(stretch.first_ms, stretch.last_begin_ms) for stretch in chosen]
    requests = [request("XRANGE", KEY, start, "+", "COUNT", READ) for start in starts]
    wire = drive_one(target, requests[0])
    expect("entries in a reply", wire.count(VALUE.encode()), READ)
    scripts = [requests[shift::CLIENTS] for shift in range(CLIENTS)]
    return drive(target.port, scripts, lines=wire.count(b"\n"))


# -- streams -----------------------------------------------------------------------------------------


def by_streams(name: str, sizes: Sizes) -> Iterator[Point]:
    """The same number of entries, spread over more and more streams; a fresh server each time."""
    clients, pipeline = 50, 16
    count = sizes.scale(200_000, clients * pipeline)
    words = ["XADD", f"{KEY}:__rand_int__", "*", "f", VALUE]
    alone = 0.0
    for streams in steps(1, sizes.streams):
        with running(sizes.directory, POLICY, (), (name,)) as (target,):
            load = redis_benchmark(target.port, count, words, clients=clients, pipeline=pipeline, keyspace=streams)
            rss = target.rss_mb
            found = target.lengths(keys_of(streams))
            expect("entries in all streams", found, count, count + clients * pipeline)
            existing = target.number("DBSIZE")
            expect("streams", existing, 1, streams)
            alone = rss if streams == 1 else alone
            each = (rss - alone) * 1024 / (existing - 1) if streams >= TELLING else None
            yield Point(name, streams, {"XADD/s": rate(load), "resident MB": rss, "kB per further stream": each})


# -- connections -------------------------------------------------------------------------------------


def by_connections(name: str, sizes: Sizes) -> Iterator[Point]:
    """PING and XADD without pipelining on more and more connections; a fresh server each time."""
    room = raise_file_limit(CLIENTS_MAX) - FILES_OF_OUR_OWN  # what we start has the same limit
    if room < sizes.connections:
        print(f"at most {room} connections instead of {sizes.connections}", file=sys.stderr)
    for clients in steps(1, min(room, sizes.connections)):
        count = max(sizes.scale(50_000), 5 * clients)
        with running(sizes.directory, POLICY, (), (name,)) as (target,):
            redis_benchmark(target.port, sizes.scale(20_000), ["PING"], clients=1)  # not counted
            before = target.rss_mb
            with Peak(target.server.process.pid) as peak:
                ping = redis_benchmark(target.port, count, ["PING"], clients=clients)
            add = redis_benchmark(target.port, count, ["XADD", KEY, "*", "f", VALUE], clients=clients)
            expect("entries in the stream", target.number("XLEN", KEY), count)
        figures = {
            "PING/s": rate(ping),
            "PING p99 ms": ping.p99_ms,
            "XADD/s": rate(add),
            "XADD p99 ms": add.p99_ms,
            "resident MB": peak.mb,
            "kB per connection": (peak.mb - before) * 1024 / clients if clients >= TELLING else None,
        }
        yield Point(name, clients, figures)


# -- the command -------------------------------------------------------------------------------------

Measure = Callable[[str, Sizes], Iterator[Point]]


def curves() -> dict[str, tuple[Curve, Measure]]:
    """The three, without points yet."""
    of_entries = ("XADD/s", "XRANGE/s", "resident MB", "disk bytes per entry")
    of_streams = ("XADD/s", "resident MB", "kB per further stream")
    of_connections = ("PING/s", "PING p99 ms", "XADD/s", "XADD p99 ms", "resident MB", "kB per connection")
    return {
        "entries": (
            Curve(
                "entries",
                "Entries of 100 bytes in one stream: XADD on 10 connections, pipeline 100; XRANGE COUNT 100 from "
                "random IDs on 10 connections",
                of_entries,
                "resident MB",
            ),
            by_entries,
        ),
        "streams": (
            Curve(
                "streams",
                "Streams: the same number of entries of 100 bytes over all of them, 50 connections, pipeline 16",
                of_streams,
                "XADD/s",
            ),
            by_streams,
        ),
        "connections": (
            Curve(
                "connections", "Connections: one request at a time on each of them", of_connections, "XADD/s"
            ),
            by_connections,
        ),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status is 0 whatever the figures are; 1 where a server answered wrongly."""
    wanted = _parser().parse_args(arguments)
    sizes = Sizes(
        wanted.most_entries, wanted.most_streams, wanted.most_connections, Scale(wanted.scale), wanted.directory
    )
    chosen = [pair for name, pair in curves().items() if name in wanted.only]
    measured = [curve for curve, _ in chosen]
    wrong: list[str] = []
    settings = {"scale": wanted.scale, "appendfsync": POLICY, "failed": wrong}
    for curve, measure in chosen:
        for name in wanted.servers:
            try:
                for point in measure(name, sizes):
                    curve.points.append(point)
                    print(row(curve, point), flush=True)
                    _save(measured, settings, wanted)
            except (WrongReply, NotStarted, AssertionError, subprocess.SubprocessError) as problem:
                wrong.append(f"{curve.name}, {name}: {problem}")
                print(wrong[-1], file=sys.stderr, flush=True)
                _save(measured, settings, wanted)
    print("\n" + "\n".join(table(curve) for curve in measured))
    print(machine())
    return 1 if wrong else 0


def _save(measured: Sequence[Curve], settings: dict[str, object], wanted: argparse.Namespace) -> None:
    """After each point, so that a run that is broken off was not for nothing."""
    if wanted.json:
        Path(wanted.json).write_text(as_json(measured, settings))
    if wanted.chart:
        Path(wanted.chart).write_text(chart(measured))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    most = Sizes()
    parser.add_argument("--most-entries", type=int, default=most.entries, metavar="N", help="in one stream")
    parser.add_argument("--most-streams", type=int, default=most.streams, metavar="N")
    parser.add_argument("--most-connections", type=int, default=most.connections, metavar="N")
    parser.add_argument("--only", nargs="+", default=list(curves()), choices=list(curves()), metavar="NAME")
    parser.add_argument("--servers", nargs="+", default=list(NAMES), choices=NAMES, metavar="NAME")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="X",
        help="of the number of requests; 1 by default",
    )
    parser.add_argument("--directory", metavar="DIR", help="where the servers keep their files")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--chart", metavar="FILE", help="an SVG")
    return parser


if __name__ == "__main__":
    sys.exit(main())
