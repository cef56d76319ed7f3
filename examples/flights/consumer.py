"""One consumer of the group: reads, handles, acknowledges, until it is ended. Run by the example, as a process.

It acknowledges behind the handling, so a flight whose consumer dies in between is handled again by another: every
flight at least once. Entries that stay pending for long are taken over, whoever they were given to.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Final

import redis

from examples.flights.connection import GROUP, STREAM, connect
from examples.flights.results import Results

COUNT: Final = 200  # entries read at once
BLOCK_MS: Final = 500
TAKE_OVER_IDLE_MS: Final = 3_000  # pending for that long means that the consumer is gone
TAKE_OVER_EVERY: Final = 1.0  # seconds

Entry = tuple[str, dict[str, str]]


def consume(client: redis.Redis, name: str, results: Results) -> None:
    """Handle entries for ever."""
    next_look = time.monotonic() + TAKE_OVER_EVERY
    while True:
        answer: Any = client.xreadgroup(GROUP, name, {STREAM: ">"}, count=COUNT, block=BLOCK_MS)
        for _, entries in answer or ():
            handle(client, entries, results)
        if time.monotonic() >= next_look:
            take_over(client, name, results)
            next_look = time.monotonic() + TAKE_OVER_EVERY


def take_over(client: redis.Redis, name: str, results: Results) -> None:
    """Handle what another consumer left behind."""
    cursor = "0-0"
    while True:
        cursor, entries, _ = client.xautoclaim(STREAM, GROUP, name, TAKE_OVER_IDLE_MS, cursor, count=COUNT)
        if entries:
            results.took(len(entries))
            handle(client, entries, results)
        if cursor == "0-0":
            return


def handle(client: redis.Redis, entries: list[Entry], results: Results) -> None:
    """The work, which here is to note the flight; then the acknowledgement."""
    for _, fields in entries:
        results.handled(int(fields["row"]))
    client.xack(STREAM, GROUP, *(entry_id for entry_id, _ in entries))


if __name__ == "__main__":
    url, name, path, flights_count = sys.argv[1:]
    consume(connect(url), name, Results(Path(path), int(flights_count)))
