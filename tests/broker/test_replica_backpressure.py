"""A follower that is slow, dead or out of disk costs its leader nothing but a few bytes, and others nothing at all."""

from __future__ import annotations

import pytest

from respbroker.broker import follower_session
from tests.support.cluster import Cluster, Member, follower_of, logs_of
from tests.support.memory_filesystem import MemoryFileSystem

WINDOW = 64 << 10


@pytest.fixture
def cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(follower_session, "WINDOW", WINDOW)
    monkeypatch.setattr(follower_session, "CHUNK_BYTES", WINDOW // 4)
    return cluster


def write(cluster: Cluster, leader: Member, first: int, end: int, size: int = 4000) -> None:
    client = leader.client()
    for number in range(first, end):
        cluster.ask(leader, client, "XADD", f"s{number % 3}", f"{number}-1", "f", "v" * size)


def on_the_way(leader: Member) -> int:
    """Bytes that the leader holds for its followers."""
    assert leader.node is not None
    assert leader.node.replication.leading is not None
    sessions = leader.node.replication.leading.sessions.values()
    return sum(sum(len(piece) for piece in each.client.out) for each in sessions)  # type: ignore[arg-type]


def follower_on_memory(cluster: Cluster) -> tuple[Member, MemoryFileSystem]:
    """A follower whose disk can be broken."""
    disk, path = MemoryFileSystem(), ""
    for name in f"{cluster.directory}/7002".split("/")[1:]:
        path += f"/{name}"
        disk.mkdir(path)
    follower = cluster.add(7002, disk, replicaof="127.0.0.1 7001")
    cluster.settle()
    return follower, disk


def test_a_follower_that_takes_nothing_is_owed_no_more_than_a_window(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    follower = follower_of(cluster, leader)
    follower.paused = True
    write(cluster, leader, 1, 200)
    assert on_the_way(leader) == 0  # all was taken by the network of the test
    assert leader.node is not None
    assert leader.node.replication.leading is not None
    (session,) = leader.node.replication.leading.sessions.values()
    assert session.sent - session.received <= WINDOW
    assert session.behind
    follower.paused = False
    cluster.settle()
    assert logs_of(leader) == logs_of(follower)
    assert not session.behind


def test_writes_are_answered_at_once_however_far_behind_a_follower_is(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    follower = follower_of(cluster, leader)
    follower.paused = True
    client = leader.client()
    for number in range(1, 100):
        assert cluster.ask(leader, client, "XADD", "s", f"{number}-1", "f", "v" * 4000).startswith(b"$")


def test_a_full_disk_stops_the_follower_alone_and_it_goes_on_when_there_is_room(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    follower, disk = follower_on_memory(cluster)
    other = follower_of(cluster, leader, 7003)
    disk.room = 1000
    write(cluster, leader, 1, 20)
    cluster.advance(3100)
    assert cluster.ask(other, other.client(), "XLEN", "s1") == b":7\r\n"
    assert any("room" in sentence for sentence in follower.reports)
    disk.room = None
    for _ in range(4):
        cluster.advance(1100)
    assert cluster.ask(follower, follower.client(), "XLEN", "s1") == b":7\r\n"


def test_a_follower_whose_disk_fails_stops_and_its_leader_goes_on(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    follower, disk = follower_on_memory(cluster)
    disk.failing_writes.add("*")
    write(cluster, leader, 1, 3)
    cluster.advance(3500)
    reader = leader.client()
    assert cluster.ask(leader, reader, "XLEN", "s1") == b":1\r\n"
    assert b"master_link_status:down" in cluster.ask(follower, follower.client(), "INFO", "replication")
    assert b"slave_priority:0" in cluster.ask(follower, follower.client(), "INFO", "replication")


def test_a_follower_whose_disk_is_full_is_none_that_sentinel_should_choose(cluster: Cluster, leader: Member) -> None:
    follower, disk = follower_on_memory(cluster)
    write(cluster, leader, 1, 3)
    for _ in range(3):
        cluster.advance(500)
    told = cluster.ask(follower, follower.client(), "INFO", "replication")
    assert b"slave_priority:100\r\n" in told
    disk.room = 0
    write(cluster, leader, 3, 5)
    for _ in range(3):
        cluster.advance(500)
    told = cluster.ask(follower, follower.client(), "INFO", "replication")
    assert b"slave_priority:0\r\n" in told
    disk.room = None
    for _ in range(9):
        cluster.advance(500)
    told = cluster.ask(follower, follower.client(), "INFO", "replication")
    assert b"slave_priority:100\r\n" in told


def test_a_follower_whose_disk_failed_a_sync_asks_its_leader_for_nothing_more(cluster: Cluster, leader: Member) -> None:
    follower, _ = follower_on_memory(cluster)
    write(cluster, leader, 1, 3)
    follower.syncs = False
    write(cluster, leader, 3, 5)
    assert follower.node is not None
    durability = follower.node.durability
    durability.sync_failed(durability.take_syncs(), OSError(5, "Input/output error"))
    write(cluster, leader, 5, 9)
    for _ in range(20):
        cluster.advance(500)
    following = follower.node.replication.following
    assert following is not None
    assert following.stopped
    assert len([each for each in follower.reports if "this server's disk failed" in each]) == 1
    assert b"slave_priority:0\r\n" in cluster.ask(follower, follower.client(), "INFO", "replication")
