"""Clients that ask for much and take little, against a real server: others are served, memory comes back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import Server, respbroker_server
from tests.support.wire import ConnectionEnded, Wire, encode_request

VALUE = b"x" * 10_000
BATCH = 100
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with respbroker_server("--client-output-buffer-limit", "pubsub 1mb 0 0") as one:
        yield one


@pytest.fixture
def other(server: Server) -> Iterator[Wire]:
    """A client that behaves, on a server with nothing in it."""
    with server.connect() as wire:
        wire.call("FLUSHALL")
        yield wire


def fill(wire: Wire, key: str, megabytes: int) -> None:
    for _ in range(megabytes):
        wire.pipeline([("XADD", key, "*", "field", VALUE)] * BATCH)


def resident_megabytes(server: Server) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * 4096 / MEGABYTE


def lazy_reader(server: Server) -> Wire:
    """A client whose system takes little on its behalf."""
    wire = server.connect()
    wire._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return wire


@pytest.mark.parametrize("ending", [("DEL", "big"), ("FLUSHALL",), ("COPY", "small", "big", "REPLACE")])
def test_a_stream_deleted_while_it_is_sent_ends_that_connection_alone(server: Server, other: Wire, ending):
    fill(other, "big", 40)
    other.call("XADD", "small", "*", "a", "b")
    with lazy_reader(server) as reader:
        reader.send("XRANGE", "big", "-", "+")
        assert reader._socket.recv(4) == b"*400"
        assert not other.call(*ending).startswith(b"-")
        other.call("DEBUG", "RELOAD")  # whatever was kept of the stream's files is let go
        reader._buffer += b"*400"
        with pytest.raises(ConnectionEnded):
            reader.read()
    assert other.call("PING") == b"+PONG\r\n"
    assert "a long reply breaks off" in server.log_text()


def test_a_stream_trimmed_or_renamed_while_it_is_sent_arrives_as_it_was(server: Server, other: Wire):
    fill(other, "big", 30)
    with lazy_reader(server) as reader:
        reader.send("XRANGE", "big", "-", "+")
        head = reader._socket.recv(4)
        other.call("XTRIM", "big", "MAXLEN", "=", 0)
        other.call("RENAME", "big", "renamed")
        reader._buffer += head
        assert reader.read().count(VALUE) == 30 * BATCH


def test_pipelined_long_replies_that_nobody_reads_wait_their_turn(server: Server, other: Wire):
    fill(other, "big", 20)
    before = resident_megabytes(server)
    with lazy_reader(server) as reader:
        reader.send_bytes(encode_request(("XRANGE", "big", "-", "+")) * 200)  # 4 GB of replies
        for _ in range(20):
            assert other.call("PING") == b"+PONG\r\n"
        assert resident_megabytes(server) - before < 300
        for _ in range(2):  # and for who does read, they all come
            assert reader.read().count(VALUE) == 20 * BATCH


def test_requests_behind_long_replies_run_in_order_once_those_are_taken(server: Server, other: Wire):
    fill(other, "big", 20)
    with server.connect() as reader:
        reader.send_bytes(
            encode_request(("XRANGE", "big", "-", "+")) * 4
            + encode_request(("XADD", "behind", "1-1", "a", "b"))
            + encode_request(("ECHO", "last"))
        )
        for _ in range(4):
            assert reader.read().count(VALUE) == 20 * BATCH
        assert [reader.read(), reader.read()] == [b"$3\r\n1-1\r\n", b"$4\r\nlast\r\n"]


def test_entries_of_many_megabytes_are_not_gathered_by_number(server: Server, other: Wire):
    for _ in range(12):
        other.call("XADD", "huge", "*", "field", b"x" * (16 * MEGABYTE))
    before = resident_megabytes(server)
    for command in (("XRANGE", "huge", "-", "+"), ("XREAD", "STREAMS", "huge", "0")):
        with lazy_reader(server) as reader:
            reader.send(*command)
            reader._socket.recv(1)
            assert other.call("PING") == b"+PONG\r\n"
            assert resident_megabytes(server) - before < 120  # of 192


@pytest.mark.parametrize("listening", [("SUBSCRIBE", "channel"), ("MONITOR",)])
def test_who_does_not_take_what_others_cause_is_closed_at_the_limit(server: Server, other: Wire, listening):
    with lazy_reader(server) as reader:
        reader.call(*listening)
        name = reader.local_address.encode()
        for _ in range(10_000):
            other.call("PUBLISH", "channel", VALUE)
            if name not in other.call("CLIENT", "LIST"):
                break
        else:
            pytest.fail("still connected")


def test_a_connection_reset_in_the_middle_of_a_long_reply_is_forgotten(server: Server, other: Wire):
    fill(other, "big", 20)
    for _ in range(5):
        reader = lazy_reader(server)
        name = reader.local_address.encode()
        reader.send_bytes(encode_request(("XRANGE", "big", "-", "+")) * 10)
        reader._socket.recv(1)
        reader.abort()
        while name in other.call("CLIENT", "LIST"):
            pass
