"""A leader with a damaged stream: its followers get all else, and both sides name the stream and its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.broker.test_replica_logs import pass_time, same
from tests.support.cluster import Cluster, Member, follower_of

KEYS = [f"s{number}" for number in range(1, 6)]
BAD = KEYS[0]


def write(cluster: Cluster, member: Member, entry_id: str) -> None:
    for key in KEYS:
        assert cluster.ask(member, member.client(), "XADD", key, entry_id, "f", "v" * 100).startswith(b"$")


def damage(cluster: Cluster, member: Member, how: str) -> Path:
    """Damage what a server has of one stream while it is down; the file."""
    assert member.node is not None
    stream = member.node.keyspace.lookup(0, BAD.encode(), member.node.now_ms)
    assert stream is not None
    path = Path(stream.log.segments.all[0].path)
    cluster.kill(member)
    raw = path.read_bytes()
    if how == "a file is gone":
        path.unlink()
    else:
        path.write_bytes(raw[: len(raw) // 2] + b"X" + raw[len(raw) // 2 + 1 :])
    cluster.start(member)
    return path


def replication_of(cluster: Cluster, member: Member) -> bytes:
    return cluster.ask(member, member.client(), "INFO", "replication")


def ensure_named(path: Path, *members: Member) -> None:
    """Each says which stream, which file, and where to read what to do; the leader once a minute."""
    for member in members:
        said = [sentence for sentence in member.reports if "cannot send" in sentence]
        assert 1 <= len(said) <= 3, said
        for sentence in said:
            assert BAD in sentence
            assert str(path) in sentence
            assert "docs/operations.md" in sentence


@pytest.mark.parametrize("how", ["a bit flips", "a file is gone"])
def test_a_new_follower_has_everything_else_and_all_when_the_damaged_stream_is_dropped(
    cluster: Cluster, how: str
) -> None:
    leader = cluster.add(7001)
    cluster.ask(leader, leader.client(), "XTOPIC", "CREATE", BAD, "PARTITIONS", 1, "CONFIG", "segment.bytes", 1024)
    for number in range(1, 30):
        write(cluster, leader, f"{number}-1")
    path = damage(cluster, leader, how)
    follower = follower_of(cluster, leader)
    pass_time(cluster, 70)
    ensure_named(path, leader, follower)
    assert b"in_sync_replicas:1" in replication_of(cluster, leader)
    assert b"master_link_status:up" in replication_of(cluster, follower)
    assert cluster.ask(follower, follower.client(), "XLEN", KEYS[1]).startswith(b"-LOADING")
    cluster.ask(leader, leader.client(), "XADD", KEYS[1], "100-1", "f", "v")
    assert leader.node is not None
    assert follower.node is not None
    for key in KEYS[1:]:
        logs = [each.node.keyspace.lookup(0, key.encode(), each.node.now_ms).log for each in (leader, follower)]
        assert logs[0].end_offset == logs[1].end_offset
    cluster.ask(leader, leader.client(), "DEL", BAD)
    pass_time(cluster, 1)
    assert b"in_sync_replicas:2" in replication_of(cluster, leader)
    assert cluster.ask(follower, follower.client(), "XLEN", KEYS[1]) == b":30\r\n"
    assert same(leader, follower)


def test_a_follower_that_was_away_goes_on_with_what_is_whole(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    follower = follower_of(cluster, leader)
    write(cluster, leader, "1-1")
    cluster.kill(follower)
    for number in range(2, 30):
        write(cluster, leader, f"{number}-1")
    pass_time(cluster, 4)
    path = damage(cluster, leader, "a bit flips")
    cluster.start(follower)
    pass_time(cluster, 5)
    ensure_named(path, leader, follower)
    assert b"slave_in_sync:0" in replication_of(cluster, follower)
    cluster.kill(leader)
    cluster.ask(follower, follower.client(), "REPLICAOF", "NO", "ONE")
    pass_time(cluster, 2)
    assert [cluster.ask(follower, follower.client(), "XLEN", key) for key in KEYS[1:]] == [b":29\r\n"] * 4
    assert b"$3\r\n1-1\r\n" in cluster.ask(follower, follower.client(), "XRANGE", BAD, "-", "+")
