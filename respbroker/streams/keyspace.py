"""Which streams exist: databases of keys, and the catalog log that makes them durable.

A key is an entry of the catalog: the number of its stream's directory, and its expiry. Streams are opened when they
are first used, so a node with ten thousand streams starts as fast as one with ten. Names never become file names:
any bytes may be a key. Changes are effects in the catalog's own log, written at the end of the tick like any other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from respbroker.errors import NoSuchPartition, SeveralPartitions
from respbroker.model.topic_settings import DEFAULTS
from respbroker.streams.catalog import (
    CREATED,
    DROPPED,
    EXPIRY_SET,
    FLUSHED,
    INTERNAL,
    LOG_REPLACED,
    MOVED,
    SWAPPED,
    Catalog,
    Database,
    KeyEntry,
)
from respbroker.streams.catalog_changes import CatalogChanges
from respbroker.streams.copying import copy_stream
from respbroker.streams.directories import never_synced, remove_tree
from respbroker.streams.flushing import Flushing
from respbroker.streams.journal import CATALOG, Journal
from respbroker.streams.keyspace_topics import KeyspaceTopics
from respbroker.streams.keyspace_values import KeyspaceValues
from respbroker.streams.opening import (
    Directories,
    drop_lost_streams,
    finish_removals,
    open_first_logs,
    recover_journal,
)
from respbroker.streams.places import Places
from respbroker.streams.replica import Replica
from respbroker.streams.roles import Roles
from respbroker.streams.stream import Id, Stream
from respbroker.streams.upkeep import KeyspaceUpkeep
from respbroker.streams.whole_logs import WholeLogs
from storage import Caches, FileSystem, Log, LogConfig

if TYPE_CHECKING:
    from respbroker.model.settings import Settings
    from respbroker.values.kinds import Value

_SNAPSHOT_BYTES = 16 << 20  # log behind the last snapshot of a stream that makes the next one due


def log_config_of(settings: Settings) -> LogConfig:
    """The settings that are about logs."""
    return LogConfig(
        segment_bytes=settings.segment_bytes,
        segment_ms=settings.segment_ms,
        retention_ms=None if settings.retention_ms < 0 else settings.retention_ms,
        retention_bytes=None if settings.retention_bytes < 0 else settings.retention_bytes,
    )


class Keyspace(KeyspaceTopics, KeyspaceValues, CatalogChanges, Flushing, Roles, Replica, WholeLogs, KeyspaceUpkeep):
    """All databases of a node. Owns the catalog and every open stream.

    ``dirty`` lists the streams with staged changes; `flush` appends them, then the catalog.
    """

    def __init__(
        self,
        filesystem: FileSystem,
        directory: str,
        settings: Settings,
        now_ms: int,
        *,
        settle: bool = True,
        following: bool = False,
        ran_on: bool = False,
    ) -> None:
        """With ``settle`` everything that was found is synced when this returns; else see `settled`. ``ran_on``: the
        machine did since the directory was last in use, as in `Log.open`.
        """
        self.filesystem = filesystem
        self.directory = directory
        self.whole = filesystem.whole(directory)
        self.settings = settings
        self.log_config = log_config_of(settings)
        self._ran_on = ran_on
        self.now_ms = now_ms
        #: Bounds what all logs together keep open and in memory.
        self.caches = Caches()
        self.dirty: list[Stream] = []
        self.atomic = self.journaled = False
        self._snapshot_bytes = min(_SNAPSHOT_BYTES, self.log_config.segment_bytes // 8)
        self._grown: list[Stream] = []  # streams flushed whose next snapshot is due
        self._journal_ticks = 0
        self.open_streams: dict[int, Stream] = {}
        #: Logs that are open without a stream, by number: of keys about to come, or that nobody has looked up.
        self.loose: dict[int, Log] = {}
        self.to_open: list[int] | None = None
        #: Numbers of dropped streams whose directories may go once everything flushed so far is synced.
        self.trash: list[int] = []
        self._set_aside = 0  # how many directories were
        #: Set while the disk refuses writes: keys whose time has come are hidden then, not dropped.
        self.frozen = False
        #: Logs that are open: syncs that come back for others are late.
        self.live_logs: set[Log] = set()
        #: Called with a log that was opened with something to sync.
        self.on_unsynced: Callable[[Log], None] = lambda log: None
        #: Called with (db, key, number of its partitions if several) when a key goes by expiry.
        self.on_expired: Callable[[int, bytes, int], None] = lambda db, key, parts: None
        #: Whether all that a killed server left is on the disk. If not, somebody is to call ``filesystem.sync_all``, in
        #: any thread, and then `found_durable`.
        self.settled = False
        self._following = following
        self._leader_epoch = 0
        self._on_append = None
        self.on_key_changed = None
        finish_removals(filesystem, directory, following=following)
        self._open_catalog(settle=settle)

    def settings_changed(self) -> None:
        """The settings of logs may be others now: they hold from the next append and the next round of retention on."""
        self.log_config = log_config_of(self.settings)
        for log in self.live_logs:
            log.config = self.log_config
        for stream in self.opened():
            stream.log.config = self.config_for(stream.settings)

    def _open_catalog(self, *, settle: bool, journal: Journal | None = None) -> None:
        """With ``journal`` that one goes on: its ticks are in the logs. To empty it may need room on the disk."""
        if journal is None:
            log, journal_log = open_first_logs(self.filesystem, self.directory, self._open_log_in)
            self.journal = Journal(journal_log, self._journal_ticks)
            recover_journal(self.journal, log, self._open_part)
        else:
            log = self._open_log_in(f"{self.directory}/catalog", False)
        self.catalog = Catalog(self.settings.databases, self._equip(CATALOG, log), self.now_ms)
        self.databases = [Database(index, keys) for index, keys in self.catalog.numbered()]
        self.places = Places(self.databases)
        self.live_logs = {log}
        directories = Directories(self.filesystem, self.directory, self.catalog)
        if self._following:
            directories.find_leftovers()
        else:
            directories.match()
        if settle:
            self.filesystem.sync_all()
            self.found_durable()
        if not self._following:
            drop_lost_streams(self.catalog, self._open_part)
        self.trash = list(self.catalog.leftovers)
        self._trash_taken = set()
        self._open_values()
        if not self._following:
            self.tidy_values()

    def _open_part(self, number: int, create: bool) -> Log | None:
        """The log of a stream whose directory may not have reached the disk whole; None if it is missing."""
        path = self.path_of(number)
        if never_synced(self.filesystem, path):
            if not create:
                return None
            remove_tree(self.filesystem, path)
        return self._open_log(number, create=create)

    @property
    def findings(self) -> list[str]:
        """What recovery found that an operator should know."""
        return self.catalog.findings

    @property
    def visible(self) -> list[Database]:
        """The databases that clients have numbers for."""
        return self.databases[:INTERNAL]

    # -- looking up ------------------------------------------------------------------------------------------

    def lookup(self, db: int, key: bytes, now_ms: int) -> Stream | None:
        """The stream at ``key``, opened if need be; None if there is none or it has expired.

        Raises:
            SeveralPartitions: it is a topic of several partitions.
            WrongType: it holds a value.
            NoSuchPartition: the key names a partition beyond a topic's last one.
        """
        entry = self.databases[db].keys.get(key)
        if entry is None:
            self.ensure_no_value(db, key, now_ms)
            return self.lookup_partition(db, key, now_ms) if b"/" in key else None
        if entry.expires_ms and entry.expires_ms <= now_ms:
            self._expire_unless_frozen(db, key)
            return None
        entry.used_ms = now_ms
        if entry.parts:
            raise SeveralPartitions(key, self.topic_of(db, key, entry))
        return entry.stream or self._open(db, key, entry)

    def exists(self, db: int, key: bytes, now_ms: int) -> bool:
        """Whether there is a key, or a partition of that name; its stream is not opened."""
        if key in self.databases[db].keys or key in self.values[db].keys:
            return self.exists_whole(db, key, now_ms)
        try:
            return b"/" in key and self.partition_entry(db, key, now_ms) is not None
        except NoSuchPartition:
            return False

    def exists_whole(self, db: int, key: bytes, now_ms: int) -> bool:
        """Whether there is a key, partitions apart."""
        entry: KeyEntry | Value | None = self.databases[db].keys.get(key)
        if entry is None:
            entry = self.values[db].keys.get(key)
        if entry is None:
            return False
        if entry.expires_ms and entry.expires_ms <= now_ms:
            self._expire_unless_frozen(db, key)
            return False
        return True

    def expiry(self, db: int, key: bytes) -> int:
        """When a key that exists expires, Unix milliseconds, 0 for never; a partition does with its topic."""
        entry = self.entry_or_value(db, key)
        return 0 if entry is None else entry.expires_ms

    def expired(self, now_ms: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to ``limit`` keys whose time has come."""
        due = self.catalog.expired(now_ms, limit)
        for db, values in enumerate(self.values):
            due += [(db, key) for key in values.expired(now_ms, limit - len(due))]
        return due

    def opened(self) -> Iterator[Stream]:
        """The streams that are open."""
        return iter(list(self.open_streams.values()))

    def _open(self, db: int, key: bytes, entry: KeyEntry) -> Stream:
        log = self.loose.pop(entry.number, None)
        if log is None:  # a follower may not have been sent it yet
            log = self._open_part(entry.number, True) if self._following else self._open_log(entry.number, create=False)
            assert log is not None
        return self._attach(db, key, entry, log)

    def _open_log(self, number: int, *, create: bool) -> Log:
        return self._equip(number, self._open_log_in(self.path_of(number), create))

    def _open_log_in(self, path: str, create: bool, config: LogConfig | None = None) -> Log:
        limits = config or self.log_config
        log = Log.open(
            self.filesystem, path, limits, clock_ms=self.now_ms, caches=self.caches, create=create, ran_on=self._ran_on
        )
        if self.settled:
            log.found_durable()
        return log

    def _attach(self, db: int, key: bytes, entry: KeyEntry, log: Log) -> Stream:
        defaults = (self.settings.stream_idmp_duration, self.settings.stream_idmp_maxsize)
        stream = Stream(db, key, entry.number, log, defaults, self.dirty.append, entry.settings or DEFAULTS)
        if entry.settings is not None:
            log.config = self.config_for(entry.settings)
        stream.snapshot_due = log.appended - log.bytes_since_snapshot + self._snapshot_bytes
        entry.stream = stream
        self.open_streams[entry.number] = stream
        self.live_logs.add(log)
        if log.unsynced():  # written before a crash, or just made
            self.on_unsynced(log)
        return stream

    def path_of(self, number: int) -> str:
        """The directory of a stream."""
        return f"{self.directory}/streams/{number:010d}"

    # -- changing --------------------------------------------------------------------------------------------

    def create(self, db: int, key: bytes) -> Stream:
        """An empty stream at ``key``, where there is none. Raises BusyKey if it would pass for a partition."""
        if b"/" in key:
            self.ensure_free(db, key)
        self._new_logs(1)
        return self._enter(db, key)

    def _new_logs(self, count: int) -> int:
        """Logs for the next ``count`` streams, and the number of the first.

        Come before any other change, for the disk may refuse them.
        """
        first = self.catalog.next_number
        for number in range(first, first + count):
            log = self.loose.get(number) or self._open_log(number, create=True)
            self.loose[number] = log
        return first

    def _enter(self, db: int, key: bytes) -> Stream:
        self.commit([CREATED, db, key, self.catalog.next_number])
        entry = self.databases[db].keys[key]
        entry.used_ms = self.now_ms
        return self._open(db, key, entry)

    def delete(self, db: int, key: bytes) -> bool:
        """Drop a key and its stream, or its value; False if there is none."""
        if key not in self.databases[db].keys:
            return self.values[db].remove(key) is not None
        self.commit([DROPPED, db, key])
        return True

    def expire(self, db: int, key: bytes) -> None:
        """Drop a key whose time has come."""
        parts = self.parts_count(db, key)
        self.delete(db, key)
        self.on_expired(db, key, parts)

    def _expire_unless_frozen(self, db: int, key: bytes) -> None:
        if not (self.frozen or self._following):
            self.expire(db, key)

    def rename(self, db: int, key: bytes, new_db: int, new_key: bytes) -> None:
        """Move a key, replacing what is at the new place; the expiry goes along."""
        if (db, key) == (new_db, new_key):
            return
        entry = self.databases[db].keys.get(key)
        if entry is None:
            self.move_value(db, key, new_db, new_key)
            return
        self.ensure_free(new_db, new_key, len(entry.leaves), moved=key)
        self.values[new_db].remove(new_key)
        self.commit([MOVED, db, key, new_db, new_key])

    def go_back(self, stream: Stream, last_id: Id) -> Stream:
        """The stream in a new directory, without the dead entries above ``last_id``, so that lower IDs can follow.

        The stream given is not to be used any more.
        """
        number = self._new_logs(1)
        stored = range(stream.log.first_ordinal, stream.end_ordinal)
        end = stored.start + bisect_right(stored, last_id, key=stream.id_at)
        self.commit([LOG_REPLACED, stream.db, stream.key, number])
        target = self.open_streams[number]
        copy_stream(stream, target, end)
        self.atomic = True
        return target

    def set_expiry(self, db: int, key: bytes, expires_ms: int) -> None:
        """The key expires at that Unix time in milliseconds; 0: never."""
        if key in self.databases[db].keys:
            self.commit([EXPIRY_SET, db, key, expires_ms])
        else:
            self.values[db].set_expiry(key, expires_ms)

    def swap(self, one: int, other: int) -> None:
        """Exchange two databases."""
        self.commit([SWAPPED, one, other])
        self.swap_values(one, other)

    def flush_databases(self, db: int | None) -> None:
        """Drop every key of one database or of all."""
        self.commit([FLUSHED, db])
        for each in range(self.catalog.visible_count) if db is None else (db,):
            self.drop_values(each)
