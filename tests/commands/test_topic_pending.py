"""XACK, XPENDING, XCLAIM and their like on a topic of several partitions, and what a consumer holds read again."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, fields, ids
from tests.support.consumers import CREATE, Consumer, partitions, put
from tests.support.nodes import open_node


@pytest.fixture
def ask(node):
    return asker(node)


@pytest.fixture
def orders(ask):
    """A topic of four partitions with the group g."""
    assert ask(CREATE.format(4, "auto")) == "OK"
    assert ask("XGROUP CREATE orders g 0") == "OK"
    return ask


@pytest.fixture
def shared(ask):
    assert ask(CREATE.format(4, "shared")) == "OK"
    assert ask("XGROUP CREATE orders g 0") == "OK"
    return ask


@pytest.fixture
def consumer(node):
    return lambda name: Consumer(node, name)


def test_an_id_tells_the_partition_in_which_it_is_acknowledged(orders, consumer):
    c = consumer("c")
    entry_ids = [put(orders, partition, partition)[0] for partition in range(4)]
    entries = c.read()
    assert c.ack(entries[:3]) == 3
    assert orders(f"XACK orders g {' '.join(entry_ids)} 1-4095") == 1
    assert orders("XACK orders nil 1-1") == 0
    assert orders("XACK orders g x") == "-ERR Invalid stream ID specified as stream command argument"


def test_xack_with_a_bad_id_acknowledges_nothing(orders, consumer):
    [entry_id] = put(orders, 1, 1)
    consumer("c").read()
    assert orders(f"XACK orders g {entry_id} x").startswith("-ERR Invalid stream ID")
    assert orders("XPENDING orders g")[0] == 1


def test_xackdel_acknowledges_and_deletes_by_the_policy(orders, consumer):
    orders("XGROUP CREATE orders h 0")
    entry_ids = [put(orders, partition, partition)[0] for partition in (1, 3)]
    consumer("c").read()
    assert orders(f"XACKDEL orders g ACKED IDS 3 {' '.join(entry_ids)} 1-1") == [2, 2, -1]
    orders("XGROUP SETID orders h $")
    orders("XGROUP SETID orders g 0")
    consumer("c").read()
    assert orders(f"XACKDEL orders g ACKED IDS 2 {' '.join(entry_ids)}") == [1, 1]
    assert orders("XLEN orders/1") == orders("XLEN orders/3") == 0
    assert orders("XACKDEL orders nil IDS 1 1-1") == [-1]


def test_xpending_tells_of_all_partitions_in_the_order_of_ids(node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    c.read()
    d.read()
    entry_ids = [put(orders, partition, n)[0] for n, partition in enumerate([3, 0, 1, 2, 0, 3])]
    c.read()
    node.clock.advance(100)
    d.read()
    assert orders("XPENDING orders g") == [6, entry_ids[0], entry_ids[-1], [["c", "3"], ["d", "3"]]]
    assert ids(orders("XPENDING orders g - + 10")) == entry_ids
    assert ids(orders(f"XPENDING orders g ({entry_ids[0]} {entry_ids[3]} 2")) == entry_ids[1:3]
    assert {row[1] for row in orders("XPENDING orders g - + 10 c")} == {"c"}
    assert {row[1] for row in orders("XPENDING orders g IDLE 100 - + 10")} == {"c"}
    assert orders("XPENDING orders g - + 0") == []


def test_history_is_in_the_order_of_ids_and_is_gone_through_by_the_last_one(node, orders, consumer):
    c = consumer("c")
    entry_ids = [put(orders, partition, n)[0] for n, partition in enumerate([3, 0, 1, 2, 0, 3])]
    c.read()
    assert ids(c.read(start="0")) == entry_ids
    assert ids(c.read("COUNT 4", start="0")) == entry_ids[:4]
    assert ids(c.read("COUNT 4", start=entry_ids[3])) == entry_ids[4:]
    assert ids(c.read("MAXCOUNT 2", start="0")) == entry_ids[:2]
    assert ids(c.read("MAXSIZE 1", start="0")) == entry_ids[:1]
    orders(f"XDEL orders/0 {entry_ids[1]}")
    assert c.read(start="0")[1] == [entry_ids[1], None]
    assert c.read(start=entry_ids[-1]) == []
    assert [row[3] for row in orders("XPENDING orders g - + 2")] == [6, 4]


def test_an_owner_claims_in_its_partitions_and_in_no_other(node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    c.read()
    d.read()
    owned = partitions(orders)
    entry_ids = [put(orders, partition, partition)[0] for partition in range(4)]
    c.read()
    d.read()
    named = " ".join(reversed(entry_ids))
    mine = [entry_ids[partition] for partition in owned["c"]]
    assert ids(c.ask(f"XCLAIM orders g c 0 {named}")) == mine[::-1]
    assert c.ask(f"XCLAIM orders g c 0 {named} JUSTID") == mine[::-1]
    assert c.ask(f"XCLAIM orders g e 0 {named}") == []
    cursor, entries, gone = c.ask("XAUTOCLAIM orders g c 0 0")
    assert (cursor, ids(entries), gone) == ("0-0", mine, [])
    assert c.ask("XAUTOCLAIM orders g e 0 0") == ["0-0", [], []]


def test_in_shared_mode_anybody_claims_anything(node, shared, consumer):
    entry_ids = [put(shared, partition, n)[0] for n, partition in enumerate([3, 0, 1, 2, 0, 3])]
    consumer("c").read()
    shared(f"XDEL orders/0 {entry_ids[4]}")
    assert shared("XAUTOCLAIM orders g d 0 0 COUNT 4") == [entry_ids[4], *claimed(shared, entry_ids[:4])]
    assert shared(f"XAUTOCLAIM orders g d 0 {entry_ids[4]} JUSTID") == ["0-0", [entry_ids[5]], [entry_ids[4]]]
    assert shared("XPENDING orders g")[3] == [["d", "5"]]
    assert shared(f"XCLAIM orders g e 0 {entry_ids[5]} {entry_ids[0]} LASTID {entry_ids[5]}") == [
        [entry_ids[5], ["n", "5"]],
        [entry_ids[0], ["n", "0"]],
    ]


def claimed(ask, entry_ids):
    return [[[each, ["n", str(place)]] for place, each in enumerate(entry_ids)], []]


def test_forced_claims_make_entries_pending_that_nobody_was_given(orders, consumer):
    c = consumer("c")
    c.read()
    [entry_id] = put(orders, 2, 1)
    assert ids(c.ask(f"XCLAIM orders g c 0 {entry_id} FORCE")) == [entry_id]
    assert orders("XPENDING orders g")[0] == 1


def test_the_group_s_state_survives_a_restart(tmp_path, node, orders, consumer):
    c = consumer("c")
    entry_ids = [put(orders, partition, partition)[0] for partition in range(4)]
    c.ack(c.read()[:2])
    node.node.stop()
    ask = asker(open_node(tmp_path))
    assert ids(ask("XPENDING orders g - + 10")) == entry_ids[2:]
    assert fields(ask("XINFO GROUPS orders/0")[0])["lag"] == 0


def test_acknowledging_one_by_one_in_a_pipeline_answers_each(node, orders, consumer):
    c = consumer("c")
    entry_ids = [entry_id for partition in (3, 0, 1, 2) for entry_id in put(orders, partition, *range(20))]
    c.read()
    named = [entry_ids[0], "1-4095", *entry_ids[1:-1], entry_ids[5], "7"]
    wire = node.pipeline(c.ask.client, [("XACK", "orders", "g", entry_id) for entry_id in named])
    assert wire == b":1\r\n:0\r\n" + b":1\r\n" * 78 + b":0\r\n" * 2
    assert ids(orders("XPENDING orders g - + 10")) == entry_ids[-1:]
    wire = node.pipeline(c.ask.client, [("XACK", "orders", "g", entry_id) for entry_id in (entry_ids[-1], "x", "1-1")])
    assert wire == b":1\r\n-ERR Invalid stream ID specified as stream command argument\r\n:0\r\n"
    assert node.pipeline(c.ask.client, [("XACK", "orders", "nil", "1-1")] * 2) == b":0\r\n:0\r\n"


def test_a_topic_that_was_a_plain_stream_knows_its_old_ids(ask, consumer):
    ask("XGROUP CREATE orders g 0 MKSTREAM")
    old = [ask(f"XADD orders {n}-{n} n {n}") for n in range(1, 6)]
    ask("XTOPIC ALTER orders PARTITIONS 3")
    c = consumer("c")
    new = put(ask, 2, 6)
    assert ids(c.read()) == old + new
    assert ask(f"XACK orders g {old[1]} {old[3]} {new[0]}") == 3
    assert ids(ask("XPENDING orders g - + 10")) == [old[0], old[2], old[4]]
