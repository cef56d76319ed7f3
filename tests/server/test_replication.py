"""A leader and a follower as two processes: what is added to one is read from the other, and either may be killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import HOST, Server, respbroker_server
from tests.support.wire import Frame, parse

READONLY = b"-READONLY You can't write against a read only replica.\r\n"
PATIENCE_SECONDS = 30.0


def following(leader: Server) -> tuple[str, str, str]:
    """The options of a follower."""
    return "--replicaof", HOST, str(leader.port)


def info(server: Server, field: str) -> str:
    """A field of INFO replication."""
    text = parse(server.call("INFO", "replication")).text
    assert text is not None
    lines = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    return lines[field]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline


def is_connected(follower: Server) -> bool:
    return info(follower, "master_link_status") == "up"


def read_behind(follower: Server, last: bytes) -> Frame:
    """The entries behind an ID in the stream ``s``, as soon as there are any."""
    with follower.connect(timeout=PATIENCE_SECONDS) as wire:
        reply = parse(wire.call("XREAD", "BLOCK", int(PATIENCE_SECONDS * 1000), "STREAMS", "s", last))
    assert reply.items is not None, "nothing came"
    (stream,) = reply.items
    assert stream.items is not None
    return stream.items[1]


def add(leader: Server, value: str) -> bytes:
    """The ID of a new entry of ``s``."""
    added = parse(leader.call("XADD", "s", "*", "value", value))
    assert added.kind == b"$", added
    assert added.text is not None
    return added.text


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """A leader and its follower, connected."""
    for name in ("leader", "follower"):
        (tmp_path / name).mkdir()
    with (
        respbroker_server(directory=tmp_path / "leader") as leader,
        respbroker_server(*following(leader), directory=tmp_path / "follower") as follower,
    ):
        until(lambda: is_connected(follower))
        yield leader, follower


def test_what_is_added_to_the_leader_is_read_from_the_follower(pair: tuple[Server, Server]) -> None:
    leader, follower = pair
    last = b"0"
    for n in range(5):
        entry = add(leader, str(n))
        (read,) = read_behind(follower, last).items or ()
        assert read.items is not None
        assert read.items[0].text == entry
        last = entry
    assert follower.call("XRANGE", "s", "-", "+") == leader.call("XRANGE", "s", "-", "+")
    assert (info(leader, "role"), info(leader, "connected_slaves")) == ("master", "1")
    assert (info(follower, "role"), info(follower, "master_port")) == ("slave", str(leader.port))


def test_a_follower_refuses_writes(pair: tuple[Server, Server]) -> None:
    _, follower = pair
    assert follower.call("XADD", "s", "*", "a", "b") == READONLY
    assert follower.call("XTOPIC", "CREATE", "t") == READONLY
    assert follower.call("PING") == b"+PONG\r\n"


def test_a_follower_tells_what_it_is_and_serves_readers_that_ask_for_one(pair: tuple[Server, Server]) -> None:
    leader, follower = pair
    add(leader, "1")
    read_behind(follower, b"0")
    with leader.connect() as one, follower.connect() as other:
        roles = [b"\r\n".join(wire.call("HELLO", "2").split(b"\r\n")[-5:-2]) for wire in (one, other)]
        assert roles == [b"master\r\n$7\r\nmodules", b"replica\r\n$7\r\nmodules"]
        assert other.call("READONLY") == b"+OK\r\n"
        assert b" flags=r " in other.call("CLIENT", "INFO")
        assert other.call("XLEN", "s") == b":1\r\n"
        assert other.call("XADD", "s", "*", "a", "b") == READONLY
        assert other.call("READWRITE") == b"+OK\r\n"
        assert b" flags=N " in other.call("CLIENT", "INFO")
        assert other.call("XLEN", "s") == b":1\r\n"


def test_a_follower_outlives_its_leader_and_follows_it_again(pair: tuple[Server, Server]) -> None:
    leader, follower = pair
    first = add(leader, "before")
    read_behind(follower, b"0")
    leader.kill()
    until(lambda: not is_connected(follower))
    assert follower.call("XLEN", "s") == b":1\r\n"
    assert follower.call("XADD", "s", "*", "a", "b") == READONLY
    leader.start_again()
    until(lambda: leader.call("XTRIM", "s", "MAXLEN", 10) == b":0\r\n")  # the follower confirms that it still leads
    second = add(leader, "after")
    (read,) = read_behind(follower, first).items or ()
    assert read.items is not None
    assert read.items[0].text == second
    until(lambda: is_connected(follower))


def test_a_follower_that_was_killed_goes_on_where_it_was(pair: tuple[Server, Server]) -> None:
    leader, follower = pair
    add(leader, "before")
    read_behind(follower, b"0")
    follower.kill()
    last = [add(leader, str(n)) for n in range(100)][-1]
    follower.start_again()
    assert leader.call("WAIT", "1", int(PATIENCE_SECONDS * 1000)) == b":1\r\n"
    assert follower.call("XLEN", "s") == b":101\r\n"
    assert follower.call("XRANGE", "s", last, "+") == leader.call("XRANGE", "s", last, "+")


def test_a_new_follower_gets_a_copy_with_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "leader").mkdir()
    (tmp_path / "follower").mkdir()
    with respbroker_server("--segment.bytes", "1mb", directory=tmp_path / "leader") as leader:
        with leader.connect() as wire:
            for key in range(3):
                wire.pipeline([("XADD", f"s{key}", "*", "value", "x" * 1000)] * 3000)
                wire.call("XGROUP", "CREATE", f"s{key}", "g", "0")
        with respbroker_server(*following(leader), directory=tmp_path / "follower") as follower:
            until(lambda: is_connected(follower))
            add(leader, "new")
            assert leader.call("WAIT", "1", int(PATIENCE_SECONDS * 1000)) == b":1\r\n"
            assert follower.call("XRANGE", "s2", "-", "+") == leader.call("XRANGE", "s2", "-", "+")
            assert follower.call("XINFO", "GROUPS", "s1") == leader.call("XINFO", "GROUPS", "s1")
            logs = logs_of(leader)
            assert len(logs) > 9
            assert logs_of(follower) == logs


def logs_of(server: Server) -> dict[str, bytes]:
    """The segments of all streams, by their path in the directory."""
    data = server.directory / "data"
    return {str(path.relative_to(data)): path.read_bytes() for path in sorted(data.glob("*/**/*.log"))}


def test_a_leader_with_a_password_is_told_it_and_a_wrong_one_is_told_to_the_operator(tmp_path: Path) -> None:
    with respbroker_server("--requirepass", "secret") as leader:
        wrong, right = tmp_path / "wrong", tmp_path / "right"
        wrong.mkdir()
        right.mkdir()
        with respbroker_server(*following(leader), "--masterauth", "guess", directory=wrong) as follower:
            until(lambda: "WRONGPASS" in follower.log_text())
            assert info(follower, "master_link_status") == "down"
        with respbroker_server(*following(leader), "--masterauth", "secret", directory=right) as follower:
            until(lambda: is_connected(follower))


def test_the_operator_is_told_why_there_is_no_connection(tmp_path: Path) -> None:
    from tests.support.servers import free_port

    port = free_port()
    with respbroker_server("--replicaof", HOST, str(port)) as follower:
        until(lambda: f"cannot connect to {HOST}:{port}: Connection refused" in follower.log_text())
        assert follower.call("PING") == b"+PONG\r\n"
