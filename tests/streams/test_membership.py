"""Who is live in a group: open connections, those just closed, and time; against lists of pairs."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respbroker.streams.membership import Membership

TIMEOUT = 10.0
NAMES = st.sampled_from([b"a", b"b", b"c"])
CONNECTIONS = st.integers(1, 4)


def test_a_consumer_is_live_while_a_connection_that_read_for_it_is_open():
    group = Membership()
    assert group.read(b"a", 1)
    assert not group.read(b"a", 2)
    assert not group.closed(1, 5.0)
    assert group.expire(1000.0, TIMEOUT) == []
    assert group.members == [b"a"]
    assert group.connections_of(b"a") == 1


def test_after_its_last_connection_it_is_live_for_the_session_timeout():
    group = Membership()
    group.read(b"a", 1)
    assert group.closed(1, 5.0)
    assert group.next_deadline(TIMEOUT) == 15.0
    assert group.expire(14.9, TIMEOUT) == []
    assert b"a" in group
    assert group.expire(15.0, TIMEOUT) == [b"a"]
    assert b"a" not in group
    assert group.next_deadline(TIMEOUT) is None


def test_one_that_comes_back_in_time_is_not_lost():
    group = Membership()
    group.read(b"a", 1)
    group.closed(1, 5.0)
    assert not group.read(b"a", 2)
    assert group.expire(100.0, TIMEOUT) == []


def test_the_timeout_that_counts_is_the_one_of_now():
    group = Membership()
    group.read(b"a", 1)
    group.closed(1, 5.0)
    assert group.next_deadline(1.0) == 6.0
    assert group.expire(6.0, 1.0) == [b"a"]


def test_one_expected_after_a_restart_has_the_session_timeout_to_come():
    group = Membership()
    group.expect(b"a", 5.0)
    assert group.members == [b"a"]
    assert group.next_deadline(TIMEOUT) == 15.0
    group.read(b"b", 1)
    group.expect(b"b", 5.0)  # it is here already
    assert group.expire(15.0, TIMEOUT) == [b"a"]


def test_a_deleted_consumer_is_none_until_it_reads_again():
    group = Membership()
    group.read(b"a", 1)
    assert group.forget(b"a")
    assert not group.forget(b"a")
    assert not group.closed(1, 5.0)
    assert group.read(b"a", 1)


class Members(RuleBasedStateMachine):
    """Against a set of open pairs and a table of when the last one closed."""

    def __init__(self):
        super().__init__()
        self.group = Membership()
        self.now = 0.0
        self.pairs: set[tuple[bytes, int]] = set()
        self.away: dict[bytes, float] = {}

    def live(self):
        return sorted({name for name, _ in self.pairs} | set(self.away))

    @rule(name=NAMES, connection=CONNECTIONS)
    def read(self, name, connection):
        is_new = name not in self.live()
        self.pairs.add((name, connection))
        self.away.pop(name, None)
        assert self.group.read(name, connection) == is_new
        assert self.group.reads(name, connection)

    @rule(connection=CONNECTIONS)
    def close(self, connection):
        before = {name for name, _ in self.pairs}
        self.pairs = {pair for pair in self.pairs if pair[1] != connection}
        gone = before - {name for name, _ in self.pairs}
        self.away.update(dict.fromkeys(gone, self.now))
        assert self.group.closed(connection, self.now) == bool(gone)

    @rule(name=NAMES)
    def expect(self, name):
        if name not in self.live():
            self.away[name] = self.now
        self.group.expect(name, self.now)

    @rule(name=NAMES)
    def forget(self, name):
        was_member = name in self.live()
        self.pairs = {pair for pair in self.pairs if pair[0] != name}
        self.away.pop(name, None)
        assert self.group.forget(name) == was_member

    @rule(seconds=st.floats(0, 15))
    def time_passes(self, seconds):
        self.now += seconds
        lost = {name for name, since in self.away.items() if since + TIMEOUT <= self.now}
        for name in lost:
            del self.away[name]
        assert set(self.group.expire(self.now, TIMEOUT)) == lost

    @invariant()
    def agrees(self):
        self.group.check()
        assert self.group.members == self.live()
        assert len(self.group) == len(self.live())
        since = min(self.away.values(), default=None)
        assert self.group.next_deadline(TIMEOUT) == (None if since is None else since + TIMEOUT)


TestMembers = Members.TestCase
