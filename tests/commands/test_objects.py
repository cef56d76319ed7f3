"""OBJECT."""

from __future__ import annotations

import pytest


@pytest.fixture
def ask(node):
    client = node.client()
    node.run(client, "XADD", "s", "1-1", "f", "v")
    return lambda line: node.run(client, *line.split())


def test_every_key_is_a_stream_held_once(ask):
    assert ask("OBJECT ENCODING s") == b"$6\r\nstream\r\n"
    assert ask("OBJECT REFCOUNT s") == b":1\r\n"


def test_idle_time_counts_from_the_last_use_and_asking_is_none(ask, node):
    node.clock.advance(5_900)
    assert ask("OBJECT IDLETIME s") == b":5\r\n"
    ask("EXISTS s")
    ask("TYPE s")
    ask("TTL s")
    assert ask("object idletime s") == b":5\r\n"
    ask("XLEN s")
    assert ask("OBJECT IDLETIME s") == b":0\r\n"


def test_touch_is_a_use(ask, node):
    node.clock.advance(5_000)
    assert ask("TOUCH s n s") == b":2\r\n"
    assert ask("OBJECT IDLETIME s") == b":0\r\n"


def test_copying_is_a_use_of_the_source(ask, node):
    node.clock.advance(5_000)
    ask("COPY s t")
    assert ask("OBJECT IDLETIME s") == b":0\r\n"
    assert ask("OBJECT IDLETIME t") == b":0\r\n"


def test_frequencies_are_not_kept(ask):
    assert ask("OBJECT FREQ s").startswith(
        b"-ERR An LFU maxmemory policy is not selected, access frequency not tracked."
    )


@pytest.mark.parametrize("name", ["ENCODING", "REFCOUNT", "IDLETIME", "FREQ"])
def test_a_missing_key_is_null(node, ask, name):
    assert ask(f"OBJECT {name} n") == b"$-1\r\n"
    assert node.run(node.client(3), "OBJECT", name, "n") == b"_\r\n"


def test_help_and_refusals(ask):
    assert ask("OBJECT HELP").startswith(b"*15\r\n+OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n")
    assert ask("OBJECT") == b"-ERR wrong number of arguments for 'object' command\r\n"
    assert ask("OBJECT FOO") == b"-ERR unknown subcommand 'FOO'. Try OBJECT HELP.\r\n"
    assert ask("OBJECT ENCODING") == b"-ERR wrong number of arguments for 'object|encoding' command\r\n"
