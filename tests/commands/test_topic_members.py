"""Ordered groups: who is a member, who owns what, and what moves a partition from one to another."""

from __future__ import annotations

import pytest

from tests.support.asking import NOTHING, asker, fields
from tests.support.consumers import CREATE, Consumer, moving, partitions, pass_time, put, values
from tests.support.nodes import open_node

TIMEOUT_MS = 45_000


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
def consumer(node):
    return lambda name: Consumer(node, name)


def test_a_consumer_that_comes_back_in_time_finds_its_partitions_and_what_it_held(node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    put(orders, 1, 1)
    c.read()
    d.read()
    owned = partitions(orders)
    c.leave()
    pass_time(node, TIMEOUT_MS - 1)
    assert partitions(orders) == owned
    again = consumer("c")
    assert values(again.read(start="0")) == ["1"]
    pass_time(node, TIMEOUT_MS)
    assert partitions(orders) == owned


def test_a_session_that_ends_wakes_who_waits_for_its_partitions(node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    put(orders, 0, 1)
    put(orders, 1, 2)
    c.read()
    assert d.read("BLOCK 0") == NOTHING
    c.leave()
    node.tick()
    assert node.node.next_deadline() <= node.clock.seconds + TIMEOUT_MS / 1000
    pass_time(node, TIMEOUT_MS)
    assert sorted(values(d.heard())) == ["1", "2"]


def test_one_connection_may_read_for_several_consumers(node, orders, consumer):
    c = consumer("c")
    c.read()
    c.ask("XREADGROUP GROUP g d STREAMS orders >")
    assert sorted(partitions(orders)) == ["c", "d"]
    c.leave()
    pass_time(node, TIMEOUT_MS)
    consumer("e").read()
    assert sorted(partitions(orders)) == ["e"]


def test_a_consumer_that_lost_its_session_is_not_told_what_others_handle(node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    put(orders, 1, 1)
    c.read()
    c.leave()
    pass_time(node, TIMEOUT_MS)
    d.read("COUNT 1")
    again = consumer("c")
    assert again.read(start="0") == []
    assert again.read() is None


def test_the_timeout_is_the_topic_s(node, orders, consumer):
    orders("XTOPIC ALTER orders CONFIG group.session.timeout.ms 0")
    c, d = consumer("c"), consumer("d")
    c.read()
    d.read()
    c.leave()
    node.tick()
    assert partitions(orders) == {"d": [0, 1, 2, 3]}


def test_after_a_restart_who_holds_entries_owns_its_partitions(tmp_path, node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    c.read()
    d.read()
    for partition in range(4):
        put(orders, partition, f"{partition}a")
    c.read()
    d.read()
    owned = partitions(orders)
    node.node.stop()
    restarted = open_node(tmp_path)
    ask = asker(restarted)
    for partition in range(4):
        put(ask, partition, f"{partition}b")
    e, d = Consumer(restarted, "e"), Consumer(restarted, "d")
    assert e.read() is None
    assert sorted(d.got()) == [f"{partition}b" for partition in owned["d"] if partition not in moving(ask)]
    assert d.read(start="0")
    pass_time(restarted, TIMEOUT_MS)
    assert "c" not in partitions(ask)
    assert {value[0] for value in e.got()} == {str(partition) for partition in owned["c"]}


def test_a_renamed_topic_keeps_its_members(orders, consumer):
    c, d = consumer("c"), consumer("d")
    c.read()
    d.read()
    owned = partitions(orders)
    orders("RENAME orders sales")
    orders("RENAME sales orders")
    assert partitions(orders) == owned


def test_a_topic_that_goes_answers_who_waits(orders, consumer):
    c = consumer("c")
    c.read("BLOCK 0")
    orders("DEL orders")
    refusal = "-NOGROUP No such key 'orders' or consumer group 'g' in XREADGROUP with GROUP option"
    assert c.ask.heard() == refusal
    orders(CREATE.format(2, "auto"))
    orders("XGROUP CREATE orders g 0")
    assert c.read("BLOCK 0") == NOTHING
    orders("XGROUP DESTROY orders g")
    assert c.ask.heard() == refusal


def test_in_shared_mode_nobody_s_session_ends(tmp_path, node, orders, consumer):
    orders("XTOPIC ALTER orders CONFIG group.mode shared")
    c = consumer("c")
    put(orders, 1, 1)
    c.read()
    c.leave()
    pass_time(node, TIMEOUT_MS)
    node.node.stop()
    restarted = open_node(tmp_path)
    ask = asker(restarted)
    assert Consumer(restarted, "d").read() is None
    pass_time(restarted, TIMEOUT_MS)
    assert ask("XPENDING orders g")[3] == [["c", "1"]]


def test_another_mode_holds_from_the_next_read_on(node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    c.read()
    d.read("BLOCK 0")
    owned = partitions(orders)
    orders("XTOPIC ALTER orders CONFIG group.mode shared")
    put(orders, owned["c"][0], 1)
    assert values(d.heard()) == ["1"]
    assert d.read("BLOCK 0") == NOTHING
    orders("XTOPIC ALTER orders CONFIG group.mode ordered")
    assert partitions(orders) == {"d": [0, 1, 2, 3]}
    c.read()
    put(orders, owned["c"][0], 2)
    assert len(partitions(orders)) == 2
    assert values(d.heard() if owned["c"][0] in partitions(orders)["d"] else c.read()) == ["2"]


def test_a_reload_is_like_a_restart(node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    for partition in range(4):
        put(orders, partition, partition)
    c.read()
    d.read("BLOCK 0")
    assert orders("DEBUG RELOAD") == "OK"
    c.leave()
    put(orders, 1, "1b")
    pass_time(node, TIMEOUT_MS)
    assert sorted(values(d.heard()) + d.got()) == ["0", "1", "1b", "2", "3"]
    node.tick()


# -- handing over -----------------------------------------------------------------------------------------------


def test_a_busy_consumer_hands_over_what_has_drained(orders, consumer):
    c, d = consumer("c"), consumer("d")
    for partition in range(4):
        put(orders, partition, f"{partition}a", f"{partition}b")
    held = c.read("COUNT 10")
    assert d.read("BLOCK 0") == NOTHING
    for partition in range(4):
        put(orders, partition, f"{partition}c")
    drains = moving(orders)
    assert len(drains) == 2
    given = c.read()
    assert {value[0] for value in values(given)} == {str(p) for p in range(4) if p not in drains}
    first = [entry for entry in held if int(entry[1][1][0]) == min(drains)]
    c.ack(first[:1])
    assert d.heard() == NOTHING
    c.ack(first[1:])
    assert values(d.heard()) == [f"{min(drains)}c"]


def test_a_partition_that_drained_by_its_name_is_handed_over_soon(node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    for partition in range(4):
        put(orders, partition, partition)
    c.read()
    d.read("BLOCK 0")
    partition = min(moving(orders))
    [row] = orders(f"XPENDING orders/{partition} g - + 10")
    orders(f"XACK orders/{partition} g {row[0]}")
    put(orders, partition, "next")
    pass_time(node, 200)
    assert values(d.heard()) == ["next"]


def test_reading_within_a_transaction_does_not_wait(orders, consumer):
    c = consumer("c")
    c.ask("MULTI")
    c.ask("XREADGROUP GROUP g c BLOCK 0 STREAMS orders >")
    assert c.ask("EXEC") == [None]


def test_a_wait_ends_with_its_time(node, orders, consumer):
    c = consumer("c")
    assert c.read("BLOCK 100") == NOTHING
    pass_time(node, 100)
    assert c.heard() is None


# -- telling about it -------------------------------------------------------------------------------------------


def groups_of(ask):
    return [fields(each) for each in fields(ask("XTOPIC INFO orders"))["groups"]]


def test_xtopic_info_tells_the_members_and_who_owns_what(orders, consumer):
    [told] = groups_of(orders)
    assert (told["name"], told["mode"], told["members"], told["lag"]) == ("g", "ordered", [], 0)
    c, d = consumer("c"), consumer("d")
    for partition in range(4):
        put(orders, partition, 1, 2)
    c.read("COUNT 7")
    assert d.read("BLOCK 0") == NOTHING
    [told] = groups_of(orders)
    assert [fields(member) for member in told["members"]] == [
        {"name": "c", "connections": 1, "partitions": [0, 1, 2, 3]},
        {"name": "d", "connections": 1, "partitions": []},
    ]
    assert (told["pending"], told["lag"]) == (7, 1)
    rows = [fields(row) for row in told["partitions"]]
    assert [(row["partition"], row["owner"], row["pending"], row["lag"]) for row in rows] == [
        (0, "c", 2, 0),
        (1, "c", 2, 0),
        (2, "c", 2, 0),
        (3, "c", 1, 1),
    ]
    assert [row["moves-to"] for row in rows] == ["d", "d", None, None]


def test_xtopic_info_tells_of_shared_groups_and_of_plain_streams(ask):
    ask(CREATE.format(2, "shared"))
    ask("XGROUP CREATE orders g 0")
    ask("XREADGROUP GROUP g c STREAMS orders >")
    [told] = groups_of(ask)
    assert (told["mode"], told["members"]) == ("shared", [])
    ask("DEL orders")
    ask("XGROUP CREATE orders g 0 MKSTREAM")
    ask("XADD orders * a b")
    [told] = groups_of(ask)
    assert (told["mode"], told["lag"], len(told["partitions"])) == ("shared", 1, 1)
