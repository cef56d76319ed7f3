"""The catalog: every key's stream number and expiry, as a log of effects with snapshots.

It is a log like any other (design: one truth, everything else an index), in ``DIR/catalog``. Besides keys it knows
up to which number the streams' directories are known to be on disk, so that recovery can tell a key whose creation
a power failure swallowed (reported, and dropped) from a directory that somebody removed (an error).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgpack
from sortedcontainers import SortedList

from respbroker.model.topic_settings import DEFAULTS, TopicSettings
from respbroker.streams.journal import CATALOG, Part
from storage import Log, StorageError

if TYPE_CHECKING:
    from respbroker.streams.key_order import KeyOrder
    from respbroker.streams.stream import Stream
    from respbroker.streams.topic import Topic

CREATED: Final = 1  # [_, db, key, number]
DROPPED: Final = 2  # [_, db, key]
MOVED: Final = 3  # [_, db, key, new_db, new_key]
EXPIRY_SET: Final = 4  # [_, db, key, expires_ms (0: never)]
SWAPPED: Final = 5  # [_, db, db]
FLUSHED: Final = 6  # [_, db or nil]
ON_DISK: Final = 7  # [_, number]: the directories of all streams below are on disk
LOG_REPLACED: Final = 8  # [_, db, key (of a partition, where there are several), number]: goes on in another directory
TOPIC_CREATED: Final = 9  # [_, db, key, number of the first partition, partitions, settings as TopicSettings.dump]
TOPIC_ALTERED: Final = 10  # [_, db, key, settings]
TOPIC_GROWN: Final = 11  # [_, db, key, number of the first new partition, new ones, last_ms, last_seq before]

#: The database behind those that clients have numbers for, the last of every list of them. It holds streams of the
#: server's own: the records of each database's values, under its number.
INTERNAL: Final = -1

_SNAPSHOT_VERSION = 3  # 2 as long as there is nothing in the internal database
_SNAPSHOT_BYTES = 4 << 20  # a snapshot once this much log, and twice the last snapshot, has gathered behind the last


@attrs.define(eq=False, slots=True)
class KeyEntry:
    """What the catalog knows of one key; ``stream`` while it is open. Times in Unix milliseconds.

    ``number`` names the stream's directory; ``place``, the number at creation, never changes (SCAN orders by it).
    ``settings`` are None for a key that XTOPIC never spoke of. Several partitions are in ``parts``, entries of their
    own without expiry and settings; then ``topic`` takes the place of ``stream``. For ``plain_until`` see
    `respbroker.streams.topic`.
    """

    number: int
    place: int
    expires_ms: int = 0
    used_ms: int = 0
    stream: Stream | None = None
    settings: TopicSettings | None = None
    parts: tuple[KeyEntry, ...] = ()
    plain_until: tuple[int, int] = (0, 0)
    topic: Topic | None = None

    @property
    def leaves(self) -> tuple[KeyEntry, ...]:
        """The entries that have a directory: the partitions, or the key itself."""
        return self.parts or (self,)


@attrs.define(eq=False)
class Database:
    """One of the numbered databases. ``keys`` is shared with the catalog, which owns it."""

    index: int
    keys: dict[bytes, KeyEntry]
    order: KeyOrder | None = None  #: cache of a running SCAN; may be dropped at any time


class Catalog:
    """Owns ``databases``: for each, the keys in order of creation; the last is `INTERNAL`. Changed only by `apply`."""

    def __init__(self, databases: int, log: Log, now_ms: int) -> None:
        self.databases: list[dict[bytes, KeyEntry]] = [{} for _ in range(databases + 1)]
        self.now_ms = now_ms
        self.next_number = 1
        self.on_disk_below = 0
        #: (expires_ms, db, key) of every key with an expiry, soonest first.
        self._expiries: SortedList[tuple[int, int, bytes]] = SortedList()
        self._effects: list[bytes] = []
        self._snapshot_size = 0
        #: What recovery found that an operator should know, one sentence each.
        self.findings: list[str] = []
        #: Numbers of streams that were dropped but whose directories are still there.
        self.leftovers: list[int] = []
        self.log = log
        self._recover()

    @property
    def visible_count(self) -> int:
        """How many databases clients have numbers for."""
        return len(self.databases) - 1

    def numbered(self) -> list[tuple[int, dict[bytes, KeyEntry]]]:
        """All databases with their numbers."""
        *visible, internal = self.databases
        return [*enumerate(visible), (INTERNAL, internal)]

    # -- changes -----------------------------------------------------------------------------------------------

    @property
    def is_dirty(self) -> bool:
        return bool(self._effects)

    @property
    def staged_count(self) -> int:
        """How many effects are staged."""
        return len(self._effects)

    def commit(self, effect: list[Any]) -> None:
        """Apply an effect and stage it for the end of the tick."""
        self.apply(effect)
        self._effects.append(_pack(effect))

    def flush(self, now_ms: int) -> None:
        """Append what is staged: one write. Raises StorageError; then nothing was written."""
        self.log.append((), (), (), self._effects, now_ms=now_ms)
        self._effects = []

    def replicate(self, raw: bytes, *, roll: bool) -> list[list[Any]]:
        """Append a leader's batches as they are; their effects, which are to be applied. Raises as `flush`."""
        return [_unpack(each.effect) for each in self.log.append_batches(raw, roll=roll)]

    def write_due_snapshot(self) -> None:
        """A snapshot if much has gathered behind the last; not within `flush`, for its failure refuses no tick."""
        least = min(_SNAPSHOT_BYTES, self.log.config.segment_bytes // 4)
        if self.log.bytes_since_snapshot > max(least, 2 * self._snapshot_size):
            self.write_snapshot()

    def staged(self) -> Part:
        """What `flush` will append, for the journal."""
        return Part(CATALOG, self.log.end_offset, (), (), (), self._effects)

    def expired(self, now_ms: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to ``limit`` keys (with their databases) whose expiry has come."""
        due: list[tuple[int, bytes]] = []
        for expires_ms, db, key in self._expiries:
            if expires_ms > now_ms or len(due) >= limit:
                break
            due.append((db, key))
        return due

    def write_snapshot(self) -> None:
        """Snapshot the keys, so that opening replays little; unsynced like an append."""
        if self.log.bytes_since_snapshot:
            state = self._dump()
            self._snapshot_size = len(state)
            self.log.write_snapshot(state, self.log.end_offset)

    # -- effects -----------------------------------------------------------------------------------------------

    def apply(self, effect: list[Any]) -> None:
        """Change the keys as an effect says that is in the log, or about to be."""
        _APPLY[effect[0]](self, *effect[1:])

    def _created(self, db: int, key: bytes, number: int) -> None:
        self._forget(self.databases[db].pop(key, None), db, key)
        self.databases[db][key] = KeyEntry(number, number, used_ms=self.now_ms)
        self.next_number = max(self.next_number, number + 1)

    def _dropped(self, db: int, key: bytes) -> None:
        self._forget(self.databases[db].pop(key, None), db, key)

    def _moved(self, db: int, key: bytes, new_db: int, new_key: bytes) -> None:
        self._dropped(new_db, new_key)
        entry = self.databases[db].pop(key)
        self._forget(entry, db, key)
        self.databases[new_db][new_key] = entry
        if entry.expires_ms:
            self._expiries.add((entry.expires_ms, new_db, new_key))

    def _expiry_set(self, db: int, key: bytes, expires_ms: int) -> None:
        entry = self.databases[db][key]
        self._forget(entry, db, key)
        entry.expires_ms = expires_ms
        if expires_ms:
            self._expiries.add((expires_ms, db, key))

    def _swapped(self, one: int, other: int) -> None:
        databases = self.databases
        databases[one], databases[other] = databases[other], databases[one]
        self._index_expiries()

    def _flushed(self, db: int | None) -> None:
        for index in range(self.visible_count) if db is None else (db,):
            self.databases[index].clear()
        self._index_expiries()

    def _on_disk(self, number: int) -> None:
        self.on_disk_below = number

    def _log_replaced(self, db: int, key: bytes, number: int) -> None:
        self.leaf(db, key).number = number
        self.next_number = max(self.next_number, number + 1)

    def _topic_created(self, db: int, key: bytes, number: int, partitions: int, settings: dict[str, str]) -> None:
        self._created(db, key, number)
        entry = self.databases[db][key]
        entry.settings = TopicSettings.load(settings)
        if partitions > 1:
            entry.parts = tuple(KeyEntry(each, each) for each in range(number, number + partitions))
        self.next_number = max(self.next_number, number + partitions)

    def _topic_altered(self, db: int, key: bytes, settings: dict[str, str]) -> None:
        self.databases[db][key].settings = TopicSettings.load(settings)

    def _topic_grown(self, db: int, key: bytes, number: int, count: int, last_ms: int, last_seq: int) -> None:
        entry = self.databases[db][key]
        if not entry.parts:
            entry.parts = (KeyEntry(entry.number, entry.place, stream=entry.stream),)
            entry.stream, entry.plain_until = None, (last_ms, last_seq)
        entry.parts += tuple(KeyEntry(each, each) for each in range(number, number + count))
        entry.settings = entry.settings or DEFAULTS
        self.next_number = max(self.next_number, number + count)

    def leaf(self, db: int, key: bytes) -> KeyEntry:
        """The entry of a stream by its key, be it one of several partitions."""
        entry = self.databases[db].get(key)
        if entry is None:
            name, _, index = key.rpartition(b"/")
            return self.databases[db][name].parts[int(index)]
        return entry

    def _forget(self, entry: KeyEntry | None, db: int, key: bytes) -> None:
        """Take a key that goes or moves out of the expiry index."""
        if entry is not None and entry.expires_ms:
            self._expiries.discard((entry.expires_ms, db, key))

    def _index_expiries(self) -> None:
        self._expiries = SortedList(
            (entry.expires_ms, db, key)
            for db, keys in self.numbered()
            for key, entry in keys.items()
            if entry.expires_ms
        )

    # -- recovery ------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        offset = self.log.start_offset
        newest = self.log.newest_snapshot()
        if newest is not None:
            offset, state = newest
            self._load(state)
        for _, _, wire in self.log.controls(offset):
            self.apply(_unpack(wire))
        self._index_expiries()

    def leaves(self) -> list[tuple[int, bytes, KeyEntry]]:
        """Database, key and entry of every stream."""
        return [
            (db, b"%b/%d" % (key, index) if entry.parts else key, leaf)
            for db, keys in self.numbered()
            for key, entry in keys.items()
            for index, leaf in enumerate(entry.leaves)
        ]

    def not_known_on_disk(self) -> list[tuple[int, bytes, int]]:
        """Database, key and number of the streams whose directories no sync has been reported for."""
        return [(db, key, leaf.number) for db, key, leaf in self.leaves() if leaf.number >= self.on_disk_below]

    @staticmethod
    def title(db: int, key: bytes) -> str:
        """What a key is called where an operator is told of its log."""
        return (
            f"the stream of values of database {key.decode()}" if db == INTERNAL else f"stream {key!r} in database {db}"
        )

    def lose(self, db: int, key: bytes) -> None:
        """A key whose stream never reached the disk: nothing of it had been answered as durable."""
        self.commit([DROPPED, db, key])
        self.findings.append(f"{self.title(db, key)} was created too shortly before a power failure")

    def _dump(self) -> bytes:
        *keys, internal = [[_row(key, entry) for key, entry in database.items()] for database in self.databases]
        if internal:
            return _pack([_SNAPSHOT_VERSION, self.next_number, self.on_disk_below, keys, internal])
        return _pack([2, self.next_number, self.on_disk_below, keys])

    def _load(self, state: bytes) -> None:
        version, self.next_number, self.on_disk_below, databases, *internal = _unpack(state)
        assert 1 <= version <= _SNAPSHOT_VERSION, f"catalog snapshot version {version}"
        for index, rows in enumerate(databases):
            if rows and index >= self.visible_count:
                raise StorageError(
                    f"database {index} has keys, but the setting databases is {self.visible_count}",
                    file=self.log.directory,
                )
            for row in rows:
                self._load_row(index, row)
        for row in internal[0] if internal else ():  # since version 3
            self._load_row(INTERNAL, row)

    def _load_row(self, db: int, row: list[Any]) -> None:
        key, number, place, expires_ms, *topic = row
        entry = self.databases[db][key] = KeyEntry(number, place, expires_ms, self.now_ms)
        if topic:  # settings, parts, plain_until: since version 2, and only for topics
            entry.settings = TopicSettings.load(topic[0])
            entry.parts = tuple(KeyEntry(*part) for part in topic[1])
            entry.plain_until = topic[2], topic[3]


def _row(key: bytes, entry: KeyEntry) -> list[Any]:
    """A key as it stands in a snapshot."""
    row = [key, entry.number, entry.place, entry.expires_ms]
    if entry.settings is not None:
        row += [entry.settings.dump(), [[part.number, part.place] for part in entry.parts], *entry.plain_until]
    return row


_APPLY: Final[dict[int, Callable[..., None]]] = {
    CREATED: Catalog._created,
    DROPPED: Catalog._dropped,
    MOVED: Catalog._moved,
    EXPIRY_SET: Catalog._expiry_set,
    SWAPPED: Catalog._swapped,
    FLUSHED: Catalog._flushed,
    ON_DISK: Catalog._on_disk,
    LOG_REPLACED: Catalog._log_replaced,
    TOPIC_CREATED: Catalog._topic_created,
    TOPIC_ALTERED: Catalog._topic_altered,
    TOPIC_GROWN: Catalog._topic_grown,
}

# Texts of settings keep any bytes, see `respbroker.model.config_file.decode`.
_ANY_BYTES: Final = "surrogateescape"
_pack: Final[Callable[[list[Any]], bytes]] = msgpack.Packer(
    use_bin_type=True, autoreset=True, unicode_errors=_ANY_BYTES
).pack


def _unpack(wire: bytes) -> Any:
    return msgpack.unpackb(wire, raw=False, unicode_errors=_ANY_BYTES)
