"""SLOWLOG, LATENCY and MEMORY: what the server remembers of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.nodes import NodeUnderTest, open_node
from tests.support.servers import Server
from tests.support.wire import parse

# -- SLOWLOG -----------------------------------------------------------------------------------------------------


def test_a_slow_request_is_remembered_with_who_asked(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "CLIENT", "SETNAME", "me")
    node.run(client, "CONFIG", "SET", "slowlog-log-slower-than", "0")
    node.run(client, "SLOWLOG", "RESET")
    node.run(client, "EXISTS", *range(40))
    entry = (parse(node.run(client, "SLOWLOG", "GET", 1)).items or ())[0]
    number, seconds, _, words, address, name = entry.items or ()
    assert number.integer >= 2
    assert seconds.integer == node.clock.ms // 1000
    assert [word.text for word in (words.items or ())][-2:] == [b"29", b"... (10 more arguments)"]
    assert (address.text, name.text) == (b"127.0.0.1:50000", b"me")


def test_passwords_never_enter_the_slow_log(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "CONFIG", "SET", "slowlog-log-slower-than", "0")
    node.run(client, "CONFIG", "SET", "requirepass", "opensesame")
    node.run(client, "AUTH", "opensesame")
    node.run(client, "HELLO", 2, "AUTH", "default", "opensesame")
    shown = node.run(client, "SLOWLOG", "GET", -1)
    assert shown.count(b"(redacted)") == 4
    assert b"opensesame" not in shown


def test_get_gives_ten_entries_unless_told(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "20")
    for _ in range(30):
        node.run(client, "PING")
    assert node.run(client, "SLOWLOG", "GET").startswith(b"*10\r\n")
    assert node.run(client, "SLOWLOG", "GET", 0) == b"*0\r\n"
    assert node.run(client, "SLOWLOG", "GET", -1).startswith(b"*20\r\n")
    assert node.run(client, "SLOWLOG", "LEN") == b":20\r\n"
    node.run(client, "CONFIG", "SET", "slowlog-log-slower-than", "-1")
    node.run(client, "SLOWLOG", "RESET")
    assert node.run(client, "SLOWLOG", "LEN") == b":0\r\n"


# -- LATENCY -------------------------------------------------------------------------------------------------------


def test_slow_events_are_told_graphed_and_reset(node: NodeUnderTest) -> None:
    client = node.client()
    node.node.latency.add("command", node.clock.ms, 0.012)
    node.clock.advance(2000)
    node.node.latency.add("command", node.clock.ms, 0.007)
    then = node.clock.ms // 1000
    assert node.run(client, "LATENCY", "LATEST") == b"*1\r\n*4\r\n$7\r\ncommand\r\n:%d\r\n:7\r\n:12\r\n" % then
    assert node.run(client, "LATENCY", "HISTORY", "command") == (
        b"*2\r\n*2\r\n:%d\r\n:12\r\n*2\r\n:%d\r\n:7\r\n" % (then - 2, then)
    )
    assert b"high 12 ms, low 7 ms" in node.run(client, "LATENCY", "GRAPH", "command")
    assert node.run(client, "LATENCY", "RESET", "nope", "command") == b":1\r\n"
    assert node.run(client, "LATENCY", "LATEST") == b"*0\r\n"


def test_texts_for_people_are_verbatim_in_resp3(node: NodeUnderTest) -> None:
    client = node.client(3)
    for words in (["LATENCY", "DOCTOR"], ["MEMORY", "DOCTOR"], ["MEMORY", "MALLOC-STATS"], ["LOLWUT"]):
        reply = node.run(client, *words)
        assert reply.startswith(b"="), words
        assert parse(reply).text[:4] == b"txt:", words  # type: ignore[index]


def test_the_histogram_counts_the_calls_of_each_command(node: NodeUnderTest) -> None:
    client = node.client(3)
    node.pipeline(client, [["PING"]] * 5)
    node.run(client, "CONFIG", "GET", "port")
    reply = node.run(client, "LATENCY", "HISTOGRAM", "ping", "nope", "CONFIG")
    assert reply.startswith(b"%2\r\n$4\r\nping\r\n%2\r\n$5\r\ncalls\r\n:5\r\n$14\r\nhistogram_usec\r\n%")
    assert b"$10\r\nconfig|get\r\n%2\r\n$5\r\ncalls\r\n:1\r\n" in reply
    assert node.run(client, "LATENCY", "HISTOGRAM", "config|get", "config|nope").startswith(b"%1\r\n$10\r\nconfig|get")
    assert b"latency|histogram" in node.run(client, "LATENCY", "HISTOGRAM")


# -- MEMORY --------------------------------------------------------------------------------------------------------


def test_usage_is_a_size_for_a_key_and_null_without_one(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "XADD", "s", "*", "a", "b")
    alone = parse(node.run(client, "MEMORY", "USAGE", "s")).integer
    node.run(client, "XGROUP", "CREATE", "s", "g", "0")
    assert parse(node.run(client, "MEMORY", "USAGE", "s", "SAMPLES", "0")).integer > alone > 0
    assert node.run(client, "MEMORY", "USAGE", "nope") == b"$-1\r\n"
    assert node.run(node.client(3), "MEMORY", "USAGE", "nope") == b"_\r\n"


def test_asking_for_the_memory_of_a_key_does_not_open_its_stream(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    node.run(node.client(), "XADD", "s", "*", "a", "b")
    node.node.reload()
    client = node.client()
    assert parse(node.run(client, "MEMORY", "USAGE", "s")).integer > 0
    assert b"open_streams:0" in node.run(client, "INFO", "persistence")


def test_stats_has_the_names_that_clients_read(node: NodeUnderTest) -> None:
    client = node.client(3)
    node.run(client, "XADD", "s", "*", "a", "b")
    items = parse(node.run(client, "MEMORY", "STATS")).items or ()
    names = {item.text for item in items[::2]}
    assert {b"peak.allocated", b"total.allocated", b"keys.count", b"dataset.bytes", b"db.0"} <= names


# -- compared with Redis ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "SLOWLOG",
        "SLOWLOG NOPE",
        "SLOWLOG HELP",
        "SLOWLOG GET -2",
        "SLOWLOG GET abc",
        "SLOWLOG GET 1 2",
        "SLOWLOG GET 0",
        "SLOWLOG LEN x",
        "LATENCY",
        "LATENCY NOPE",
        "LATENCY HELP",
        "LATENCY LATEST",
        "LATENCY HISTORY nope",
        "LATENCY HISTORY",
        "LATENCY GRAPH nope",
        "LATENCY RESET nope",
        "LATENCY HISTOGRAM nope",
        "MEMORY",
        "MEMORY NOPE",
        "MEMORY HELP",
        "MEMORY PURGE",
        "MEMORY USAGE nope",
        "MEMORY USAGE nope SAMPLES",
        "MEMORY USAGE nope SAMPLES -1",
        "MEMORY USAGE nope SAMPLES abc",
        "MEMORY USAGE nope SAMPLES 5 SAMPLES 6",
        "MEMORY USAGE nope nope",
    ],
)
@pytest.mark.parametrize("protocol", [2, 3])
def test_the_reply_is_that_of_redis(line: str, protocol: int, node: NodeUnderTest, redis_server: Server) -> None:
    words = line.split()
    with redis_server.connect(protocol) as wire:
        assert node.run(node.client(protocol), *words) == wire.call(*words)
