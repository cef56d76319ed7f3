"""What a follower lists, what its leader says is to be done with that, and what it lists then."""

from __future__ import annotations

import pytest

from respbroker.broker.follower_session import FollowerSession
from respbroker.replication.messages import Listed, parse_verdicts
from respbroker.resp.decoder import Decoder, Limits
from respbroker.resp.reply_decoder import ReplyDecoder
from respbroker.sessions.peer import Peer
from storage import Log
from tests.support.cluster import Cluster, Member, follower_of

NODES = [b"%016x" % number for number in (1, 2)]

# -- the leader ----------------------------------------------------------------------------------------------------


@pytest.fixture
def ours(leader: Member, cluster: Cluster) -> Log:
    """The leader's log 1: five records of epoch 1, and five of epoch 3."""
    assert leader.node is not None
    for epoch in (1, 3):
        leader.node.keyspace.leader_epoch = epoch
        for number in range(5):
            cluster.ask(leader, leader.client(), "XADD", "s", f"{epoch}-{number + 1}", "f", "v")
        log = leader.node.keyspace.log_of(1)
        assert log is not None
        log.roll(0)
    assert (log.epoch_end(1), log.end_offset) == (5, 10)
    return log


def verdicts_on(leader: Member, *listed: Listed) -> tuple[list[tuple[bytes, int, int]], dict[int, int]]:
    """What a follower is told that lists these, and from where on it is sent each."""
    assert leader.node is not None
    session = FollowerSession(leader.client(), "node", "127.0.0.1", 7002)
    session.take_listing(listed, ())
    session.judge(leader.node.keyspace)
    (words,) = ReplyDecoder().feed(b"".join(map(bytes, session.client.out)))
    return parse_verdicts(words), session.behind


@pytest.mark.parametrize(
    ("end_offset", "last_epoch", "verdicts", "behind"),
    [
        (3, 1, [], {1: 3}),
        (5, 1, [], {1: 5}),
        (8, 1, [(b"cut", 1, 5)], {1: 5}),
        (8, 2, [(b"cut", 1, 5)], {1: 5}),  # nothing of that epoch is here
        (7, 3, [], {1: 7}),
        (10, 3, [], {}),
        (12, 3, [(b"cut", 1, 10)], {}),
        (-1, 0, [], {1: -1}),  # it has found out itself that it must have it anew
        (0, 0, [], {1: 0}),
    ],
)
def test_a_log_goes_on_where_it_ends_or_is_cut_to_what_is_shared(
    leader: Member, ours: Log, end_offset: int, last_epoch: int, verdicts: list[tuple[bytes, int, int]],
    behind: dict[int, int],
) -> None:  # fmt: skip
    assert ours.end_offset == 10
    assert verdicts_on(leader, Listed(1, end_offset, last_epoch)) == (verdicts, behind)


def test_a_log_that_the_leader_lacks_is_dropped(leader: Member, ours: Log) -> None:
    assert ours.end_offset == 10
    assert verdicts_on(leader, Listed(9, 4, 1)) == ([(b"drop", 9, 0)], {})


@pytest.mark.parametrize(
    ("end_offset", "last_epoch", "verdicts", "start"),
    [
        (3, 0, [(b"anew", 1, 0)], -1),  # up to where it is shared nobody knows
        (8, 0, [(b"anew", 1, 0)], -1),
        (3, 1, [], -1),  # all of it was the leader's, which has no more what came next
        (4, 2, [], -1),
        (5, 1, [], 5),
        (8, 1, [(b"cut", 1, 5)], 5),
    ],
)
def test_of_a_log_whose_beginning_is_gone_a_follower_may_have_what_the_leader_never_had(
    leader: Member, ours: Log, end_offset: int, last_epoch: int, verdicts: list[tuple[bytes, int, int]], start: int
) -> None:
    for _ in range(2):  # what is not known to be synced is not dropped
        pending = ours.unsynced()
        pending.sync()
        ours.synced(pending)
    ours.drop_before(5)
    assert (ours.start_offset, ours.origin.last_epoch) == (5, 1)
    assert verdicts_on(leader, Listed(1, end_offset, last_epoch)) == (verdicts, {1: start})


# -- the follower --------------------------------------------------------------------------------------------------


class HandMade:
    """A leader in place of one that died: a test says what it says, in epoch 2."""

    def __init__(self, cluster: Cluster, follower: Member) -> None:
        assert follower.node is not None
        self._cluster, self._node = cluster, follower.node
        state = self._node.replication.state
        self._dataset, self.history = state.dataset.encode(), b"%b,2:%b:99" % (state.history.format(), NODES[0])
        self._peer: Peer | None = None
        self._decoder = Decoder(Limits())

    def listing(self, wanted: bytes = b"all", *numbers: int) -> dict[int, tuple[int, int]]:
        """Let the follower connect; end and epoch of each log that it lists then."""
        self._cluster.clock.advance(1100)
        self._tick()
        (self._peer,) = self._node.take_peers()
        self._peer.connected = True
        self._node.peer_connected(self._peer, self._cluster.clock.now())
        ((*_, command, _version, _, _, _, _, _, _, _, _, _),) = self._said()
        assert command == b"HELLO"
        self.say(b"4", self._dataset, NODES[0], self.history, b"99", wanted, *(b"%d" % number for number in numbers))
        ((_, command, *rest),) = self._said()
        assert command == b"LOGS"
        values = list(map(int, rest))
        return dict(zip(values[::3], zip(values[1::3], values[2::3], strict=True), strict=True))

    def say(self, *words: bytes) -> None:
        assert self._peer is not None
        self._node.peer_received(self._peer, [list(words)], self._cluster.clock.now())
        self._tick()

    def hang_up(self) -> None:
        assert self._peer is not None
        self._node.peer_lost(self._peer, "it hung up", self._cluster.clock.now())

    def _tick(self) -> None:
        self._node.tick([], self._cluster.clock.now())

    def _said(self) -> list[list[bytes]]:
        assert self._peer is not None
        said, self._peer.out[:] = b"".join(self._peer.out), []
        return self._decoder.feed(said)


@pytest.fixture
def follower(cluster: Cluster, leader: Member) -> Member:
    """It has logs 1, 2 and 3 of the leader, which dies."""
    for key in "abc":
        for _ in range(2):
            cluster.ask(leader, leader.client(), "XADD", key, "*", "f", "v")
    follower = follower_of(cluster, leader)
    cluster.ask(leader, leader.client(), "XADD", "c", "*", "f", "v")  # in epoch 1; all else is older than replication
    cluster.kill(leader)
    assert follower.node is not None
    follower.node.take_peers()
    return follower


def length(cluster: Cluster, follower: Member, key: str) -> int:
    assert follower.node is not None
    stream = follower.node.keyspace.lookup(0, key.encode(), cluster.clock.now().ms)
    assert stream is not None
    return stream.length


def test_a_follower_lists_what_it_is_asked_for(cluster: Cluster, follower: Member) -> None:
    made = HandMade(cluster, follower)
    everything = made.listing()
    assert everything == {0: (everything[0][0], 0), 1: (2, 0), 2: (2, 0), 3: (3, 1)}
    made.hang_up()
    assert made.listing(b"some", 3, 9) == {3: (3, 1), 9: (0, 0)}


def test_of_an_epoch_that_the_leader_does_not_know_the_end_of_what_is_shared_is_listed(
    cluster: Cluster, follower: Member
) -> None:
    made = HandMade(cluster, follower)
    made.history = b"1:%b:1,2:%b:99" % (NODES[1], NODES[0])  # another one led in epoch 1
    assert made.listing()[3] == (2, 0)


def test_a_log_to_be_copied_anew_stays_and_is_listed_as_none_until_it_is_there(
    cluster: Cluster, follower: Member
) -> None:
    made = HandMade(cluster, follower)
    made.listing()
    made.say(b"anew", b"1", b"0", b"cut", b"2", b"1")
    assert [length(cluster, follower, key) for key in "ab"] == [2, 1]
    made.hang_up()
    assert made.listing(b"some") == {1: (-1, 0)}  # though it is not asked for
    made.say()
    made.say(b"copy", b"1", *[b"0"] * 5)
    made.hang_up()
    assert made.listing()[1] == (-1, 0)
    made.say()
    made.say(b"copy", b"1", *[b"0"] * 5)
    made.say(b"copied", b"1", b"-1", b"")
    made.hang_up()
    assert made.listing()[1] == (0, 0)
    assert length(cluster, follower, "a") == 0


def test_who_is_level_lists_what_it_has_again(cluster: Cluster, follower: Member) -> None:
    made = HandMade(cluster, follower)
    made.listing()
    made.say(b"anew", b"1", b"0")
    made.say(b"tick", b"99", b"99", b"4")
    made.hang_up()
    assert made.listing()[1] == (2, 0)


def test_a_log_that_is_dropped_is_not_copied_anew(cluster: Cluster, follower: Member) -> None:
    made = HandMade(cluster, follower)
    made.listing()
    made.say(b"anew", b"1", b"0", b"anew", b"2", b"0", b"drop", b"1", b"0")
    made.hang_up()
    assert made.listing(b"some") == {2: (-1, 0)}


def test_while_a_log_may_have_parted_others_are_not_forgotten_to_come_again(cluster: Cluster, follower: Member) -> None:
    made = HandMade(cluster, follower)
    made.listing()
    made.say(b"anew", b"1", b"0", b"again", b"2", b"1")
    assert length(cluster, follower, "b") == 2
    listed = made.listing(b"some")  # it has hung up by itself
    assert listed == {1: (-1, 0), 2: (-1, 0)}
    assert any("1 more logs are to be copied anew" in reason for _, reason in reports(follower))


def test_a_verdict_that_is_none_ends_the_session(cluster: Cluster, follower: Member) -> None:
    made = HandMade(cluster, follower)
    everything = made.listing()
    made.say(b"burn", b"1", b"0")
    assert made.listing() == everything
    assert any("it wants 'burn' done to a log" in reason for _, reason in reports(follower))


def reports(follower: Member) -> list[tuple[str, str]]:
    assert follower.node is not None
    return follower.node.housekeeping.take_reports()
