"""Values of a leader at its followers: served, promoted, dropped where nobody else has them, read again if need be."""

from __future__ import annotations

from tests.support.cluster import Cluster, Member, follower_of, logs_of
from tests.support.values import compact_often, content_of, records_of


def content(member: Member) -> object:
    assert member.node is not None
    return content_of(member.node.keyspace)


def change(cluster: Cluster, leader: Member) -> None:
    """A bit of everything."""
    writer = leader.client()
    for line in (
        "SET k x EX 100",
        "SET k2 y",
        "HSET h f 1 g 2",
        "ZADD z 1 a 2 b",
        "HDEL h g",
        "RENAME k2 k3",
        "XADD s 1-1 f v",
        "SET s replaced",
        "COPY z y",
        "MOVE y 1",
        "SWAPDB 2 1",
    ):
        assert not cluster.ask(leader, writer, *line.split()).startswith(b"-"), line


def test_a_follower_has_values_from_before_it_came_and_what_comes_after(cluster: Cluster, leader: Member) -> None:
    change(cluster, leader)
    follower = follower_of(cluster, leader)
    assert content(follower) == content(leader)
    cluster.ask(leader, leader.client(), "FLUSHALL")
    change(cluster, leader)
    assert content(follower) == content(leader)
    assert logs_of(leader) == logs_of(follower)
    reader = follower.client()
    assert cluster.ask(follower, reader, "GET", "k") == b"$1\r\nx\r\n"
    assert cluster.ask(follower, reader, "ZRANGE", "z", 0, -1) == b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"
    assert cluster.ask(follower, reader, "SET", "k", "y").startswith(b"-READONLY")


def test_a_follower_hides_what_has_expired_until_its_leader_says_so(cluster: Cluster, leader: Member) -> None:
    cluster.ask(leader, leader.client(), "SET", "k", "x", "PX", 500)
    follower = follower_of(cluster, leader)
    leader.paused = True
    cluster.clock.advance(600)
    assert cluster.ask(follower, follower.client(), "GET", "k") == b"$-1\r\n"
    assert content(follower) != {}
    leader.paused = False
    cluster.advance(100)
    assert content(follower) == {}


def test_a_promoted_follower_serves_values_and_takes_new_ones(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    change(cluster, leader)
    before = content(leader)
    cluster.kill(leader)
    client = follower.client()
    assert cluster.ask(follower, client, "REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    assert content(follower) == before
    assert cluster.ask(follower, client, "HSET", "h", "f", 5) == b":0\r\n"
    assert cluster.ask(follower, client, "INCR", "n") == b":1\r\n"


def test_a_leader_that_lost_its_place_drops_the_values_that_nobody_else_has(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    writer = leader.client()
    cluster.ask(leader, writer, "SET", "k", "both")
    cluster.ask(leader, writer, "HSET", "h", "f", "both")
    follower.paused = True
    for line in ("SET k mine", "HSET h f mine g mine", "SET only mine", "DEL h", "SET d 1"):
        cluster.ask(leader, writer, *line.split())
    cluster.kill(leader)
    follower.paused = False
    new_writer = follower.client()
    cluster.ask(follower, new_writer, "REPLICAOF", "NO", "ONE")
    cluster.ask(follower, new_writer, "SET", "new", "theirs")
    cluster.start(leader)
    cluster.ask(leader, leader.client(), "REPLICAOF", "127.0.0.1", follower.port)
    cluster.advance(1000)
    assert content(leader) == {
        (0, b"k"): (0, b"both"), (0, b"h"): (0, {b"f": b"both"}), (0, b"new"): (0, b"theirs")
    }  # fmt: skip
    assert logs_of(leader) == logs_of(follower)


def test_a_follower_that_missed_a_tombstone_reads_its_values_again(cluster: Cluster, leader: Member) -> None:
    """Cleaned away while the follower was gone, which still has the value."""
    writer = leader.client()
    cluster.ask(leader, writer, "SET", "gone", "x")
    cluster.ask(leader, writer, "HSET", "h", "f", 1, "gone", 2)
    assert leader.node is not None
    compact_often(leader.node)
    for number in range(60):  # sealed, so that the log is not copied anew
        cluster.ask(leader, writer, "SET", f"old{number}", "x" * 100)
    follower = follower_of(cluster, leader)
    assert content(follower) == content(leader)
    cluster.kill(follower)
    cluster.advance(4000)
    cluster.ask(leader, writer, "DEL", "gone")
    cluster.ask(leader, writer, "HDEL", "h", "gone")
    for number in range(100):
        cluster.ask(leader, writer, "SET", "k", f"{number}" * 100)
    for _ in range(30):
        cluster.advance(1001)
    assert records_of(leader.node.keyspace).log.size < 40_000
    assert b"gone" not in leader.node.keyspace.values[0].keys
    cluster.start(follower)
    for _ in range(4):
        cluster.advance(1001)
    assert content(follower) == content(leader)
    assert follower.node is not None
    assert follower.node.keyspace.following


def test_a_reply_that_tells_a_value_waits_until_the_followers_have_it(cluster: Cluster, leader: Member) -> None:
    writer, reader, other = leader.client(), leader.client(), leader.client()
    cluster.ask(leader, writer, "SELECT", 1)
    cluster.ask(leader, writer, "SET", "k", "old")
    cluster.ask(leader, other, "SET", "elsewhere", "x")
    follower = follower_of(cluster, leader)
    follower.paused = True
    assert cluster.ask(leader, writer, "SET", "k", "x") == b"+OK\r\n"
    assert cluster.ask(leader, writer, "SET", "k", "y", "NX") == b""  # tells that there is one
    cluster.ask(leader, reader, "SELECT", 1)
    assert cluster.ask(leader, reader, "GET", "k") == b""
    assert cluster.ask(leader, other, "GET", "elsewhere") == b"$1\r\nx\r\n"
    follower.paused = False
    cluster.settle()
    assert cluster.take(reader) == b"$1\r\nx\r\n"
    assert cluster.take(writer) == b"$-1\r\n"


def test_whoever_watches_a_value_at_a_follower_is_told_of_its_change(cluster: Cluster, leader: Member) -> None:
    writer = leader.client()
    cluster.ask(leader, writer, "SET", "k", "x")
    follower = follower_of(cluster, leader)
    for line in ("SET k y", "DEL k", "SET k z", "SWAPDB 0 1"):
        watcher = follower.client()
        cluster.ask(follower, watcher, "WATCH", "k")
        cluster.ask(leader, writer, *line.split())
        cluster.ask(follower, watcher, "MULTI")
        assert cluster.ask(follower, watcher, "EXEC") == b"*-1\r\n", line


def test_a_value_in_place_of_a_stream_goes_through_a_followers_journal_too(cluster: Cluster, leader: Member) -> None:
    writer = leader.client()
    cluster.ask(leader, writer, "SET", "k", "x")
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    follower = follower_of(cluster, leader)
    assert follower.node is not None
    before = follower.node.keyspace.journal.ticks
    cluster.ask(leader, writer, "SET", "k", "y")
    assert follower.node.keyspace.journal.ticks == before
    cluster.ask(leader, writer, "SET", "s", "y")
    assert follower.node.keyspace.journal.ticks == before + 1
