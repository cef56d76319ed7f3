"""Which key a stream belongs to, by its number: what a follower must know of the logs it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from respbroker.streams.catalog import (
    CREATED,
    FLUSHED,
    INTERNAL,
    LOG_REPLACED,
    MOVED,
    ON_DISK,
    SWAPPED,
    TOPIC_CREATED,
    TOPIC_GROWN,
)

if TYPE_CHECKING:
    from respbroker.streams.catalog import Database, KeyEntry

#: Database, key, entry, and which of its leaves.
Place = tuple[int, bytes, "KeyEntry", int]


class Places:
    """An index over the catalog, made when it is first asked and kept up to date from then on.

    What was dropped or has moved stays in it until it is asked for, and is not found then.
    """

    __slots__ = ("_databases", "_known")

    def __init__(self, databases: list[Database]) -> None:
        self._databases = databases
        self._known: dict[int, tuple[int, bytes, int]] | None = None

    def of(self, number: int) -> Place | None:
        """Where the stream with that number is; None if the catalog does not know it."""
        if self._known is None:
            self._known = {}
            for database in self._databases:
                for key in database.keys:
                    self._note(database.index, key)
        found = self._known.get(number)
        if found is None:
            return None
        db, key, index = found
        entry = self._databases[db].keys.get(key)
        if entry is None or index >= len(entry.leaves) or entry.leaves[index].number != number:
            del self._known[number]
            return None
        return db, key, entry, index

    def changed(self, effect: list[Any]) -> None:
        """The catalog was changed by this effect."""
        if self._known is None:
            return
        code = effect[0]
        if code in _COME:
            self._note(*effect[1:3])
        elif code == MOVED:
            self._note(*effect[3:5])
        elif code in _MANY:
            self._known = None

    def _note(self, db: int, key: bytes) -> None:
        assert self._known is not None
        keys = self._databases[db].keys
        if key not in keys:  # a partition, whose log was replaced
            key = key.rpartition(b"/")[0]
        for index, leaf in enumerate(keys[key].leaves):
            self._known[leaf.number] = db, key, index


_COME: Final = frozenset({CREATED, LOG_REPLACED, TOPIC_CREATED, TOPIC_GROWN})
_MANY: Final = frozenset({SWAPPED, FLUSHED})


def databases_of(effect: list[Any]) -> list[int]:
    """The numbers of the databases of which an effect of the catalog speaks; none for all."""
    code, *values = effect
    if code == MOVED:
        return [values[0], values[2]]
    if code in _MANY:
        return [db for db in values if db is not None]
    return [] if code == ON_DISK else values[:1]


def names_concerned(databases: list[Database], effect: list[Any]) -> list[tuple[int, bytes]]:
    """The databases and names of what comes, goes or changes by an effect of the catalog, partitions too.

    To be asked before and after: what is there only at one of the two moments is concerned as well.
    """
    code, *values = effect
    if code == ON_DISK:
        return []
    if code in _MANY:
        chosen = [databases[index] for index in databases_of(effect)] or databases[:INTERNAL]
        return [(each.index, name) for each in chosen for key in each.keys for name in _names(each, key)]
    keys = zip(databases_of(effect), values[1::2], strict=False)
    return [(db, name) for db, key in keys for name in _names(databases[db], key)]


def _names(database: Database, key: bytes) -> list[bytes]:
    entry = database.keys.get(key)
    return [key, *(b"%b/%d" % (key, index) for index in range(len(entry.parts)))] if entry is not None else [key]
