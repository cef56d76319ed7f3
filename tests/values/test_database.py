"""The values of a database against dictionaries: what is in memory, and what its records say."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from respbroker.values.database import ValueDatabase
from respbroker.values.kinds import HASH, SORTED_SET, Hash, SortedSet, encode_score
from respbroker.values.places import ValuePlaces
from tests.support.values import held_by

NOW_MS = 1000
Records = list[tuple[bytes, bytes | None]]

keys = st.sampled_from([b"a", b"b", b"1:", b""])
fields = st.sampled_from([b"", b"f", b"g", b"="])
texts = st.binary(max_size=4)
times = st.sampled_from([0, 10, 20, 2000])


def content_of(values: ValueDatabase) -> dict[bytes, Any]:
    """Keys with expiry and what they hold."""
    return {key: (value.expires_ms, held_by(value)) for key, value in values.keys.items()}


def empty(places: ValuePlaces | None = None) -> ValueDatabase:
    return ValueDatabase(places or ValuePlaces(), lambda values: None)


def replayed(log: Records) -> ValueDatabase:
    """A database that has read these records."""
    values = empty()
    for name, payload in log:
        values.apply(name, payload, NOW_MS)
    return values


def compacted(log: Records, end: int) -> Records:
    """Without those below ``end`` whose name comes again below it, and without tombstones there."""
    last = {name: place for place, (name, _) in enumerate(log[:end])}
    kept = [each for place, each in enumerate(log[:end]) if last[each[0]] == place and each[1] is not None]
    return kept + log[end:]


class DatabaseMachine(RuleBasedStateMachine):
    """Whatever is done, the records that were taken say all of it, however far they are compacted."""

    @initialize()
    def begin(self) -> None:
        self.told = 0
        self.values = ValueDatabase(ValuePlaces(), self._changed)
        self.model: dict[bytes, tuple[int, Any]] = {}
        self.log: Records = []

    def _changed(self, values: ValueDatabase) -> None:
        assert not values.is_changed, "told before the first change only"
        self.told += 1

    @rule(key=keys, data=texts, expires_ms=times)
    def set_text(self, key: bytes, data: bytes, expires_ms: int) -> None:
        self.values.set_text(key, data, expires_ms, NOW_MS)
        self.model[key] = expires_ms, data

    @rule(key=keys, field=fields, data=texts)
    def put_field(self, key: bytes, field: bytes, data: bytes) -> None:
        expires_ms, held = self.model.get(key, (0, {}))
        if isinstance(self.values.keys.get(key), Hash | None):
            self.values.put_member(key, HASH, field, data, NOW_MS)
            self.model[key] = expires_ms, held | {field: data}

    @rule(key=keys, member=fields, score=st.floats(-2, 2))
    def put_score(self, key: bytes, member: bytes, score: float) -> None:
        expires_ms, held = self.model.get(key, (0, {}))
        if isinstance(self.values.keys.get(key), SortedSet | None):
            self.values.put_member(key, SORTED_SET, member, encode_score(score), NOW_MS)
            self.model[key] = expires_ms, held | {member: score}

    @rule(key=keys, member=fields)
    def remove_member(self, key: bytes, member: bytes) -> None:
        _, held = self.model.get(key, (0, b""))
        there = isinstance(held, dict) and member in held
        assert self.values.remove_member(key, member) == there
        if isinstance(held, dict) and there:
            del held[member]
            if not held:
                del self.model[key]

    @rule(key=keys)
    def remove(self, key: bytes) -> None:
        assert (self.values.remove(key) is not None) == (self.model.pop(key, None) is not None)

    @rule(key=keys, expires_ms=times)
    def set_expiry(self, key: bytes, expires_ms: int) -> None:
        if key in self.model:
            self.values.set_expiry(key, expires_ms)
            self.model[key] = expires_ms, self.model[key][1]

    @rule(key=keys, new_key=keys, copy=st.booleans())
    def put_elsewhere(self, key: bytes, new_key: bytes, copy: bool) -> None:
        if key not in self.model or key == new_key:
            return
        if copy:
            self.values.put(new_key, self.values.copy_of(self.values.keys[key], NOW_MS))
            expires_ms, held = self.model[key]
            self.model[new_key] = expires_ms, dict(held) if isinstance(held, dict) else held
        else:
            value = self.values.remove(key)
            assert value is not None
            self.values.put(new_key, value)
            self.model[new_key] = self.model.pop(key)

    @rule(now_ms=st.sampled_from([5, 10, 15, 30]), limit=st.integers(1, 4))
    def find_expired(self, now_ms: int, limit: int) -> None:
        due = [key for key, (expires_ms, _) in self.model.items() if 0 < expires_ms <= now_ms]
        found = self.values.expired(now_ms, limit)
        assert len(found) == len(set(found)) == min(limit, len(due))
        assert set(found) <= set(due)

    @rule()
    def write(self) -> None:
        before = self.told
        self.log += [(words[1], words[3] if len(words) > 2 else None) for words in self.values.take_records()]
        assert (self.values.is_changed, self.told) == (False, before)

    @rule(part=st.floats(0, 1), again=st.booleans())
    def read_again(self, part: float, again: bool) -> None:
        """After a restart, or at a follower; what has been compacted away is not missed."""
        self.write()
        log = compacted(self.log, int(part * len(self.log)))
        values = replayed(log)
        assert content_of(values) == self.model
        assert values.drop_strays() == 0
        assert {key: value.place for key, value in values.keys.items()} == {
            key: value.place for key, value in self.values.keys.items()
        }
        if again:  # and goes on from there
            values._on_change = self._changed
            self.values, self.log = values, log

    @invariant()
    def holds_what_it_should(self) -> None:
        if not hasattr(self, "values"):
            return
        assert content_of(self.values) == self.model
        places = [value.place for value in self.values.keys.values()]
        assert len(set(places)) == len(places)
        assert self.values.expires_count == sum(1 for expires_ms, _ in self.model.values() if expires_ms)


TestDatabase = DatabaseMachine.TestCase


def test_members_whose_key_never_came_are_removed_for_good() -> None:
    values = replayed([(b"1:hf", b"x"), (b"1:hg", b"y"), (b"1:if", b"z"), (b"=i", b"hash 0 7 ")])
    assert content_of(values) == {b"i": (0, {b"f": b"z"})}
    assert values.drop_strays() == 2
    assert values.take_records() == [[b"k", b"1:hf"], [b"k", b"1:hg"]]
    assert values.drop_strays() == 0


def test_a_member_that_changes_in_a_large_set_is_one_record() -> None:
    values = empty()
    for number in range(1000):
        values.put_member(b"z", SORTED_SET, b"%d" % number, b"1", NOW_MS)
    assert len(values.take_records()) == 1001
    values.put_member(b"z", SORTED_SET, b"7", b"2", NOW_MS)
    values.put_member(b"z", SORTED_SET, b"7", b"3", NOW_MS)
    assert values.take_records() == [[b"k", b"1:z7", b"v", b"3.0"]]


def test_outdated_expiries_are_forgotten_now_and_then() -> None:
    values = empty()
    for number in range(10_000):
        values.set_text(b"lock", b"x", 10_000 + number, NOW_MS)
    assert len(values._expiries._heap) < 100
    assert values.expired(20_000, 10) == [b"lock"]
