"""A session of thousands of logs begins a few logs a tick: other clients of both sides are served in between."""

from __future__ import annotations

import pytest

from respbroker.broker import follower_session, following, housekeeping, voting
from storage import OsFileSystem
from tests.support.cluster import Cluster, Member, follower_of, logs_of

TICK_LISTED = 5
STREAMS = 8 * TICK_LISTED


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (follower_session, following, voting):
        monkeypatch.setattr(module, "TICK_LISTED", TICK_LISTED)
    monkeypatch.setattr(housekeeping, "OPENED_PER_PERIOD", TICK_LISTED)


class Disk(OsFileSystem):
    """Counts the looks at directories since somebody last asked: each log that is opened takes a few."""

    looks = 0

    def files(self, directory: str) -> list[tuple[str, int]]:
        self.looks += 1
        return super().files(directory)

    def taken(self) -> int:
        looks, self.looks = self.looks, 0
        return looks


def begin_anew(cluster: Cluster, leader: Member, follower: Member) -> dict[Member, Disk]:
    """Let both start again, in another epoch, with no log open but the catalogs."""
    for member in (follower, leader):
        cluster.kill(member)
    disks = {member: Disk() for member in (leader, follower)}
    for member, disk in disks.items():
        member.filesystem = disk
    cluster.start(leader)
    cluster.ask(leader, leader.client(), "REPLICAOF", "NO", "ONE")  # nobody is there to be asked
    cluster.ask(leader, leader.client(), "DEBUG", "RELOAD")
    cluster.start(follower)
    return disks


@pytest.fixture
def two(cluster: Cluster) -> tuple[Member, Member]:
    """A leader with many streams, and its follower."""
    leader = cluster.add(7001)
    writer = leader.client()
    leader.arrived.append((writer, [[b"XADD", b"s%d" % n, b"1-1", b"f", b"v"] for n in range(STREAMS)]))
    cluster.settle()
    return leader, follower_of(cluster, leader)


def most_looks_in_a_tick(cluster: Cluster, members: dict[Member, Disk], ticks: int) -> int:
    """Run ticks, in each of which the leader takes a write."""
    leader = cluster.members[7001]
    writer, most = leader.client(), 0
    for disk in members.values():
        disk.taken()
    for number in range(ticks):
        leader.arrived.append((writer, [[b"XADD", b"s%d" % (number * 7 % (STREAMS + 9)), b"2-*", b"f", b"v"]]))
        for member in cluster.members.values():
            cluster.tick(member)
            if member in members:
                most = max(most, members[member].taken())
        assert cluster.take(writer).startswith(b"$")
    return most


def test_both_sides_look_at_a_few_logs_a_tick(cluster: Cluster, two: tuple[Member, Member]) -> None:
    leader, follower = two
    disks = begin_anew(cluster, leader, follower)
    assert most_looks_in_a_tick(cluster, disks, 3 * STREAMS // TICK_LISTED) <= 4 * TICK_LISTED
    cluster.advance(100)
    assert b"in_sync_replicas:2" in cluster.ask(leader, leader.client(), "INFO", "replication")
    assert logs_of(leader) == logs_of(follower)


def test_streams_that_come_and_go_while_logs_are_looked_at_are_so_at_the_follower(
    cluster: Cluster, two: tuple[Member, Member]
) -> None:
    leader, follower = two
    begin_anew(cluster, leader, follower)
    writer = leader.client()
    for number in range(30):
        changes = [b"XADD new%d 1-1 f v", b"DEL s%d", b"XADD s%d * f v", b"XTRIM s%d MAXLEN 0", b"XADD new%d * f v"]
        leader.arrived.append((writer, [(change % (number * 5 % STREAMS)).split() for change in changes]))
        for member in (leader, follower):
            cluster.tick(member)
    cluster.settle()
    for _ in range(5):
        cluster.advance(200)
    assert b"in_sync_replicas:2" in cluster.ask(leader, leader.client(), "INFO", "replication")
    assert cluster.ask(leader, leader.client(), "DBSIZE") == cluster.ask(follower, follower.client(), "DBSIZE")
    assert logs_of(leader) == logs_of(follower)


def test_a_follower_opens_its_logs_in_time_so_that_its_promotion_need_not_wait_for_them(
    cluster: Cluster, two: tuple[Member, Member]
) -> None:
    leader, follower = two
    assert follower.node is not None
    follower.node.replication.stop()  # it remembers how far it has come, and is asked for no logs
    cluster.kill(follower)
    follower.filesystem = disk = Disk()
    cluster.start(follower)
    cluster.settle()
    assert follower.node is not None
    assert len(follower.node.keyspace.loose) < STREAMS / 2
    for _ in range(10):
        cluster.advance(200)
    assert len(follower.node.keyspace.loose) == STREAMS
    cluster.kill(leader)
    disk.taken()
    cluster.ask(follower, follower.client(), "REPLICAOF", "NO", "ONE")
    assert b"master" in cluster.ask(follower, follower.client(), "ROLE")
    assert disk.taken() < STREAMS / 2


def test_candidate_and_voter_look_at_a_few_logs_a_tick(cluster: Cluster) -> None:
    leader = cluster.add(7001, min_insync_replicas=2)
    leader.arrived.append((leader.client(), [[b"XADD", b"s%d" % n, b"1-1", b"f", b"v"] for n in range(STREAMS)]))
    cluster.settle()
    one, two = (follower_of(cluster, leader, port, min_insync_replicas=2) for port in (7002, 7003))
    disks = {one: Disk(), two: Disk()}
    for member in (leader, one, two):
        cluster.kill(member)
    for member, disk in disks.items():
        member.filesystem = disk
        cluster.start(member)
        disk.taken()
    one.arrived.append((one.client(), [[b"REPLICAOF", b"NO", b"ONE"]]))
    most = dict.fromkeys(disks, 0)
    for _ in range(4 * STREAMS // TICK_LISTED):
        for member, disk in disks.items():
            cluster.tick(member)
            assert member.node is not None
            if member.node.replication.leading is None:  # to lead looks at each directory once
                most[member] = max(most[member], disk.taken())
    cluster.advance(100)
    assert b"master" in cluster.ask(one, one.client(), "ROLE")
    assert all(0 < each <= 4 * TICK_LISTED for each in most.values())


def test_a_candidate_is_answered_by_itself_when_all_logs_are_open_and_others_meanwhile(
    cluster: Cluster, two: tuple[Member, Member]
) -> None:
    leader, follower = two
    begin_anew(cluster, leader, follower)
    cluster.unreachable.add((follower.port, leader.port))
    assert follower.node is not None
    state = follower.node.replication.state
    known = map(int, state.membership.known)
    vote = ["REPLICATE", "VOTE", state.dataset, 9, "b" * 16, "127.0.0.1", 7009, 9, *known, 0, 1 << 40]
    candidate, gone, reader = follower.client(), follower.client(), follower.client()
    for client in (candidate, gone):
        follower.arrived.append((client, [[str(word).encode() for word in vote]]))
    cluster.tick(follower)
    follower.node.disconnect(gone)
    follower.arrived.append((reader, [[b"PING"]]))
    cluster.tick(follower)
    assert (cluster.take(candidate), cluster.take(reader)) == (b"", b"+PONG\r\n")
    for _ in range(2 * STREAMS // TICK_LISTED):
        assert follower.node.next_deadline() <= follower.node.now or follower.node.replication.state.promised == 9
        cluster.tick(follower)
    assert cluster.take(candidate).startswith(b"*4\r\n$1\r\n1\r\n")
    assert follower.node.replication.state.promised_to == "b" * 16
    assert follower.node.replicas.next_deadline() > follower.node.now
