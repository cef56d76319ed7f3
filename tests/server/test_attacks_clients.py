"""Clients that come in thousands, wait, vanish, talk garbage or kill each other, against a real server."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nodes import open_node
from tests.support.servers import Server, respbroker_server
from tests.support.wire import Wire, encode_request, parse

CLIENTS = 1000
FUZZ_ROUNDS = 400
NOT_FUZZED = (b"shutdown", b"debug")
WORDS = (
    b"s", b"g", b"c", b"*", b"0", b"1", b"-1", b"5-5", b"$", b">", b"-", b"+", b"(1", b"", b"\0\xff/..", b"9" * 30,
    b"9223372036854775807", b"18446744073709551615-18446744073709551615", b"0.5", b"nan", b"[a-", b"COUNT", b"BLOCK",
    b"STREAMS", b"GROUP", b"IDLE", b"MAXLEN", b"MINID", b"~", b"=", b"LIMIT", b"DELREF", b"ACKED", b"IDS", b"FORCE",
    b"JUSTID", b"LASTID", b"CLAIM", b"IDMP", b"CREATE", b"MKSTREAM", b"STREAM", b"FULL", b"LIST", b"ID", b"INFO",
    b"GET", b"REPLY", b"OFF", b"ON", b"SKIP", b"KILL", b"UNBLOCK", b"MATCH", b"TYPE", b"EX", b"DB", b"REPLACE", b"HELP",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with respbroker_server() as one:
        yield one


@pytest.fixture
def other(server: Server) -> Iterator[Wire]:
    with server.connect() as wire:
        wire.call("FLUSHALL")
        yield wire


@contextlib.contextmanager
def crowd(server: Server, size: int) -> Iterator[list[Wire]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(server.connect()) for _ in range(size)]


def count(wire: Wire, field: str) -> int:
    for line in wire.call("INFO", "clients").decode().splitlines():
        if line.startswith(field + ":"):
            return int(line.partition(":")[2])
    raise AssertionError(field)


def test_waiters_that_vanish_in_any_way_leave_nothing_behind(server: Server, other: Wire):
    other.call("XGROUP", "CREATE", "stream", "group", "$", "MKSTREAM")
    with crowd(server, CLIENTS) as clients:
        for number, client in enumerate(clients):
            client.send("XREADGROUP", "GROUP", "group", f"c{number}", "BLOCK", 0, "STREAMS", "stream", ">")
        while count(other, "blocked_clients") < CLIENTS:
            pass
        for number, client in enumerate(clients):
            client.abort() if number % 2 else client.close()
        while count(other, "connected_clients") > 1:
            pass
    assert count(other, "blocked_clients") == 0
    other.call("XADD", "stream", "1-1", "a", "b")
    pending = other.call("XPENDING", "stream", "group")
    assert pending.startswith(b"*4\r\n:0\r\n")


def test_requests_behind_a_wait_run_afterwards_and_in_order(server: Server, other: Wire):
    with server.connect() as client:
        requests = [("XREAD", "BLOCK", 0, "STREAMS", "s", "$"), ("XADD", "s", "9-9", "c", "d"), ("XLEN", "s")]
        client.send_bytes(b"".join(map(encode_request, requests)))
        while not count(other, "blocked_clients"):
            pass
        other.call("XADD", "s", "1-1", "a", "b")
        assert b"1-1" in client.read()
        assert [client.read(), client.read()] == [b"$3\r\n9-9\r\n", b":2\r\n"]


def test_requests_behind_a_wait_do_not_keep_the_node_awake(tmp_path: Path):
    under_test = open_node(str(tmp_path))
    client = under_test.client()
    under_test.pipeline(client, [("XREAD", "BLOCK", 0, "STREAMS", "s", "$"), ("PING",)])
    under_test.tick()
    deadline = under_test.node.next_deadline()
    assert deadline is None or deadline > under_test.clock.seconds
    under_test.run(under_test.client(), "XADD", "s", "1-1", "a", "b")
    under_test.tick()
    assert under_test.output(client).endswith(b"+PONG\r\n")


def test_a_waiting_client_without_replies_goes_on_in_silence(server: Server, other: Wire):
    with server.connect() as client:
        requests = [("CLIENT", "REPLY", "OFF"), ("XREAD", "BLOCK", 0, "STREAMS", "s", "$"), ("CLIENT", "REPLY", "ON")]
        client.send_bytes(b"".join(map(encode_request, requests)))
        while not count(other, "blocked_clients"):
            pass
        other.call("XADD", "s", "1-1", "a", "b")
        assert client.read() == b"+OK\r\n"


def test_a_client_may_kill_itself_and_those_who_wait(server: Server, other: Wire):
    with server.connect() as client, server.connect() as waiting:
        number = waiting.call("CLIENT", "ID")[1:-2]
        waiting.send("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
        while not count(other, "blocked_clients"):
            pass
        assert client.call("CLIENT", "KILL", "ID", number) == b":1\r\n"
        assert waiting.read_to_end() == b""
        own = client.call("CLIENT", "ID")[1:-2]
        client.send_bytes(encode_request(("CLIENT", "KILL", "ID", own, "SKIPME", "no")) + encode_request(("PING",)))
        assert client.read_to_end() == b":1\r\n"
    assert count(other, "blocked_clients") == 0


def test_who_has_said_all_still_gets_the_replies(server: Server):
    with server.connect() as client:
        client.send_bytes(b"PING\r\n" * 3)
        client._socket.shutdown(1)
        assert client.read_to_end() == b"+PONG\r\n" * 3


def test_hundreds_of_trickles_are_all_answered(server: Server, other: Wire):
    with crowd(server, 200) as clients:
        for byte in encode_request(("ECHO", "slowly")):
            for client in clients:
                client.send_bytes(bytes([byte]))
        assert other.call("PING") == b"+PONG\r\n"
        assert {client.read() for client in clients} == {b"$6\r\nslowly\r\n"}


def test_what_is_announced_and_never_sent_costs_nothing(server: Server, other: Wire):
    with crowd(server, 100) as clients:
        for client in clients:
            client.send_bytes(b"*1048577\r\n$4\r\nXADD\r\n$536870912\r\nabc")
        assert other.call("PING") == b"+PONG\r\n"
        reported = other.call("INFO", "memory").decode().splitlines()
        resident = next(int(line.partition(":")[2]) for line in reported if line.startswith("used_memory_rss:"))
        assert resident < 200 << 20


def test_a_transaction_larger_than_the_query_limit_ends_its_connection(server: Server, other: Wire):
    assert other.call("CONFIG", "SET", "client-query-buffer-limit", "1mb") == b"+OK\r\n"
    with server.connect() as client:
        client.call("MULTI")
        with contextlib.suppress(ConnectionError):  # it may be closed before all is sent
            for _ in range(40):
                client.send("XADD", "s", "*", "field", "x" * 50_000)
        assert client.read_to_end().replace(b"+QUEUED\r\n", b"") == b""
    assert other.call("CONFIG", "SET", "client-query-buffer-limit", "1gb") == b"+OK\r\n"
    assert other.call("EXISTS", "s") == b":0\r\n"


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_bytes_come_the_server_goes_on(server: Server, seed: int):
    chance = random.Random(seed)
    with server.connect() as wire:
        items = parse(wire.call("COMMAND", "LIST")).items or ()
    names = [item.text for item in items if item.text not in NOT_FUZZED]
    for _ in range(FUZZ_ROUNDS):
        requests = [
            encode_request([chance.choice(names) or b"", *chance.choices(WORDS, k=chance.randrange(8))])
            for _ in range(40)
        ]
        data = bytearray(b"".join(requests))
        for _ in range(chance.choice((0, 0, 1, 5))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with server.connect() as client, contextlib.suppress(OSError):
            client.send_bytes(bytes(data))
            if chance.random() < 0.3:
                client.abort()
            elif chance.random() < 0.5:
                client._socket.recv(1 << 16)
    assert not server.has_ended()
    assert server.call("PING")[:1] in (b"+", b"-")
    assert "Traceback" not in server.log_text()


def test_sigterm_ends_a_crowded_server_and_sighup_does_not():
    with respbroker_server() as server, server.connect() as other:
        for _ in range(10):
            other.pipeline([("XADD", "big", "*", "field", b"x" * 10_000)] * 100)
        with crowd(server, CLIENTS) as clients:
            for number, client in enumerate(clients):
                if number % 3 == 0:
                    client.send("XREAD", "BLOCK", 0, "STREAMS", "stream", "$")
                elif number % 30 == 1:
                    client.send("XRANGE", "big", "-", "+")
                elif number % 3 == 2:
                    client.send_bytes(b"*3\r\n$4\r\nXADD")
            server.process.send_signal(signal.SIGHUP)
            assert other.call("PING") == b"+PONG\r\n"
            server.process.terminate()
            assert server.process.wait(20) == 0
            assert "Traceback" not in server.log_text()
