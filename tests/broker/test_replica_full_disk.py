"""A disk without room for DIR/replication: the server plays the part that is written there, and tries again."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from respbroker.replication.state import ReplicationState
from storage import OsFileSystem
from storage.filesystem import File
from tests.support.cluster import Cluster, Member


class Disk(OsFileSystem):
    """Has no room for what is remembered of replication, or for another part of a path, while ``is_full``."""

    is_full = False
    full_of = "/replication"
    error = errno.ENOSPC

    def open(self, path: str, *, create: bool = False) -> File:
        self._ensure_room(path, is_new=create)
        return super().open(path, create=create)

    def mkdir(self, directory: str) -> None:
        self._ensure_room(directory, is_new=True)
        super().mkdir(directory)

    def _ensure_room(self, path: str, *, is_new: bool) -> None:
        if self.is_full and is_new and self.full_of in path:
            raise OSError(self.error, os.strerror(self.error), path)


def add(cluster: Cluster, port: int, **settings: object) -> tuple[Member, Disk]:
    disk = Disk()
    Path(f"{cluster.directory}/{port}").mkdir()
    member = cluster.add(port, disk, **settings)
    for _ in range(3):
        cluster.advance(100)
    return member, disk


def three(cluster: Cluster, minimum: int = 1) -> list[tuple[Member, Disk]]:
    """A leader and two followers in sync."""
    leader = add(cluster, 7001, acks="all", min_insync_replicas=minimum)
    followers = [
        add(cluster, port, acks="all", min_insync_replicas=minimum, replicaof="127.0.0.1 7001") for port in (7002, 7003)
    ]
    return [leader, *followers]


def remembered(member: Member) -> ReplicationState:
    """What is on the disk, which is what the server believes."""
    assert member.node is not None
    state = ReplicationState.decode(Path(f"{member.directory}/replication").read_bytes())
    assert member.node.replication.state == state
    return state


def pass_seconds(cluster: Cluster, seconds: int) -> None:
    for _ in range(seconds * 2):
        cluster.advance(500)


def stop(cluster: Cluster, member: Member) -> None:
    """SIGTERM: the next start has to write down that there was one."""
    assert member.node is not None
    member.node.replication.stop()
    cluster.kill(member)


def starts_without_room(cluster: Cluster, member: Member, disk: Disk) -> None:
    """Nothing at all can be made in its directory."""
    disk.full_of, disk.is_full = "/", True
    cluster.start(member)
    pass_seconds(cluster, 3)
    assert any("until there is room this server follows nobody" in each for each in member.reports)
    told = cluster.ask(member, member.client(), "INFO", "replication")
    assert b"\r\nrole_change:waits for room on the disk\r\n" in told


def role(cluster: Cluster, member: Member) -> bytes:
    return cluster.ask(member, member.client(), "ROLE").split()[2]


def has_told(member: Member) -> bool:
    return any("cannot change the part this server plays: no room" in each for each in member.reports)


def test_who_is_in_sync_no_more_is_waited_for_until_that_is_written(cluster: Cluster) -> None:
    (leader, disk), (one, _), _ = three(cluster)
    before, writer = remembered(leader), leader.client()
    disk.is_full = True
    cluster.kill(one)
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v") == b""
    pass_seconds(cluster, 6)
    assert remembered(leader) == before
    assert cluster.take(writer) == b""
    disk.is_full = False
    pass_seconds(cluster, 2)
    assert cluster.take(writer) == b"$3\r\n1-1\r\n"
    assert len(remembered(leader).in_sync) == 1


def test_a_follower_whose_coming_cannot_be_written_is_not_taken(cluster: Cluster) -> None:
    (leader, disk), *_ = three(cluster)
    disk.is_full = True
    late, _ = add(cluster, 7004, replicaof="127.0.0.1 7001")
    pass_seconds(cluster, 3)
    assert len(remembered(leader).others) == 2
    assert leader.node is not None
    assert leader.node.replication.leading is not None
    assert len(leader.node.replication.leading.sessions) == 2
    disk.is_full = False
    pass_seconds(cluster, 3)
    assert len(remembered(leader).in_sync) == 3
    assert role(cluster, late) == b"slave"


@pytest.mark.parametrize("minimum", [1, 2])
def test_a_promotion_that_cannot_be_written_takes_effect_when_it_can(cluster: Cluster, minimum: int) -> None:
    (leader, _), (one, disk), (two, _) = three(cluster, minimum)
    before = remembered(one)
    disk.is_full = True
    cluster.kill(leader)
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 3)
    assert (remembered(one), role(cluster, one), role(cluster, two)) == (before, b"slave", b"slave")
    assert has_told(one)
    disk.is_full = False
    pass_seconds(cluster, 3)
    assert role(cluster, one) == b"master"
    assert b"in_sync_replicas:2" in cluster.ask(one, one.client(), "INFO", "replication")


def test_who_has_the_votes_leads_and_tells_of_it_only_when_that_is_written(cluster: Cluster) -> None:
    (leader, _), (one, disk), (two, _) = three(cluster, 2)
    cluster.kill(leader)
    cluster.held.add((two.port, one.port))
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 3)
    before = remembered(one)
    disk.is_full = True
    cluster.held.clear()
    pass_seconds(cluster, 3)
    assert (remembered(one), role(cluster, one)) == (before, b"slave")
    assert two.node is not None
    assert two.node.replication.follows_node("127.0.0.1", leader.port)
    disk.is_full = False
    pass_seconds(cluster, 8)
    assert (role(cluster, one), role(cluster, two)) == (b"master", b"slave")
    assert b"in_sync_replicas:2" in cluster.ask(one, one.client(), "INFO", "replication")


def test_a_vote_that_cannot_be_written_is_not_given(cluster: Cluster) -> None:
    (leader, _), (one, _), (two, disk) = three(cluster, 2)
    before = remembered(two)
    disk.is_full = True
    cluster.kill(leader)
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 3)
    assert (remembered(two), role(cluster, one)) == (before, b"slave")
    disk.is_full = False
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 8)
    assert role(cluster, one) == b"master"


def test_a_leader_that_has_agreed_to_another_acknowledges_nothing_before_it_can_write_whom_it_follows(
    cluster: Cluster,
) -> None:
    (leader, disk), (one, _), _ = three(cluster, 2)
    assert one.node is not None
    state, other = remembered(leader), one.node.replication.state.node
    known = map(int, state.membership.known)
    vote = ["REPLICATE", "VOTE", state.dataset, 2, other, "127.0.0.1", 7002, state.level, *known, 0, 1 << 40]
    leader.arrived.append((leader.client(), [[str(word).encode() for word in vote]]))
    cluster.tick(leader)
    assert remembered(leader).promised_to == other
    disk.is_full = True
    writer = leader.client()
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v") == b""
    pass_seconds(cluster, 3)
    assert cluster.take(writer) == b""
    disk.is_full = False
    pass_seconds(cluster, 2)
    assert remembered(leader).leader == ("127.0.0.1", 7002)


def test_a_failover_whose_promise_cannot_be_written_is_given_up(cluster: Cluster) -> None:
    (leader, disk), *_ = three(cluster)
    before, writer = remembered(leader), leader.client()
    disk.is_full = True
    assert cluster.ask(leader, writer, "FAILOVER") == b"+OK\r\n"
    pass_seconds(cluster, 1)
    assert any("the failover to any of the replicas was given up: no room" in each for each in leader.reports)
    assert (remembered(leader), role(cluster, leader)) == (before, b"master")
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"


def test_who_waits_for_a_confirmation_goes_on_so_where_whom_to_follow_cannot_be_written(cluster: Cluster) -> None:
    (leader, disk), (one, _), (two, _) = three(cluster)
    for member in (one, two, leader):
        cluster.kill(member)
    cluster.start(leader)
    disk.is_full = True
    cluster.ask(leader, leader.client(), "REPLICAOF", "127.0.0.1", "7002")
    pass_seconds(cluster, 2)
    assert remembered(leader).leader is None
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v").startswith(b"-READONLY")
    disk.is_full = False
    pass_seconds(cluster, 2)
    assert remembered(leader).leader == ("127.0.0.1", 7002)


def test_what_a_server_has_goes_for_other_data_only_when_that_is_written(cluster: Cluster) -> None:
    (one, disk), (other, _) = add(cluster, 7001), add(cluster, 7002)
    for member, key in ((one, "mine"), (other, "theirs")):
        cluster.ask(member, member.client(), "XADD", key, "1-1", "f", "v")
    cluster.held.add((one.port, other.port))
    cluster.ask(one, one.client(), "REPLICAOF", "127.0.0.1", "7002")
    before = remembered(one)
    disk.is_full = True
    cluster.held.clear()
    pass_seconds(cluster, 2)
    assert remembered(one) == before
    assert cluster.ask(one, one.client(), "XLEN", "mine") == b":1\r\n"
    disk.is_full = False
    pass_seconds(cluster, 2)
    assert [cluster.ask(one, one.client(), "XLEN", key) for key in ("mine", "theirs")] == [b":0\r\n", b":1\r\n"]


def test_who_has_no_room_for_the_log_of_a_partition_leads_when_there_is_some(cluster: Cluster) -> None:
    (leader, _), (one, disk), (two, _) = three(cluster)
    cluster.ask(leader, leader.client(), "XTOPIC", "CREATE", "t", "PARTITIONS", "2")
    cluster.advance(100)
    for member in (leader, one):
        cluster.kill(member)
    for path in Path(one.directory).glob("streams/*"):  # as after a loss of power: nothing was written to them
        shutil.rmtree(path)
    cluster.start(one)
    before = remembered(one)
    disk.full_of, disk.is_full = "/streams/", True
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 3)
    assert (role(cluster, one), remembered(one).leader) == (b"slave", before.leader)
    assert has_told(one)
    disk.is_full = False
    pass_seconds(cluster, 8)
    assert (role(cluster, one), role(cluster, two)) == (b"master", b"slave")
    assert cluster.ask(one, one.client(), "XADD", "t/1", "1-4097", "f", "v").startswith(b"$")


def test_a_handover_that_nobody_answers_waits_behind_a_change_that_waits_for_room(cluster: Cluster) -> None:
    (leader, _), (one, disk), (two, _) = three(cluster)
    cluster.held.add((leader.port, one.port))
    client = one.client()
    cluster.ask(one, client, "REPLICAOF", "NO", "ONE")
    disk.is_full = True
    cluster.ask(one, client, "REPLICAOF", "127.0.0.1", str(two.port))
    assert one.node is not None
    for _ in range(25):
        cluster.advance(100)
        assert one.node.next_deadline() > one.node.now
    disk.is_full = False
    pass_seconds(cluster, 3)
    assert any(f"follows 127.0.0.1:{two.port}" in each for each in one.reports)
    assert not any("this server leads" in each for each in one.reports)  # to follow was said last


def test_who_is_to_lead_while_its_disk_fails_says_once_that_it_cannot(cluster: Cluster) -> None:
    (leader, _), (one, _), _ = three(cluster)
    cluster.held.add((leader.port, one.port))
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    assert one.node is not None
    one.node.durability.fail(OSError("a sync failed"))
    pass_seconds(cluster, 5)
    assert len([each for each in one.reports if "this server cannot lead: its disk failed" in each]) == 1


def test_what_waits_for_room_is_told_once_a_minute(cluster: Cluster) -> None:
    (leader, _), (one, disk), _ = three(cluster)
    disk.is_full = True
    cluster.kill(leader)
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 90)
    told = [each for each in one.reports if "cannot change the part this server plays" in each]
    assert len(told) == 2


def test_who_is_to_be_forgotten_is_when_that_can_be_written(cluster: Cluster) -> None:
    (leader, disk), _, (gone, _) = three(cluster, 2)
    cluster.kill(gone)
    disk.is_full = True
    operator = leader.client()
    assert cluster.ask(leader, operator, "REPLICATE", "FORGET", "127.0.0.1", 7003) == b""
    pass_seconds(cluster, 11)
    assert cluster.take(operator).startswith(b"-ERR not yet: this server has not begun with it, its log says why")
    assert any(sentence.startswith("no room to remember") for sentence in leader.reports)
    assert len(remembered(leader).membership.members) == 3
    disk.is_full = False
    pass_seconds(cluster, 2)
    assert len(remembered(leader).membership.members) == 2


def test_a_leader_whose_disk_fails_to_hold_who_is_in_sync_writes_nothing_more(cluster: Cluster) -> None:
    (leader, disk), (one, _), _ = three(cluster)
    before, writer = remembered(leader), leader.client()
    disk.is_full, disk.error = True, errno.EIO
    cluster.kill(one)
    pass_seconds(cluster, 6)
    disk.is_full = False
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v").startswith(b"-MISCONF ")
    pass_seconds(cluster, 6)
    assert remembered(leader) == before  # a second try might seem to go well


def test_a_follower_that_starts_without_room_votes_for_nobody_and_follows_when_there_is_some(cluster: Cluster) -> None:
    (leader, _), (one, _), (two, disk) = three(cluster, 2)
    stop(cluster, two)
    before = Path(f"{two.directory}/replication").read_bytes()
    starts_without_room(cluster, two, disk)
    reader = two.client()
    assert cluster.ask(two, reader, "XADD", "s", "1-1", "f", "v").startswith(b"-READONLY")
    assert cluster.ask(two, reader, "XLEN", "s") == b""  # it may have what no leader has
    assert b"slave_priority:0" in cluster.ask(two, two.client(), "INFO", "replication")
    cluster.kill(leader)
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 3)
    assert (role(cluster, one), role(cluster, two)) == (b"slave", b"slave")
    assert Path(f"{two.directory}/replication").read_bytes() == before
    disk.is_full = False
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 8)
    assert (role(cluster, one), remembered(two).leader) == (b"master", ("127.0.0.1", one.port))
    assert cluster.take(reader) == b":0\r\n"


def test_a_follower_with_nothing_to_write_down_needs_no_room_to_follow(cluster: Cluster) -> None:
    _, _, (two, disk) = three(cluster)
    cluster.kill(two)
    disk.is_full = True
    cluster.start(two)
    pass_seconds(cluster, 3)
    assert b"slave_in_sync:1" in cluster.ask(two, two.client(), "INFO", "replication")


def test_a_leader_that_starts_without_room_asks_whether_it_leads_when_there_is_some(cluster: Cluster) -> None:
    (leader, disk), *_ = three(cluster)
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    stop(cluster, leader)
    starts_without_room(cluster, leader, disk)
    writer, reader = leader.client(), leader.client()
    assert cluster.ask(leader, writer, "XADD", "s", "2-1", "f", "v").startswith(b"-MISCONF Errors writing to the log")
    assert cluster.ask(leader, reader, "XLEN", "s") == b""
    disk.is_full = False
    pass_seconds(cluster, 3)
    assert cluster.take(reader) == b":1\r\n"
    assert cluster.ask(leader, writer, "XADD", "s", "2-1", "f", "v") == b"$3\r\n2-1\r\n"
    told = cluster.ask(leader, writer, "INFO", "replication")
    assert b"in_sync_replicas:3" in told
    assert b"role_change" not in told


def test_a_leader_that_would_ask_nobody_is_read_while_it_has_no_room_to_lead(cluster: Cluster) -> None:
    (leader, disk), *followers = three(cluster)
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    for follower, _ in followers:
        cluster.kill(follower)
    pass_seconds(cluster, 5)
    stop(cluster, leader)
    starts_without_room(cluster, leader, disk)
    client = leader.client()
    assert cluster.ask(leader, client, "XLEN", "s") == b":1\r\n"
    assert cluster.ask(leader, client, "XADD", "s", "2-1", "f", "v").startswith(b"-MISCONF Errors writing to the log")
    assert remembered(leader).promised == 1
    disk.is_full = False
    pass_seconds(cluster, 2)
    assert cluster.ask(leader, client, "XADD", "s", "2-1", "f", "v") == b"$3\r\n2-1\r\n"
    assert remembered(leader).promised == 2


def test_who_is_to_follow_from_its_first_start_on_does_so_when_it_can_be_written(cluster: Cluster) -> None:
    leader, _ = add(cluster, 7001)
    disk = Disk()
    disk.is_full = True
    Path(f"{cluster.directory}/7002").mkdir()
    late = cluster.add(7002, disk, replicaof="127.0.0.1 7001")
    pass_seconds(cluster, 3)
    assert cluster.ask(late, late.client(), "XADD", "s", "1-1", "f", "v").startswith(b"-READONLY")
    disk.is_full = False
    pass_seconds(cluster, 3)
    assert b"slave_in_sync:1" in cluster.ask(late, late.client(), "INFO", "replication")
    assert role(cluster, leader) == b"master"
