"""Topics in a keyspace: keys with several partitions, and the names of these.

Partition 3 of the topic ``orders`` is looked up as ``orders/3``. Such a name stands in no dictionary: it is found
through the topic, so that a topic is renamed, expires and goes as one key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from respbroker.errors import BusyKey, NoSuchPartition, PartOfTopic, quoted
from respbroker.model.topic_settings import DEFAULTS, TopicSettings
from respbroker.streams import effects
from respbroker.streams.catalog import TOPIC_ALTERED, TOPIC_CREATED, TOPIC_GROWN, Catalog, KeyEntry
from respbroker.streams.copying import copy_stream
from respbroker.streams.stream import Stream
from respbroker.streams.topic import Topic
from storage import LogConfig

if TYPE_CHECKING:
    from respbroker.streams.catalog import Database
    from respbroker.values.database import ValueDatabase
    from respbroker.values.kinds import Value

_SLASH = ord("/")


class KeyspaceTopics:
    """The part of `respbroker.streams.keyspace.Keyspace` that knows of partitions."""

    catalog: Catalog
    databases: list[Database]
    log_config: LogConfig
    atomic: bool
    values: list[ValueDatabase]
    exists_whole: Callable[[int, bytes, int], bool]
    ensure_no_value: Callable[[int, bytes, int], None]
    copy_value: Callable[[int, bytes, int, bytes], None]
    _open: Callable[[int, bytes, KeyEntry], Stream]
    now_ms: int
    commit: Callable[[list[Any]], None]
    delete: Callable[[int, bytes], bool]
    expiry: Callable[[int, bytes], int]
    set_expiry: Callable[[int, bytes, int], None]
    _configure: Callable[[KeyEntry], None]
    _enter: Callable[[int, bytes], Stream]
    _new_logs: Callable[[int], int]

    # -- names -----------------------------------------------------------------------------------------------

    def partition_entry(self, db: int, key: bytes, now_ms: int) -> tuple[bytes, KeyEntry, int] | None:
        """Name and entry of the topic of which ``key`` names a partition, and its number; None if it names none.

        Raises:
            NoSuchPartition: there is such a topic, but it has fewer partitions.
        """
        name, slash, digits = key.rpartition(b"/")
        entry = self.databases[db].keys.get(name) if slash else None
        if entry is None or not entry.parts or not digits.isdigit() or (digits[:1] == b"0" and len(digits) > 1):
            return None
        if not self.exists_whole(db, name, now_ms):
            return None
        if len(digits) > 4 or int(digits) >= len(entry.parts):
            raise NoSuchPartition.of(name, digits, len(entry.parts))
        return name, entry, int(digits)

    def lookup_partition(self, db: int, key: bytes, now_ms: int) -> Stream | None:
        """The partition that ``key`` names. Raises NoSuchPartition."""
        found = self.partition_entry(db, key, now_ms)
        if found is None:
            return None
        name, entry, index = found
        entry.used_ms = now_ms
        return self.topic_of(db, name, entry).partitions[index]

    def entry_or_value(self, db: int, key: bytes) -> KeyEntry | Value | None:
        """What knows of a key when it expires and was used: `entry_of`, or its value."""
        value = self.values[db].keys.get(key)
        return self.entry_of(db, key) if value is None else value

    def entry_of(self, db: int, key: bytes) -> KeyEntry | None:
        """The catalog's entry of a key, or of the topic of which it names a partition; looked at, not used."""
        entry = self.databases[db].keys.get(key)
        return self.databases[db].keys.get(key.rpartition(b"/")[0]) if entry is None else entry

    def ensure_whole(self, db: int, key: bytes, now_ms: int) -> None:
        """Raise PartOfTopic if ``key`` names a partition."""
        if _SLASH not in key or key in self.databases[db].keys or key in self.values[db].keys:
            return
        if self.partition_entry(db, key, now_ms) is not None:
            raise PartOfTopic.of(key)

    def ensure_free(self, db: int, key: bytes, partitions: int = 1, *, moved: bytes | None = None) -> None:
        """Raise BusyKey if a new key's name, or those of its partitions, mean something else already.

        ``moved`` is the key that is about to get the name.
        """
        keys = self.databases[db].keys
        if _SLASH in key:
            name, _, digits = key.rpartition(b"/")
            owner = keys.get(name)
            if owner is not None and owner.parts and digits.isdigit() and name != moved:
                raise BusyKey(f"'{quoted(key)}' would be a partition of the topic '{quoted(name)}'")
        if partitions > 1:
            for taken in (b"%b/%d" % (key, index) for index in range(partitions)):
                if (taken in keys or taken in self.values[db].keys) and taken != moved:
                    raise BusyKey(f"the key '{quoted(taken)}' exists, and would be a partition of '{quoted(key)}'")

    def parts_count(self, db: int, key: bytes) -> int:
        """How many partitions a key has; 0 if it is a plain stream, or there is none."""
        entry = self.databases[db].keys.get(key)
        return 0 if entry is None else len(entry.parts)

    def all_names(self, db: int) -> list[bytes]:
        """The keys of a database, and the names of partitions."""
        names = []
        for key, entry in self.databases[db].keys.items():
            names.append(key)
            names += [b"%b/%d" % (key, index) for index in range(len(entry.parts))]
        return [*names, *self.values[db].keys]

    def names_of(self, db: int, key: bytes) -> tuple[bytes, ...]:
        """A key that changed, and the topic it is a partition of: those who wait for that or watch it are concerned."""
        if _SLASH not in key:
            return (key,)
        name = key.rpartition(b"/")[0]
        entry = self.databases[db].keys.get(name)
        return (key, name) if entry is not None and entry.parts else (key,)

    # -- opening ---------------------------------------------------------------------------------------------

    def find(self, db: int, key: bytes, now_ms: int) -> Stream | Topic | None:
        """What is at ``key``: a stream, a topic of several partitions, one of its partitions, or nothing."""
        entry = self.databases[db].keys.get(key)
        if entry is None:
            self.ensure_no_value(db, key, now_ms)
            return self.lookup_partition(db, key, now_ms) if _SLASH in key else None
        if entry.expires_ms and not self.exists_whole(db, key, now_ms):
            return None
        entry.used_ms = now_ms
        return self.open_key(db, key, entry)

    def open_key(self, db: int, key: bytes, entry: KeyEntry) -> Stream | Topic:
        """The stream or the topic, opened if need be."""
        return self.topic_of(db, key, entry) if entry.parts else entry.stream or self._open(db, key, entry)

    @staticmethod
    def streams_of(found: Stream | Topic) -> list[Stream]:
        """The partitions, or the one stream."""
        return found.partitions if isinstance(found, Topic) else [found]

    def topic_of(self, db: int, name: bytes, entry: KeyEntry) -> Topic:
        """The topic of an entry with several partitions, all of them opened."""
        if entry.topic is None:
            streams = [
                part.stream or self._open(db, b"%b/%d" % (name, index), part) for index, part in enumerate(entry.parts)
            ]
            entry.topic = Topic(db, name, entry.settings or DEFAULTS, entry.plain_until, streams)
            self._configure(entry)
        return entry.topic

    def config_for(self, settings: TopicSettings | None) -> LogConfig:
        """The limits of a topic's logs: the server's, as far as the topic has none of its own."""
        config = self.log_config
        if settings is None or settings == DEFAULTS:
            return config
        sizes = {name: getattr(settings, name) for name in ("segment_bytes", "segment_ms")}
        changes = {name: value for name, value in sizes.items() if value is not None}
        retention_ms, retention_bytes = self.retention_of(settings)
        return attrs.evolve(config, retention_ms=retention_ms, retention_bytes=retention_bytes, **changes)

    def retention_of(self, settings: TopicSettings | None) -> tuple[int | None, int | None]:
        """Age and size above which entries of a topic go; None where they do not."""
        config = self.log_config
        if settings is None:
            return config.retention_ms, config.retention_bytes
        if "delete" not in settings.cleanup_policy:
            return None, None
        age, size = settings.retention_ms, settings.retention_bytes
        age = config.retention_ms if age is None else age
        size = config.retention_bytes if size is None else size
        return None if age == -1 else age, None if size == -1 else size

    # -- changing --------------------------------------------------------------------------------------------

    def create_topic(self, db: int, key: bytes, partitions: int, settings: TopicSettings) -> None:
        """A topic with empty partitions, where there is no key. Raises BusyKey."""
        if key in self.databases[db].keys:
            raise BusyKey
        self.ensure_free(db, key, partitions)
        number = self._new_logs(partitions)
        self.commit([TOPIC_CREATED, db, key, number, partitions, settings.dump()])
        self._begin(db, key)

    def alter_topic(self, db: int, key: bytes, settings: TopicSettings) -> None:
        """Other settings for a key that exists."""
        self.commit([TOPIC_ALTERED, db, key, settings.dump()])

    def grow_topic(self, db: int, key: bytes, partitions: int) -> None:
        """More partitions for a key that exists; the new ones know the groups, and have given them nothing yet."""
        entry = self.databases[db].keys[key]
        before = self.open_key(db, key, entry)
        last_id = before.last_id
        self.ensure_free(db, key, partitions)
        old = len(entry.leaves)
        number = self._new_logs(partitions - old)
        self.commit([TOPIC_GROWN, db, key, number, partitions - old, *last_id])
        first, *others = self._begin(db, key, old)
        for stream in others[old - 1 :]:
            for group in first.groups.values():
                stream.commit([effects.GROUP_CREATED, group.name, 0, 0, 0, 0])

    def copy(self, db: int, key: bytes, new_db: int, new_key: bytes) -> None:
        """Copy a stream or a topic with its groups, settings and expiry, replacing what is at the new place.

        Raises:
            BusyKey: the new name, or that of a partition, means something else.
        """
        if key in self.values[db].keys:
            self.copy_value(db, key, new_db, new_key)
            return
        source = self.find(db, key, self.now_ms)
        assert source is not None
        expires_ms, sources = self.expiry(db, key), self.streams_of(source)
        self.ensure_free(new_db, new_key, len(sources))
        settings = self.databases[db].keys[key].settings if key in self.databases[db].keys else None
        if isinstance(source, Topic):
            targets = self._replace_by_topic(new_db, new_key, source)
        else:
            self._new_logs(1)
            self.delete(new_db, new_key)
            targets = [self._enter(new_db, new_key)]
            if settings is not None:
                self.alter_topic(new_db, new_key, settings)
        for one, other in zip(sources, targets, strict=True):
            copy_stream(one, other)
        self.atomic = True  # what is replaced must not go without the copy
        if expires_ms:
            self.set_expiry(new_db, new_key, expires_ms)

    def _replace_by_topic(self, db: int, key: bytes, like: Topic) -> list[Stream]:
        """A topic like another one in place of what is there; its empty partitions."""
        count = len(like.partitions)
        number = self._new_logs(count)
        self.delete(db, key)
        self.commit([TOPIC_CREATED, db, key, number, 1, like.settings.dump()])
        self.commit([TOPIC_GROWN, db, key, number + 1, count - 1, *like.plain_until])
        streams = self._begin(db, key)
        self.topic_of(db, key, self.databases[db].keys[key]).take_id(like.last_id)
        return streams

    def _begin(self, db: int, key: bytes, first: int = 0) -> list[Stream]:
        """Open a key that just came or grew, and say in the streams from the ``first`` on whose they are."""
        streams = self.streams_of(self.open_key(db, key, self.databases[db].keys[key]))
        for index, stream in enumerate(streams[first:], first):
            stream.commit([effects.BEGUN, key, index])
        self.atomic = True  # all of it or nothing
        return streams
