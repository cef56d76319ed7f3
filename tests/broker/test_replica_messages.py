"""What is published at a leader is heard at its followers."""

from __future__ import annotations

from respbroker.broker.follower_session import WINDOW
from tests.support.cluster import Cluster, Member, follower_of


def test_what_is_published_at_the_leader_is_heard_at_followers_as_with_redis(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    follower = follower_of(cluster, leader)
    listener, by_pattern, of_shard = follower.client(), follower.client(protocol=3), follower.client()
    cluster.ask(follower, listener, "SUBSCRIBE", "news")
    cluster.ask(follower, by_pattern, "PSUBSCRIBE", "n*")
    cluster.ask(follower, of_shard, "SSUBSCRIBE", "news")
    assert cluster.ask(leader, leader.client(), "PUBLISH", "news", "rain") == b":0\r\n"
    assert cluster.ask(leader, leader.client(), "SPUBLISH", "news", "snow") == b":0\r\n"
    assert cluster.take(listener) == b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$4\r\nrain\r\n"
    assert cluster.take(by_pattern) == b">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$4\r\nrain\r\n"
    assert cluster.take(of_shard) == b"*3\r\n$8\r\nsmessage\r\n$4\r\nnews\r\n$4\r\nsnow\r\n"


def test_what_is_published_at_a_follower_is_heard_there_alone(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    follower, other = (follower_of(cluster, leader, port) for port in (7002, 7003))
    listeners = {member.port: member.client() for member in (leader, follower, other)}
    for port, listener in listeners.items():
        cluster.ask(cluster.members[port], listener, "SUBSCRIBE", "news")
    assert cluster.ask(follower, follower.client(), "PUBLISH", "news", "rain") == b":1\r\n"
    assert [b"rain" in cluster.take(listener) for listener in listeners.values()] == [False, True, False]


def test_a_message_comes_behind_what_was_written_before_it(cluster: Cluster) -> None:
    """Who hears of an entry at a follower finds it there."""
    leader = cluster.add(7001)
    follower = follower_of(cluster, leader)
    cluster.held.add((leader.port, follower.port))
    requests = [[b"XADD", b"s", b"1-1", b"item", b"lamp"], [b"PUBLISH", b"news", b"1-1"]]
    leader.arrived.append((leader.client(), requests))
    cluster.tick(leader)
    (link,) = [each for each in cluster.links if each.target is leader]
    sent = cluster.take(link.client)
    assert sent.index(b"lamp") < sent.index(b"news")


def test_a_follower_that_takes_nothing_costs_the_leader_a_bounded_number_of_messages(cluster: Cluster) -> None:
    leader = cluster.add(7001)
    follower = follower_of(cluster, leader)
    listener, writer = follower.client(), leader.client()
    cluster.ask(follower, listener, "SUBSCRIBE", "news")
    cluster.held.add((leader.port, follower.port))
    message = "x" * (WINDOW // 8 - 4)
    for _ in range(12):
        cluster.ask(leader, writer, "PUBLISH", "news", message)
    cluster.held.clear()
    cluster.settle()
    assert cluster.take(listener).count(message.encode()) == 8
    cluster.advance(600)
    cluster.ask(leader, writer, "PUBLISH", "news", message)
    assert cluster.take(listener).count(message.encode()) == 1, "it has told what it took"


def test_what_was_written_before_a_message_is_there_when_that_is_heard(cluster: Cluster, leader: Member) -> None:
    follower = follower_of(cluster, leader)
    writer, listener, reader = leader.client(), follower.client(), follower.client()
    cluster.ask(follower, listener, "SUBSCRIBE", "news")
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    leader.arrived.append((writer, [b"XADD s 2-1 f v".split(), b"PUBLISH news two".split()]))
    cluster.tick(leader)
    follower.arrived.append((reader, [b"XLEN s".split()]))
    cluster.tick(follower)
    assert b"two" in cluster.take(listener)
    cluster.settle()
    assert cluster.take(reader) == b":2\r\n"
