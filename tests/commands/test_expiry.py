"""Keys that go by themselves."""

from __future__ import annotations

import pytest

from tests.support.keyspace_events import listen
from tests.support.nodes import open_node


@pytest.fixture
def ask(node):
    client = node.client()
    node.run(client, "XADD", "s", "1-1", "f", "v")
    return lambda line: node.run(client, *line.split())


@pytest.fixture
def told(node):
    """The keyspace events since the last call, as ``event@db key``."""
    return listen(node)


def test_ttl_is_rounded_to_the_nearest_second(ask, node):
    ask("PEXPIRE s 1501")
    assert ask("TTL s") == b":2\r\n"
    assert ask("PTTL s") == b":1501\r\n"
    node.clock.advance(2)
    assert ask("TTL s") == b":1\r\n"
    ask("PEXPIREAT s 2000000000499")
    assert ask("EXPIRETIME s") == b":2000000000\r\n"
    ask("PEXPIREAT s 2000000000500")
    assert ask("EXPIRETIME s") == b":2000000001\r\n"
    assert ask("PEXPIRETIME s") == b":2000000000500\r\n"


def test_every_way_to_ask_tells_a_missing_key_from_one_without_expiry(ask):
    for name in ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"):
        assert ask(f"{name} n") == b":-2\r\n"
        assert ask(f"{name} s") == b":-1\r\n"


def test_a_key_is_there_until_its_time_and_gone_at_it(ask, node):
    ask("PEXPIRE s 100")
    node.clock.advance(99)
    assert ask("EXISTS s") == b":1\r\n"
    node.clock.advance(1)
    assert ask("EXISTS s") == b":0\r\n"
    assert ask("XADD s 1-1 f v") == b"$3\r\n1-1\r\n"


@pytest.mark.parametrize(
    "line", ["TYPE s", "TTL s", "XLEN s", "OBJECT ENCODING s", "TOUCH s", "KEYS *", "SCAN 0", "DEL s"]
)
def test_no_command_sees_an_expired_key(ask, node, line):
    unknown = ask(line.replace("s", "n") if line[-1] == "s" else line.replace("*", "n*"))
    ask("PEXPIRE s 100")
    node.clock.advance(100)
    if line == "SCAN 0":
        unknown = b"*2\r\n$1\r\n0\r\n*0\r\n"
    assert ask(line) == unknown


def test_keys_go_at_their_time_without_being_asked_for(ask, node):
    ask("PEXPIRE s 100")
    node.clock.advance(2000)
    node.tick()
    assert not node.node.keyspace.databases[0].keys


def test_persist_keeps_a_key(ask, node):
    ask("PEXPIRE s 100")
    assert ask("PERSIST s") == b":1\r\n"
    assert ask("PERSIST s") == b":0\r\n"
    assert ask("PERSIST n") == b":0\r\n"
    node.clock.advance(1000)
    assert ask("EXISTS s") == b":1\r\n"


def test_a_time_that_has_passed_deletes_the_key(ask):
    for line in (
        "EXPIRE s -1",
        "EXPIRE s 0 NX",
        "EXPIREAT s 1",
        "PEXPIREAT s 1",
        "PEXPIREAT s -1",
        "PEXPIRE s -9223372036854775808",
        "EXPIRE s -9223372036854775",
        "EXPIREAT s -9223372036854775",
    ):
        assert ask(line) == b":1\r\n", line
        assert ask("EXISTS s") == b":0\r\n", line
        ask("XADD s 1-1 f v")


def test_a_key_deleted_so_goes_as_deleted_and_one_whose_time_comes_as_expired(ask, told, node):
    for line in ("EXPIRE s 0", "PEXPIREAT s 5"):
        ask(line)
        assert told() == ["del@0 s"]
        ask("XADD s 1-1 f v")
        told()
    ask("PEXPIRE s 10")
    ask("PERSIST s")
    ask("PERSIST s")
    ask("EXPIRE s 1 XX")
    assert told() == ["expire@0 s", "persist@0 s"]
    ask("PEXPIRE s 10")
    node.clock.advance(10)
    ask("EXISTS s")
    assert told() == ["expire@0 s", "expired@0 s"]


def test_conditions(ask):
    for line, expected in (
        ("EXPIRE s 100 GT", 0),  # no expiry counts as the latest
        ("EXPIRE s 100 XX", 0),
        ("EXPIRE s 100 XX GT", 0),
        ("EXPIRE s 0 XX", 0),
        ("EXPIRE s 100 LT", 1),
        ("EXPIRE s 100 NX", 0),
        ("EXPIRE s 100 nx", 0),
        ("EXPIRE s 100 XX", 1),
        ("EXPIRE s 200 GT", 1),
        ("EXPIRE s 100 GT", 0),
        ("EXPIRE s 200 GT", 0),
        ("EXPIRE s 200 LT", 0),
        ("EXPIRE s 300 LT", 0),
        ("EXPIRE s 50 LT", 1),
        ("EXPIRE s 100 XX GT", 1),
        ("EXPIRE s 100 XX LT", 0),
        ("EXPIRE s 100 NX NX", 0),
        ("EXPIRE n 100", 0),
    ):
        assert ask(line) == b":%d\r\n" % expected, line


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("EXPIRE s x", "value is not an integer or out of range"),
        ("EXPIRE n x", "value is not an integer or out of range"),
        ("EXPIRE s 10.5", "value is not an integer or out of range"),
        ("EXPIRE s x FOO", "Unsupported option FOO"),
        ("EXPIRE n 100 GT Foo", "Unsupported option Foo"),
        ("EXPIRE s 100 NX XX", "NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE s 100 LT NX", "NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE s 100 GT LT", "GT and LT options at the same time are not compatible"),
        ("EXPIRE s 9223372036854775807", "invalid expire time in 'expire' command"),
        ("EXPIRE s 9223372036854775", "invalid expire time in 'expire' command"),
        ("EXPIRE s -9223372036854776", "invalid expire time in 'expire' command"),
        ("EXPIREAT s 9223372036854776", "invalid expire time in 'expireat' command"),
        ("PEXPIRE s 9223372036854775807", "invalid expire time in 'pexpire' command"),
    ],
)
def test_refusals_have_redis_words(ask, line, refusal):
    assert ask(line) == b"-ERR %b\r\n" % refusal.encode()


def test_the_furthest_times_are_kept(ask):
    assert ask("PEXPIREAT s 9223372036854775807") == b":1\r\n"
    assert ask("PEXPIRETIME s") == b":9223372036854775807\r\n"
    assert ask("EXPIRETIME s") == b":9223372036854776\r\n"
    assert ask("EXPIREAT s 9223372036854775") == b":1\r\n"


def test_expiry_survives_a_restart(tmp_path, ask, node):
    ask("PEXPIRE s 5000")
    node.node.stop()
    again = open_node(tmp_path)
    client = again.client()
    assert again.run(client, "PTTL", "s") == b":5000\r\n"
    again.clock.advance(5000)
    assert again.run(client, "EXISTS", "s") == b":0\r\n"
