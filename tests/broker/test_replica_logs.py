"""What a leader does to its logs while followers come and go: compaction, trims, merges, EXEC."""

from __future__ import annotations

from pathlib import Path

from tests.crash.state import state_of
from tests.support.cluster import Cluster, Member, follower_of


def start_two(cluster: Cluster, **settings: object) -> tuple[Member, Member]:
    """A leader, and a follower that has everything."""
    leader = cluster.add(7001, **settings)
    return leader, follower_of(cluster, leader, **settings)


def pass_time(cluster: Cluster, seconds: int) -> None:
    """So that what is due is done."""
    for _ in range(seconds * 2):
        cluster.advance(500)


def same(one: Member, other: Member) -> bool:
    """Whether two servers are in the same state."""
    assert one.node is not None
    assert other.node is not None
    return state_of(one.node) == state_of(other.node)


def fill(cluster: Cluster, member: Member, key: str, first: int, end: int, *, keys: int = 5) -> None:
    client = member.client()
    for number in range(first, end):
        cluster.ask(member, client, "XADD", key, f"{number}-1", "key", f"k{number % keys}", "value", f"v{number}" * 20)


def size_of(member: Member) -> int:
    return sum(path.stat().st_size for path in Path(member.directory).glob("streams/*/*.log"))


def test_a_follower_gives_back_the_space_of_what_the_leader_compacts(cluster: Cluster) -> None:
    leader, follower = start_two(cluster)
    words = "XTOPIC CREATE t PARTITIONS 1 CONFIG cleanup.policy compact key.field key segment.bytes 2048"
    cluster.ask(leader, leader.client(), *words.split())
    fill(cluster, leader, "t", 1, 100)
    full = size_of(follower)
    pass_time(cluster, 40)
    assert same(leader, follower)
    assert size_of(follower) < full / 3
    assert size_of(leader) < full / 3


def test_a_leader_that_compacted_alone_and_was_replaced_has_again_what_that_removed(cluster: Cluster) -> None:
    leader, follower = start_two(cluster)
    words = "XTOPIC CREATE t PARTITIONS 1 CONFIG cleanup.policy compact key.field key segment.bytes 2048"
    cluster.ask(leader, leader.client(), *words.split())
    fill(cluster, leader, "t", 1, 6)
    cluster.kill(follower)
    pass_time(cluster, 4)
    cluster.kill(leader)
    cluster.start(leader)  # what it appends in another epoch is merged with nothing before it, so it can be cut there
    fill(cluster, leader, "t", 6, 100)
    full = size_of(leader)
    pass_time(cluster, 40)
    assert size_of(leader) < full / 3
    cluster.kill(leader)
    cluster.start(follower)
    cluster.ask(follower, follower.client(), "REPLICAOF", "NO", "ONE")
    cluster.start(leader)
    cluster.ask(leader, leader.client(), "REPLICAOF", "127.0.0.1", 7002)
    pass_time(cluster, 10)
    assert any("to be copied anew" in sentence for sentence in leader.reports)
    assert same(leader, follower)
    assert cluster.ask(leader, leader.client(), "XRANGE", "t", "-", "+").count(b"value") == 5


def test_a_follower_that_comes_after_compaction_and_trims_has_what_is_left(cluster: Cluster) -> None:
    leader = cluster.add(7001, **{"segment.bytes": 2048})
    words = "XTOPIC CREATE t PARTITIONS 1 CONFIG cleanup.policy compact key.field key segment.bytes 2048"
    cluster.ask(leader, leader.client(), *words.split())
    fill(cluster, leader, "t", 1, 100)
    fill(cluster, leader, "s", 1, 100)
    for line in ("XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 10 STREAMS s >", "XTRIM s MAXLEN 5", "SAVE"):
        cluster.ask(leader, leader.client(), *line.split())
    pass_time(cluster, 60)
    assert leader.node is not None
    stream = leader.node.keyspace.lookup(0, b"s", leader.node.now_ms)
    assert stream is not None
    assert stream.log.start_offset > 0
    follower = cluster.add(7002, replicaof="127.0.0.1 7001")
    cluster.settle()
    assert same(leader, follower)
    cluster.kill(follower)
    cluster.start(follower)
    assert same(leader, follower)


def test_a_follower_that_was_away_while_the_leader_merged_and_trimmed_catches_up(cluster: Cluster) -> None:
    leader, follower = start_two(cluster, **{"segment.bytes": 2048})
    fill(cluster, leader, "s", 1, 30)
    cluster.kill(follower)
    fill(cluster, leader, "s", 30, 130)
    cluster.ask(leader, leader.client(), "XTRIM", "s", "MAXLEN", "40")
    pass_time(cluster, 60)
    cluster.start(follower)
    pass_time(cluster, 2)
    assert same(leader, follower)


def test_an_exec_over_two_streams_arrives_whole(cluster: Cluster) -> None:
    leader, follower = start_two(cluster)
    client = leader.client()
    for line in ("MULTI", "XADD a 1-1 f v", "XADD b 1-1 f v", "EXEC"):
        cluster.ask(leader, client, *line.split())
    assert same(leader, follower)


def test_expiry_and_deletion_follow_the_leader(cluster: Cluster) -> None:
    leader, follower = start_two(cluster)
    fill(cluster, leader, "s", 1, 3)
    cluster.ask(leader, leader.client(), "PEXPIRE", "s", "1000")
    left = cluster.ask(follower, follower.client(), "PTTL", "s")
    assert left == cluster.ask(leader, leader.client(), "PTTL", "s")
    assert b":990" < left < b":999"
    cluster.clock.advance(1500)
    assert cluster.ask(follower, follower.client(), "EXISTS", "s") == b":0\r\n"
    pass_time(cluster, 1)
    assert same(leader, follower)


def test_a_topic_with_a_minimum_of_its_own_is_refused_when_too_few_are_in_sync(cluster: Cluster) -> None:
    leader, _ = start_two(cluster)
    words = "XTOPIC CREATE t PARTITIONS 1 CONFIG acks all min.insync.replicas 3"
    cluster.ask(leader, leader.client(), *words.split())
    assert cluster.ask(leader, leader.client(), "XADD", "t", "*", "f", "v").startswith(b"-NOREPLICAS")
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"


def test_a_log_that_was_copied_from_its_beginning_opens_from_the_leaders_snapshot(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    fill(cluster, leader, "s", 1, 50)
    for line in ("XGROUP CREATE s g 0", "XREADGROUP GROUP g c COUNT 30 STREAMS s >", "SAVE"):
        cluster.ask(leader, leader.client(), *line.split())
    fill(cluster, leader, "s", 50, 60)
    follower = cluster.add(7002, replicaof="127.0.0.1 7001")
    cluster.settle()
    assert follower.node is not None
    log = follower.node.keyspace.log_of(1)
    assert log is not None
    newest = log.newest_snapshot()
    assert newest is not None
    assert 0 < newest[0] < log.end_offset
    assert same(leader, follower)
    cluster.kill(follower)
    cluster.start(follower)
    assert same(leader, follower)
