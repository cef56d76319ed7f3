"""KEYS, SCAN and RANDOMKEY; what scans promise under changes is tested in tests/streams/test_key_order.py."""

from __future__ import annotations

import pytest

from tests.support.nodes import open_node
from tests.support.wire import parse


@pytest.fixture
def client(node):
    return node.client()


@pytest.fixture
def ask(node, client):
    return lambda line: node.run(client, *line.split())


def page_of(reply: bytes) -> tuple[int, list[bytes]]:
    cursor, names = parse(reply).items
    return int(cursor.text), [name.text for name in names.items]


def whole_scan(ask, options: str = "") -> list[bytes]:
    cursor, found = page_of(ask(f"SCAN 0 {options}"))
    while cursor:
        cursor, page = page_of(ask(f"SCAN {cursor} {options}"))
        found += page
    return found


@pytest.fixture
def hundred(ask):
    for n in range(100):
        ask(f"XADD key:{n} 1-1 f v")


def test_a_scan_finds_each_key_once_ten_at_a_time(ask, hundred):
    assert len(page_of(ask("SCAN 0"))[1]) == 10
    found = whole_scan(ask)
    assert len(found) == 100
    assert set(found) == {b"key:%d" % n for n in range(100)}


def test_the_order_of_keys_is_kept_only_while_a_scan_is_under_way(node, ask, hundred):
    database = node.node.keyspace.databases[0]
    cursor, _ = page_of(ask("SCAN 0 COUNT 60"))
    assert database.order is not None
    ask(f"SCAN {cursor} COUNT 60")
    assert database.order is None


def test_count_is_how_many_keys_are_looked_at(ask, hundred):
    assert len(page_of(ask("SCAN 0 COUNT 60"))[1]) == 60
    assert page_of(ask("SCAN 0 COUNT 100"))[0] == 0
    assert page_of(ask("SCAN 0 count 10000000000"))[0] == 0


def test_match_leaves_out_names_and_the_last_one_counts(ask, hundred):
    assert sorted(whole_scan(ask, "MATCH *:1?")) == [b"key:%d" % n for n in range(10, 20)]
    assert whole_scan(ask, "MATCH * MATCH key:7") == [b"key:7"]


def test_every_key_is_a_stream(ask, hundred):
    assert len(whole_scan(ask, "TYPE stream")) == 100
    assert len(whole_scan(ask, "TYPE STREAM")) == 100
    assert whole_scan(ask, "TYPE string") == []
    assert whole_scan(ask, "TYPE nope") == []


def test_keys_of_other_databases_are_not_found(ask, hundred):
    ask("SELECT 1")
    assert ask("SCAN 0") == b"*2\r\n$1\r\n0\r\n*0\r\n"
    assert ask("KEYS *") == b"*0\r\n"
    assert ask("RANDOMKEY") == b"$-1\r\n"


def test_a_scan_goes_on_over_a_restart(tmp_path, node, ask, hundred):
    cursor, found = page_of(ask("SCAN 0 COUNT 40"))
    node.node.stop()
    again = open_node(tmp_path)
    client = again.client()
    while cursor:
        cursor, page = page_of(again.run(client, "SCAN", cursor))
        found += page
    assert len(found) == len(set(found)) == 100


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("SCAN x", "invalid cursor"),
        ("SCAN -1", "invalid cursor"),
        ("SCAN 0x", "invalid cursor"),
        ("SCAN 18446744073709551616", "invalid cursor"),
        ("SCAN x COUNT", "invalid cursor"),
        ("SCAN 0 COUNT", "syntax error"),
        ("SCAN 0 COUNT 0", "syntax error"),
        ("SCAN 0 COUNT -1", "syntax error"),
        ("SCAN 0 COUNT x", "value is not an integer or out of range"),
        ("SCAN 0 MATCH", "syntax error"),
        ("SCAN 0 TYPE", "syntax error"),
        ("SCAN 0 FOO bar", "syntax error"),
        ("SCAN 0 NOVALUES", "NOVALUES option can only be used in HSCAN"),
    ],
)
def test_refusals_have_redis_words(ask, line, refusal):
    assert ask(line) == b"-ERR %b\r\n" % refusal.encode()


@pytest.mark.parametrize("cursor", ["0", "00", "+0", " 0"])
def test_a_cursor_may_be_written_as_c_reads_numbers(node, client, cursor):
    assert node.run(client, "SCAN", cursor) == b"*2\r\n$1\r\n0\r\n*0\r\n"


@pytest.mark.parametrize("cursor", ["", "0 "])
def test_but_not_be_empty_or_followed_by_anything(node, client, cursor):
    assert node.run(client, "SCAN", cursor) == b"-ERR invalid cursor\r\n"


def test_keys_matches_patterns_over_any_bytes(node, client):
    for name in (b"a", b"ab", b"a\xffb", b"a/b\x00"):
        node.run(client, "XADD", name, "1-1", "f", "v")
    assert {frame.text for frame in parse(node.run(client, "KEYS", b"a?b")).items} == {b"a\xffb"}
    assert {frame.text for frame in parse(node.run(client, "KEYS", b"a[/]*")).items} == {b"a/b\x00"}
    assert len(parse(node.run(client, "KEYS", b"*")).items) == 4
    assert node.run(client, "KEYS", b"") == b"*0\r\n"


def test_randomkey_draws_every_key_sooner_or_later(node, client, ask):
    for name in "abc":
        ask(f"XADD {name} 1-1 f v")
    assert {ask("RANDOMKEY") for _ in range(100)} == {b"$1\r\na\r\n", b"$1\r\nb\r\n", b"$1\r\nc\r\n"}


def test_randomkey_passes_over_expired_keys(node, ask):
    for n in range(50):
        ask(f"XADD gone{n} 1-1 f v")
        ask(f"PEXPIRE gone{n} 10")
    ask("XADD kept 1-1 f v")
    node.clock.advance(10)
    assert ask("RANDOMKEY") == b"$4\r\nkept\r\n"
    assert node.run(node.client(3), "RANDOMKEY") == b"$4\r\nkept\r\n"
    ask("DEL kept")
    assert node.run(node.client(3), "RANDOMKEY") == b"_\r\n"
