"""One consumer of the group: reads, handles, acknowledges, until it is ended. Run by the example, as a process.

That it gets the flights of an aircraft in their order, all of them while it lives, is the server's doing: the program
asks for new entries as it would of any stream.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import redis

from examples.aircraft.notes import Notes
from examples.aircraft.topics import FLIGHTS, GROUP
from examples.flights.connection import connect

COUNT: Final = 100
BLOCK_MS: Final = 500


def consume(client: redis.Redis, name: str, notes: Notes) -> None:
    """Handle entries for ever."""
    while True:
        answer: Any = client.xreadgroup(GROUP, name, {FLIGHTS: ">"}, count=COUNT, block=BLOCK_MS)
        for _, entries in answer or ():
            for _, fields in entries:
                notes.handled(int(fields["row"]))  # the work
            client.xack(FLIGHTS, GROUP, *(entry_id for entry_id, _ in entries))


if __name__ == "__main__":
    url, name, path = sys.argv[1:]
    consume(connect(url), name, Notes(Path(path)))
