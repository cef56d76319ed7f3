"""Groups on a topic of several partitions: who is given what, in which order, and what moves partitions."""

from __future__ import annotations

import pytest

from tests.support.asking import NOTHING, asker
from tests.support.consumers import CREATE, Consumer, partitions, pass_time, put, values

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
def shared(ask):
    assert ask(CREATE.format(4, "shared")) == "OK"
    assert ask("XGROUP CREATE orders g 0") == "OK"
    return ask


@pytest.fixture
def consumer(node):
    return lambda name: Consumer(node, name)


# -- XGROUP ---------------------------------------------------------------------------------------------------


def test_a_group_is_in_every_partition(orders):
    assert orders("XGROUP CREATE orders g $") == "-BUSYGROUP Consumer Group name already exists"
    assert all(len(orders(f"XINFO GROUPS orders/{partition}")) == 1 for partition in range(4))
    assert orders("XGROUP DESTROY orders g") == 1
    assert orders("XGROUP DESTROY orders g") == 0
    assert not any(orders(f"XINFO GROUPS orders/{partition}") for partition in range(4))


def test_a_group_in_one_partition_only_is_none_of_the_topic(orders, consumer):
    orders("XGROUP CREATE orders/1 h 0")
    assert orders("XGROUP CREATE orders h 0") == "-BUSYGROUP Consumer Group name already exists"
    refusal = "-NOGROUP No such key 'orders' or consumer group 'h' in XREADGROUP with GROUP option"
    assert orders("XREADGROUP GROUP h c STREAMS orders >") == refusal
    assert orders("XPENDING orders h") == "-NOGROUP No such key 'orders' or consumer group 'h'"
    assert orders("XGROUP SETID orders h 0") == "-NOGROUP No such consumer group 'h' for key name 'orders'"


def test_a_group_made_at_the_end_is_given_what_comes_then(ask, consumer):
    ask(CREATE.format(4, "auto"))
    put(ask, 0, "old")
    ask("XGROUP CREATE orders g $")
    c = consumer("c")
    assert c.read() is None
    put(ask, 0, "new")
    put(ask, 3, "newer")
    assert c.got() == ["new", "newer"]


def test_a_group_made_at_an_id_is_given_what_lies_behind_it_in_every_partition(ask, consumer):
    ask(CREATE.format(2, "auto"))
    entry_ids = [entry for n in range(6) for entry in put(ask, n % 2, n)]
    ask(f"XGROUP CREATE orders g {entry_ids[2]}")
    c = consumer("c")
    assert sorted(c.got()) == ["3", "4", "5"]
    ask(f"XGROUP SETID orders g {entry_ids[0]}")
    assert sorted(c.got()) == ["1", "2", "3", "4", "5"]
    for word, left in (("$", []), ("-", list("012345")), ("+", [])):
        ask(f"XGROUP SETID orders g {word}")
        assert sorted(c.got()) == left


def test_a_new_partition_knows_the_groups_and_finds_an_owner(orders, consumer):
    c, d = consumer("c"), consumer("d")
    assert c.read() is None
    assert d.read("BLOCK 0") == NOTHING
    orders("XTOPIC ALTER orders PARTITIONS 6")
    put(orders, 4, 4)
    put(orders, 5, 5)
    assert sorted(c.got() + values(d.heard())) == ["4", "5"]
    assert sorted(map(len, partitions(orders).values())) == [3, 3]


def test_who_waits_for_a_stream_that_gets_partitions_is_told_to_ask_again(ask, consumer):
    ask("XGROUP CREATE orders g 0 MKSTREAM")
    c = consumer("c")
    assert c.read("BLOCK 0") == NOTHING
    ask("XTOPIC ALTER orders PARTITIONS 2")
    assert c.heard() is None
    assert c.read("BLOCK 0") == NOTHING
    put(ask, 1, 1)
    assert values(c.heard()) == ["1"]


def test_entries_read_is_for_one_partition(orders):
    refusal = "-ERR ENTRIESREAD counts the entries of one partition: name one, as in 'orders/0'"
    assert orders("XGROUP CREATE orders h 0 ENTRIESREAD 5") == refusal
    assert orders("XGROUP SETID orders g 0 ENTRIESREAD 5") == refusal


def test_a_consumer_is_made_once_and_deleted_with_what_it_holds(orders, consumer):
    assert orders("XGROUP CREATECONSUMER orders g c") == 1
    assert orders("XGROUP CREATECONSUMER orders g c") == 0
    put(orders, 2, 1, 2)
    put(orders, 3, 3)
    assert len(consumer("c").read()) == 3
    assert orders("XGROUP CREATECONSUMER orders g c") == 0
    assert orders("XGROUP DELCONSUMER orders g c") == 3
    assert orders("XGROUP DELCONSUMER orders g c") == 0
    assert orders("XPENDING orders g") == [0, None, None, None]


def test_deleting_a_consumer_gives_its_partitions_to_who_waits(orders, consumer):
    c, d = consumer("c"), consumer("d")
    put(orders, 0, 1)
    c.read()
    c.read("COUNT 1")
    assert d.read("BLOCK 0") == NOTHING
    for partition in range(1, 4):
        put(orders, partition, partition)
    d.heard()
    d.read("BLOCK 0")
    orders("XGROUP DELCONSUMER orders g c")
    assert partitions(orders) == {"d": [0, 1, 2, 3]}


# -- who is given what ------------------------------------------------------------------------------------------


def test_one_consumer_is_given_everything(orders, consumer):
    for partition in range(4):
        put(orders, partition, partition)
    assert sorted(consumer("c").got()) == ["0", "1", "2", "3"]


def test_partitions_are_shared_out_and_each_is_given_only_its_own(orders, consumer):
    c, d = consumer("c"), consumer("d")
    assert c.read() is d.read() is None
    owned = partitions(orders)
    assert sorted(map(len, owned.values())) == [2, 2]
    for partition in range(4):
        put(orders, partition, partition)
    assert sorted(map(int, c.got())) == owned["c"]
    assert sorted(map(int, d.got())) == owned["d"]


def test_count_is_for_all_partitions_and_they_take_turns(orders, consumer):
    c = consumer("c")
    for partition in range(4):
        put(orders, partition, *[f"{partition}{n}" for n in range(4)])
    assert [c.got("COUNT 2") for _ in range(8)] == [
        ["00", "01"], ["10", "11"], ["20", "21"], ["30", "31"],
        ["02", "03"], ["12", "13"], ["22", "23"], ["32", "33"],
    ]  # fmt: skip
    put(orders, 1, "x")
    put(orders, 2, "y", "z")
    assert c.got("COUNT 2") == ["x", "y"]
    assert c.got("COUNT 2") == ["z"]


def test_the_reply_names_the_topic_in_both_protocols(node, orders):
    [entry_id] = put(orders, 3, 1)
    assert orders("XREADGROUP GROUP g c STREAMS orders >") == [["orders", [[entry_id, ["n", "1"]]]]]
    [entry_id] = put(orders, 3, 2)
    assert asker(node, 3)("XREADGROUP GROUP g c STREAMS orders >") == {"orders": [[entry_id, ["n", "2"]]]}


def test_noack_leaves_nothing_pending(orders, consumer):
    put(orders, 0, 1)
    assert consumer("c").got("NOACK") == ["1"]
    assert orders("XPENDING orders g") == [0, None, None, None]


def test_maxcount_and_maxsize_are_for_the_whole_reply(orders, consumer):
    c = consumer("c")
    for partition in range(4):
        put(orders, partition, 1, 2, 3)
    assert len(c.read("MAXCOUNT 5")) == 5
    assert len(c.read("MAXSIZE 1")) == 1
    assert len(c.read()) == 6


def test_topics_and_streams_are_read_in_one_request(orders, consumer):
    orders("XGROUP CREATE plain g 0 MKSTREAM")
    orders("XADD plain * n p")
    put(orders, 1, 1)
    reply = orders("XREADGROUP GROUP g c STREAMS plain orders orders/2 > > >")
    assert [(key, values(entries)) for key, entries in reply] == [("plain", ["p"]), ("orders", ["1"])]
    reply = orders("XREADGROUP GROUP g c STREAMS orders plain 0 0")
    assert [(key, values(entries)) for key, entries in reply] == [("orders", ["1"]), ("plain", ["p"])]
    refusal = "-NOGROUP No such key 'nil' or consumer group 'g' in XREADGROUP with GROUP option"
    assert orders("XREADGROUP GROUP g c STREAMS orders nil > >") == refusal


def test_a_partition_is_read_by_its_name_by_whoever_wants(orders, consumer):
    put(orders, 3, 1)
    consumer("c").read("COUNT 1", key="orders/0")
    assert values(consumer("d").read(key="orders/3")) == ["1"]


def test_in_shared_mode_any_consumer_is_given_from_any_partition(shared, consumer):
    c, d = consumer("c"), consumer("d")
    for partition in range(4):
        put(shared, partition, f"{partition}a", f"{partition}b")
    assert c.got("COUNT 3") == ["0a", "0b", "1a"]
    assert d.got("COUNT 3") == ["2a", "2b", "3a"]
    assert c.got() == ["1b", "3b"]
    assert partitions(shared) == {}


def test_in_shared_mode_claim_takes_over_what_is_old(node, shared, consumer):
    c, d = consumer("c"), consumer("d")
    put(shared, 0, 1)
    put(shared, 2, 2)
    c.read()
    node.clock.advance(500)
    put(shared, 1, 3)
    told = sorted(d.read("CLAIM 500"))
    assert [entry[2:] for entry in told] == [[500, 1], [500, 1], [0, 0]]
    assert shared("XPENDING orders g")[3] == [["d", "3"]]


# -- what others left behind ----------------------------------------------------------------------------------------


def test_what_a_dead_consumer_held_comes_first_in_order_with_its_count_raised(node, orders, consumer):
    c = consumer("c")
    old = put(orders, 1, 1, 2, 3)
    c.read()
    c.leave()
    put(orders, 1, 4)
    pass_time(node, TIMEOUT_MS)
    d = consumer("d")
    assert d.got("COUNT 2") == ["1", "2"]
    assert d.got() == ["3", "4"]
    rows = orders("XPENDING orders g - + 10")
    assert [(row[0], row[1], row[3]) for row in rows[:3]] == [(each, "d", 2) for each in old]
    assert rows[3][3] == 1


def test_nothing_new_is_given_before_all_that_was_left_behind(node, orders, consumer):
    c = consumer("c")
    put(orders, 1, 1, 2, 3)
    c.read()
    c.leave()
    put(orders, 1, 4)
    pass_time(node, TIMEOUT_MS)
    assert [consumer("d").got("COUNT 1") for _ in range(5)] == [["1"], ["2"], ["3"], ["4"], []]


def test_what_was_given_up_comes_again_before_anything_new(orders, consumer):
    c = consumer("c")
    entry_ids = put(orders, 1, 1, 2, 3)
    c.read()
    assert orders(f"XNACK orders g FAIL IDS 2 {entry_ids[2]} {entry_ids[0]}") == 2
    put(orders, 1, 4)
    assert c.got() == ["1", "3", "4"]


def test_giving_up_wakes_the_owner(orders, consumer):
    c = consumer("c")
    entries = put(orders, 1, 1)
    c.read()
    assert c.read("BLOCK 0") == NOTHING
    assert orders(f"XNACK orders g FAIL IDS 1 {entries[0]}") == 1
    assert values(c.heard()) == ["1"]


def test_what_is_gone_of_what_a_dead_consumer_held_is_nobody_s_concern(node, orders, consumer):
    c = consumer("c")
    entry_ids = put(orders, 1, 1, 2, 3)
    c.read()
    c.leave()
    orders(f"XDEL orders/1 {entry_ids[1]}")
    pass_time(node, TIMEOUT_MS)
    assert consumer("d").got() == ["1", "3"]
    assert orders("XPENDING orders g")[0] == 2


def test_claim_tells_of_each_entry_how_long_and_how_often(node, orders, consumer):
    c = consumer("c")
    put(orders, 1, 1, 2)
    c.read("COUNT 1")
    node.clock.advance(700)
    assert [entry[2:] for entry in c.read("CLAIM 500")] == [[700, 1], [0, 0]]
    assert c.read("CLAIM 500") is None
    assert c.read("CLAIM 500 BLOCK 0") == NOTHING
    node.clock.advance(500)
    node.tick()
    assert [entry[2:] for entry in c.heard()] == [[500, 2], [500, 1]]


def test_claiming_waits_for_what_it_can_claim_and_not_for_what_others_hold(node, orders, consumer):
    c, d = consumer("c"), consumer("d")
    c.read()
    d.read()
    for partition in range(4):
        put(orders, partition, partition)
    c.read()
    d.ack(d.read())
    node.clock.advance(5000)
    assert d.read("CLAIM 1000 BLOCK 0") == NOTHING
    assert node.node.blocking.next_deadline() == node.clock.seconds + 1


def test_what_partitions_give_together_is_counted_and_what_was_deleted_is_not(orders, consumer):
    c = consumer("c")
    gone = [put(orders, partition, f"{partition}a", f"{partition}b", f"{partition}c")[1] for partition in range(3)]
    for partition, entry_id in enumerate(gone):
        orders(f"XDEL orders/{partition} {entry_id}")
    assert c.got("COUNT 2") == ["0a", "0c"]
    assert c.got("COUNT 3") == ["1a", "1c", "2a"]
    assert c.got("COUNT 3") == ["2c"]
    assert c.read("COUNT 3") is None
