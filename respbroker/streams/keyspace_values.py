"""Values in a keyspace: keys that hold a string, a hash or a sorted set, as an index over streams of records.

The records of each database's values are a compacted stream in the `INTERNAL` database, made with the first value. It
is written, synced, replicated and compacted like any other; here it is read when the keyspace is opened, and told what
has changed before a tick is flushed. A key is in the catalog or among the values, never in both at the end of a tick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs

from respbroker.errors import WrongType
from respbroker.model.topic_settings import TopicSettings
from respbroker.resp.codec import encode_entries, encode_ids
from respbroker.streams.catalog import DROPPED, INTERNAL, MOVED, Catalog, Database, KeyEntry
from respbroker.values.database import ValueDatabase
from respbroker.values.places import ValuePlaces
from respbroker.values.records import NAME_FIELD, parse_entry
from storage import CorruptLog, LogConfig, StorageError

if TYPE_CHECKING:
    from respbroker.streams.stream import Stream
    from respbroker.values.kinds import Value

#: Of the streams of records. A tombstone is kept for a while, for a follower that has not come to it yet.
RECORDS: Final = TopicSettings(
    key_field=NAME_FIELD.decode(),
    cleanup_policy=frozenset({"compact"}),
    delete_retention_ms=60 * 60 * 1000,
)
_SEGMENT_BYTES: Final = 16 << 20  # at most: nothing is compacted in the segment that is written to
_BYTES_AT_ONCE: Final = 1 << 20  # are read
_SWAPPING: Final = b"swap"  # where a database's records are for a moment


class KeyspaceValues:
    """The part of `respbroker.streams.keyspace.Keyspace` that knows of values. Owns ``values``, for each database."""

    directory: str
    catalog: Catalog
    log_config: LogConfig
    databases: list[Database]
    now_ms: int
    atomic: bool
    frozen: bool
    following: bool
    open_streams: dict[int, Stream]
    commit: Callable[[list[Any]], None]
    create_topic: Callable[..., None]
    ensure_free: Callable[..., None]
    ensure_whole: Callable[[int, bytes, int], None]
    exists: Callable[[int, bytes, int], bool]
    delete: Callable[[int, bytes], bool]
    expire: Callable[[int, bytes], None]
    expiry: Callable[[int, bytes], int]
    open_leaf: Callable[[int, bytes, KeyEntry, int], Stream]
    on_key_changed: Callable[[int, bytes], None] | None
    _is_there: Callable[[int], bool]
    _expire_unless_frozen: Callable[[int, bytes], None]

    def _open_values(self) -> None:
        """Read the values of all databases; the catalog is open."""
        self._value_places = ValuePlaces()
        #: Databases whose values changed since the last flush.
        self.changed_values: list[ValueDatabase] = []
        #: Databases some of whose records did not come in order, and how far their logs went when that was seen.
        self._outdated: dict[ValueDatabase, int] = {}
        self.values = [self._no_values() for _ in self.databases]  # none in the last, which is INTERNAL
        self.match_values()

    def _no_values(self, number: int = 0) -> ValueDatabase:
        return ValueDatabase(self._value_places, self._value_changed, number)

    def _value_changed(self, values: ValueDatabase) -> None:
        self.changed_values.append(values)

    # -- looking up ----------------------------------------------------------------------------------------------

    def value(self, db: int, key: bytes, now_ms: int) -> Value | None:
        """What a key holds, None if there is no such key. Raises WrongType if it is a stream."""
        value = self.values[db].keys.get(key)
        if value is None:
            if self.exists(db, key, now_ms):
                raise WrongType
            return None
        if value.expires_ms and value.expires_ms <= now_ms:
            self._expire_unless_frozen(db, key)
            return None
        value.used_ms = now_ms
        return value

    def ensure_no_value(self, db: int, key: bytes, now_ms: int) -> None:
        """Raise WrongType if the key, which is no stream, holds a value."""
        if key in self.values[db].keys and self.value(db, key, now_ms) is not None:
            raise WrongType

    def kind_of(self, db: int, key: bytes) -> bytes:
        """What a key is that exists, as TYPE tells it."""
        value = self.values[db].keys.get(key)
        return b"stream" if value is None else value.kind

    def keys_count(self, db: int) -> int:
        """Streams and values, those too that have expired and have not gone yet."""
        return len(self.databases[db].keys) + len(self.values[db].keys)

    # -- changing ------------------------------------------------------------------------------------------------

    def set_text(self, db: int, key: bytes, data: bytes, expires_ms: int | None) -> None:
        """The key holds this string, whatever it was before, a stream too; None keeps the expiry.

        Raises:
            PartOfTopic, NoSuchPartition, BusyKey: the name means a partition, or would.
        """
        if expires_ms is None:
            expires_ms = self.expiry(db, key) if self.exists(db, key, self.now_ms) else 0
        if key not in self.values[db].keys:
            self._make_room(db, key)
        self.values[db].set_text(key, data, expires_ms, self.now_ms)

    def put_member(self, db: int, key: bytes, kind: bytes, member: bytes, payload: bytes) -> None:
        """The member is in the key's value, which is of that kind or does not exist. Raises as `set_text`."""
        if key not in self.values[db].keys:
            self._make_room(db, key)
        self.values[db].put_member(key, kind, member, payload, self.now_ms)

    def _make_room(self, db: int, key: bytes) -> None:
        """A value is about to come where none is."""
        self.ensure_no_partition(db, key)
        if key in self.databases[db].keys:
            self.delete(db, key)

    def ensure_no_partition(self, db: int, key: bytes) -> None:
        """Refuse a name that means a partition, or would: it cannot hold a value. Raises as `set_text`."""
        if b"/" in key:
            self.ensure_whole(db, key, self.now_ms)
            self.ensure_free(db, key)

    def move_value(self, db: int, key: bytes, new_db: int, new_key: bytes) -> None:
        """Move a value, replacing what is at the new place, which is another one."""
        self.ensure_free(new_db, new_key)
        self.delete(new_db, new_key)
        value = self.values[db].remove(key)
        assert value is not None
        self.values[new_db].put(new_key, value)
        self.atomic = True

    def copy_value(self, db: int, key: bytes, new_db: int, new_key: bytes) -> None:
        """Copy a value with its expiry, replacing what is at the new place, which is another one."""
        self.ensure_free(new_db, new_key)
        self.delete(new_db, new_key)
        values = self.values[new_db]
        values.put(new_key, values.copy_of(self.values[db].keys[key], self.now_ms))

    def swap_values(self, one: int, other: int) -> None:
        """The records of two databases change places."""
        first, second = b"%d" % one, b"%d" % other
        names = self.databases[INTERNAL].keys
        for name, new_name in ((first, _SWAPPING), (second, first), (_SWAPPING, second)):
            if name in names:
                self.commit([MOVED, INTERNAL, name, INTERNAL, new_name])
        self.values[one], self.values[other] = self.values[other], self.values[one]

    def drop_values(self, db: int) -> None:
        """A database has no values any more; its records go as a whole."""
        name = b"%d" % db
        self.values[db] = self._no_values()
        if name in self.databases[INTERNAL].keys:
            self.commit([DROPPED, INTERNAL, name])

    # -- records -------------------------------------------------------------------------------------------------

    def write_values(self, now_ms: int) -> None:
        """Stage the records of what has changed, for the flush that follows, and be ``atomic`` where that is to be.

        Raises:
            StorageError: the caller must `take_back`.
        """
        if not self.changed_values:
            return
        for db, values in enumerate(self.values):
            if not values.is_changed:
                continue
            stream = self._stream_of_values(db, values)
            last_ms, last_seq = stream.last_id
            ms, seq = (now_ms, 0) if now_ms > last_ms else (last_ms, last_seq + 1)
            records = values.take_records()
            stream.extend(ms, seq, encode_entries(encode_ids(ms, seq, len(records)), records, 0, 0))
        self.atomic = self.atomic or self.catalog.is_dirty  # or a key might be lost or doubled between the two

    def _stream_of_values(self, db: int, values: ValueDatabase) -> Stream:
        """The records of a database, made if there are none."""
        name = b"%d" % db
        keys = self.databases[INTERNAL].keys
        if name not in keys:
            size = min(_SEGMENT_BYTES, self.log_config.segment_bytes)
            self.create_topic(INTERNAL, name, 1, attrs.evolve(RECORDS, segment_bytes=size))
        values.number = keys[name].number
        return self.open_leaf(INTERNAL, name, keys[name], 0)

    def match_values(self) -> None:
        """Let each database have the values whose records it has by the catalog; of a follower, those that have come.

        Raises:
            StorageError: they cannot be read, or are of a database that there is not.
        """
        known = {values.number: values for values in self.values}
        entries = self.databases[INTERNAL].keys
        for name in entries:
            if name != _SWAPPING and int(name) >= self.catalog.visible_count:
                problem = f"database {int(name)} has keys, but the setting databases is {self.catalog.visible_count}"
                raise StorageError(problem, file=self.directory)
        for db, before in enumerate(self.values[:INTERNAL]):
            name = b"%d" % db
            number = entries[name].number if name in entries else 0
            if self.following and number and not self._is_there(number):
                number = 0  # its log has not been sent yet
            if number == before.number:
                continue
            values = self._no_values(number)
            if number in known and number:
                values = known[number]
            elif number:
                try:
                    self._read(values, self.open_leaf(INTERNAL, name, entries[name], 0))
                except CorruptLog as error:
                    error.problem = f"the values of database {db} cannot be read: {error.problem}"
                    raise
            self.values[db] = values
            if self.on_key_changed is not None:
                for key in {**before.keys, **values.keys}:
                    self.on_key_changed(db, key)

    def _read(self, values: ValueDatabase, stream: Stream) -> None:
        for first, end in stream.live_ranges(stream.first_ordinal, stream.end_ordinal):
            self._apply(values, stream, first, end)

    def _apply(self, values: ValueDatabase, stream: Stream, first: int, end: int) -> list[bytes]:
        """Apply the records of a range; the keys that they are of."""
        concerned = []
        while first < end:
            pieces, stop = stream.payloads_some(first, end, _BYTES_AT_ONCE)
            raw, start = b"".join(pieces), 0
            for size in stream.sizes(first, stop):
                try:
                    concerned.append(values.apply(*parse_entry(raw[start : start + size]), self.now_ms))
                except ValueError as error:
                    raise CorruptLog(str(error), file=stream.log.directory) from error
                start += size
            first = stop
        return concerned

    def forget_values(self) -> None:
        """What has changed since the last flush is not to be; the streams of records are as the log says."""
        changed = set(self.changed_values)
        self.changed_values.clear()
        self.values = [self._no_values() if values in changed else values for values in self.values]
        self.match_values()

    def _database_of(self, stream: Stream) -> tuple[int, ValueDatabase] | None:
        for db, values in enumerate(self.values):
            if values.number == stream.number:
                return db, values
        return None

    def read_values_again(self, stream: Stream) -> None:
        """What was read from this stream does not hold any more."""
        found = self._database_of(stream)
        if found is not None:
            db, before = found
            self._outdated.pop(before, None)
            self.values[db] = self._no_values(0)
            self.match_values()

    # -- a follower ----------------------------------------------------------------------------------------------

    def values_grew(self, stream: Stream, before: int) -> None:
        """A leader's records were appended, from this ordinal on."""
        found = self._database_of(stream)
        if found is None:
            self.match_values()
            return
        db, values = found
        stored = stream.stored(before, stream.end_ordinal)
        if len(stored) < stream.end_ordinal - before:  # a tombstone may have been cleaned away
            self._outdated[values] = stream.end_ordinal
        for ordinal in _ranges(stored):
            for key in self._apply(values, stream, *ordinal):
                if self.on_key_changed is not None:
                    self.on_key_changed(db, key)

    def settle_values(self, *, at_once: bool = False) -> None:
        """Read values again some of whose records did not come, once no more come for a while."""
        for values, end in list(self._outdated.items()):
            stream = self.open_streams.get(values.number)
            if stream is None:
                del self._outdated[values]
            elif at_once or stream.end_ordinal == end:
                self.read_values_again(stream)
            else:
                self._outdated[values] = stream.end_ordinal

    def tidy_values(self) -> None:
        """Let no key be a stream and a value: a power failure may have left one of two changes, neither answered. And
        no member be without its key: one that leads now may have been sent a part of its leader's records only."""
        for database, values in zip(self.databases, self.values, strict=True):
            for key in database.keys.keys() & values.keys.keys():
                values.remove(key)
            strays = values.drop_strays()
            if strays:
                told = f"{strays} members in database {database.index} belonged to no key, and were removed"
                self.catalog.findings.append(told)


def _ranges(ordinals: list[int]) -> list[tuple[int, int]]:
    """Rising ordinals as half-open ranges."""
    ranges: list[tuple[int, int]] = []
    for ordinal in ordinals:
        if ranges and ranges[-1][1] == ordinal:
            ranges[-1] = ranges[-1][0], ordinal + 1
        else:
            ranges.append((ordinal, ordinal + 1))
    return ranges
