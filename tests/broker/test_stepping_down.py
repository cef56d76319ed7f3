"""Clients of a server that leads no more: who says so decides whether they stay."""

from __future__ import annotations

from tests.support.cluster import Cluster, follower_of


def test_where_another_server_has_come_to_lead_every_connection_is_closed(cluster: Cluster) -> None:
    """Who is told by a sentinel where to write looks there again when a connection ends, and not at READONLY."""
    leader = cluster.add(7001, min_insync_replicas="2")
    chosen, _ = (follower_of(cluster, leader, port, min_insync_replicas="2") for port in (7002, 7003))
    writer, listener, waiting = (leader.client() for _ in range(3))
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    cluster.ask(leader, listener, "SUBSCRIBE", "news")
    cluster.ask(leader, waiting, "XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    cluster.ask(chosen, chosen.client(), "REPLICAOF", "NO", "ONE")
    for _ in range(5):
        cluster.advance(100)
    assert b"role:slave" in cluster.ask(leader, leader.client(), "INFO", "replication")
    assert [client.closing for client in (writer, listener, waiting)] == [True, True, True]
    assert cluster.take(waiting) == b"", "a connection that ends makes clients ask again, UNBLOCKED makes programs fail"


def test_who_comes_back_before_the_sentinels_know_is_sent_away_again_when_it_writes(cluster: Cluster) -> None:
    leader = cluster.add(7001, min_insync_replicas="2")
    chosen, _ = (follower_of(cluster, leader, port, min_insync_replicas="2") for port in (7002, 7003))
    cluster.ask(chosen, chosen.client(), "REPLICAOF", "NO", "ONE")
    cluster.advance(100)
    writer, in_transaction, reader = (leader.client() for _ in range(3))
    assert cluster.ask(leader, writer, "XADD", "s", "*", "f", "v").startswith(b"-READONLY ")
    cluster.ask(leader, in_transaction, "MULTI")
    assert cluster.ask(leader, in_transaction, "XADD", "s", "*", "f", "v").startswith(b"-READONLY ")
    assert cluster.ask(leader, reader, "XLEN", "s") == b":0\r\n"
    assert [client.closing for client in (writer, in_transaction, reader)] == [True, True, False]
    for _ in range(61):
        cluster.advance(1000)
    assert cluster.ask(leader, reader, "XADD", "s", "*", "f", "v").startswith(b"-READONLY ")
    assert not reader.closing, "it is a follower like any other now"


def test_who_came_to_a_leader_that_was_replaced_while_it_was_down_is_sent_away(cluster: Cluster) -> None:
    """A client may be there before the server itself knows, and no sentinel will end its connection then."""
    leader = cluster.add(7001, min_insync_replicas="2")
    chosen, _ = (follower_of(cluster, leader, port, min_insync_replicas="2") for port in (7002, 7003))
    cluster.kill(leader)
    cluster.ask(chosen, chosen.client(), "REPLICAOF", "NO", "ONE")
    cluster.advance(100)
    cluster.start(leader)
    early = leader.client()
    for _ in range(30):
        cluster.advance(100)
    assert b"role:slave" in cluster.ask(leader, leader.client(), "INFO", "replication")
    assert early.closing


def test_who_reads_from_a_follower_reads_on_when_another_server_leads(cluster: Cluster) -> None:
    leader = cluster.add(7001, min_insync_replicas="2")
    chosen, other = (follower_of(cluster, leader, port, min_insync_replicas="2") for port in (7002, 7003))
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    reader = other.client()
    cluster.ask(other, reader, "XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    cluster.ask(chosen, chosen.client(), "REPLICAOF", "NO", "ONE")
    cluster.advance(100)
    assert b"master_port:7002" in cluster.ask(other, other.client(), "INFO", "replication")
    assert cluster.take(reader) == b""
    cluster.ask(chosen, chosen.client(), "XADD", "s", "2-1", "f", "v")
    cluster.advance(100)
    assert b"2-1" in cluster.take(reader)
    assert not reader.closing


def test_where_a_client_says_whom_to_follow_the_others_stay_as_with_redis(cluster: Cluster) -> None:
    leader, another = cluster.add(7001), cluster.add(7002)
    writer, listener, waiting = (leader.client() for _ in range(3))
    cluster.ask(leader, listener, "SUBSCRIBE", "news")
    cluster.ask(leader, waiting, "XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    assert cluster.ask(leader, writer, "REPLICAOF", "127.0.0.1", another.port) == b"+OK\r\n"
    cluster.advance(100)
    assert cluster.ask(leader, writer, "XADD", "s", "*", "f", "v").startswith(b"-READONLY ")
    assert not listener.closing
    assert cluster.take(waiting).startswith(b"-UNBLOCKED ")
    assert waiting.closing, "as by Redis"
