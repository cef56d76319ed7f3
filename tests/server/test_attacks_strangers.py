"""What somebody without the password can do to a real server: nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.servers import Server, respbroker_server
from tests.support.wire import Wire, encode_request, parse

REFUSED = b"-NOAUTH Authentication required.\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with respbroker_server("--requirepass", "open sesame") as one:
        yield one


@pytest.fixture
def member(server: Server) -> Iterator[Wire]:
    with server.connect() as wire:
        assert wire.call("AUTH", "open sesame") == b"+OK\r\n"
        yield wire


def test_every_command_is_refused_before_the_password(server: Server, member: Wire):
    items = parse(member.call("COMMAND")).items
    assert items
    with server.connect() as stranger:
        for item in items:
            assert item.items is not None
            name, arity = item.items[0].text, item.items[1].integer
            if name in (b"auth", b"hello", b"quit", b"reset"):
                continue
            reply = stranger.call(name, *[b"help"] * (abs(arity) - 1))
            refused = b"NOAUTH Authentication required." in reply  # EXEC says it in words of its own
            assert refused or reply.startswith(b"-ERR unknown subcommand"), (name, reply)


def test_wrong_passwords_without_end_change_nothing(server: Server, member: Wire):
    with server.connect() as stranger:
        replies = stranger.pipeline([("AUTH", f"guess {n}") for n in range(500)])
        assert set(replies) == {b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"}
        assert stranger.call("XLEN", "stream") == REFUSED
    assert "sesame" not in server.log_text()
    assert "guess" not in server.log_text()


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"*11\r\n", b"unauthenticated multibulk length"),
        (b"*2\r\n$4\r\nAUTH\r\n$536870912\r\n", b"unauthenticated bulk length"),
        (b"*1048577\r\n", b"unauthenticated multibulk length"),
        (b"x" * 70_000, b"too big inline request"),
    ],
)
def test_large_requests_of_strangers_end_at_their_header(server: Server, sent: bytes, told: bytes):
    with server.connect() as stranger:
        stranger.send_bytes(sent)
        assert stranger.read_to_end() == b"-ERR Protocol error: " + told + b"\r\n"


def test_large_requests_may_follow_the_password_in_one_breath(server: Server):
    words = ("XADD", "stream", "*", *["word"] * 100, "value", "x" * 30_000, "f", "v")
    with server.connect() as client:
        client.send_bytes(encode_request(("AUTH", "open sesame")) + encode_request(words))
        assert client.read() == b"+OK\r\n"
        assert client.read().startswith(b"$")


def test_a_wrong_password_opens_no_way_for_more_than_a_megabyte(server: Server, member: Wire):
    with server.connect() as stranger:
        stranger.send_bytes(encode_request(("AUTH", "wrong")) + b"*2\r\n$4\r\nECHO\r\n$500000000\r\n")
        assert stranger.read().startswith(b"-WRONGPASS")
        with contextlib.suppress(ConnectionError):  # it may be closed before all is sent
            for _ in range(64):
                stranger.send_bytes(b"x" * 65536)
        assert stranger.read_to_end() == b""
    assert member.call("PING") == b"+PONG\r\n"
