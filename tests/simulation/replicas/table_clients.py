"""Clients of the compacted topic: writers of keys of their own, and readers who want to know what each key is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from respbroker.resp.reply_decoder import ErrorReply
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.clients import Caller, Words
from tests.simulation.replicas.history import Id, parse_id
from tests.simulation.replicas.tables import NOTHING, Entry, Row, Table, entries_of
from tests.simulation.replicas.topics import KEY_FIELD, TABLE, TOMBSTONE_MS

if TYPE_CHECKING:
    from tests.simulation.replicas.world import World

KEYS: Final = 6  # that a writer has at a time
TOMBSTONES: Final = 0.2


class TableWriter(Caller):
    """Changes its keys; those of which it cannot say what they are it leaves alone for good."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._rows: list[Row] = []
        self._changes: list[tuple[Row, int]] = []  # that were asked for
        self._count = 0

    def next_requests(self) -> list[Words]:
        """One change of a key at a time: of two tombstones on their way nobody could say which one is there."""
        while len(self._rows) < KEYS:
            self._rows.append(self.world.table.new(self.name))
        self._changes = [self._change(row) for row in self.rng.sample(self._rows, self.rng.choice((1, 1, 3, KEYS)))]
        return [self._words(row, number) for row, number in self._changes]

    def _change(self, row: Row) -> tuple[Row, int]:
        self._count += 1
        value = f"{self.name}.{self._count}".encode() + b"." * self.rng.choice((0, 10, 60))
        return row, row.change(None if self.rng.random() < TOMBSTONES else value)

    @staticmethod
    def _words(row: Row, number: int) -> Words:
        value = row.values[number]
        return ("XADD", TABLE, "*", KEY_FIELD, row.key, *(() if value is None else ("price", value)))

    def unanswered(self) -> None:
        for row, _ in self._changes:
            self._leave(row)

    def _leave(self, row: Row) -> None:
        if row in self._rows:
            self._rows.remove(row)

    def answered(self, replies: list[Any]) -> bool:
        for (row, number), reply in zip(self._changes, replies, strict=True):
            if isinstance(reply, ErrorReply):
                row.refused.add(number)
            elif self.counts:
                row.promised = number
                row.ids[number] = parse_id(reply)
            else:
                self._leave(row)
        return not any(isinstance(reply, ErrorReply) for reply in replies)


class TableReader(Caller):
    """Reads all of it on any server; what a key was over one connection it does not go back behind."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._floors: dict[bytes, int] = {}
        self._tombstones: dict[bytes, Id] = {}  # that were the last of their keys
        self._left = 0

    def connected(self, connection: Any) -> None:
        self._floors.clear()
        self._tombstones.clear()
        self._left = self.rng.choice((3, 30, 1000))
        super().connected(connection)

    def next_requests(self) -> list[Words]:
        return [("XRANGE", TABLE, "-", "+")]

    def answered(self, replies: list[Any]) -> bool:
        if isinstance(replies[0], ErrorReply):
            return False
        table = self.world.table
        entries = entries_of(replies[0])
        found = table.newest(entries, counts=self.counts)
        if self.counts:
            self._check_tombstones(found, entries)
            where = f"{self.name} on {self.target}"
            for key, floor in self._floors.items():
                Table.check_row(where, table.rows[key], found.get(key), floor)
            self._floors = {key: max(found.get(key, NOTHING), self._floors.get(key, NOTHING)) for key in table.rows}
        self._left -= 1
        return self._left > 0

    def _check_tombstones(self, found: dict[bytes, int], entries: list[Entry]) -> None:
        """Whoever follows the topic sees that a key is removed."""
        for key, entry_id in self._tombstones.items():
            if key not in found and self.world.is_young(entry_id, TOMBSTONE_MS):
                raise Broken(f"{TABLE} on {self.target}: the tombstone {entry_id} is gone before its time")
        last = {key: (entry_id, value) for entry_id, key, value in entries}
        self._tombstones = {key: entry_id for key, (entry_id, value) in last.items() if value is None}
