"""Values beside streams in a keyspace, against a dictionary: whatever happens to ticks, disks and processes."""

from __future__ import annotations

import copy

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from respbroker.errors import WrongType
from respbroker.values.kinds import HASH, SORTED_SET, encode_score
from storage import DiskFull
from tests.streams.test_keyspace_values import DATABASES, START_MS, disk, opened
from tests.support.values import STREAM, Content, content_of

dbs = st.integers(0, DATABASES - 1)
keys = st.sampled_from([b"a", b"b/1"])  # few, so that they take each other's places
fields = st.sampled_from([b"f", b"g"])
texts = st.binary(max_size=4)


class KeyspaceMachine(RuleBasedStateMachine):
    """``model`` is what there is, ``written`` what there was when the last tick was written."""

    @initialize()
    def begin(self) -> None:
        self.disk = disk()
        self.now_ms = START_MS
        self.model: Content = {}
        self.written: Content = {}
        self.keyspace = opened(self.disk)

    # -- changes -------------------------------------------------------------------------------------------------

    @rule(db=dbs, key=keys, data=texts, lives_ms=st.sampled_from([0, 0, 5, 50, None]))
    def set_text(self, db: int, key: bytes, data: bytes, lives_ms: int | None) -> None:
        expires_ms = None if lives_ms is None else lives_ms and self.now_ms + lives_ms
        self.keyspace.set_text(db, key, data, expires_ms)
        before = self.model.get((db, key), (0, None))[0]
        before = before if before > self.now_ms else 0
        self.model[db, key] = before if expires_ms is None else expires_ms, data

    @rule(db=dbs, key=keys, field=fields, data=texts, ordered=st.booleans())
    def put_member(self, db: int, key: bytes, field: bytes, data: bytes, ordered: bool) -> None:
        kind, score = (SORTED_SET, encode_score(float(len(data)))) if ordered else (HASH, b"")
        value = self.keyspace.values[db].keys.get(key)
        if (db, key) in self.model and (value is None or value.kind != kind):
            return
        self.keyspace.put_member(db, key, kind, field, score if ordered else data)
        expires_ms, held = self.model.get((db, key), (0, {}))
        self.model[db, key] = expires_ms, held | {field: float(len(data)) if ordered else data}

    @rule(db=dbs, key=keys, field=fields)
    def remove_member(self, db: int, key: bytes, field: bytes) -> None:
        self.keyspace.values[db].remove_member(key, field)
        _, held = self.model.get((db, key), (0, None))
        if isinstance(held, dict):
            held.pop(field, None)
            if not held:
                del self.model[db, key]

    @rule(db=dbs, key=keys)
    def create_stream(self, db: int, key: bytes) -> None:
        if 0 < self.model.get((db, key), (0, None))[0] <= self.now_ms:
            del self.model[db, key]  # a lookup that finds it lets it go
        if (db, key) in self.model and self.model[db, key][1] != STREAM:
            with pytest.raises(WrongType):
                self.keyspace.lookup(db, key, self.now_ms)
            return
        stream = self.keyspace.lookup(db, key, self.now_ms) or self.keyspace.create(db, key)
        ms, seq = stream.last_id
        stream.append((ms, seq + 1), b"payload")
        self.model.setdefault((db, key), (0, STREAM))

    @rule(db=dbs, key=keys)
    def delete(self, db: int, key: bytes) -> None:
        assert self.keyspace.delete(db, key) == (self.model.pop((db, key), None) is not None)

    @rule(db=dbs, key=keys, lives_ms=st.sampled_from([0, 5, 50]))
    def set_expiry(self, db: int, key: bytes, lives_ms: int) -> None:
        if (db, key) in self.model:
            expires_ms = lives_ms and self.now_ms + lives_ms
            self.keyspace.set_expiry(db, key, expires_ms)
            self.model[db, key] = expires_ms, self.model[db, key][1]

    @rule(db=dbs, key=keys, new_db=dbs, new_key=keys)
    def rename(self, db: int, key: bytes, new_db: int, new_key: bytes) -> None:
        if (db, key) in self.model:
            self.keyspace.rename(db, key, new_db, new_key)
            self.model[new_db, new_key] = self.model.pop((db, key))

    @rule(db=dbs, key=keys, new_db=dbs, new_key=keys)
    def copy(self, db: int, key: bytes, new_db: int, new_key: bytes) -> None:
        if (db, key) in self.model and (db, key) != (new_db, new_key):
            self.keyspace.copy(db, key, new_db, new_key)
            self.model[new_db, new_key] = copy.deepcopy(self.model[db, key])

    @rule(one=dbs, other=dbs)
    def swap(self, one: int, other: int) -> None:
        if one != other:
            self.keyspace.swap(one, other)
            swapped = {one: other, other: one}
            self.model = {(swapped.get(db, db), key): held for (db, key), held in self.model.items()}

    @rule(db=st.none() | dbs)
    def flush_databases(self, db: int | None) -> None:
        self.keyspace.flush_databases(db)
        self.model = {place: held for place, held in self.model.items() if db not in (None, place[0])}

    @rule(milliseconds=st.sampled_from([1, 5, 50]))
    def pass_time(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        self.keyspace.now_ms = self.now_ms
        due = {place for place, (expires_ms, _) in self.model.items() if 0 < expires_ms <= self.now_ms}
        found = self.keyspace.expired(self.now_ms, 100)
        assert set(found) == due
        for place in found:
            self.keyspace.expire(*place)
            del self.model[place]

    # -- the end of a tick ---------------------------------------------------------------------------------------

    @rule()
    def write(self) -> None:
        self.keyspace.flush(self.now_ms)
        assert not self.keyspace.is_dirty
        self.written = copy.deepcopy(self.model)

    @precondition(lambda self: self.keyspace.is_dirty)
    @rule(room=st.sampled_from([0, 100, 300, 600, 1000]))
    def write_to_a_full_disk(self, room: int) -> None:
        """All of the tick or nothing of it."""
        self.disk.room = room
        try:
            self.keyspace.flush(self.now_ms)
            self.written = copy.deepcopy(self.model)
        except DiskFull:
            self.disk.room = None  # to be taken back, nothing is written that needs more than there was
            self.keyspace.take_back()
            self.model = copy.deepcopy(self.written)
        self.disk.room = None
        assert not self.keyspace.is_dirty

    @rule(killed=st.booleans())
    def start_again(self, killed: bool) -> None:
        """After a stop, or a kill: what was not written is gone."""
        if killed:
            self.disk = self.disk.killed()
        else:
            self.keyspace.close()
        self.keyspace = opened(self.disk, self.now_ms)
        assert self.keyspace.findings == []
        self.model = copy.deepcopy(self.written)

    @rule()
    def reload(self) -> None:
        self.write()
        self.keyspace.reopen()

    @invariant()
    def holds_what_it_should(self) -> None:
        if not hasattr(self, "keyspace"):
            return
        assert content_of(self.keyspace) == self.model
        for db in range(DATABASES):
            names = [key for place, key in self.model if place == db]
            assert sorted(self.keyspace.all_names(db)) == sorted(names)
            assert self.keyspace.keys_count(db) == len(names)
        for (db, key), (expires_ms, held) in self.model.items():
            if not 0 < expires_ms <= self.now_ms:
                assert self.keyspace.exists(db, key, self.now_ms)
                assert self.keyspace.expiry(db, key) == expires_ms
                assert (self.keyspace.kind_of(db, key) == b"stream") == (held == STREAM)


TestKeyspace = KeyspaceMachine.TestCase
