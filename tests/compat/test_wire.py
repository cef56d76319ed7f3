"""The raw client and the server starter, which everything else here rests on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import servers, wire
from tests.support.servers import Server

FRAMES = [
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":-5\r\n",
    b"$-1\r\n",
    b"$4\r\na\r\nb\r\n",
    b"$0\r\n\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"(12345678901234567890\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!5\r\nERR x\r\n",
    b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n%1\r\n+k\r\n*1\r\n_\r\n",
    b"~2\r\n:1\r\n:2\r\n",
    b">2\r\n+message\r\n*0\r\n",
    b"|1\r\n+ttl\r\n:3\r\n*1\r\n:7\r\n",
]


@pytest.mark.parametrize("frame", FRAMES, ids=repr)
def test_a_frame_ends_where_it_ends_and_not_a_byte_earlier(frame: bytes) -> None:
    assert wire.frame_end(frame) == len(frame)
    assert wire.frame_end(frame + b"+next\r\n") == len(frame)
    assert all(wire.frame_end(frame[:cut]) is None for cut in range(len(frame)))


@pytest.mark.parametrize("frame", [f for f in FRAMES if not f.startswith(b"|")], ids=repr)
def test_a_parsed_frame_renders_to_the_same_bytes(frame: bytes) -> None:
    assert wire.render(wire.parse(frame)) == frame


def test_requests_are_arrays_of_bulk_strings() -> None:
    assert wire.encode_request(["SET", b"\r\n", 12]) == b"*3\r\n$3\r\nSET\r\n$2\r\n\r\n\r\n$2\r\n12\r\n"


def test_one_call_gives_the_bytes_of_one_reply(redis_server: Server) -> None:
    with redis_server.connect() as client:
        assert client.call("PING") == b"+PONG\r\n"
        assert client.pipeline([["ECHO", "a"], ["NOPE"]])[0] == b"$1\r\na\r\n"
    with redis_server.connect(3) as client:
        assert client.call("XREAD", "STREAMS", "missing", "0") == b"_\r\n"


def test_a_closed_connection_is_told_apart_from_a_silent_one(redis_server: Server) -> None:
    with redis_server.connect() as client:
        with pytest.raises(wire.NoReply):
            client.read(timeout=0.01)
        client.send_bytes(b"*99999999999\r\n")
        assert client.read_to_end() == b"-ERR Protocol error: invalid multibulk length\r\n"


def test_a_server_ends_with_its_block_and_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), servers.redis_server() as server:
        raise ZeroDivisionError
    assert server.process.poll() is not None
    assert not server.directory.exists()
    assert server not in servers.RUNNING


def test_a_server_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(servers.NotStarted, match="no-such-setting"), servers.redis_server("--no-such-setting", "1"):
        pass
    assert not servers.RUNNING or all(server.process.poll() is None for server in servers.RUNNING)
