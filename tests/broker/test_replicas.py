"""A leader and its followers: what is copied, what is held back, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.cluster import Cluster, Member, follower_of, logs_of


def test_a_follower_has_what_was_there_before_it_came_and_what_comes_after(cluster: Cluster, leader: Member) -> None:
    writer = leader.client()
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    follower = follower_of(cluster, leader)
    cluster.ask(leader, writer, "XADD", "s", "2-1", "f", "w")
    cluster.ask(leader, writer, "XADD", "t", "1-1", "f", "v")
    reader = follower.client()
    assert cluster.ask(follower, reader, "XLEN", "s") == b":2\r\n"
    assert cluster.ask(follower, reader, "XLEN", "t") == b":1\r\n"
    assert logs_of(leader) == logs_of(follower)


def test_a_follower_refuses_writes(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    refused = b"-READONLY You can't write against a read only replica.\r\n"
    assert cluster.ask(follower, follower.client(), "XADD", "s", "*", "f", "v") == refused


def test_a_blocked_reader_of_a_follower_is_served(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    reader = follower.client()
    assert cluster.ask(follower, reader, "XREAD", "BLOCK", "0", "STREAMS", "s", "0") == b""
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    assert b"1-1" in cluster.take(reader)


def test_groups_and_pending_entries_are_copied(cluster: Cluster, leader: Member) -> None:
    writer = leader.client()
    follower = follower_of(cluster, leader)
    for line in ("XADD s 1-1 f v", "XADD s 2-1 f v", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS s >"):
        cluster.ask(leader, writer, *line.split())
    reader = follower.client()
    assert cluster.ask(follower, reader, "XPENDING", "s", "g") == cluster.ask(leader, writer, "XPENDING", "s", "g")
    assert cluster.ask(follower, reader, "XINFO", "GROUPS", "s") == cluster.ask(leader, writer, "XINFO", "GROUPS", "s")


def test_a_write_with_acks_all_is_answered_when_the_follower_has_it(cluster: Cluster, leader: Member) -> None:
    writer = leader.client()
    cluster.ask(leader, writer, "XTOPIC", "CREATE", "s", "PARTITIONS", "1", "CONFIG", "acks", "all")
    follower = follower_of(cluster, leader)
    follower.paused = True
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v") == b""
    follower.paused = False
    cluster.settle()
    assert cluster.take(writer) == b"$3\r\n1-1\r\n"


def test_a_read_waits_until_the_followers_have_what_it_reads(cluster: Cluster, leader: Member) -> None:
    writer, reader, other = leader.client(), leader.client(), leader.client()
    cluster.ask(leader, writer, "XADD", "old", "1-1", "f", "v")
    follower = follower_of(cluster, leader)
    follower.paused = True
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"
    assert cluster.ask(leader, reader, "XLEN", "s") == b""
    assert cluster.ask(leader, other, "XLEN", "old") == b":1\r\n"
    follower.paused = False
    cluster.settle()
    assert cluster.take(reader) == b":1\r\n"


def test_replies_that_wait_for_followers_keep_their_order(cluster: Cluster, leader: Member) -> None:
    writer = leader.client()
    cluster.ask(leader, writer, "XTOPIC", "CREATE", "s", "PARTITIONS", "1", "CONFIG", "acks", "all")
    follower = follower_of(cluster, leader)
    leader.arrived.append((writer, [[b"XADD", b"s", b"1-1", b"f", b"v"]]))
    cluster.tick(leader)
    cluster.tick(follower)  # its acknowledgement and the next write come in one tick
    leader.arrived.append((writer, [[b"XADD", b"s", b"2-1", b"f", b"v"]]))
    cluster.tick(leader)
    assert cluster.take(writer) == b"$3\r\n1-1\r\n"
    cluster.settle()
    assert cluster.take(writer) == b"$3\r\n2-1\r\n"


def test_a_follower_counts_though_it_has_nothing_to_sync(cluster: Cluster) -> None:
    leader = cluster.add(7001, appendfsync="always")
    follower_of(cluster, leader, appendfsync="always")
    assert b"in_sync_replicas:2" in cluster.ask(leader, leader.client(), "INFO", "replication")


def test_a_follower_that_hangs_leaves_the_in_sync_set_and_reads_go_on(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    follower.paused = True
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    reader = leader.client()
    assert cluster.ask(leader, reader, "XLEN", "s") == b""
    cluster.advance(3100)
    assert cluster.take(reader) == b":1\r\n"


def test_wait_counts_the_followers_that_have_the_writes(cluster: Cluster, leader: Member) -> None:
    writer = leader.client()
    follower = follower_of(cluster, leader)
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    assert cluster.ask(leader, writer, "WAIT", "1", "1000") == b":1\r\n"
    follower.paused = True
    cluster.ask(leader, writer, "XADD", "s", "2-1", "f", "v")
    assert cluster.ask(leader, writer, "WAIT", "1", "1000") == b""
    cluster.advance(1100)
    assert cluster.take(writer) == b":0\r\n"


def test_too_few_in_sync_replicas_refuse_a_write_that_wants_all(cluster: Cluster) -> None:
    leader = cluster.add(7001, acks="all", **{"min.insync.replicas": 2})
    follower = follower_of(cluster, leader)
    writer = leader.client()
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"
    cluster.kill(follower)
    cluster.advance(3100)
    refusal = cluster.ask(leader, writer, "XADD", "s", "2-1", "f", "v")
    assert refusal.startswith(b"-NOREPLICAS Not enough good replicas to write.")
    assert b"OOM command not allowed when used memory" in refusal


def test_a_server_that_nobody_ever_followed_is_one_replica(cluster: Cluster) -> None:
    alone = cluster.add(7001, acks="all", **{"min.insync.replicas": 2})
    writer = alone.client()
    assert cluster.ask(alone, writer, "XADD", "s", "1-1", "f", "v").startswith(b"-NOREPLICAS")
    cluster.ask(alone, writer, "CONFIG", "SET", "acks", "1")
    assert cluster.ask(alone, writer, "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"
    cluster.ask(alone, writer, "XTOPIC", "ALTER", "s", "CONFIG", "acks", "all")
    assert cluster.ask(alone, writer, "XADD", "s", "2-1", "f", "v").startswith(b"-NOREPLICAS")


def test_a_promoted_follower_takes_writes_and_the_old_leader_follows_it(cluster: Cluster, leader: Member) -> None:
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    follower = follower_of(cluster, leader)
    assert cluster.ask(follower, follower.client(), "REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    cluster.advance(1100)
    cluster.advance(1100)
    assert cluster.ask(follower, follower.client(), "XADD", "s", "2-1", "f", "v") == b"$3\r\n2-1\r\n"
    assert cluster.ask(leader, leader.client(), "XADD", "s", "3-1", "f", "v").startswith(b"-READONLY")
    assert cluster.ask(leader, leader.client(), "XLEN", "s") == b":2\r\n"


def test_what_a_dead_leader_alone_had_is_cut_off_when_it_returns(cluster: Cluster, leader: Member) -> None:
    writer = leader.client()
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    follower = follower_of(cluster, leader)
    follower.paused = True
    cluster.ask(leader, writer, "XADD", "s", "2-1", "f", "lost")
    cluster.ask(leader, writer, "XADD", "only-there", "2-1", "f", "lost")
    cluster.kill(leader)
    follower.paused = False
    cluster.ask(follower, follower.client(), "REPLICAOF", "NO", "ONE")
    cluster.ask(follower, follower.client(), "XADD", "s", "3-1", "f", "kept")
    cluster.start(leader)
    for _ in range(4):
        cluster.advance(1100)
    assert b"lost" not in cluster.ask(leader, leader.client(), "XRANGE", "s", "-", "+")
    assert cluster.ask(leader, leader.client(), "EXISTS", "only-there") == b":0\r\n"
    assert logs_of(leader) == logs_of(follower)
    assert any(sentence.startswith("cut off ") for sentence in leader.reports)


def test_failover_hands_over_and_loses_nothing(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    assert cluster.ask(leader, leader.client(), "FAILOVER") == b"+OK\r\n"
    cluster.advance(1100)
    assert cluster.ask(follower, follower.client(), "ROLE").startswith(b"*3\r\n$6\r\nmaster")
    assert cluster.ask(leader, leader.client(), "ROLE").startswith(b"*5\r\n$5\r\nslave")
    assert cluster.ask(follower, follower.client(), "XADD", "s", "2-1", "f", "v") == b"$3\r\n2-1\r\n"


def test_a_leader_that_comes_back_goes_on_when_a_follower_confirms_it(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    cluster.kill(leader)
    cluster.start(leader)
    cluster.advance(100)
    assert cluster.ask(leader, leader.client(), "XADD", "s", "2-1", "f", "v") == b"$3\r\n2-1\r\n"
    cluster.advance(1100)
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":2\r\n"
    assert logs_of(leader) == logs_of(follower)


def test_a_leader_that_comes_back_alone_takes_no_write_until_it_is_told_to(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    cluster.kill(leader)
    cluster.kill(follower)
    cluster.start(leader)
    cluster.advance(5000)
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v").startswith(b"-READONLY")
    assert cluster.ask(leader, leader.client(), "REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    cluster.advance(100)
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"


def test_of_two_that_were_promoted_at_once_one_stays(cluster: Cluster, leader: Member) -> None:
    one, other = follower_of(cluster, leader), follower_of(cluster, leader, 7003)
    cluster.advance(600)
    cluster.kill(leader)
    for follower in (one, other):
        follower.arrived.append((follower.client(), [[b"REPLICAOF", b"NO", b"ONE"]]))
    cluster.settle()
    for _ in range(4):
        cluster.advance(1100)
    roles = [cluster.ask(each, each.client(), "ROLE").split()[2] for each in (one, other)]
    assert sorted(roles) == [b"master", b"slave"]
    cluster.start(leader)
    for _ in range(4):
        cluster.advance(1100)
    assert cluster.ask(leader, leader.client(), "ROLE").split()[2] == b"slave"


def test_three_servers_with_a_minimum_of_two_elect_only_who_has_everything(cluster: Cluster) -> None:
    settings = {"acks": "all", "min.insync.replicas": 2}
    leader = cluster.add(7001, **settings)
    one, other = (follower_of(cluster, leader, port, **settings) for port in (7002, 7003))
    cluster.advance(600)
    other.paused = True
    writer = leader.client()
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    cluster.advance(3100)
    assert cluster.take(writer) == b"$3\r\n1-1\r\n"
    cluster.kill(leader)
    other.paused = False
    cluster.settle()
    cluster.ask(other, other.client(), "REPLICAOF", "NO", "ONE")
    for _ in range(3):
        cluster.advance(1100)
    assert any("does not agree that this server leads" in sentence for sentence in other.reports)
    assert any("this server leads" in sentence for sentence in one.reports)  # and hands over at once
    assert cluster.ask(other, other.client(), "ROLE").split()[2] == b"master"
    assert cluster.ask(other, other.client(), "XLEN", "s") == b":1\r\n"


def test_a_leader_that_takes_another_epoch_may_write_on_meanwhile(cluster: Cluster) -> None:
    """A follower that has the newest writes when it is asked agrees nevertheless, and does not stand itself."""
    settings = {"min_insync_replicas": "2"}
    leader = cluster.add(7001, **settings)
    followers = [follower_of(cluster, leader, port, **settings) for port in (7002, 7003)]
    assert leader.node is not None
    for follower in followers:
        follower.paused = True
    leader.node.replication.renew(7)
    while not all(follower.arrived for follower in followers):  # the question is on its way
        cluster.tick(leader)
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    for follower in followers:
        follower.paused = False
    cluster.settle()
    assert not any("does not agree that this server leads" in sentence for sentence in leader.reports)
    assert b"leader_epoch:8" in cluster.ask(leader, leader.client(), "INFO", "replication")
    for follower in followers:
        assert b"slave_in_sync:1" in cluster.ask(follower, follower.client(), "INFO", "replication")


def test_a_follower_told_to_lead_has_its_leader_hand_over(cluster: Cluster) -> None:
    """Under load it always lacks what is on the way to it: asked at once, the others would refuse it for that."""
    settings = {"acks": "all", "min_insync_replicas": "2"}
    leader = cluster.add(7001, **settings)
    first, second = (follower_of(cluster, leader, port, **settings) for port in (7002, 7003))
    cluster.held.add((leader.port, first.port))
    writer = leader.client()
    assert cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v") == b""
    assert cluster.ask(first, first.client(), "REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    cluster.held.clear()
    cluster.settle()
    assert cluster.take(writer) == b"$3\r\n1-1\r\n"
    cluster.advance(600)
    assert cluster.ask(first, first.client(), "XADD", "s", "2-1", "f", "v") == b"$3\r\n2-1\r\n"
    for other in (leader, second):
        assert b"slave_in_sync:1" in cluster.ask(other, other.client(), "INFO", "replication")
    assert not any("refused" in sentence for sentence in first.reports)


def test_a_follower_told_to_lead_does_not_wait_long_for_a_leader_that_hangs(cluster: Cluster) -> None:
    leader = cluster.add(7001, min_insync_replicas="2")
    first, second = (follower_of(cluster, leader, port, min_insync_replicas="2") for port in (7002, 7003))
    leader.paused = True
    assert cluster.ask(first, first.client(), "REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    cluster.advance(900)
    assert b"role:slave" in cluster.ask(first, first.client(), "INFO", "replication")
    cluster.advance(200)
    assert b"role:master" in cluster.ask(first, first.client(), "INFO", "replication")
    assert b"slave_in_sync:1" in cluster.ask(second, second.client(), "INFO", "replication")


def test_what_is_written_while_a_follower_presents_itself_is_not_missed(cluster: Cluster, leader: Member) -> None:
    writer = leader.client()
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    follower = follower_of(cluster, leader)
    cluster.ask(leader, writer, "XADD", "s", "2-1", "f", "v")
    cluster.unreachable.add((follower.port, leader.port))
    cluster.settle()
    cluster.unreachable.clear()
    cluster.clock.advance(1100)
    cluster.tick(follower)  # it connects
    cluster.tick(follower)  # and says hello
    leader.arrived.append((writer, [[b"XADD", b"s", b"3-1", b"f", b"v"], [b"XADD", b"new", b"3-1", b"f", b"v"]]))
    cluster.settle()
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":3\r\n"
    assert cluster.ask(follower, follower.client(), "XLEN", "new") == b":1\r\n"


def test_a_leader_that_comes_back_with_an_empty_disk_takes_nobodys_data(cluster: Cluster, leader: Member) -> None:
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    follower = follower_of(cluster, leader)
    cluster.kill(leader)
    shutil.rmtree(leader.directory)
    Path(leader.directory).mkdir()
    cluster.start(leader)
    for _ in range(4):
        cluster.advance(1100)
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":1\r\n"
    assert any("Was its disk replaced?" in sentence for sentence in follower.reports)
    cluster.ask(follower, follower.client(), "REPLICAOF", "127.0.0.1", "7001")
    cluster.settle()
    cluster.advance(1100)
    assert cluster.ask(follower, follower.client(), "XLEN", "s") == b":0\r\n"


def test_a_replica_with_a_new_disk_takes_the_place_of_the_old_one(cluster: Cluster) -> None:
    settings = {"acks": "all", "min.insync.replicas": 2}
    leader = cluster.add(7001, **settings)
    one, two = (follower_of(cluster, leader, port, **settings) for port in (7002, 7003))
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    cluster.kill(two)
    shutil.rmtree(two.directory)
    Path(two.directory).mkdir()
    cluster.start(two)
    for _ in range(4):
        cluster.advance(1100)
    cluster.kill(leader)
    cluster.ask(one, one.client(), "REPLICAOF", "NO", "ONE")
    for _ in range(4):
        cluster.advance(1100)
    assert cluster.ask(one, one.client(), "ROLE").split()[2] == b"master"
    assert cluster.ask(one, one.client(), "XADD", "s", "2-1", "f", "v") == b"$3\r\n2-1\r\n"


def test_who_agrees_to_another_does_not_lead_by_votes_that_come_later(cluster: Cluster) -> None:
    leader = cluster.add(7001, min_insync_replicas="2")
    first, second = (follower_of(cluster, leader, port, min_insync_replicas="2") for port in (7002, 7003))
    assert first.node is not None
    assert second.node is not None
    cluster.kill(leader)
    second.paused = True
    cluster.ask(first, first.client(), "REPLICAOF", "NO", "ONE")
    state, other = first.node.replication.state, second.node.replication.state.node
    known = state.membership.known
    vote = "REPLICATE", "VOTE", state.dataset, "9", other, "127.0.0.1", "7003", state.level + 1, *map(int, known)
    assert cluster.ask(first, first.client(), *vote).startswith(b"*4\r\n$1\r\n1\r\n$0\r\n\r\n$1\r\n9\r\n")
    second.paused = False
    cluster.settle()
    assert b"role:slave" in cluster.ask(first, first.client(), "INFO", "replication")
    assert first.node.replication.state.promised == 9


def test_settings_that_ask_for_replicas_can_be_taken_back_without_any(cluster: Cluster, leader: Member) -> None:
    client = leader.client()
    cluster.ask(leader, client, "XTOPIC", "CREATE", "t", "CONFIG", "acks", "all", "min.insync.replicas", "2")
    assert cluster.ask(leader, client, "XADD", "t", "*", "f", "v").startswith(b"-NOREPLICAS")
    words = ["XTOPIC", "ALTER", "t", "CONFIG", "acks", "default", "min.insync.replicas", "default"]
    assert cluster.ask(leader, client, *words) == b"+OK\r\n"
    assert cluster.ask(leader, client, "XADD", "t", "*", "f", "v").startswith(b"$")
