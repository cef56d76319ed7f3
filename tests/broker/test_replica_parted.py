"""A log that left the leader's and cannot be cut there, for batches were merged: what is read of it meanwhile."""

from __future__ import annotations

import pytest

from tests.broker.test_replica_logs import fill, pass_time, same
from tests.support.cluster import Cluster, Member, follower_of

SETTINGS: dict[str, object] = {"segment.bytes": 2048}


@pytest.fixture
def two(cluster: Cluster) -> tuple[Member, Member]:
    """One that led alone and merged what it wrote then, and the leader that does not have that."""
    one = cluster.add(7001, **SETTINGS)
    other = follower_of(cluster, one, **SETTINGS)
    fill(cluster, one, "s", 1, 6)
    pass_time(cluster, 1)
    cluster.kill(other)
    fill(cluster, one, "s", 6, 130)
    pass_time(cluster, 60)
    cluster.kill(one)
    cluster.start(other)
    cluster.ask(other, other.client(), "REPLICAOF", "NO", "ONE")
    fill(cluster, other, "s", 1000, 1003)
    one.settings["min.insync.replicas"] = "2"  # from now on it tells no reader what it alone has
    return one, other


def read_on(cluster: Cluster, member: Member, ticks: int) -> list[bytes]:
    """Read from it in every tick, each time as another client; what these are told, at once or later."""
    readers = []
    for _ in range(ticks):
        readers.append(member.client())
        member.arrived.append((readers[-1], [[b"XRANGE", b"s", b"-", b"+"], [b"XLEN", b"s"]]))
        cluster.clock.advance(20)
        for each in cluster.members.values():
            cluster.tick(each)
    cluster.settle()
    return [told for told in map(cluster.take, readers) if told]


def ensure_nothing_parted(one: Member, other: Member, told: list[bytes]) -> None:
    assert any("to be copied anew" in sentence for sentence in one.reports)
    assert same(one, other)
    assert told, "it is read from again in the end"
    for each in told:
        assert b"\r\n100-1\r\n" not in each  # that was written alone
        assert each.endswith((b":8\r\n", b":5\r\n"))


def start(cluster: Cluster, one: Member, *, leads: bool = False) -> None:
    """Start it, and tell it to follow before it can speak to the other."""
    cluster.unreachable |= {(7001, 7002), (7002, 7001)}
    cluster.start(one)
    if leads:
        cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
        pass_time(cluster, 2)
    cluster.ask(one, one.client(), "REPLICAOF", "127.0.0.1", 7002)
    cluster.unreachable.clear()


@pytest.mark.parametrize("leads", [False, True])
def test_nothing_is_told_of_what_the_leader_lacks(cluster: Cluster, two: tuple[Member, Member], *, leads: bool) -> None:
    one, other = two
    start(cluster, one, leads=leads)
    told = read_on(cluster, one, 200)
    pass_time(cluster, 3)
    ensure_nothing_parted(one, other, told)


def test_a_copy_that_is_cut_off_begins_again(cluster: Cluster, two: tuple[Member, Member]) -> None:
    one, other = two
    start(cluster, one)
    told: list[bytes] = []
    for ticks in (51, 52, 53, 1, 2, 3, 4, 55, 56, 57, 58, 150):
        told += read_on(cluster, one, ticks)
        assert one.node is not None
        assert one.node.replication.following is not None
        one.node.replication.following.give_up("for a test")
    told += read_on(cluster, one, 120)
    pass_time(cluster, 3)
    ensure_nothing_parted(one, other, told)
