"""A follower is told to lead while its leader is dead, and another one has more: that one leads, and hands over."""

from __future__ import annotations

from tests.support.cluster import Cluster, follower_of


def test_who_has_more_than_the_one_that_was_chosen_leads_and_hands_over_to_it(cluster: Cluster) -> None:
    leader = cluster.add(7001, min_insync_replicas="2")
    chosen, other = (follower_of(cluster, leader, port, min_insync_replicas="2") for port in (7002, 7003))
    cluster.held.add((leader.port, chosen.port))
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "only one of them has it")
    cluster.kill(leader)
    assert cluster.ask(chosen, chosen.client(), "REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    for _ in range(5):
        cluster.advance(100)
    assert any("lacks" in sentence for sentence in chosen.reports)
    assert b"role:master" in cluster.ask(chosen, chosen.client(), "INFO", "replication")
    assert b"slave_in_sync:1" in cluster.ask(other, other.client(), "INFO", "replication")
    for each in (chosen, other):
        assert cluster.ask(each, each.client(), "XLEN", "s") == b":1\r\n"


def test_who_led_after_a_leader_that_was_restarted_leads_again_and_hands_over_to_it(cluster: Cluster) -> None:
    first = cluster.add(7001, min_insync_replicas="2")
    second, third = (follower_of(cluster, first, port, min_insync_replicas="2") for port in (7002, 7003))
    cluster.kill(third)
    for _ in range(8):
        cluster.advance(500)  # until the leader and the second alone are in sync
    cluster.kill(first)
    cluster.start(third)
    cluster.unreachable.add((third.port, second.port))  # it votes for the second, and does not follow it
    cluster.ask(second, second.client(), "REPLICAOF", "NO", "ONE")
    for _ in range(5):
        cluster.advance(500)
    assert b"role:master" in cluster.ask(second, second.client(), "INFO", "replication")
    cluster.ask(second, second.client(), "REPLICAOF", "127.0.0.1", str(first.port))
    cluster.unreachable.clear()
    cluster.start(first)
    for _ in range(20):
        cluster.advance(500)
    assert b"in_sync_replicas:3" in cluster.ask(first, first.client(), "INFO", "replication")
    assert sum(sentence.startswith("this server leads, in") for sentence in second.reports) == 2
