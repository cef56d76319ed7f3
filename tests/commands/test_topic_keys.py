"""Topics of several partitions as keys: what is done to a key as a whole, and what a partition refuses."""

from __future__ import annotations

import pytest

from tests.support.asking import NOTHING, asker, fields, ids
from tests.support.nodes import open_node

PART = "-ERR 'orders/3' is a partition of 'orders' and cannot go or be moved by itself"
BUSY = "-BUSYKEY 'orders/3' would be a partition of the topic 'orders'"


@pytest.fixture
def ask(node):
    ask = asker(node)
    assert ask("XTOPIC CREATE orders PARTITIONS 4 CONFIG key.field k") == "OK"
    for number in range(20):
        ask(f"XADD orders * k {number}")
    ask("XADD s 1-1 a b")
    return ask


def entries(ask, key):
    return ask(f"XRANGE {key} - +")


# -- what a partition is, and refuses ----------------------------------------------------------------------


def test_a_partition_is_a_stream_that_exists(ask):
    assert ask("TYPE orders/3") == "stream"
    assert ask("EXISTS orders/3 orders/3 orders/4 orders/03 orders") == 3
    assert ask("OBJECT ENCODING orders/3") == "stream"
    assert ask("TOUCH orders orders/3 orders/9") == 2


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("DEL orders/3", PART), ("UNLINK orders/3", PART), ("DEL s orders/3", PART), ("RENAME orders/3 x", PART),
        ("RENAMENX orders/3 x", PART), ("MOVE orders/3 1", PART), ("EXPIRE orders/3 100", PART),
        ("PEXPIREAT orders/3 1", PART), ("PERSIST orders/3", PART), ("XTOPIC DELETE orders/3", PART),
        ("RENAME s orders/3", BUSY), ("COPY s orders/3 REPLACE", BUSY), ("XTOPIC ALTER orders/3 PARTITIONS 2", PART),
        ("RENAME orders orders", "OK"), ("COPY orders orders", "-ERR source and destination objects are the same"),
    ],
)  # fmt: skip
def test_a_partition_cannot_go_or_be_moved_by_itself(ask, line, refusal):
    before = {key: entries(ask, key) for key in ("s", "orders", "orders/3")}
    assert ask(line) == refusal
    assert {key: entries(ask, key) for key in ("s", "orders", "orders/3")} == before
    assert ask("DBSIZE") == 2


def test_a_partition_expires_with_its_topic(node, ask):
    assert ask("TTL orders/3") == -1
    assert ask("EXPIRE orders 100") == 1
    assert (ask("TTL orders"), ask("TTL orders/3"), ask("TTL orders/4")) == (100, 100, -2)
    node.clock.advance(100_001)
    assert ask("EXISTS orders orders/3") == 0
    assert ask("XLEN orders/3") == 0


def test_memory_is_told_of_the_whole_or_of_a_partition(ask):
    whole, part = ask("MEMORY USAGE orders"), ask("MEMORY USAGE orders/3")
    assert part < whole < 5 * part


# -- whole topics ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["RENAME orders s", "RENAME orders new", "RENAMENX orders new"])
def test_renaming_takes_all_partitions_along(ask, line):
    before, new = entries(ask, "orders"), line.split()[2]
    part = entries(ask, "orders/3")
    assert ask(line) in ("OK", 1)
    assert ask("EXISTS orders orders/3") == 0
    assert entries(ask, new) == before
    assert entries(ask, f"{new}/3") == part
    assert ask(f"XADD {new}/3 * a b") in ids(entries(ask, new))


def test_a_stream_renamed_onto_a_topic_replaces_it_with_its_partitions(ask):
    assert ask("RENAME s orders") == "OK"
    assert ids(entries(ask, "orders")) == ["1-1"]
    assert ask("EXISTS orders/0 orders/3") == 0


def test_moving_and_swapping_databases_keeps_partitions(ask):
    before = entries(ask, "orders")
    assert ask("MOVE orders 1") == 1
    assert ask("EXISTS orders orders/3") == 0
    ask("SELECT 1")
    assert entries(ask, "orders") == before
    assert ask("SWAPDB 0 1") == "OK"
    ask("SELECT 0")
    assert entries(ask, "orders") == before
    assert ask("XLEN orders/3") > 0


@pytest.mark.parametrize("target", ["new", "s REPLACE", "orders DB 1", "orders2 REPLACE"])
def test_a_copy_is_a_topic_with_all_that_is_in_it(node, ask, tmp_path, target):
    ask("XTOPIC CREATE orders2 PARTITIONS 7")
    ask("XGROUP CREATE orders g 0")
    ask("XREADGROUP GROUP g c COUNT 5 STREAMS orders >")
    ask("EXPIRE orders 500")
    before, pending = entries(ask, "orders"), ask("XPENDING orders g - + 100")
    assert ask(f"COPY orders {target}") == 1
    name = target.split()[0]
    for _ in range(2):
        ask(f"SELECT {1 if 'DB' in target else 0}")
        assert entries(ask, name) == before
        assert ask(f"XPENDING {name} g - + 100") == pending
        assert ask(f"TTL {name}") == 500
        told = fields(ask(f"XTOPIC INFO {name}"))
        assert (told["partitions"], told["entries"]) == (4, 20)
        assert fields(told["config"])["key.field"] == "k"
        node.kill()
        node = open_node(tmp_path)
        ask = asker(node)
    ask(f"SELECT {1 if 'DB' in target else 0}")
    assert ask(f"XADD {name} * k 3") > before[-1][0]
    ask("SELECT 0")
    assert entries(ask, "orders") == before


def test_a_copy_of_a_topic_that_was_a_stream_finds_its_old_entries(ask):
    old = [ask(f"XADD old 5-{number} a b") for number in (1, 2, 3)]
    ask("XTOPIC ALTER old PARTITIONS 3")
    ask("XADD old/2 * a b")
    assert ask("COPY old new") == 1
    assert ask(f"XDEL new {old[1]}") == 1
    assert ask("XLEN new") == 3


def test_a_copy_of_a_partition_is_a_stream(ask):
    assert ask("COPY orders/3 c") == 1
    assert entries(ask, "c") == entries(ask, "orders/3")
    assert ask("EXISTS c/0") == 0


def test_a_stream_copied_over_a_topic_replaces_it(ask):
    assert ask("COPY s orders") == 0
    assert ask("COPY s orders REPLACE") == 1
    assert ids(entries(ask, "orders")) == ["1-1"]
    assert ask("EXISTS orders/3") == 0


def test_keys_and_scan_list_a_topic_once(ask):
    assert sorted(ask("KEYS *")) == ["orders", "s"]
    assert sorted(ask("SCAN 0 TYPE stream")[1]) == ["orders", "s"]
    assert ask("SCAN 0 MATCH orders/*")[1] == []
    assert {ask("RANDOMKEY") for _ in range(50)} == {"orders", "s"}


# -- who is told -------------------------------------------------------------------------------------------

CHANGES = (
    "DEL orders", "RENAME orders x", "RENAME s orders", "MOVE orders 1", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1",
    "EXPIRE orders 0", "XTOPIC DELETE orders", "COPY s orders REPLACE", "XTOPIC ALTER orders PARTITIONS 5",
)  # fmt: skip


@pytest.mark.parametrize("change", [*CHANGES, "XADD orders/2 * a b", "XTRIM orders/2 MAXLEN 0"])
@pytest.mark.parametrize("watched", ["orders", "orders/2"])
def test_whoever_watches_a_topic_or_a_partition_sees_it_change(node, ask, watched, change):
    watching = asker(node)
    watching(f"WATCH {watched}")
    ask(change)
    watching("MULTI")
    watching("PING")
    assert watching("EXEC") is None


@pytest.mark.parametrize("change", ["XADD orders/1 * a b", "XTRIM orders/1 MAXLEN 0"])
def test_whoever_watches_a_partition_is_not_disturbed_by_another(node, ask, change):
    watching = asker(node)
    watching("WATCH orders/2")
    ask(change)
    watching("MULTI")
    watching("PING")
    assert watching("EXEC") == ["PONG"]


@pytest.mark.parametrize("create", ["XTOPIC CREATE t PARTITIONS 3", "COPY orders t", "RENAME orders t"])
def test_whoever_watches_a_name_sees_it_become_a_partition(node, ask, create):
    watching = asker(node)
    watching("WATCH t/1")
    assert ask(create) in ("OK", 1)
    watching("MULTI")
    watching("PING")
    assert watching("EXEC") is None


@pytest.mark.parametrize("change", ["DEL orders", "RENAME orders x", "FLUSHALL", "EXPIRE orders 0"])
@pytest.mark.parametrize("key", ["orders", "orders/2"])
def test_a_blocked_reader_of_a_group_is_told_when_the_topic_goes(node, ask, key, change):
    ask("XGROUP CREATE orders g $")
    waiting = asker(node)
    assert waiting(f"XREADGROUP GROUP g c BLOCK 0 STREAMS {key} >") == NOTHING
    ask(change)
    assert str(waiting.heard()).startswith("-NOGROUP")


def test_a_reader_blocked_on_a_partition_reads_what_takes_its_name(node, ask):
    waiting = asker(node)
    assert waiting("XREAD BLOCK 0 STREAMS t/3 0") == NOTHING
    part = entries(ask, "orders/3")
    ask("RENAME orders t")
    assert waiting.heard() == [["t/3", part]]


def test_an_expired_topic_is_told_of_once(node, ask):
    ask("CONFIG SET notify-keyspace-events KEA")
    listener = asker(node)
    listener("PSUBSCRIBE __keyevent@0__:*")
    ask("PEXPIRE orders 10")
    node.output(listener.client)
    node.clock.advance(11)
    ask("EXISTS orders")
    heard = node.output(listener.client)
    assert heard.count(b"expired\r\n$6\r\norders\r\n") == 1
    assert b"orders/" not in heard
