"""CONFIG, its refusals compared with those of a real server."""

from __future__ import annotations

import pytest

from tests.support.nodes import NodeUnderTest
from tests.support.servers import Server


def test_get_answers_pairs_and_a_map_in_resp3(node: NodeUnderTest) -> None:
    pairs = b"$10\r\nMAXCLIENTS\r\n$5\r\n10000\r\n"
    assert node.run(node.client(), "CONFIG", "GET", "MAXCLIENTS", "nope") == b"*2\r\n" + pairs
    assert node.run(node.client(3), "CONFIG", "GET", "MAXCLIENTS", "nope") == b"%1\r\n" + pairs


def test_a_value_set_in_any_bytes_comes_back_in_the_same(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "CONFIG", "SET", "requirepass", b"\xff\x00\xe9")
    assert node.run(client, "CONFIG", "GET", "requirepass").endswith(b"$3\r\n\xff\x00\xe9\r\n")


def test_a_new_password_binds_new_connections_only(node: NodeUnderTest) -> None:
    old = node.client()
    assert node.run(old, "CONFIG", "SET", "requirepass", "secret") == b"+OK\r\n"
    new = node.client()
    assert node.run(new, "PING").startswith(b"-NOAUTH")
    assert node.run(new, "AUTH", "secret") == b"+OK\r\n"
    assert node.run(old, "CONFIG", "SET", "requirepass", "") == b"+OK\r\n"
    assert node.run(node.client(), "PING") == b"+PONG\r\n"


def test_a_change_acts_at_once(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "CONFIG", "SET", "slowlog-log-slower-than", "0")
    node.run(client, "PING")
    assert node.run(client, "SLOWLOG", "LEN") == b":2\r\n"  # CONFIG SET itself is the first


def test_resetstat_sets_all_counters_to_zero(node: NodeUnderTest) -> None:
    client = node.client()
    node.run(client, "PING")
    node.run(client, "NOPE")
    assert node.run(client, "CONFIG", "RESETSTAT") == b"+OK\r\n"
    text = node.run(client, "INFO", "stats", "commandstats", "errorstats", "latencystats")
    assert b"total_error_replies:0\r\n" in text
    assert b"cmdstat_ping" not in text
    assert b"errorstat" not in text
    assert b"usec_ping" not in text


def test_rewrite_without_a_file_is_refused(node: NodeUnderTest) -> None:
    reply = node.run(node.client(), "CONFIG", "REWRITE")
    assert reply == b"-ERR The server is running without a config file\r\n"


@pytest.mark.parametrize(
    "line",
    [
        "CONFIG",
        "CONFIG NOPE",
        "CONFIG GET",
        "CONFIG HELP",
        "CONFIG SET a",
        "CONFIG SET timeout 1 hz",
        "CONFIG SET timeout 1 nope 2",
        "CONFIG SET nope 1 timeout x",
        "CONFIG SET timeout 1 TIMEOUT 2",
        "CONFIG SET timeout -1",
        "CONFIG SET timeout 99999999999",
        "CONFIG SET maxclients 0",
        "CONFIG SET maxclients abc",
        "CONFIG SET appendfsync never",
        "CONFIG SET protected-mode maybe",
        "CONFIG SET DataBases 3",
        "CONFIG SET MaxClients x",
        "CONFIG SET DIR x",
        "CONFIG SET maxmemory 1zb",
        "CONFIG SET maxmemory-policy foo",
        "CONFIG SET loglevel foo",
        "CONFIG SET logfile x",
        "CONFIG SET unixsocket x",
        "CONFIG SET save 900",
        "CONFIG SET notify-keyspace-events KEq",
        "CONFIG SET client-output-buffer-limit normal",
        "CONFIG SET proto-max-bulk-len 1",
        "CONFIG SET client-query-buffer-limit 1",
        "CONFIG SET slowlog-log-slower-than -2",
        "CONFIG SET enable-debug-command yes",
        "CONFIG RESETSTAT x",
        "CONFIG REWRITE x",
        "CONFIG GET tcp-backlog",
        "CONFIG GET client-output-buffer-limit",
        "CONFIG GET stream-node-max-*",
    ],
)
def test_the_reply_is_that_of_redis(line: str, node: NodeUnderTest, redis_server: Server) -> None:
    def order_free(reply: bytes) -> list[bytes]:  # Redis prints settings in no order
        return sorted(reply.split(b"\r\n"))

    words = line.split()
    assert order_free(node.run(node.client(), *words)) == order_free(redis_server.call(*words))
