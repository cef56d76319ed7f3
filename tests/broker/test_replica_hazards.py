"""What docs/safety.md says of pauses, partitions and copies of directories, on virtual time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, Member, follower_of

SAFE = {"acks": "all", "min.insync.replicas": 2}


@pytest.fixture
def three(cluster: Cluster) -> list[Member]:
    """A leader and two followers that are in sync."""
    leader = cluster.add(7001, **SAFE)
    followers = [cluster.add(port, replicaof="127.0.0.1 7001", **SAFE) for port in (7002, 7003)]
    cluster.settle()
    cluster.advance(100)
    return [leader, *followers]


def role(cluster: Cluster, member: Member) -> bytes:
    return cluster.ask(member, member.client(), "ROLE").split()[2]


def test_a_leader_that_hung_while_it_was_replaced_acknowledges_nothing(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    writer = leader.client()
    leader.paused = True
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    for _ in range(6):
        cluster.advance(1100)
    assert role(cluster, one) == b"master"
    assert cluster.ask(one, one.client(), "XADD", "s", "1-1", "by", "the new one") == b"$3\r\n1-1\r\n"
    leader.paused = False
    answer = cluster.ask(leader, writer, "XADD", "s", "1-1", "by", "the old one")
    for _ in range(12):
        cluster.advance(1100)
    assert not (answer + cluster.take(writer)).startswith(b"$")
    assert role(cluster, leader) == b"slave"
    for member in (leader, one, two):
        entries = cluster.ask(member, member.client(), "XRANGE", "s", "-", "+")
        assert b"the new one" in entries
        assert b"the old one" not in entries


@pytest.mark.parametrize("towards", ["the leader", "the followers"])
def test_where_only_one_direction_is_broken_nothing_is_acknowledged(
    cluster: Cluster, three: list[Member], towards: str
) -> None:
    leader, *followers = three
    writer = leader.client()
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"
    for follower in followers:
        cluster.held.add((follower.port, 7001) if towards == "the leader" else (7001, follower.port))
    assert cluster.ask(leader, writer, "XADD", "s", "2-1", "f", "v") == b""
    for _ in range(4):
        cluster.advance(1100)
    late = leader.client()
    assert cluster.ask(leader, late, "XADD", "s", "3-1", "f", "v").startswith(b"-NOREPLICAS")
    assert cluster.take(writer) == b""
    cluster.held.clear()
    for _ in range(12):
        cluster.advance(1100)
    assert cluster.take(writer) == b"$3\r\n2-1\r\n"
    assert cluster.ask(leader, late, "XADD", "s", "3-1", "f", "v") == b"$3\r\n3-1\r\n"


def test_a_server_does_not_follow_one_of_whose_directory_it_has_a_copy(cluster: Cluster, three: list[Member]) -> None:
    leader = three[0]
    shutil.copytree(leader.directory, Path(leader.directory).with_name("7004"))
    twin = cluster.add(7004, **SAFE)
    cluster.ask(twin, twin.client(), "REPLICAOF", "127.0.0.1", "7001")
    cluster.advance(1100)
    assert any("one with a copy of its directory" in sentence for sentence in twin.reports)
    for _ in range(12):  # the followers had agreed to the twin, which is the same leader to them
        cluster.advance(1100)
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"


def test_two_followers_with_one_directory_copied_count_as_one(cluster: Cluster, three: list[Member]) -> None:
    leader, follower, _ = three
    shutil.copytree(follower.directory, Path(follower.directory).with_name("7004"))
    cluster.add(7004, **SAFE)
    cluster.settle()
    cluster.advance(100)
    assert b"in_sync_replicas:3" in cluster.ask(leader, leader.client(), "INFO", "replication")
    assert any("is one's directory a copy" in sentence for sentence in leader.reports)


def test_with_a_minimum_of_one_the_last_server_leads_with_what_it_has(cluster: Cluster, three: list[Member]) -> None:
    leader, one, two = three
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"
    for member in (leader, two):
        cluster.kill(member)
    operator = one.client()
    cluster.ask(one, operator, "REPLICAOF", "NO", "ONE")
    for _ in range(3):
        cluster.advance(1100)
    assert role(cluster, one) == b"slave"
    cluster.ask(one, operator, "CONFIG", "SET", "min.insync.replicas", "1")
    cluster.advance(1100)
    assert role(cluster, one) == b"master"
    for _ in range(4):
        cluster.advance(1100)
    assert cluster.ask(one, one.client(), "XLEN", "s") == b":1\r\n"


def test_a_sync_under_way_while_a_followers_data_goes_is_no_failure_of_the_disk(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    other = cluster.add(7002)
    assert other.node is not None
    other.node.tick([(other.client(), [[b"XADD", b"s", b"*", b"f", b"v"]])], cluster.clock.now())
    under_way = other.node.durability.take_syncs()
    cluster.ask(other, other.client(), "REPLICAOF", "127.0.0.1", str(leader.port))
    cluster.advance(100)
    for file in under_way.files:
        file.sync()
    other.node.durability.synced(under_way)
    assert not other.node.durability.refusal


def test_who_is_told_to_follow_other_data_forgets_the_epochs_that_it_agreed_to(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    follower = follower_of(cluster, leader)
    for _ in range(3):  # a restart is an epoch
        cluster.kill(leader)
        cluster.start(leader)
        cluster.advance(1100)
    assert b"leader_epoch:4" in cluster.ask(leader, leader.client(), "INFO", "replication")
    other = cluster.add(7003)
    cluster.ask(other, other.client(), "XADD", "s", "1-1", "f", "v")
    cluster.ask(follower, follower.client(), "REPLICAOF", "127.0.0.1", "7003")
    cluster.advance(1100)
    assert b"leader_epoch:1" in cluster.ask(follower, follower.client(), "INFO", "replication")
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":1\r\n"


def test_a_leader_that_waits_for_its_confirmation_lets_nothing_go_that_is_too_old(
    cluster: Cluster, three: list[Member]
) -> None:
    leader, *followers = three
    writer = leader.client()
    cluster.ask(
        leader, writer, *["XTOPIC", "CREATE", "t", "CONFIG", "retention.bytes", "2000", "segment.bytes", "1024"]
    )
    for number in range(1, 21):
        cluster.ask(leader, writer, "XADD", "t", f"{number}-1", "f", "v" * 200)
    for member in three:
        cluster.kill(member)
    cluster.start(leader)
    cluster.ask(leader, leader.client(), "XLEN", "t")  # which opens it
    cluster.advance(11_000)
    assert cluster.ask(leader, leader.client(), "XADD", "t", "*", "f", "v").startswith(b"-READONLY")
    for member in followers:
        cluster.start(member)
    for _ in range(11):
        cluster.advance(1100)
    assert int(cluster.ask(followers[0], followers[0].client(), "XLEN", "t")[1:]) < 20


@pytest.mark.parametrize("boots", [1, 2])
def test_a_follower_whose_last_append_is_damaged_follows_only_if_it_may_have_been_torn(
    cluster: Cluster, three: list[Member], boots: int
) -> None:
    leader, follower, _ = three
    for number in (1, 2):
        cluster.ask(leader, leader.client(), "XADD", "s", f"{number}-1", "f", "v")
    assert follower.node is not None
    stream = follower.node.keyspace.lookup(0, b"s", follower.node.now_ms)
    assert stream is not None
    path = Path(stream.log.segments.active.path)
    cluster.kill(follower)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    follower.boots = boots
    follower.reports.clear()
    cluster.start(follower)
    cluster.advance(1100)
    cluster.ask(leader, leader.client(), "XADD", "s", "3-1", "f", "v")
    entries = cluster.ask(follower, follower.client(), "XRANGE", "s", "-", "+")
    if boots == 1:
        assert any("batch is damaged" in sentence and str(path) in sentence for sentence in follower.reports)
        assert not follower.node.replication.is_settled
        cluster.kill(leader)
        cluster.ask(follower, follower.client(), "REPLICAOF", "NO", "ONE")
        for _ in range(3):
            cluster.advance(1100)
        assert any("nobody knows what is here" in sentence for sentence in follower.reports)
    else:
        assert entries.count(b"-1") == 3


@pytest.mark.parametrize("in_sync", [True, False])
def test_an_old_copy_of_a_directory_may_be_put_back_while_the_others_have_everything_and_not_before(
    cluster: Cluster, three: list[Member], in_sync: bool
) -> None:
    leader, follower, third = three
    shutil.copytree(follower.directory, f"{follower.directory}.old")
    if not in_sync:
        cluster.kill(third)
        cluster.advance(3100)
    written = cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    assert written == b"$3\r\n1-1\r\n", "two have it at least"
    cluster.kill(follower)
    shutil.rmtree(follower.directory)
    shutil.move(f"{follower.directory}.old", follower.directory)
    cluster.kill(leader)
    for member in (follower, third):
        if member.node is None:
            cluster.start(member)
    cluster.ask(third, third.client(), "REPLICAOF", "NO", "ONE")
    for _ in range(12):
        cluster.advance(1100)
    assert role(cluster, third) == b"master"
    has_it = cluster.ask(third, third.client(), "XLEN", "s") == b":1\r\n"
    assert has_it == in_sync, "docs/safety.md names what is lost if the one that had it is away"
