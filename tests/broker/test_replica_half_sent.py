"""A follower that is sent a compacted topic: it has the topic as it was before, or as a whole, and never half of it."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from tests.broker.test_replica_logs import pass_time, same
from tests.support.cluster import Cluster, Member, follower_of

TOPIC = "XTOPIC CREATE t PARTITIONS 1 CONFIG cleanup.policy compact key.field key segment.bytes 2048"


@pytest.fixture
def half_sent(cluster: Cluster) -> list[Member]:
    """A leader that has compacted alone; a follower that has the topic and nothing of what is in it, and is being sent
    that; and one that is away, and has the first half of it, not compacted."""
    leader = cluster.add(7001)
    follower, third = (follower_of(cluster, leader, port) for port in (7002, 7003))
    cluster.ask(leader, leader.client(), *TOPIC.split())
    cluster.ask(leader, leader.client(), "XGROUP", "CREATE", "t", "g", "0")
    cluster.kill(follower)
    pass_time(cluster, 4)
    fill(cluster, leader, 1, 20)
    reader = leader.client()
    cluster.ask(leader, reader, "XREADGROUP", "GROUP", "g", "c", "COUNT", 10, "STREAMS", "t", ">")
    fill(cluster, leader, 20, 300)
    cluster.kill(third)
    pass_time(cluster, 4)
    cluster.ask(leader, reader, "XACK", "t", "g", *[f"{number}-1" for number in range(1, 6)])
    fill(cluster, leader, 300, 500)
    for _ in range(300):
        cluster.advance(500)
        if any(sentence.startswith("compacted t") for sentence in leader.reports):
            break
    cluster.start(follower)
    assert leader.node is not None
    for _ in range(200):
        cluster.tick(leader)
        cluster.tick(follower)
        if any(session.sent and session.behind for session in leader.node.replication.leading.sessions.values()):
            return [leader, follower, third]
    raise AssertionError("it was never half sent")


def fill(cluster: Cluster, member: Member, first: int, end: int) -> None:
    """Some in a tick, of which every other is superseded by the next but one."""
    client = member.client()
    for start in range(first, end, 5):
        adds = [
            [*b"XADD t".split(), b"%d-1" % number, b"key", b"k%d" % (number % 2 or number), b"value", b"v" * 200]
            for number in range(start, min(start + 5, end))
        ]
        member.arrived.append((client, adds))
        cluster.settle()


def reply(raw: bytes) -> Any:
    """The one reply that these bytes are."""
    reader = hiredis.Reader()
    reader.feed(raw)
    found = reader.gets()
    assert not reader.has_data()
    return found


def ensure_readable(cluster: Cluster, member: Member) -> None:
    """What is counted can be read, and what is pending be claimed."""

    def ask(*words: str) -> Any:
        return reply(cluster.ask(member, member.client(), *words))

    entries = ask("XRANGE", "t", "-", "+")
    assert len(entries) == ask("XLEN", "t") > 0
    assert ask("XREVRANGE", "t", "+", "-") == entries[::-1]
    pending = ask("XPENDING", "t", "g", "-", "+", "100")
    assert len({entry_id for entry_id, *_ in pending}) == len(pending) > 0


def test_who_leads_while_it_is_sent_a_compacted_topic_can_read_it(cluster: Cluster, half_sent: list[Member]) -> None:
    leader, heir, third = half_sent
    cluster.kill(leader)
    cluster.ask(heir, heir.client(), "REPLICAOF", "NO", "ONE")
    pass_time(cluster, 3)
    assert b"master" in cluster.ask(heir, heir.client(), "ROLE")
    assert [said for said in heir.reports if "a part may be here. It concerns stream b't' in database 0" in said]
    assert reply(cluster.ask(heir, heir.client(), "XRANGE", "t", "-", "+")) == []
    fill(cluster, heir, 5000, 5010)
    cluster.ask(heir, heir.client(), "XREADGROUP", "GROUP", "g", "c", "STREAMS", "t", ">")
    for member in (third, leader):
        cluster.start(member)
        cluster.ask(member, member.client(), "REPLICAOF", "127.0.0.1", heir.port)
        pass_time(cluster, 5)
        ensure_readable(cluster, member)
        assert same(heir, member)


def test_who_follows_one_that_was_not_sent_it_has_what_that_one_has(cluster: Cluster, half_sent: list[Member]) -> None:
    leader, follower, heir = half_sent
    cluster.kill(leader)
    cluster.start(heir)
    cluster.ask(heir, heir.client(), "REPLICAOF", "NO", "ONE")
    pass_time(cluster, 3)
    fill(cluster, heir, 5000, 5010)
    pass_time(cluster, 3)
    for member in (heir, follower):
        ensure_readable(cluster, member)
    assert same(heir, follower)
    assert not [said for said in heir.reports if "a part may be here" in said]


def test_who_reads_meanwhile_is_told_all_or_nothing_of_it(cluster: Cluster, half_sent: list[Member]) -> None:
    leader, follower, _ = half_sent
    reader = follower.client()
    follower.arrived.append((reader, [[b"XRANGE", b"t", b"-", b"+"]]))
    pass_time(cluster, 3)
    assert len(reply(cluster.take(reader))) in (0, int(cluster.ask(leader, leader.client(), "XLEN", "t")[1:]))
    assert same(leader, follower)
