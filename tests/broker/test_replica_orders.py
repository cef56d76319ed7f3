"""Whether replies and positions keep their order, whoever comes and goes; most of these were found by simulation."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.cluster import Cluster, Member, follower_of


def test_a_position_is_remembered_in_the_order_in_which_it_counts(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    for number in range(1, 20):
        cluster.ask(leader, leader.client(), "XADD", "s", f"{number}-1", "f", "v")
    for _ in range(31):
        cluster.advance(1000)  # so long that the follower writes its position down
    assert follower.node is not None
    far = follower.node.replication.state.position
    assert far > 1000
    assert leader.node is not None
    leader.node.replication.save(position=10)  # it has written down less
    cluster.kill(leader)
    cluster.start(leader)
    cluster.advance(1100)
    cluster.ask(leader, leader.client(), "XADD", "s", "20-1", "f", "v")
    cluster.kill(follower)
    cluster.ask(leader, leader.client(), "XADD", "s", "21-1", "f", "v")
    cluster.start(follower)
    assert follower.node.replication.position < far
    cluster.advance(1100)
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":21\r\n"


def test_a_leader_that_comes_back_and_is_told_to_lead_still_asks_for_votes(cluster: Cluster) -> None:
    settings = {"acks": "all", "min.insync.replicas": 2}
    leader = cluster.add(7001, **settings)
    one, two = (follower_of(cluster, leader, port, **settings) for port in (7002, 7003))
    writer = leader.client()
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"
    for member in (leader, one, two):
        cluster.kill(member)
    cluster.start(leader)
    cluster.ask(leader, leader.client(), "REPLICAOF", "NO", "ONE")
    cluster.advance(1100)
    assert cluster.ask(leader, leader.client(), "XADD", "s", "2-1", "f", "v").startswith(b"-READONLY")
    cluster.start(one)
    for _ in range(4):
        cluster.advance(1100)
    assert cluster.ask(leader, leader.client(), "XADD", "s", "2-1", "f", "v") == b"$3\r\n2-1\r\n"


def test_a_leader_that_comes_back_without_a_log_changes_nothing_before_it_leads(
    cluster: Cluster, leader: Member
) -> None:
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    follower = follower_of(cluster, leader)
    cluster.kill(leader)
    (log,) = Path(leader.directory, "streams").iterdir()
    shutil.rmtree(log)  # as if it had never been synced
    cluster.start(leader)
    for _ in range(4):
        cluster.advance(1100)
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":1\r\n"
    assert cluster.ask(leader, leader.client(), "XLEN", "s") == b":1\r\n"


def test_a_server_that_may_have_lost_what_it_acknowledged_elects_nobody_who_lacks_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    settings = {"acks": "all", "min.insync.replicas": 2}
    leader = cluster.add(7001, **settings)
    one, two = (follower_of(cluster, leader, port, **settings) for port in (7002, 7003))
    two.paused = True
    cluster.advance(3100)
    shutil.copytree(one.directory, tmp_path / "synced")
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"
    cluster.kill(leader)
    cluster.kill(one)
    shutil.rmtree(one.directory)
    shutil.copytree(tmp_path / "synced", one.directory)  # the power went before more was synced
    one.boots += 1
    cluster.start(one)
    two.paused = False
    for candidate in (one, two):
        cluster.ask(candidate, candidate.client(), "REPLICAOF", "NO", "ONE")
        for _ in range(4):
            cluster.advance(1100)
        assert cluster.ask(candidate, candidate.client(), "ROLE").split()[2] == b"slave"
    cluster.start(leader)
    for _ in range(20):
        cluster.advance(1100)
    assert cluster.ask(leader, leader.client(), "ROLE").split()[2] == b"master"
    assert cluster.ask(one, one.client(), "XLEN", "s") == b":1\r\n"
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    for _ in range(4):
        cluster.advance(1100)
    assert cluster.ask(one, one.client(), "ROLE").split()[2] == b"master"


def test_an_empty_server_does_not_lead_before_it_has_a_copy(cluster: Cluster) -> None:
    settings = {"acks": "all", "min.insync.replicas": 2}
    empty = cluster.add(7002, replicaof="127.0.0.1 7001", **settings)
    cluster.settle()
    cluster.ask(empty, empty.client(), "REPLICAOF", "NO", "ONE")
    cluster.advance(1100)
    assert cluster.ask(empty, empty.client(), "ROLE").split()[2] == b"slave"
    assert any("it is empty" in sentence for sentence in empty.reports)


def test_a_follower_that_was_never_level_in_its_leaders_epoch_lists_all_that_it_has(cluster: Cluster) -> None:
    first = cluster.add(7001)
    second, third = (follower_of(cluster, first, port) for port in (7002, 7003))
    cluster.ask(first, first.client(), "XADD", "old", "1-1", "f", "v")
    cluster.kill(third)
    cluster.ask(first, first.client(), "XADD", "old", "2-1", "f", "v")
    cluster.kill(second)
    cluster.start(second)
    cluster.advance(1100)  # from here on it knows what changes
    cluster.ask(first, first.client(), "XADD", "new", "1-1", "f", "v")
    cluster.kill(first)
    cluster.ask(second, second.client(), "REPLICAOF", "NO", "ONE")
    assert second.node is not None
    cluster.start(third)
    assert third.node is not None
    third.node.replication.adopt(second.node.replication.state.history)  # and cut off before it was level
    cluster.ask(third, third.client(), "REPLICAOF", "127.0.0.1", "7002")
    for _ in range(3):
        cluster.advance(1100)
    assert cluster.ask(third, third.client(), "XLEN", "new") == b":1\r\n"
    assert cluster.ask(third, third.client(), "XLEN", "old") == b":2\r\n"


def test_a_follower_that_was_cut_off_before_it_was_level_is_sent_all_though_its_leader_counts_anew(
    cluster: Cluster,
) -> None:
    first = cluster.add(7001)
    second, third = (follower_of(cluster, first, port) for port in (7002, 7003))
    cluster.ask(first, first.client(), "XADD", "s", "1-1", "f", "v")
    for _ in range(31):
        cluster.advance(1000)  # so long that they write their positions down
    assert second.node is not None
    second.node.replication.save(position=10)  # it has written down less
    cluster.held.add((first.port, third.port))
    cluster.ask(first, first.client(), "XADD", "s", "2-1", "f", "v")
    cluster.kill(first)
    cluster.held.clear()
    cluster.kill(second)
    cluster.start(second)
    cluster.unreachable.add((7002, 7003))
    cluster.ask(second, second.client(), "REPLICAOF", "NO", "ONE")
    cluster.unreachable.clear()
    assert third.node is not None
    assert second.node.replication.position < third.node.replication.position
    third.node.replication.adopt(second.node.replication.state.history)  # and cut off before it was level
    cluster.kill(third)
    cluster.start(third)
    cluster.ask(third, third.client(), "REPLICAOF", "127.0.0.1", "7002")
    for _ in range(3):
        cluster.advance(1100)
    assert cluster.ask(third, third.client(), "XLEN", "s") == b":2\r\n"
