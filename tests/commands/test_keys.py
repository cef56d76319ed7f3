"""Keys as wholes: asked for, dropped, renamed, copied and moved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from respbroker.sessions.client import Client
from tests.support.keyspace_events import listen
from tests.support.nodes import NodeUnderTest, open_node

NO_SUCH_KEY = b"-ERR no such key\r\n"
SAME_KEY = b"-ERR source and destination objects are the same\r\n"
NOT_AN_INTEGER = b"-ERR value is not an integer or out of range\r\n"
NO_DATABASE = b"-ERR DB index is out of range\r\n"
SYNTAX = b"-ERR syntax error\r\n"


@pytest.fixture
def node(tmp_path) -> Iterator[NodeUnderTest]:
    return open_node(tmp_path)


@pytest.fixture
def client(node: NodeUnderTest) -> Client:
    return node.client()


@pytest.fixture
def ask(node, client):
    """Run one request, words split at blanks."""
    return lambda line: node.run(client, *line.split())


@pytest.fixture
def told(node):
    """The keyspace events since the last call, as ``event@db key``."""
    return listen(node)


def open_streams(node: NodeUnderTest) -> int:
    return len(list(node.node.keyspace.opened()))


def test_exists_counts_keys_as_often_as_they_are_named(ask):
    ask("XADD s 1-1 f v")
    assert ask("EXISTS s s n") == b":2\r\n"


def test_type_knows_streams_and_nothing_else(ask):
    ask("XADD s 1-1 f v")
    assert ask("TYPE s") == b"+stream\r\n"
    assert ask("TYPE n") == b"+none\r\n"


def test_del_and_unlink_count_what_they_dropped(ask):
    for name in ("DEL", "UNLINK"):
        ask("XADD s 1-1 f v")
        ask("XADD t 1-1 f v")
        assert ask(f"{name} s s t n") == b":2\r\n"
        assert ask("EXISTS s t") == b":0\r\n"


def test_a_dropped_stream_comes_back_empty(ask):
    ask("XADD s 5-1 f v")
    ask("DEL s")
    assert ask("XADD s 1-1 f v") == b"$3\r\n1-1\r\n"
    assert ask("XLEN s") == b":1\r\n"


def test_rename_takes_entries_groups_and_expiry_along(ask):
    ask("XADD s 1-1 f v")
    ask("XGROUP CREATE s g 0")
    ask("PEXPIREAT s 2000000000000")
    assert ask("RENAME s t") == b"+OK\r\n"
    assert ask("EXISTS s") == b":0\r\n"
    assert ask("XLEN t") == b":1\r\n"
    assert b"$1\r\ng\r\n" in ask("XINFO GROUPS t")
    assert ask("PEXPIRETIME t") == b":2000000000000\r\n"


def test_rename_replaces_the_target_and_its_expiry(ask):
    ask("XADD s 1-1 f v")
    ask("XADD t 7-1 f v")
    ask("PEXPIREAT t 2000000000000")
    assert ask("RENAME s t") == b"+OK\r\n"
    assert ask("XADD t 2-1 f v") == b"$3\r\n2-1\r\n"
    assert ask("PTTL t") == b":-1\r\n"


def test_rename_of_a_key_to_itself_does_nothing(ask, told):
    ask("XADD s 1-1 f v")
    told()
    assert ask("RENAME s s") == b"+OK\r\n"
    assert ask("RENAMENX s s") == b":0\r\n"
    assert told() == []


def test_rename_needs_a_key(ask):
    for line in ("RENAME n m", "RENAME n n", "RENAMENX n m", "RENAMENX n n"):
        assert ask(line) == NO_SUCH_KEY


def test_renamenx_leaves_a_target_alone(ask):
    ask("XADD s 1-1 f v")
    ask("XADD t 7-1 f v")
    assert ask("RENAMENX s t") == b":0\r\n"
    assert ask("RENAMENX s u") == b":1\r\n"
    assert ask("EXISTS s t u") == b":2\r\n"


def test_copy_is_a_stream_of_its_own_with_groups_and_expiry(ask):
    ask("XADD s 1-1 f v")
    ask("XGROUP CREATE s g 0")
    ask("XREADGROUP GROUP g c STREAMS s >")
    ask("PEXPIREAT s 2000000000000")
    assert ask("COPY s t") == b":1\r\n"
    ask("XADD s 2-1 f v")
    ask("XACK s g 1-1")
    assert ask("XLEN t") == b":1\r\n"
    assert ask("XPENDING t g") == b"*4\r\n:1\r\n$3\r\n1-1\r\n$3\r\n1-1\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n"
    assert ask("PEXPIRETIME t") == b":2000000000000\r\n"


def test_copy_replaces_only_when_told(ask):
    ask("XADD s 1-1 f v")
    ask("XADD t 7-1 f v")
    assert ask("COPY s t") == b":0\r\n"
    assert ask("COPY s t REPLACE") == b":1\r\n"
    assert ask("XADD t 2-1 f v") == b"$3\r\n2-1\r\n"


def test_copy_to_another_database(ask):
    ask("XADD s 1-1 f v")
    assert ask("COPY s s DB 1") == b":1\r\n"
    assert ask("COPY s s db 1") == b":0\r\n"
    assert ask("COPY s s DB 1 replace") == b":1\r\n"
    ask("SELECT 1")
    assert ask("XLEN s") == b":1\r\n"


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("COPY s s", SAME_KEY),
        ("COPY s s REPLACE DB 0", SAME_KEY),
        ("COPY s t FOO", SYNTAX),
        ("COPY s t DB", SYNTAX),
        ("COPY s t DB x", NOT_AN_INTEGER),
        ("COPY s t DB 99", NO_DATABASE),
        ("COPY s t DB -1", NO_DATABASE),
        ("COPY s t DB 99999999999", b"-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"),
        ("MOVE s 0", SAME_KEY),
        ("MOVE n 0", SAME_KEY),
        ("MOVE s x", NOT_AN_INTEGER),
        ("MOVE s 16", NO_DATABASE),
        ("MOVE s -1", NO_DATABASE),
        ("DEL", b"-ERR wrong number of arguments for 'del' command\r\n"),
        ("TYPE a b", b"-ERR wrong number of arguments for 'type' command\r\n"),
        ("SWAPDB x 1", b"-ERR invalid first DB index\r\n"),
        ("SWAPDB 0 99999999999", b"-ERR invalid second DB index\r\n"),
        ("SWAPDB 0 16", NO_DATABASE),
        ("FLUSHDB FOO", SYNTAX),
        ("FLUSHALL SYNC ASYNC", SYNTAX),
    ],
)
def test_refusals_have_redis_words(ask, line, refusal):
    ask("XADD s 1-1 f v")
    assert ask(line) == refusal


def test_move_takes_a_key_to_another_database_unless_it_has_one_of_that_name(ask):
    ask("XADD s 1-1 f v")
    ask("PEXPIREAT s 2000000000000")
    assert ask("MOVE s 3") == b":1\r\n"
    assert ask("MOVE s 3") == b":0\r\n"
    ask("XADD s 7-1 f v")
    assert ask("MOVE s 3") == b":0\r\n"
    ask("SELECT 3")
    assert ask("PEXPIRETIME s") == b":2000000000000\r\n"
    assert ask("XADD s 2-1 f v") == b"$3\r\n2-1\r\n"


def test_swapdb_exchanges_the_databases_of_everyone(node, ask):
    other = node.client()
    ask("XADD s 1-1 f v")
    node.run(other, "SELECT", "1")
    assert ask("SWAPDB 0 1") == b"+OK\r\n"
    assert ask("EXISTS s") == b":0\r\n"
    assert node.run(other, "EXISTS", "s") == b":1\r\n"
    assert node.run(other, "XADD", "s", "2-1", "f", "v") == b"$3\r\n2-1\r\n"


def test_flushdb_empties_one_database_and_flushall_all(ask):
    ask("XADD s 1-1 f v")
    ask("COPY s s DB 1")
    ask("COPY s s DB 2")
    assert ask("FLUSHDB ASYNC") == b"+OK\r\n"
    assert ask("DBSIZE") == b":0\r\n"
    ask("SELECT 1")
    assert ask("DBSIZE") == b":1\r\n"
    assert ask("flushall sync") == b"+OK\r\n"
    ask("SELECT 2")
    assert ask("DBSIZE") == b":0\r\n"


def test_what_happened_to_keys_is_still_so_after_a_restart(tmp_path):
    node = open_node(tmp_path)
    client = node.client()
    for line in (
        "XADD s 1-1 f v",
        "XADD t 1-1 f v",
        "COPY s u",
        "RENAME s v",
        "MOVE t 4",
        "XADD w 1-1 f v",
        "DEL w",
        "EXPIRE u 1000",
        "SWAPDB 0 2",
    ):
        node.run(client, *line.split())
    node.node.stop()
    node = open_node(tmp_path)
    client = node.client()
    assert node.run(client, "DBSIZE") == b":0\r\n"
    node.run(client, "SELECT", "2")
    assert node.run(client, "EXISTS", "s", "w", "u", "v") == b":2\r\n"
    assert node.run(client, "TTL", "u") == b":1000\r\n"
    node.run(client, "SELECT", "4")
    assert node.run(client, "XLEN", "t") == b":1\r\n"


def test_no_stream_is_opened_to_ask_for_drop_or_rename_keys(tmp_path):
    node = open_node(tmp_path)
    client = node.client()
    for n in range(4):
        node.run(client, "XADD", f"s{n}", "1-1", "f", "v")
    node.node.stop()
    node = open_node(tmp_path)
    client = node.client()
    for line in (
        "EXISTS s0 s1 n",
        "TYPE s0",
        "TOUCH s0",
        "KEYS *",
        "SCAN 0",
        "RANDOMKEY",
        "DBSIZE",
        "EXPIRE s0 100",
        "TTL s0",
        "PERSIST s0",
        "OBJECT ENCODING s0",
        "OBJECT IDLETIME s0",
        "RENAME s0 t",
        "MOVE s1 1",
        "DEL s2",
        "SWAPDB 0 1",
    ):
        assert not node.run(client, *line.split()).startswith(b"-"), line
        assert open_streams(node) == 0, line


def test_events_have_redis_names(ask, told):
    ask("XADD s 1-1 f v")
    told()
    for line, events in (
        ("COPY s t", ["copy_to@0 t"]),
        ("COPY s t REPLACE", ["copy_to@0 t"]),
        ("COPY s s DB 1", ["copy_to@1 s"]),
        ("RENAME s u", ["rename_from@0 s", "rename_to@0 u"]),
        ("MOVE u 2", ["move_from@0 u", "move_to@2 u"]),
        ("TOUCH t", []),
        ("UNLINK t n", ["del@0 t"]),
        ("SWAPDB 0 1", []),
        ("FLUSHALL", []),
    ):
        ask(line)
        assert told() == events, line


def test_an_expired_target_of_rename_goes_as_expired(node, ask, told):
    ask("XADD s 1-1 f v")
    ask("XADD t 1-1 f v")
    ask("PEXPIRE t 10")
    told()
    node.clock.advance(10)
    ask("RENAME s t")
    assert told() == ["expired@0 t", "rename_from@0 s", "rename_to@0 t"]


@pytest.mark.parametrize("watched", [False, True], ids=["", "while someone watches"])
def test_changes_are_counted_as_redis_counts_them(node, ask, watched):
    if watched:
        node.run(node.client(), "WATCH", "w")
    ask("XADD s 1-1 f v")
    for line, count in (
        ("COPY s t", 1),
        ("RENAME s u", 1),
        ("RENAME u u", 0),
        ("MOVE u 1", 1),
        ("SWAPDB 0 1", 1),
        ("DEL u n", 1),
        ("FLUSHALL", 1),
        ("FLUSHALL", 0),
    ):
        before = node.node.dirty
        ask(line)
        assert node.node.dirty - before == count, line
