"""One consumer of the group: reads, handles, acknowledges, until it is ended. Run as a process.

A reply that was lost with a server may have held entries, and they are pending with this consumer then. So behind each
failure it first reads what it was given before (from 0), then what is new (>).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import redis

from examples.replicas.leader import Leader
from examples.replicas.notes import Notes
from examples.replicas.producer import STREAM

GROUP: Final = "check-in"
COUNT: Final = 100
BLOCK_MS: Final = 200


class Consumer:
    """What one consumer knows: whether something may be pending with it that it has not handled."""

    def __init__(self, leader: Leader, name: str, notes: Notes) -> None:
        self._leader = leader
        self._name = name
        self._notes = notes
        self._owes = True

    def consume(self) -> None:
        """Handle entries for ever."""
        while True:
            entries = self._leader.call(self._read)
            self._notes.add((int(fields["row"]), entry_id) for entry_id, fields in entries)  # the work
            ids = [entry_id for entry_id, _ in entries]
            if ids:
                self._leader.call(lambda client, ids=ids: client.xack(STREAM, GROUP, *ids))

    def _read(self, client: redis.Redis) -> list[Any]:
        """The next entries, those first that it was given before."""
        if self._owes:
            owed = self._ask(client, "0")
            if owed:
                return owed
        self._owes = True  # until the reply has come
        entries = self._ask(client, ">")
        self._owes = False
        return entries

    def _ask(self, client: redis.Redis, start: str) -> list[Any]:
        answer: Any = client.xreadgroup(GROUP, self._name, {STREAM: start}, count=COUNT, block=BLOCK_MS)
        return [entry for _, entries in answer or () for entry in entries]


if __name__ == "__main__":
    name, path, *ports = sys.argv[1:]
    Consumer(Leader([int(port) for port in ports]), name, Notes(Path(path))).consume()
