"""From the notes, the stream and the files: is all there that was acknowledged, and only what was handled?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import redis

from examples.replicas import notes
from examples.replicas.producer import STREAM

PAGE = 1000


@attrs.frozen
class Proof:
    """What was found."""

    acknowledged_count: int
    lost_count: int  #: acknowledged, and not in the stream
    twice_count: int  #: rows that are in the stream more than once
    handled_count: int
    unhandled_count: int  #: in the stream, and never handled
    taken_back_count: int  #: handled, and not in the stream: seen by a consumer, and lost in the failover
    gap_seconds: float  #: the longest time from one acknowledgement to the next

    @property
    def is_good(self) -> bool:
        return not (self.lost_count or self.twice_count or self.unhandled_count or self.taken_back_count)


def prove(client: redis.Redis, produced: Path, consumed: Sequence[Path]) -> Proof:
    """Compare what the producer and the consumers noted with what the stream has now."""
    acknowledged = notes.read(produced)
    handled = {note.entry_id for path in consumed for note in notes.read(path)}
    rows = {entry_id: int(fields["row"]) for entry_id, fields in entries(client)}
    return Proof(
        len(acknowledged),
        sum(rows.get(note.entry_id) != note.row for note in acknowledged),
        len(rows) - len(set(rows.values())),
        len(handled),
        len(rows.keys() - handled),
        len(handled - rows.keys()),
        max((later.when - earlier.when for earlier, later in pairwise(acknowledged)), default=0.0),
    )


def entries(client: redis.Redis) -> Iterator[tuple[str, dict[str, str]]]:
    """All of the stream."""
    start = "-"
    while True:
        page: list[Any] = client.xrange(STREAM, start, "+", count=PAGE)
        if not page:
            return
        yield from page
        start = f"({page[-1][0]}"


@attrs.frozen
class Comparison:
    """The logs of several servers, byte by byte."""

    logs_count: int
    bytes_count: int  #: of each server
    different: list[str]  #: names of files that are not the same everywhere


def compare(directories: Sequence[Path]) -> Comparison:
    """The catalog's and every stream's log, as each server has it in its directory."""
    contents = [logs(directory) for directory in directories]
    names = sorted(set().union(*contents))
    different = [name for name in names if len({content.get(name) for content in contents}) > 1]
    return Comparison(len(names), sum(map(len, contents[0].values())), different)


def logs(directory: Path) -> dict[str, bytes]:
    """What each log has by its name, its segments joined."""
    paths = sorted([*directory.glob("catalog/*.log"), *directory.glob("streams/*/*.log")])
    found: dict[str, bytes] = {}
    for path in paths:
        name = str(path.parent.relative_to(directory))
        found[name] = found.get(name, b"") + path.read_bytes()
    return found
