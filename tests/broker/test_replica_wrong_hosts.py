"""A server that is told to follow whom it cannot: what it says of that, and that it finds back when it can."""

from __future__ import annotations

import pytest

from tests.support.cluster import Cluster, Member


def follow(cluster: Cluster, *pairs: tuple[Member, Member]) -> None:
    """Tell the first of each pair to follow the other, all at once."""
    for member, other in pairs:
        member.arrived.append((member.client(), [[b"REPLICAOF", b"127.0.0.1", b"%d" % other.port]]))
    cluster.settle()


def pass_seconds(cluster: Cluster, seconds: int) -> None:
    for _ in range(seconds * 2):
        cluster.advance(500)


def link_of(cluster: Cluster, member: Member) -> bytes:
    """Whom a follower tells that it follows, and whether that one sends."""
    said = cluster.ask(member, member.client(), "ROLE").split(b"\r\n")
    return b" ".join(said[index] for index in (2, 5, 7) if index < len(said))


def test_two_that_follow_each_other_say_so_and_either_may_lead(cluster: Cluster) -> None:
    one, other = cluster.add(7001), cluster.add(7002)
    follow(cluster, (one, other), (other, one))
    pass_seconds(cluster, 5)
    for member in (one, other):
        assert any("neither leads: this server follows the one that asks" in each for each in member.reports)
    cluster.ask(other, other.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 3)
    assert link_of(cluster, one) == b"slave :7002 connected"


@pytest.mark.parametrize("chosen", [7001, 7002, 7003])
def test_three_in_a_circle_follow_whichever_is_made_to_lead(cluster: Cluster, chosen: int) -> None:
    members = [cluster.add(port) for port in (7001, 7002, 7003)]
    follow(cluster, *zip(members, [*members[1:], members[0]], strict=True))
    pass_seconds(cluster, 5)
    leader = cluster.members[chosen]
    cluster.ask(leader, leader.client(), "REPLICAOF", "NO", "ONE")
    pass_seconds(cluster, 6)
    links = [link_of(cluster, member) for member in members if member is not leader]
    assert links == [b"slave :%d connected" % chosen] * 2


def test_who_was_sent_on_to_a_dead_leader_asks_again_where_it_was_told_to(cluster: Cluster) -> None:
    first, second, third = (cluster.add(port) for port in (7001, 7002, 7003))
    follow(cluster, (second, first))
    follow(cluster, (third, second))
    pass_seconds(cluster, 3)
    assert link_of(cluster, third) == b"slave :7001 connected"
    cluster.unreachable |= {(7003, 7001), (7001, 7003)}
    pass_seconds(cluster, 2)
    cluster.kill(first)
    cluster.ask(second, second.client(), "REPLICAOF", "NO", "ONE")
    cluster.unreachable |= {(7002, 7003)}  # it cannot tell
    pass_seconds(cluster, 5)
    assert link_of(cluster, third) == b"slave :7002 connected"


@pytest.mark.parametrize("host", [b"", b"a b", b"a\nb", b"\x00", b"\xff", b"x" * 256])
def test_what_can_be_no_host_is_refused(cluster: Cluster, host: bytes) -> None:
    one = cluster.add(7001)
    assert cluster.ask(one, one.client(), "REPLICAOF", host, 7002) == b"-ERR Invalid master host\r\n"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "it asks for a password: set masterauth here"),
        ({"masterauth": "wrong"}, "it refused what masteruser and masterauth say here: WRONGPASS"),
    ],
)
def test_a_password_that_is_missing_or_wrong_is_named(cluster: Cluster, settings: dict[str, str], told: str) -> None:
    cluster.add(7001, requirepass="right")
    follower = cluster.add(7002, replicaof="127.0.0.1 7001", **settings)
    pass_seconds(cluster, 90)
    _, again = [each for each in follower.reports if told in each]
    assert "(60 more in the minute since)" in again
