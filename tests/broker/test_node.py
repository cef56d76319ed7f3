"""The node as a machine: ticks, the two ways through the dispatcher, who speaks when, deadlines."""

from __future__ import annotations

import random

import pytest

from tests.support.nodes import NodeUnderTest, open_node


@pytest.fixture
def node(tmp_path):
    return open_node(tmp_path)


def ids(wire: bytes) -> list[bytes]:
    return [line for line in wire.split(b"\r\n") if b"-" in line and line[:1].isdigit()]


def test_requests_of_one_tick_see_what_the_tick_did(node):
    client = node.client()
    replies = node.pipeline(
        client,
        [("XADD", "s", "1-1", "a", "b"), ("XLEN", "s"), ("XADD", "s", "1-2", "a", "b"), ("XRANGE", "s", "1-2", "+")],
    )
    assert replies.startswith(b"$3\r\n1-1\r\n:1\r\n$3\r\n1-2\r\n*1\r\n")


def test_a_tick_writes_each_stream_once_whatever_it_appended(node):
    client, other = node.client(), node.client()
    node.run(client, "XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    node.tick()  # the catalog notes that the new directory is on disk
    before = node.node.durability.writes_count
    node.tick(
        [
            (client, [[b"XADD", b"s", b"*", b"f", b"v"]] * 100),
            (other, [[b"XADD", b"s", b"*", b"f", b"v"], [b"XREADGROUP", b"GROUP", b"g", b"c", b"STREAMS", b"s", b">"]]),
        ]
    )
    assert node.node.durability.writes_count == before + 1


def test_ids_rise_within_one_millisecond_and_when_the_clock_goes_back(node):
    client = node.client()
    wire = node.pipeline(client, [("XADD", "s", "*", "a", "b")] * 3)
    node.clock.advance(-5000)
    wire += node.run(client, "XADD", "s", "*", "a", "b")
    parsed = [tuple(map(int, one.split(b"-"))) for one in ids(wire)]
    assert len(parsed) == 4
    assert parsed == sorted(set(parsed))


def test_replies_to_several_clients_come_from_one_tick(node):
    clients = [node.client() for _ in range(3)]
    node.tick([(client, [[b"PING"]]) for client in clients])
    assert [node.output(client) for client in clients] == [b"+PONG\r\n"] * 3


def test_a_blocked_client_s_later_requests_run_after_it_was_served(node):
    reader, writer = node.client(), node.client()
    node.tick([(reader, [[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$"], [b"PING"]])])
    assert node.output(reader) == b""
    assert reader.stalled
    node.run(writer, "XADD", "s", "1-1", "a", "b")
    node.tick()
    served = node.output(reader)
    assert served.startswith(b"*1\r\n*2\r\n$1\r\ns\r\n")
    assert served.endswith(b"+PONG\r\n")
    assert not reader.stalled


def test_a_blocked_client_that_goes_leaves_no_waiter_behind(node):
    reader = node.client()
    node.tick([(reader, [[b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$"]])])
    assert len(node.node.waiters) == 1
    node.node.disconnect(reader)
    assert len(node.node.waiters) == 0
    node.node.waiters.check()


def test_a_timeout_is_answered_at_its_deadline_and_not_before(node):
    reader = node.client()
    node.tick([(reader, [[b"XREAD", b"BLOCK", b"100", b"STREAMS", b"s", b"$"]])])
    assert node.node.next_deadline() <= node.clock.seconds + 0.1
    node.clock.advance(99)
    node.tick()
    assert node.output(reader) == b""
    node.clock.advance(1)
    node.tick()
    assert node.output(reader) == b"*-1\r\n"


def test_a_message_to_oneself_comes_behind_the_reply_of_publishing(node):
    client = node.client(protocol=3)
    node.run(client, "SUBSCRIBE", "news")
    assert node.run(client, "PUBLISH", "news", "x") == b":1\r\n>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n"


def test_an_exec_of_several_keys_goes_through_the_journal_and_one_of_a_single_key_does_not(node):
    client = node.client()
    keyspace = node.node.keyspace
    node.pipeline(client, [("MULTI",), ("XADD", "a", "1-1", "f", "v"), ("XADD", "a", "1-2", "f", "v"), ("EXEC",)])
    assert keyspace.journal.is_empty
    node.tick([])
    node.node.tick(
        [(client, [[b"MULTI"], [b"XADD", b"a", b"2-1", b"f", b"v"], [b"XADD", b"b", b"1-1", b"f", b"v"], [b"EXEC"]])],
        node.clock.now(),
    )
    assert not keyspace.journal.is_empty


def test_an_exec_that_writes_to_several_partitions_of_one_topic_goes_through_the_journal(node):
    client = node.client()
    node.run(client, "XTOPIC", "CREATE", "t", "PARTITIONS", 2)
    node.tick()
    journal = node.node.keyspace.journal
    assert journal.is_empty
    node.node.tick(
        [(client, [[b"MULTI"], [b"XADD", b"t", b"5-0", b"f", b"v"], [b"XADD", b"t", b"5-1", b"f", b"v"], [b"EXEC"]])],
        node.clock.now(),
    )
    assert not journal.is_empty


def random_requests(seed: int) -> list[list[bytes]]:
    rng = random.Random(seed)
    keys = [b"s", b"t"]
    requests = []
    for number in range(200):
        key = rng.choice(keys)
        requests.append(
            rng.choice(
                [
                    [b"XADD", key, b"%d-1" % (number + 1), b"f", b"v"],
                    [b"xadd", key, b"1-1", b"f", b"v"],
                    [b"XADD", key, b"*"],
                    [b"XLEN", key],
                    [b"XDEL", key, b"%d-1" % rng.randint(1, number + 1)],
                    [b"XRANGE", key, b"-", b"+", b"COUNT", b"3"],
                    [b"XGROUP", b"CREATE", key, b"g", b"0", b"MKSTREAM"],
                    [b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"2", b"STREAMS", key, b">"],
                    [b"XACK", key, b"g", b"%d-1" % rng.randint(1, number + 1)],
                    [b"XPENDING", key, b"g"],
                    [b"NOPE", key],
                    [b"DEL", key],
                    [b"PING", b"x", b"y"],
                ]
            )
        )
    return requests


def answers(node: NodeUnderTest, requests: list[list[bytes]]) -> bytes:
    return node.pipeline(node.client(), requests)


@pytest.mark.parametrize("seed", range(8))
def test_the_short_way_and_the_long_way_answer_alike(tmp_path, seed):
    requests = random_requests(seed)
    (tmp_path / "short").mkdir()
    (tmp_path / "long").mkdir()
    short = open_node(tmp_path / "short")
    long = open_node(tmp_path / "long", slowlog_log_slower_than=0)
    assert not short.node.dispatcher.disturbed
    assert long.node.dispatcher.disturbed
    assert answers(short, requests) == answers(long, requests)
    counted = [
        {
            command.name: (command.calls, command.failed_calls, command.rejected_calls)
            for command in one.node.commands.each()
        }
        for one in (short, long)
    ]
    assert counted[0] == counted[1]


def test_pausing_writes_holds_them_back_and_lets_reads_pass(node):
    admin, writer, reader = node.client(), node.client(), node.client()
    node.run(admin, "CLIENT", "PAUSE", "1000", "WRITE")
    assert node.run(writer, "XADD", "s", "1-1", "a", "b") == b""
    assert node.run(reader, "XLEN", "s") == b":0\r\n"
    node.clock.advance(1000)
    node.tick()
    assert node.output(writer) == b"$3\r\n1-1\r\n"
