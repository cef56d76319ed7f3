"""XTRIM, XADD with MAXLEN, XDEL, XDELEX and XSETID of a topic of several partitions."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, fields, ids
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import open_node

NODE_ENTRIES = 10


@pytest.fixture
def node(tmp_path):
    return open_node(tmp_path, stream_node_max_entries=NODE_ENTRIES)


@pytest.fixture
def ask(node):
    ask = asker(node)
    assert ask("XTOPIC CREATE orders PARTITIONS 4") == "OK"
    return ask


def add(ask, count):
    """So many entries, one after the other in partitions 0, 1, 2, 3, 0, ..."""
    return [ask(f"XADD orders/{number % 4} * n {number}") for number in range(count)]


def entries(ask, key="orders"):
    return ids(ask(f"XRANGE {key} - +"))


# -- trimming --------------------------------------------------------------------------------------------------


def test_maxlen_leaves_the_newest_of_the_whole_topic(ask):
    added = add(ask, 11) + [ask("XADD orders/2 * n x") for _ in range(9)]
    assert ask("XTRIM orders MAXLEN 10") == 10
    assert entries(ask) == added[-10:]
    assert [ask(f"XLEN orders/{n}") for n in range(4)] == [0, 0, 10, 0]
    assert ask("XTRIM orders MAXLEN 10") == 0
    assert ask("XTRIM orders MAXLEN 0") == 10
    assert entries(ask) == []


def test_minid_takes_what_is_below_from_every_partition(ask):
    added = add(ask, 20)
    assert ask(f"XTRIM orders MINID {added[7]}") == 7
    assert entries(ask) == added[7:]


def test_a_partition_is_trimmed_by_itself_by_its_name(ask):
    add(ask, 20)
    assert ask("XTRIM orders/1 MAXLEN 2") == 3
    assert [ask(f"XLEN orders/{n}") for n in range(4)] == [5, 2, 5, 5]


def test_xadd_with_maxlen_keeps_the_topic_at_that_length(ask):
    added = add(ask, 12)
    added += [ask(f"XADD orders MAXLEN 10 * n {n}") for n in range(5)]
    assert entries(ask) == added[-10:]
    added.append(ask("XADD orders/1 MAXLEN 1 * its own"))
    assert entries(ask, "orders/1") == added[-1:]
    minid = added[-4]
    added.append(ask(f"XADD orders MINID {minid} * n x"))
    assert entries(ask) == [each for each in added[-5:] if each >= minid and each in entries(ask)]


def test_about_maxlen_never_leaves_fewer_and_takes_whole_nodes(node, ask):
    added = []
    for number in range(1000):
        added.append(ask(f"XADD orders MAXLEN ~ 100 * n {number}"))
        if number % 3 == 0:
            added.append(ask(f"XADD orders/{number % 2} MAXLEN 100000 * n {number}"))
        length = ask("XLEN orders")
        assert min(100, len(added)) <= length < 100 + 4 * NODE_ENTRIES + 2
        node.clock.advance(number % 2)
    present = set(entries(ask))
    assert present >= set(added[-100:])
    for partition in range(4):
        info = fields(ask(f"XINFO STREAM orders/{partition}"))
        assert (info["entries-added"] - info["length"]) % NODE_ENTRIES == 0


def test_about_maxlen_goes_on_after_something_else_trimmed(ask):
    add(ask, 200)
    for number in range(100):
        ask(f"XADD orders MAXLEN ~ 100 * n {number}")
    ask("XTRIM orders/1 MAXLEN 3")
    ask("XTRIM orders MAXLEN 60")
    for number in range(200):
        ask(f"XADD orders MAXLEN ~ 100 * n {number}")
    assert 100 <= ask("XLEN orders") < 100 + 4 * NODE_ENTRIES


def test_a_limit_holds_for_the_whole_topic(ask):
    add(ask, 200)
    assert ask("XTRIM orders MAXLEN ~ 20 LIMIT 35") == 30
    assert ask("XTRIM orders MAXLEN ~ 20 LIMIT 9") == 0
    assert ask("XTRIM orders MAXLEN ~ 20 LIMIT 0") == 130
    assert ask("XLEN orders") == 40
    assert ask("XTRIM orders MINID ~ 9999999999999 LIMIT 25") == 20
    assert (
        ask("XTRIM orders MAXLEN 20 LIMIT 1") == "-ERR syntax error, LIMIT cannot be used without the special ~ option"
    )


def test_trimming_acked_spares_what_groups_refer_to_and_takes_others(ask):
    added = add(ask, 16)
    ask("XGROUP CREATE orders/0 g 0")
    ask("XREADGROUP GROUP g c COUNT 2 STREAMS orders/0 >")
    ask(f"XACK orders/0 g {added[0]}")
    assert ask("XTRIM orders MAXLEN 6 ACKED") == 10
    assert entries(ask) == [each for n, each in enumerate(added) if (n % 4 == 0 and n) or n > 12]
    assert ask("XTRIM orders MAXLEN 0 ACKED") == 3
    assert entries(ask) == [added[4], added[8], added[12]]
    assert ask("XTRIM orders MAXLEN 0 DELREF") == 3
    assert ask("XPENDING orders/0 g")[0] == 0


# -- deleting --------------------------------------------------------------------------------------------------


def test_xdel_finds_the_partition_of_each_id(ask):
    added = add(ask, 12)
    assert ask(f"XDEL orders {added[9]} {added[2]} 5-5 1-4095 {added[2]} {added[11]}") == 3
    assert entries(ask) == [each for n, each in enumerate(added) if n not in (2, 9, 11)]
    assert ask("XLEN orders") == 9
    assert ask("XDEL orders x") == "-ERR Invalid stream ID specified as stream command argument"


def test_xdelex_answers_in_the_order_of_the_ids(ask):
    added = add(ask, 12)
    ask("XGROUP CREATE orders/1 g 0")
    line = f"XDELEX orders ACKED IDS 6 {added[9]} {added[2]} 1-4095 {added[2]} {added[3]} 1-0"
    assert ask(line) == [2, 1, -1, -1, 1, -1]
    assert ask(f"XDELEX orders IDS 2 {added[9]} {added[9]}") == [1, -1]
    assert entries(ask) == [each for n, each in enumerate(added) if n not in (2, 3, 9)]


def test_ids_from_before_a_stream_had_partitions_are_in_the_first(ask):
    old = [ask(f"XADD s 5-{n} a b") for n in (1, 2, 3)]
    assert ask("XTOPIC ALTER s PARTITIONS 3") == "OK"
    new = [ask(f"XADD s/{n} * a b") for n in (2, 1)]
    assert entries(ask, "s") == old + new
    assert ask(f"XDEL s {old[1]} {new[0]}") == 2
    assert entries(ask, "s") == [old[0], old[2], new[1]]
    assert ask("XTRIM s MAXLEN 2") == 1
    assert entries(ask, "s") == [old[2], new[1]]


def test_a_deletion_in_several_partitions_survives_a_restart(node, ask, tmp_path):
    added = add(ask, 40)
    ask(f"XDEL orders {' '.join(added[3:30:2])}")
    ask("XTRIM orders MAXLEN 20")
    before = entries(ask)
    node.kill()
    ask = asker(open_node(tmp_path))
    assert entries(ask) == before
    assert ask("XLEN orders") == 20


# -- XSETID ----------------------------------------------------------------------------------------------------


def test_xsetid_is_done_to_a_partition(ask):
    assert ask("XSETID orders 9-0") == "-ERR 'orders' has 4 partitions: name one of them, 'orders/0' to 'orders/3'"
    assert ask("XSETID orders/1 9999999999999-5") == "OK"
    assert ask("XADD orders/2 * a b") == "9999999999999-4098"
    assert ask("XADD orders/1 * a b") == "9999999999999-8193"
    assert len(entries(ask)) == 2


# -- who is told -----------------------------------------------------------------------------------------------


def test_watchers_and_listeners_are_told_of_the_partitions_that_changed(node, ask):
    added = add(ask, 8)
    ask("CONFIG SET notify-keyspace-events KEA")
    listener = asker(node)
    listener("PSUBSCRIBE __keyspace@0__:*")
    watching = asker(node)
    watching("WATCH orders")
    ask(f"XDEL orders {added[1]} {added[5]}")
    heard = node.output(listener.client)
    assert heard.count(b"xdel") == 2
    assert b"__keyspace@0__:orders/1\r\n" in heard
    assert b"__keyspace@0__:orders\r\n" in heard
    watching("MULTI")
    watching("PING")
    assert watching("EXEC") is None
    ask("XTRIM orders MAXLEN 4")
    heard = node.output(listener.client)
    assert b"__keyspace@0__:orders\r\n$5\r\nxtrim\r\n" in heard


def test_exact_trimming_after_a_refused_tick_takes_the_oldest_there_is():
    """What was appended in a refused tick is gone, and another entry has its place."""
    disk = MemoryFileSystem()
    disk.mkdir("d")
    node = open_node("d", disk)
    ask = asker(node)
    ask("XTOPIC CREATE t PARTITIONS 2")
    old = ask("XADD t/1 * n 0")
    node.tick()
    disk.room = 0
    refused = [["XADD", "t/0", "*", "n", 1], ["XADD", "t/1", "MAXLEN", 9, "*", "n", 2], ["XTRIM", "t", "MAXLEN", 2]]
    assert b"MISCONF" in node.pipeline(ask.client, refused)
    assert entries(ask, "t") == [old]
    disk.room = None
    for _ in range(3):
        node.clock.advance(10_000)
        node.tick()
    added = [ask(f"XADD t/{partition} * n x") for partition in (1, 0)]
    added += [ask("XADD t MAXLEN 3 * n x") for _ in range(2)]
    assert entries(ask, "t") == added[1:]


def test_a_limit_that_whole_nodes_use_up_lets_no_more_go(ask):
    add(ask, 200)
    assert ask("XTRIM orders MAXLEN ~ 20 LIMIT 30") == 30
    assert ask("XTRIM orders MAXLEN ~ 20 LIMIT 10") == 10
    assert ask("XTRIM orders MINID ~ 9999999999999 LIMIT 20") == 20
