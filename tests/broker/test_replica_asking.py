"""When a leader asks a follower for an acknowledgement: at once where somebody waits for it, else now and then."""

from __future__ import annotations

import pytest

from tests.support.cluster import Cluster, Member, follower_of


@pytest.fixture
def follower(cluster: Cluster, leader: Member) -> Member:
    """It tells of no sync, and has just been asked."""
    follower = follower_of(cluster, leader)
    follower.syncs = False
    cluster.ask(leader, leader.client(), "XADD", "before", "1-1", "f", "v")
    assert known(leader) == position(leader)
    return follower


def known(leader: Member) -> int:
    """Up to where the leader knows that its follower has everything."""
    assert leader.node is not None
    assert leader.node.replication.leading is not None
    (session,) = leader.node.replication.leading.sessions.values()
    return session.acknowledged


def position(member: Member) -> int:
    assert member.node is not None
    return member.node.replication.position


def add(cluster: Cluster, leader: Member, number: int) -> None:
    assert cluster.ask(leader, leader.client(), "XADD", "s", f"{number}-1", "f", "v") == b"$3\r\n%d-1\r\n" % number


def test_what_nobody_waits_for_is_acknowledged_in_a_tenth_of_a_second(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    before = known(leader)
    for number in range(1, 6):
        add(cluster, leader, number)
    assert position(follower) == position(leader)
    assert known(leader) == before
    cluster.advance(100)
    assert known(leader) == position(leader)


def test_a_read_of_what_was_just_written_asks_and_so_does_every_write_of_the_next_second(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    add(cluster, leader, 1)
    assert known(leader) < position(leader)
    assert cluster.ask(leader, leader.client(), "XLEN", "s") == b":1\r\n"
    assert known(leader) == position(leader)
    add(cluster, leader, 2)
    assert known(leader) == position(leader)
    cluster.advance(1100)
    add(cluster, leader, 3)  # it is time
    add(cluster, leader, 4)
    assert known(leader) < position(leader)


def test_a_read_on_a_follower_is_answered_though_nothing_more_is_written(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    add(cluster, leader, 1)
    assert follower.node is not None
    assert follower.node.replication.high_watermark < position(leader)
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":1\r\n"


def test_a_read_on_a_follower_is_answered_when_another_follower_is_asked(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    third = follower_of(cluster, leader, 7003)
    cluster.held.add((third.port, leader.port))
    add(cluster, leader, 1)
    reader = follower.client()
    assert cluster.ask(follower, reader, "XLEN", "s") == b""
    cluster.held.clear()
    cluster.settle()
    assert cluster.take(reader) == b":1\r\n"


def test_wait_asks(cluster: Cluster, leader: Member, follower: Member) -> None:
    writer = leader.client()
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    assert cluster.ask(leader, writer, "WAIT", "1", "0") == b":1\r\n"


def test_a_write_with_acks_all_asks(cluster: Cluster, leader: Member, follower: Member) -> None:
    cluster.ask(leader, leader.client(), "XTOPIC", "CREATE", "t", "PARTITIONS", "1", "CONFIG", "acks", "all")
    assert cluster.ask(leader, leader.client(), "XADD", "t", "*", "f", "v").startswith(b"$")
    assert known(leader) == position(leader)


def test_a_follower_that_is_sent_a_quarter_of_what_it_may_be_sent_is_asked(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    before = known(leader)
    writer = leader.client()
    for number in range(1, 11):
        cluster.ask(leader, writer, "XADD", "s", f"{number}-1", "f", b"x" * 1_000_000)
    assert before < known(leader) < position(leader)


def test_failover_asks(cluster: Cluster, leader: Member, follower: Member) -> None:
    add(cluster, leader, 1)
    cluster.ask(leader, leader.client(), "FAILOVER")
    assert b"role:master" in cluster.ask(follower, follower.client(), "INFO", "replication")
