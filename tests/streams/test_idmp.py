"""Idempotency maps against a list of what was recorded."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respbroker.streams.idmp import IdempotencyMaps, idempotent_id_of

PRODUCERS = [b"p", b"q", b"\x01"]
producers = st.sampled_from(PRODUCERS)
iids = st.sampled_from([b"a", b"b", b"c", b"d"])


class IdmpMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.maps = IdempotencyMaps(2, 3)
        self.now = 1_000_000
        self.model: dict[bytes, list[tuple[bytes, tuple[int, int], int]]] = {}
        self.added = 0

    def _forget(self, producer: bytes) -> None:
        kept = [each for each in self.model.get(producer, []) if self.now - each[2] <= self.maps.duration * 1000]
        self.model[producer] = kept[-self.maps.maxsize :]

    @rule(ms=st.sampled_from([0, 1, 999, 1000, 1001, 2000]))
    def wait(self, ms: int) -> None:
        self.now += ms

    @rule(producer=producers, iid=iids)
    def send(self, producer: bytes, iid: bytes) -> None:
        """What XADD does: look up, and record what is new."""
        known = [each for each in self.model.get(producer, []) if each[0] == iid]
        expected = known[0][1] if known and self.now - known[0][2] <= self.maps.duration * 1000 else None
        assert self.maps.lookup(producer, iid, self.now) == expected
        if expected is None:
            self.added += 1
            entry_id = (self.now, self.added)
            for _ in range(2):  # an effect applied twice is applied once
                self.maps.record(producer, iid, entry_id, self.now)
            self.model[producer] = [each for each in self.model.get(producer, []) if each[0] != iid]
            self.model[producer].append((iid, entry_id, self.now))
            self._forget(producer)
        else:
            self.maps.count_duplicate()

    @rule(duration=st.integers(1, 3), maxsize=st.integers(1, 4))
    def configure(self, duration: int, maxsize: int) -> None:
        differs = (duration, maxsize) != (self.maps.duration, self.maps.maxsize)
        assert self.maps.configure(duration, maxsize) == differs
        if differs:
            self.model.clear()

    @rule()
    def expire(self) -> None:
        self.maps.expire(self.now)
        for producer in list(self.model):
            self._forget(producer)
        assert self.maps.pids_tracked == sum(map(bool, self.model.values()))

    @rule()
    def restart(self) -> None:
        state = self.maps.dump()
        self.maps = IdempotencyMaps.load(state)
        assert self.maps.dump() == state
        assert self.maps.defaults == (2, 3)

    @invariant()
    def agrees(self) -> None:
        self.maps.check()
        assert self.maps.iids_tracked == sum(map(len, self.model.values()))
        assert self.maps.iids_added == self.added


IdmpMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestIdmpMachine = IdmpMachine.TestCase


def test_an_id_is_remembered_for_its_duration_and_not_a_millisecond_longer() -> None:
    maps = IdempotencyMaps(100, 100)
    maps.record(b"p", b"i", (5, 0), 1000)
    assert maps.lookup(b"p", b"i", 101_000) == (5, 0)
    assert maps.lookup(b"p", b"i", 101_001) is None


def test_producers_do_not_share_their_ids() -> None:
    maps = IdempotencyMaps(100, 100)
    maps.record(b"p", b"i", (5, 0), 1000)
    assert maps.lookup(b"q", b"i", 1000) is None


def test_setting_other_limits_forgets_the_ids_and_keeps_the_counters() -> None:
    maps = IdempotencyMaps(100, 100)
    maps.record(b"p", b"i", (5, 0), 1000)
    maps.count_duplicate()
    assert not maps.configure(100, 100)
    assert maps.iids_tracked == 1
    assert maps.configure(100, 99)
    assert (maps.pids_tracked, maps.iids_tracked, maps.iids_added, maps.iids_duplicates) == (0, 0, 1, 1)


def test_the_id_of_an_entry_depends_on_where_its_words_end() -> None:
    assert idempotent_id_of([b"ab", b"c"]) != idempotent_id_of([b"a", b"bc"])
    assert idempotent_id_of([b"a", b""]) != idempotent_id_of([b"", b"a"])
    assert idempotent_id_of([b"f", b"v"]) == idempotent_id_of([b"f", b"v"])
    assert len(idempotent_id_of([b"f", b"v"])) == 16


def test_the_id_of_an_entry_stays_what_it_was_for_it_is_kept_on_disk() -> None:
    assert idempotent_id_of([b"field", b"value"]).hex() == "b4468138a684e3990ef5a7d7fba9d862"
