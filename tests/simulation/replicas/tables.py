"""What clients know of a compacted topic: all that each key was told to be, and which of that must still be known.

A key has one writer, which leaves it alone for good when it cannot say what became of a change. So there is at most
one change of which nobody knows, the last, and the entries of a key that are there rise in the order of its changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.history import Id, parse_id
from tests.simulation.replicas.topics import TABLE

Entry = tuple[Id, bytes, bytes | None]  # the ID, the key, and its value; None in a tombstone
NOTHING: Final = -1  # the number of the change behind which there is nothing


@attrs.define(eq=False)
class Row:
    """A key. ``values[n]`` is what its change number n said: None removes it."""

    key: bytes
    values: list[bytes | None] = attrs.Factory(list)
    refused: set[int] = attrs.Factory(set)  # changes that are not to be
    promised: int = NOTHING  # the newest that was acknowledged and may not be lost
    ids: dict[int, Id] = attrs.Factory(dict)  # of the changes that were acknowledged

    def change(self, value: bytes | None) -> int:
        """One more change; gives its number."""
        self.values.append(value)
        return len(self.values) - 1

    def number_of(self, entry_id: Id, value: bytes | None, floor: int) -> int:
        """Which change an entry is, from ``floor`` on."""
        for number in range(max(floor, 0), len(self.values)):
            if self.values[number] == value and self.ids.get(number, entry_id) == entry_id:
                if number in self.refused:
                    continue
                return number
        raise Broken(f"{TABLE}: {entry_id} says that {self.key!r} is {value!r}, which is not so behind change {floor}")

    def may_be_absent(self, floor: int) -> bool:
        """Whether it may be that no entry is there, as of some change not older than ``floor``."""
        return floor == NOTHING or any(
            value is None and number not in self.refused for number, value in enumerate(self.values) if number >= floor
        )


class Table:
    """Owns all the keys there ever were."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Row] = {}
        self._seen: dict[Id, tuple[bytes, bytes | None]] = {}

    def new(self, owner: str) -> Row:
        """A key that nobody ever used."""
        row = Row(f"{owner}.{len(self.rows)}".encode())
        self.rows[row.key] = row
        return row

    def newest(self, entries: Iterable[Entry], *, counts: bool) -> dict[bytes, int]:
        """The number of the newest change of each key; checks that entries are what was written, in its order."""
        found: dict[bytes, int] = {}
        for entry_id, key, value in entries:
            row = self.rows.get(key)
            if row is None:
                raise Broken(f"{TABLE} has an entry that nobody added: {entry_id} {key!r}")
            found[key] = row.number_of(entry_id, value, found.get(key, NOTHING) + 1)
            if counts and self._seen.setdefault(entry_id, (key, value)) != (key, value):
                raise Broken(f"{TABLE}: {entry_id} was {self._seen[entry_id]} and is {(key, value)}")
        return found

    def check(self, where: str, entries: Iterable[Entry]) -> None:
        """Every key is as after a change not older than the newest that is promised."""
        found = self.newest(entries, counts=False)
        for row in self.rows.values():
            self.check_row(where, row, found.get(row.key), row.promised)

    @staticmethod
    def check_row(where: str, row: Row, number: int | None, floor: int) -> None:
        """One key is."""
        if row.may_be_absent(floor) if number is None else number >= floor:
            return
        there = "nothing" if number is None else f"change {number}"
        raise Broken(f"{where}: {TABLE} has {there} of {row.key!r}, of which change {floor} is known")


def entries_of(rows: Iterable[tuple[bytes, list[bytes]]]) -> list[Entry]:
    """From what XRANGE gives."""
    return [(parse_id(entry_id), fields[1], fields[3] if len(fields) > 2 else None) for entry_id, fields in rows]
