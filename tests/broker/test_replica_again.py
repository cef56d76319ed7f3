"""A follower forgets what it had acknowledged, for the leader's batches have other borders by now: it comes again."""

from __future__ import annotations

import pytest

from tests.broker.test_replica_hazards import role, three
from tests.support.cluster import Cluster, Member

__all__ = ["three"]

ENTRIES = 3


@pytest.fixture
def cut_off(cluster: Cluster, three: list[Member]) -> list[Member]:
    """The leader, a follower that has forgotten entries of ``s`` that only these two had, and one that was away."""
    leader, follower, third = three
    words = "XTOPIC CREATE s PARTITIONS 1 CONFIG segment.bytes 1024"
    cluster.ask(leader, leader.client(), *words.split())
    cluster.kill(third)
    cluster.advance(3100)
    for number in range(1, ENTRIES + 1):
        assert cluster.ask(leader, leader.client(), "XADD", "s", f"{number}-1", "f", "v").startswith(b"$")
    cluster.kill(follower)
    cluster.advance(3100)
    cluster.ask(leader, leader.client(), "XTOPIC", "ALTER", "s", "CONFIG", "acks", "1")
    for number in range(10, 40):
        cluster.ask(leader, leader.client(), "XADD", "s", f"{number}-1", "f", "v")
    for _ in range(40):
        cluster.advance(500)  # so that what is sealed is merged
    follower.reports.clear()
    cluster.start(follower)
    for _ in range(20):
        if any(sentence.startswith("forgets") or "cut off" in sentence for sentence in follower.reports):
            break
        cluster.tick(leader)
        cluster.tick(follower)
    assert follower.node is not None
    stream = follower.node.keyspace.lookup(0, b"s", follower.node.now_ms)
    assert stream is not None
    assert stream.length < ENTRIES
    return three


def test_it_agrees_to_none_that_may_lack_it_too(cluster: Cluster, cut_off: list[Member]) -> None:
    leader, follower, third = cut_off
    cluster.kill(leader)
    cluster.start(third)
    for member in (third, follower):
        cluster.ask(member, member.client(), "REPLICAOF", "NO", "ONE")
        for _ in range(5):
            cluster.advance(1100)
        assert role(cluster, member) == b"slave"
    cluster.start(leader)
    for _ in range(12):
        cluster.advance(1100)
    assert role(cluster, leader) == b"master"
    for member in cut_off:
        assert int(cluster.ask(member, member.client(), "XLEN", "s")[1:]) == ENTRIES + 30


def test_who_reads_meanwhile_is_told_nothing(cluster: Cluster, cut_off: list[Member]) -> None:
    """It may have been told of more before, over the same connection."""
    _, follower, _ = cut_off
    client = follower.client()
    follower.arrived.append((client, [[b"XLEN", b"s"]]))
    cluster.tick(follower)
    cluster.settle()
    assert cluster.take(client) == b""
    assert client.kill
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":%d\r\n" % (ENTRIES + 30)
