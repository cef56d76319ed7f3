"""What is appended without anybody waiting for replicas is gathered for a moment, and sent as one frame."""

from __future__ import annotations

import pytest

from respbroker.broker import follower_session
from respbroker.broker.follower_session import GATHER_BYTES, GATHER_SECONDS
from tests.support.cluster import GATHER_MS, Cluster, Member, follower_of, logs_of


@pytest.fixture
def follower(cluster: Cluster, leader: Member) -> Member:
    """It has been sent a frame in this very millisecond."""
    follower = follower_of(cluster, leader)
    add(cluster, leader, 1)
    assert end_of(follower) == end_of(leader)
    return follower


def add(cluster: Cluster, leader: Member, number: int, *, size: int = 1) -> None:
    """A tick of the leader with an entry, and one of each other server."""
    words = ["XADD", "s", f"{number}-1", "f", "v" * size]
    leader.arrived.append((leader.client(), [[word.encode() for word in words]]))
    tick(cluster, leader)


def tick(cluster: Cluster, leader: Member) -> None:
    for member in (leader, *cluster.members.values()):
        cluster.tick(member)


def end_of(member: Member) -> int:
    """The position that it has come to."""
    assert member.node is not None
    return member.node.replication.position


def test_ticks_of_a_moment_are_sent_as_one_when_it_is_over(cluster: Cluster, leader: Member, follower: Member) -> None:
    assert leader.node is not None
    before = end_of(follower)
    for number in (2, 3, 4):
        add(cluster, leader, number)
    assert end_of(follower) == before
    assert leader.node.next_deadline() == pytest.approx(leader.node.now + GATHER_SECONDS)
    cluster.clock.advance(GATHER_MS)
    tick(cluster, leader)
    assert end_of(follower) == end_of(leader) > before
    assert logs_of(follower) == logs_of(leader)


def test_what_comes_a_moment_after_the_last_frame_is_sent_at_once(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    cluster.clock.advance(GATHER_MS)
    add(cluster, leader, 2)
    assert end_of(follower) == end_of(leader)


def test_what_is_much_is_sent_at_once(cluster: Cluster, leader: Member, follower: Member) -> None:
    add(cluster, leader, 2)
    assert end_of(follower) < end_of(leader)
    add(cluster, leader, 3, size=GATHER_BYTES)
    assert end_of(follower) == end_of(leader)


@pytest.mark.parametrize("words", [b"WAIT 1 0", b"XLEN s"])
def test_who_waits_for_it_has_it_sent_at_once(cluster: Cluster, leader: Member, follower: Member, words: bytes) -> None:
    add(cluster, leader, 2)
    client = leader.client()
    leader.arrived.append((client, [b"XADD s 3-1 f v".split(), words.split()]))
    tick(cluster, leader)
    assert end_of(follower) == end_of(leader)


def test_a_leader_that_stops_sends_what_it_has_gathered(cluster: Cluster, leader: Member, follower: Member) -> None:
    assert leader.node is not None
    add(cluster, leader, 2)
    leader.node.end_waiting()
    tick(cluster, leader)
    assert end_of(follower) == end_of(leader)


def test_what_was_gathered_when_a_window_is_full_is_read_from_disk(
    cluster: Cluster, leader: Member, follower: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_session, "WINDOW", 3000)
    monkeypatch.setattr(follower_session, "CHUNK_BYTES", 1000)
    assert leader.node is not None
    assert leader.node.replication.leading is not None
    (session,) = leader.node.replication.leading.sessions.values()
    follower.paused = True
    for number in range(2, 12):
        add(cluster, leader, number, size=500)
    assert session.behind
    assert not session.gathers
    assert session.sent - session.received <= 3000
    follower.paused = False
    cluster.settle()
    assert not session.behind
    assert logs_of(follower) == logs_of(leader)
