"""The producer: appends bookings, a pipeline at a time, and notes what was acknowledged. Run as a process.

When a pipeline fails nobody knows what of it was written. It is sent again, to whoever leads then, with the same
idempotent IDs, so what had been written is recognised and not written twice.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import redis

from examples.replicas.leader import Leader
from examples.replicas.notes import Notes

STREAM: Final = "bookings"
PIPELINE: Final = 40


def produce(leader: Leader, notes: Notes, count: int) -> None:
    """Append ``count`` bookings."""
    for first in range(0, count, PIPELINE):
        rows = range(first, min(first + PIPELINE, count))
        ids = leader.call(lambda client, rows=rows: append(client, rows))
        notes.add(zip(rows, ids, strict=True))


def append(client: redis.Redis, rows: range) -> list[Any]:
    """The IDs of the entries; all of them are acknowledged when it returns."""
    with client.pipeline(transaction=False) as pipeline:
        for row in rows:
            pipeline.xadd(STREAM, booking(row), idmp=("desk", b"%d" % row))
        answers = pipeline.execute(raise_on_error=False)  # else redis-py puts words before those of the server
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def booking(row: int) -> dict[str, str | int]:
    return {"row": row, "passenger": f"passenger-{row % 997}", "seat": f"{row % 33 + 1}{'ABCDEF'[row % 6]}"}


if __name__ == "__main__":
    path, count, *ports = sys.argv[1:]
    produce(Leader([int(port) for port in ports]), Notes(Path(path)), int(count))
