"""Replies that are held until the replicas have what they speak of: which may leave, and when."""

from __future__ import annotations

import pytest

from respbroker.errors import ProtocolError
from respbroker.sessions.client import Client
from tests.support.cluster import Cluster, Member, follower_of


@pytest.fixture
def leader(cluster: Cluster) -> Member:
    """Its writes want all replicas."""
    return cluster.add(7001, acks="all")


@pytest.fixture
def follower(cluster: Cluster, leader: Member) -> Member:
    return follower_of(cluster, leader)


def tick(cluster: Cluster, leader: Member, client: Client, *lines: str) -> bytes:
    """A tick of the leader with these requests beside what has arrived; what the client is sent."""
    if lines:
        leader.arrived.append((client, [line.encode().split() for line in lines]))
    cluster.tick(leader)
    return cluster.take(client)


def acknowledged(cluster: Cluster, leader: Member, follower: Member) -> Client:
    """A client whose XADD the follower has acknowledged, which the leader has not heard yet."""
    writer = leader.client()
    assert tick(cluster, leader, writer, "XADD s 1-1 f v") == b""
    cluster.tick(follower)
    return writer


def test_a_reply_leaves_though_a_later_one_to_the_same_client_is_held(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    writer = acknowledged(cluster, leader, follower)
    assert tick(cluster, leader, writer, "XADD s 2-1 f v") == b"$3\r\n1-1\r\n"
    cluster.tick(follower)
    assert tick(cluster, leader, writer) == b"$3\r\n2-1\r\n"


def test_acknowledgements_that_come_during_a_tick_let_replies_go_with_it(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    first, second = acknowledged(cluster, leader, follower), leader.client()
    leader.arrived.append((second, [b"XADD s 2-1 f v".split()]))
    cluster.tick(leader, hears=True)
    assert cluster.take(first) == b"$3\r\n1-1\r\n"
    assert cluster.take(second) == b""
    cluster.settle()
    assert cluster.take(second) == b"$3\r\n2-1\r\n"


def test_whatever_else_a_follower_says_then_is_done_in_the_next_tick(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    writer = acknowledged(cluster, leader, follower)
    assert leader.node is not None
    ((replica, said),) = leader.arrived
    said.append([b"REPLICATE", b"LEAVE"])
    cluster.tick(leader, hears=True)
    assert cluster.take(writer) == b""
    assert replica.id in leader.node.clients
    assert leader.node.next_deadline() <= leader.node.now
    cluster.tick(leader)
    assert cluster.take(writer) == b"$3\r\n1-1\r\n"
    assert replica.id not in leader.node.replication.leading.sessions


def test_a_follower_that_holds_replies_is_told_at_once_what_was_heard_behind_a_tick(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    writer, reader = leader.client(), follower.client()
    assert leader.node is not None
    tick(cluster, leader, writer, "XADD s 1-1 f v")
    assert tick(cluster, follower, reader, "XLEN s") == b""
    cluster.tick(leader, hears=True)
    assert cluster.take(writer) == b"$3\r\n1-1\r\n"
    assert leader.node.next_deadline() <= leader.node.now
    cluster.tick(leader)
    assert tick(cluster, follower, reader) == b":1\r\n"


def test_nothing_is_heard_behind_a_tick_for_those_who_wait_for_more_than_a_reply(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    writer, waiter = leader.client(), leader.client()
    assert leader.node is not None
    tick(cluster, leader, writer, "XADD s 1-1 f v")
    assert not leader.node.awaited_replicas()  # nobody can have acknowledged that yet
    cluster.tick(leader)
    assert leader.node.awaited_replicas()
    tick(cluster, leader, waiter, "WAIT 1 0")
    assert not leader.node.awaited_replicas()


def test_a_client_is_closed_when_all_that_was_held_has_left(cluster: Cluster, leader: Member, follower: Member) -> None:
    writer = acknowledged(cluster, leader, follower)
    assert tick(cluster, leader, writer, "XADD s 2-1 f v", "QUIT") == b""
    cluster.tick(follower)
    assert tick(cluster, leader, writer) == b"$3\r\n1-1\r\n$3\r\n2-1\r\n+OK\r\n"


def test_a_client_that_speaks_no_resp_is_told_so_behind_all_that_was_held(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    writer = acknowledged(cluster, leader, follower)
    assert leader.node is not None
    leader.node.tick([*leader.arrived, (writer, [b"XADD s 2-1 f v".split()])], cluster.clock.now())
    leader.arrived.clear()
    leader.node.protocol_error(writer, ProtocolError("invalid bulk length"))  # as the loop does, behind the tick
    assert writer not in leader.node.take_outputs()
    assert tick(cluster, leader, writer) == b""
    cluster.tick(follower)
    told = tick(cluster, leader, writer)
    assert told.startswith(b"$3\r\n1-1\r\n$3\r\n2-1\r\n-ERR Protocol error")


@pytest.mark.parametrize(
    "lines",
    [
        ["XLEN old"] * 3 + ["XLEN s"],
        ["XLEN old", "EXISTS old s"],
        ["XREAD STREAMS old 0", "XREAD STREAMS s 0"],
        ["XLEN old", "XINFO STREAM old", "XINFO STREAM s"],
        ["PING", "DBSIZE"],
    ],
)
def test_one_request_that_must_wait_among_others_holds_the_replies(
    cluster: Cluster, leader: Member, follower: Member, lines: list[str]
) -> None:
    writer, reader, other = leader.client(), leader.client(), leader.client()
    cluster.ask(leader, writer, "XADD", "old", "1-1", "f", "v")
    follower.paused = True
    cluster.ask(leader, writer, "XADD", "s", "1-1", "f", "v")
    assert tick(cluster, leader, reader, *lines) == b""
    assert tick(cluster, leader, other, "XLEN old", "PING", "XLEN old") == b":1\r\n+PONG\r\n:1\r\n"


def test_what_lingered_is_answered_when_the_replicas_have_it(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    writer = leader.client()
    cluster.ask(leader, writer, *["XTOPIC", "CREATE", "t", "CONFIG", "linger.ms", "20"])
    assert tick(cluster, leader, writer, "XADD t 1-1 f v") == b""
    cluster.clock.advance(20)
    assert tick(cluster, leader, writer) == b"", "it is appended, and nobody else has it"
    cluster.tick(follower)
    assert tick(cluster, leader, writer) == b"$3\r\n1-1\r\n"


def test_what_was_held_up_and_what_comes_behind_it_wait_for_the_later_of_both(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    writer, other = leader.client(), leader.client()
    cluster.held.add((7002, 7001))
    tick(cluster, leader, other, "XADD old 1-1 f v")
    cluster.tick(follower)  # it says that it has that, and is not heard yet
    cluster.held.add((7001, 7002))
    tick(cluster, leader, writer, "XREAD BLOCK 50 STREAMS none $", "XADD s 2-1 f v")
    cluster.clock.advance(50)
    assert tick(cluster, leader, writer) == b"*-1\r\n"
    assert tick(cluster, leader, writer, "XLEN old") == b"", "the XADD is run in this tick as well"
    cluster.held.remove((7002, 7001))
    cluster.tick(follower)
    assert tick(cluster, leader, writer) == b"", "that one is not there yet"
    cluster.held.clear()
    cluster.settle()
    assert tick(cluster, leader, writer) == b"$3\r\n2-1\r\n:1\r\n"


@pytest.mark.parametrize("line", ["FLUSHALL", "FLUSHDB", "SWAPDB 0 1"])
def test_a_change_of_whole_databases_is_answered_when_the_replicas_have_it(
    cluster: Cluster, leader: Member, follower: Member, line: str
) -> None:
    writer = leader.client()
    tick(cluster, leader, writer, "XADD s 1-1 f v")
    cluster.tick(follower)
    assert tick(cluster, leader, writer) == b"$3\r\n1-1\r\n"
    assert tick(cluster, leader, writer, line) == b""
    cluster.tick(follower)
    assert tick(cluster, leader, writer) == b"+OK\r\n"


@pytest.mark.parametrize("line", ["FLUSHALL", "FLUSHDB", "SWAPDB 0 1"])
def test_a_change_of_whole_databases_is_refused_where_replicas_are_too_few(
    cluster: Cluster, leader: Member, line: str
) -> None:
    writer = leader.client()
    assert tick(cluster, leader, writer, "XADD s 1-1 f v") == b"$3\r\n1-1\r\n"
    tick(cluster, leader, writer, "CONFIG SET min.insync.replicas 2")
    assert tick(cluster, leader, writer, line).startswith(b"-NOREPLICAS ")
    assert tick(cluster, leader, writer, "XLEN s") == b":1\r\n"


def test_a_follower_that_was_restarted_tells_nothing_before_its_leader_has_told_what_is_safe(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v")
    cluster.kill(leader)
    cluster.kill(follower)
    cluster.start(follower)
    reader = follower.client()
    assert cluster.ask(follower, reader, "PING") == b"+PONG\r\n"
    assert cluster.ask(follower, reader, "XLEN", "s") == b""
    cluster.start(leader)
    cluster.advance(1100)
    cluster.advance(1100)
    assert cluster.take(reader) == b":1\r\n"


def test_a_returned_leader_that_nobody_has_confirmed_tells_nothing(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    follower.paused = True
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "nobody else has this")
    cluster.kill(leader)
    cluster.start(leader)
    reader = leader.client()
    assert cluster.ask(leader, reader, "XLEN", "s") == b""
    assert cluster.ask(leader, leader.client(), "DBSIZE") == b""
    follower.paused = False
    cluster.advance(1100)
    assert cluster.take(reader) == b":1\r\n"


def test_what_a_replaced_leader_holds_is_never_told(cluster: Cluster, leader: Member, follower: Member) -> None:
    """The watermark of the new leader, which passes the same number, is of another order."""
    cluster.unreachable |= {(leader.port, follower.port), (follower.port, leader.port)}
    cluster.advance(100)
    cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "lost")
    cluster.ask(follower, follower.client(), "REPLICAOF", "NO", "ONE")
    for number in range(20):
        cluster.ask(follower, follower.client(), "XADD", "t", f"{number + 1}-1", "f", "v" * 100)
    assert cluster.ask(leader, leader.client(), "REPLICAOF", "127.0.0.1", follower.port) == b"+OK\r\n"
    reader = leader.client()
    assert cluster.ask(leader, reader, "XLEN", "s") == b""
    cluster.unreachable.clear()
    cluster.advance(1100)
    cluster.advance(1100)
    assert cluster.take(reader) == b""
    assert reader.kill
    assert cluster.ask(leader, leader.client(), "XLEN", "s") == b":0\r\n"


def test_nothing_waits_for_a_follower_that_is_stopped(cluster: Cluster, leader: Member, follower: Member) -> None:
    assert follower.node is not None
    follower.node.leave()
    cluster.settle()
    follower.paused = True
    assert cluster.ask(leader, leader.client(), "XADD", "s", "1-1", "f", "v") == b"$3\r\n1-1\r\n"
    assert b"in_sync_replicas:1" in cluster.ask(leader, leader.client(), "INFO", "replication")


@pytest.mark.parametrize(
    ("write", "asks"),
    [
        ("SET k v", "SET k w NX"),
        ("SET k v", "SET k w GET"),
        ("SET k v", "SETNX k w"),
        ("ZADD k 1 m", "ZADD k INCR 1 m"),
        ("HSET k f 1", "HINCRBY k f 1"),
    ],
)
def test_a_write_that_tells_what_is_there_waits_as_a_read_does_and_holds_up_no_other(
    cluster: Cluster, write: str, asks: str
) -> None:
    leader = cluster.add(7001)
    follower_of(cluster, leader).paused = True
    writers, asking = [leader.client(), leader.client()], leader.client()
    for client, line in zip((writers[0], asking, writers[1]), (write, asks, write), strict=True):
        leader.arrived.append((client, [line.encode().split()]))
    cluster.tick(leader)
    assert all(cluster.take(writer) for writer in writers)
    assert cluster.take(asking) == b""
    assert tick(cluster, leader, leader.client(), write, asks) == b""
    assert tick(cluster, leader, leader.client(), "ZADD k", "SET", write) != b""


@pytest.mark.parametrize("line", ["HSET k f w", "HDEL k f", "DEL k", "PEXPIRE k 1000", "HSET k f w g x"])
def test_a_number_that_goes_with_a_write_is_told_at_once(cluster: Cluster, line: str) -> None:
    leader = cluster.add(7001)
    follower_of(cluster, leader).paused = True
    assert tick(cluster, leader, leader.client(), "HSET k f v", line).startswith(b":1\r\n:")


def tick_of_many(cluster: Cluster, leader: Member, clients: list[Client], *lines: str) -> list[bytes]:
    """A tick in which each of them sends these requests; what each is sent."""
    leader.arrived += [(client, [line.encode().split() for line in lines]) for client in clients]
    cluster.tick(leader)
    return [cluster.take(client) for client in clients]


def told(cluster: Cluster, leader: Member, clients: list[Client]) -> list[bytes]:
    cluster.tick(leader)
    return [cluster.take(client) for client in clients]


@pytest.mark.parametrize("count", [1, 3])
def test_what_many_write_alike_waits_and_is_told_to_each(
    cluster: Cluster, leader: Member, follower: Member, count: int
) -> None:
    writers = [leader.client() for _ in range(5)]
    assert tick_of_many(cluster, leader, writers, *["XADD s * f v"] * count) == [b""] * 5
    assert told(cluster, leader, writers) == [b""] * 5
    cluster.tick(follower)
    replies = told(cluster, leader, writers)
    assert all(reply.count(b"-") == count for reply in replies)
    assert len({line for reply in replies for line in reply.split(b"\r\n") if b"-" in line}) == 5 * count


def test_each_topic_of_those_that_many_write_to_has_its_own_acks(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    writers = [leader.client() for _ in range(4)]
    cluster.ask(leader, writers[0], "XTOPIC", "CREATE", "quick", "CONFIG", "acks", "1")
    assert all(tick_of_many(cluster, leader, writers, "XADD quick * f v"))
    assert tick_of_many(cluster, leader, writers, "XADD s * f v") == [b""] * 4
    cluster.settle()
    cluster.ask(leader, writers[0], "CONFIG", "SET", "acks", "1")
    cluster.ask(leader, writers[0], "XTOPIC", "CREATE", "safe", "CONFIG", "acks", "all")
    assert all(tick_of_many(cluster, leader, writers, "XADD quick * f v"))
    assert all(tick_of_many(cluster, leader, writers, "XADD s * f v"))
    assert tick_of_many(cluster, leader, writers, "XADD safe * f v") == [b""] * 4


def test_a_write_that_need_not_wait_does_not_overtake_one_that_does(
    cluster: Cluster, leader: Member, follower: Member
) -> None:
    writers = [leader.client() for _ in range(4)]
    assert tick_of_many(cluster, leader, writers[:2], "XADD s 1-* f v") == [b""] * 2
    follower.paused = True
    cluster.ask(leader, leader.client(), "CONFIG", "SET", "acks", "1")
    replies = tick_of_many(cluster, leader, writers, "XADD s 2-* f v")
    assert replies[:2] == [b""] * 2
    assert all(replies[2:])
    follower.paused = False
    cluster.settle()
    assert [cluster.take(writer).count(b"-") for writer in writers] == [2, 2, 0, 0]
