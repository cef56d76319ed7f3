"""What becomes of open streams when the catalog changes, whoever changed it.

`commit` is for what this node decides, `follow` for what a leader decided; both apply the effect to the catalog and
see to the streams that are open. A stream that comes is not opened here: its log lies in ``loose`` or on the disk until
somebody looks the key up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from respbroker.model.topic_settings import DEFAULTS, TopicSettings
from respbroker.streams.catalog import (
    DROPPED,
    FLUSHED,
    LOG_REPLACED,
    MOVED,
    SWAPPED,
    TOPIC_ALTERED,
    TOPIC_GROWN,
    Catalog,
    Database,
    KeyEntry,
)
from storage import Log, LogConfig

if TYPE_CHECKING:
    from respbroker.streams.places import Places
    from respbroker.streams.stream import Stream

Apply = Callable[[], None]


class CatalogChanges:
    """The part of `respbroker.streams.keyspace.Keyspace` through which the catalog is changed."""

    catalog: Catalog
    databases: list[Database]
    dirty: list[Stream]
    live_logs: set[Log]
    loose: dict[int, Log]
    open_streams: dict[int, Stream]
    places: Places
    trash: list[int]
    config_for: Callable[[TopicSettings | None], LogConfig]
    _open: Callable[[int, bytes, KeyEntry], Stream]

    def commit(self, effect: list[Any]) -> None:
        """Change the catalog; the effect is staged for the end of the tick."""
        self._carry_out(effect, partial(self.catalog.commit, effect))

    def follow(self, effect: list[Any]) -> None:
        """The catalog was changed by the leader; the effect is in its log already."""
        self._carry_out(effect, partial(self.catalog.apply, effect))

    def _carry_out(self, effect: list[Any], apply: Apply) -> None:
        change = _CHANGES.get(effect[0])
        if change is None:  # nothing that is open is concerned
            apply()
        else:
            change(self, apply, *effect[1:])
        self.places.changed(effect)

    # -- one method for each effect that concerns what is open -------------------------------------------------

    def _drop(self, apply: Apply, db: int, key: bytes) -> None:
        entry = self.databases[db].keys[key]
        apply()
        self._discard(entry)

    def _move(self, apply: Apply, db: int, key: bytes, new_db: int, new_key: bytes) -> None:
        entry = self.databases[db].keys[key]
        replaced = self.databases[new_db].keys.get(new_key)
        apply()
        if replaced is not None:
            self._discard(replaced)
        self._name(new_db, new_key, entry)

    def _swap(self, apply: Apply, one: int, other: int) -> None:
        apply()
        for index in (one, other):
            self.databases[index].keys = self.catalog.databases[index]
            for key, entry in self.databases[index].keys.items():
                self._name(index, key, entry)

    def _flush(self, apply: Apply, db: int | None) -> None:
        doomed = self.databases if db is None else [self.databases[db]]
        entries = [entry for database in doomed for entry in database.keys.values()]
        apply()
        for entry in entries:
            self._discard(entry)

    def _replace_log(self, apply: Apply, db: int, key: bytes, number: int) -> None:
        """The stream goes on in another directory: whoever holds the old one lets go of it, or is given the new one."""
        leaf = self.catalog.leaf(db, key)
        before = leaf.stream
        self._discard(leaf)
        apply()
        if before is not None:
            stream = self._open(db, key, leaf)
            stream.settings, stream.log.config = before.settings, before.log.config
            if before.topic is not None:
                before.topic.replace(before.partition, stream)

    def _alter(self, apply: Apply, db: int, key: bytes, settings: dict[str, str]) -> None:
        apply()
        self._configure(self.databases[db].keys[key])

    def _grow(self, apply: Apply, db: int, key: bytes, *_: int) -> None:
        apply()
        entry = self.databases[db].keys[key]
        self._name(db, key, entry)  # a plain stream is a partition from now on
        topic = entry.topic
        if topic is not None:
            for index, part in enumerate(entry.parts[len(topic.partitions) :], len(topic.partitions)):
                topic.add(self._open(db, b"%b/%d" % (key, index), part))
        self._configure(entry)

    # -- what is open of an entry ------------------------------------------------------------------------------

    def _configure(self, entry: KeyEntry) -> None:
        """Hand the topic's settings to what is open of it."""
        settings = entry.settings or DEFAULTS
        config = self.config_for(entry.settings)
        if entry.topic is not None:
            entry.topic.settings = settings
        for leaf in entry.leaves:
            if leaf.stream is not None:
                leaf.stream.settings = settings
                leaf.stream.log.config = config

    def _name(self, db: int, key: bytes, entry: KeyEntry) -> None:
        """Tell what is open of an entry where it is now."""
        if entry.topic is not None:
            entry.topic.db, entry.topic.name = db, key
        for index, leaf in enumerate(entry.leaves):
            if leaf.stream is not None:
                leaf.stream.db, leaf.stream.key = db, b"%b/%d" % (key, index) if entry.parts else key

    def _discard(self, entry: KeyEntry) -> None:
        """Close dropped streams; their directories go once the catalog that says so is synced."""
        if entry.topic is not None:
            entry.topic.groups.clear()
            entry.topic = None
        for leaf in entry.leaves:
            if leaf.stream is not None:
                self.open_streams.pop(leaf.number, None)
                if leaf.stream.is_dirty:
                    self.dirty.remove(leaf.stream)
                self._let_go(leaf.stream.log)
                leaf.stream = None
            elif leaf.number in self.loose:
                self._let_go(self.loose.pop(leaf.number))
            self.trash.append(leaf.number)

    def _let_go(self, log: Log) -> None:
        self.live_logs.discard(log)
        log.close()


_CHANGES: Final[dict[int, Callable[..., None]]] = {
    DROPPED: CatalogChanges._drop,
    MOVED: CatalogChanges._move,
    SWAPPED: CatalogChanges._swap,
    FLUSHED: CatalogChanges._flush,
    LOG_REPLACED: CatalogChanges._replace_log,
    TOPIC_ALTERED: CatalogChanges._alter,
    TOPIC_GROWN: CatalogChanges._grow,
}
