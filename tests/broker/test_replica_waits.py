"""WAIT: what becomes of the client when its time is over."""

from __future__ import annotations

from tests.support.cluster import Cluster, Member, follower_of


def test_a_wait_whose_time_is_over_does_not_end_what_the_client_waits_for_next(
    cluster: Cluster, leader: Member
) -> None:
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    client = leader.client()
    requests = [[b"WAIT", b"1", b"100"], [b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$"]]
    leader.arrived.append((client, requests))
    cluster.settle()
    cluster.advance(200)
    assert cluster.take(client) == b":0\r\n"
    follower_of(cluster, leader)  # now one has it
    assert cluster.take(client) == b""
    cluster.ask(leader, leader.client(), "XADD", "s", "2-1", "f", "v")
    assert b"2-1" in cluster.take(client)
