"""Dead letters: what is delivered too often goes to another topic, and is acknowledged."""

from __future__ import annotations

import pytest

from tests.support.asking import NOTHING, asker, fields, ids
from tests.support.nodes import open_node

PROVENANCE = ["dlq.topic", "dlq.partition", "dlq.id", "dlq.group", "dlq.consumer", "dlq.deliveries", "dlq.reason"]


@pytest.fixture
def ask(node):
    return asker(node)


@pytest.fixture
def orders(ask):
    """A topic with one entry that was delivered twice, which is as often as it may be, and two that were once."""
    ask("XTOPIC CREATE orders CONFIG max.deliveries 2")
    for number in (1, 2, 3):
        ask(f"XADD orders {number}-0 n {number}")
    ask("XGROUP CREATE orders g 0")
    ask("XREADGROUP GROUP g alice STREAMS orders >")
    assert ids(ask("XCLAIM orders g bob 0 1-0")) == ["1-0"]
    return ask


def pending(ask, key="orders"):
    return [(entry_id, consumer, count) for entry_id, consumer, _, count in ask(f"XPENDING {key} g - + 100")]


def letters(ask, key="orders.dlq"):
    """Of each dead letter: the ID of its entry, and why it is there."""
    found = [fields(entry[1]) for entry in ask(f"XRANGE {key} - +")]
    return [(letter["dlq.id"], letter["dlq.reason"]) for letter in found]


def test_a_letter_has_all_fields_of_its_entry_and_tells_where_it_is_from(orders):
    assert orders("XCLAIM orders g carol 0 1-0 2-0") == [["2-0", ["n", "2"]]]
    [[_, words]] = orders("XRANGE orders.dlq - +")
    assert words[:2] == ["n", "1"]
    assert words[2::2] == PROVENANCE
    assert words[3::2] == ["orders", "0", "1-0", "g", "bob", "2", "max.deliveries"]


def test_its_entry_is_acknowledged_and_stays_in_the_stream(orders):
    orders("XCLAIM orders g carol 0 1-0")
    assert pending(orders) == [("2-0", "alice", 1), ("3-0", "alice", 1)]
    assert ids(orders("XRANGE orders - +")) == ["1-0", "2-0", "3-0"]
    assert orders("XACK orders g 1-0") == 0


def test_an_id_named_twice_makes_one_letter(orders):
    assert orders("XCLAIM orders g carol 0 1-0 1-0") == []
    assert letters(orders) == [("1-0", "max.deliveries")]


def test_a_claim_that_delivers_nothing_makes_none(orders):
    assert orders("XCLAIM orders g carol 0 1-0 JUSTID") == ["1-0"]
    assert orders("XCLAIM orders g carol 60000 1-0") == []
    assert orders("XAUTOCLAIM orders g carol 60000 0") == ["0-0", [], []]
    assert orders("XAUTOCLAIM orders g carol 0 0 COUNT 1 JUSTID") == ["2-0", ["1-0"], []]
    assert orders("EXISTS orders.dlq") == 0


def test_a_claim_that_sets_the_count_is_judged_by_what_it_sets(orders):
    assert ids(orders("XCLAIM orders g carol 0 1-0 RETRYCOUNT 2")) == ["1-0"]
    assert orders("XCLAIM orders g carol 0 1-0 RETRYCOUNT 3") == []
    assert letters(orders) == [("1-0", "max.deliveries")]


def test_an_entry_that_was_not_pending_is_delivered_whatever_its_count(ask):
    ask("XTOPIC CREATE orders CONFIG max.deliveries 1")
    ask("XADD orders 1-0 n 1")
    ask("XGROUP CREATE orders g 0")
    assert ids(ask("XCLAIM orders g c 0 1-0 FORCE")) == ["1-0"]
    assert ask("XCLAIM orders g c 0 1-0 FORCE") == []
    assert ask("XLEN orders.dlq") == 1


def test_xautoclaim_does_not_report_it_as_deleted_and_counts_what_it_delivers(orders):
    assert orders("XAUTOCLAIM orders g carol 0 0 COUNT 1") == ["3-0", [["2-0", ["n", "2"]]], []]
    assert letters(orders) == [("1-0", "max.deliveries")]


def test_a_history_read_delivers_once_more(orders):
    assert ids(orders("XREADGROUP GROUP g alice STREAMS orders 0")[0][1]) == ["2-0", "3-0"]
    assert ids(orders("XREADGROUP GROUP g alice COUNT 1 STREAMS orders 0")[0][1]) == []
    assert letters(orders) == [("2-0", "max.deliveries"), ("3-0", "max.deliveries")]
    assert ids(orders("XREADGROUP GROUP g bob COUNT 1 STREAMS orders 0")[0][1]) == []
    assert pending(orders) == []


def test_history_goes_on_behind_it_to_what_can_be_delivered(orders):
    orders("XCLAIM orders g bob 0 3-0 JUSTID")
    assert ids(orders("XREADGROUP GROUP g bob COUNT 1 STREAMS orders 0")[0][1]) == ["3-0"]
    assert letters(orders) == [("1-0", "max.deliveries")]


def test_a_claim_on_the_way_to_new_entries_passes_over_it(node, orders):
    orders("XADD orders 4-0 n 4")
    node.clock.advance(100)
    [[_, entries]] = orders("XREADGROUP GROUP g carol COUNT 3 CLAIM 50 STREAMS orders >")
    assert ids(entries) == ["2-0", "3-0", "4-0"]
    assert letters(orders) == [("1-0", "max.deliveries")]


def test_a_reader_that_waits_with_a_claim_goes_on_waiting(node, ask):
    ask("XTOPIC CREATE orders CONFIG max.deliveries 1")
    ask("XADD orders 1-0 n 1")
    ask("XGROUP CREATE orders g 0")
    ask("XREADGROUP GROUP g alice STREAMS orders >")
    waiting, follower = asker(node), asker(node)
    assert follower("XREAD BLOCK 0 STREAMS orders.dlq $") == NOTHING
    assert waiting("XREADGROUP GROUP g bob BLOCK 0 CLAIM 50 STREAMS orders >") == NOTHING
    node.clock.advance(100)
    node.tick()
    assert waiting.heard() == NOTHING
    assert len(follower.heard()[0][1]) == 1
    assert pending(ask) == []


def test_who_waits_for_the_letters_is_woken(node, orders):
    orders("XADD letters 1-0 a b")
    orders("XTOPIC ALTER orders CONFIG dead.letter.topic letters")
    reader = asker(node)
    assert reader("XREAD BLOCK 0 STREAMS letters $") == NOTHING
    listener = asker(node)
    orders("CONFIG SET notify-keyspace-events Et")
    listener("SUBSCRIBE __keyevent@0__:xadd")
    orders("XCLAIM orders g carol 0 1-0")
    assert fields(reader.heard()[0][1][0][1])["dlq.id"] == "1-0"
    assert listener.heard() == ["message", "__keyevent@0__:xadd", "letters"]


def test_entries_that_are_gone_are_acknowledged_and_make_no_letter(orders):
    orders("XDEL orders 1-0")
    assert ids(orders("XREADGROUP GROUP g bob STREAMS orders 0")[0][1]) == []
    assert orders("EXISTS orders.dlq") in (0, 1)
    assert orders("XLEN orders.dlq") == 0
    assert pending(orders) == [("2-0", "alice", 1), ("3-0", "alice", 1)]


def test_without_the_setting_entries_are_delivered_as_often_as_asked_for(orders):
    orders("XTOPIC ALTER orders CONFIG max.deliveries 0")
    for count in range(3, 8):
        assert ids(orders("XCLAIM orders g bob 0 1-0")) == ["1-0"]
        assert pending(orders)[0] == ("1-0", "bob", count)
    assert orders("EXISTS orders.dlq") == 0


# -- XNACK ---------------------------------------------------------------------------------------------------


def test_what_is_fatal_goes_at_once(orders):
    assert orders("XNACK orders g FATAL IDS 2 2-0 9-9") == 1
    assert letters(orders) == [("2-0", "fatal")]
    assert pending(orders) == [("1-0", "bob", 2), ("3-0", "alice", 1)]
    [[_, words]] = orders("XRANGE orders.dlq - +")
    assert (fields(words)["dlq.consumer"], fields(words)["dlq.deliveries"]) == ("alice", "1")


def test_a_dead_letter_topic_alone_is_enough_for_what_is_fatal(orders):
    orders("XTOPIC ALTER orders CONFIG max.deliveries 0 dead.letter.topic bin")
    assert orders("XNACK orders g FATAL IDS 1 2-0") == 1
    assert letters(orders, "bin") == [("2-0", "fatal")]


def test_without_both_it_stays_pending_as_in_redis(orders):
    orders("XTOPIC ALTER orders CONFIG max.deliveries 0")
    assert orders("XNACK orders g FATAL IDS 1 2-0") == 1
    assert pending(orders)[1] == ("2-0", "", (1 << 63) - 1)
    orders("XTOPIC ALTER orders CONFIG max.deliveries 5")
    assert orders("XCLAIM orders g carol 0 2-0") == []
    assert letters(orders) == [("2-0", "fatal")]


@pytest.mark.parametrize(("mode", "count"), [("SILENT", 0), ("FAIL", 1)])
def test_other_ways_to_give_up_leave_it_pending(orders, mode, count):
    assert orders(f"XNACK orders g {mode} IDS 1 2-0") == 1
    assert pending(orders)[1] == ("2-0", "", count)
    assert orders("EXISTS orders.dlq") == 0


def test_forced_it_need_not_have_been_pending(orders):
    orders("XACK orders g 3-0")
    assert orders("XNACK orders g FATAL IDS 1 3-0") == 0
    assert orders("XNACK orders g FATAL IDS 1 3-0 FORCE") == 1
    assert letters(orders) == [("3-0", "fatal")]
    assert pending(orders) == [("1-0", "bob", 2), ("2-0", "alice", 1)]


# -- topics of several partitions -----------------------------------------------------------------------------


@pytest.fixture
def parts(ask):
    """Two partitions with an entry of each key, delivered to alice as often as may be."""
    ask("XTOPIC CREATE orders PARTITIONS 2 CONFIG key.field k max.deliveries 1 group.mode shared")
    ask("XGROUP CREATE orders g 0")
    for number in range(6):
        ask(f"XADD orders * k {number} n {number}")
    ask("XREADGROUP GROUP g alice STREAMS orders >")
    return ask


def all_numbers(ask):
    return sorted(fields(entry[1])["n"] for entry in ask("XRANGE orders.dlq - +"))


def test_a_topic_reads_history_once_and_no_more(parts):
    assert parts("XREADGROUP GROUP g alice STREAMS orders 0")[0][1] == []
    assert all_numbers(parts) == list("012345")
    assert pending(parts) == []


def test_xautoclaim_and_xclaim_on_a_topic_pass_over_it(parts):
    [first, *_] = ids(parts("XPENDING orders g - + 10"))
    assert parts(f"XCLAIM orders g bob 0 {first}") == []
    assert parts("XAUTOCLAIM orders g bob 0 0 JUSTID")[0] == "0-0"
    assert len(pending(parts)) == 5
    assert parts("XAUTOCLAIM orders g bob 0 0") == ["0-0", [], []]
    assert all_numbers(parts) == list("012345")


def test_a_claim_on_the_way_passes_over_it_in_every_partition(node, parts):
    node.clock.advance(100)
    parts("XADD orders * k 7 n 7")
    [[_, entries]] = parts("XREADGROUP GROUP g bob CLAIM 50 STREAMS orders >")
    assert [fields(entry[1])["n"] for entry in entries] == ["7"]
    assert all_numbers(parts) == list("012345")


def test_what_is_fatal_on_a_topic_goes_at_once(parts):
    [first, second, *_] = ids(parts("XPENDING orders g - + 10"))
    assert parts(f"XNACK orders g FATAL IDS 3 {first} {second} 9-9") == 2
    assert [reason for _, reason in letters(parts)] == ["fatal", "fatal"]
    assert len(pending(parts)) == 4


def test_a_new_owner_is_not_given_what_the_dead_one_was_given_too_often(node, ask):
    ask("XTOPIC CREATE orders PARTITIONS 2 CONFIG key.field k max.deliveries 1 group.session.timeout.ms 1000")
    ask("XGROUP CREATE orders g 0")
    alice, bob = asker(node), asker(node)
    for number in range(6):
        ask(f"XADD orders * k {number} n {number}")
    alice("XREADGROUP GROUP g alice STREAMS orders >")
    node.node.disconnect(alice.client)
    assert bob("XREADGROUP GROUP g bob BLOCK 0 STREAMS orders >") == NOTHING
    node.clock.advance(2000)
    node.tick()
    assert bob.heard() == NOTHING
    assert all_numbers(ask) == list("012345")
    assert {fields(words)["dlq.consumer"] for _, words in ask("XRANGE orders.dlq - +")} == {"alice"}
    assert pending(ask) == []
    ask("XADD orders * k 7 n 7")
    assert [fields(entry[1])["n"] for entry in bob.heard()[0][1]] == ["7"]


# -- where they go ---------------------------------------------------------------------------------------------


def test_the_topic_of_letters_is_one_that_xtopic_lists(orders):
    orders("XCLAIM orders g carol 0 1-0")
    assert [fields(topic)["name"] for topic in orders("XTOPIC LIST")] == ["orders", "orders.dlq"]


def test_letters_of_several_partitions_tell_which_and_keep_their_keys_together(ask):
    ask("XTOPIC CREATE orders PARTITIONS 4 CONFIG key.field k max.deliveries 1")
    ask("XTOPIC CREATE orders.dlq PARTITIONS 3 CONFIG key.field k")
    for number in range(12):
        ask(f"XADD orders * k {number % 3} n {number}")
    for partition in range(4):
        ask(f"XGROUP CREATE orders/{partition} g 0")
        ask(f"XREADGROUP GROUP g c STREAMS orders/{partition} >")
        ask(f"XAUTOCLAIM orders/{partition} g d 0 0")
    homes: dict[str, set[int]] = {}
    count = 0
    for partition in range(3):
        for _, words in ask(f"XRANGE orders.dlq/{partition} - +"):
            letter = fields(words)
            homes.setdefault(letter["k"], set()).add(partition)
            assert letter["dlq.topic"] == "orders"
            assert int(letter["dlq.id"].partition("-")[2]) % 4096 == int(letter["dlq.partition"])
            count += 1
    assert count == 12
    assert all(len(partitions) == 1 for partitions in homes.values())
    assert fields(ask("XTOPIC INFO orders"))["dead-letters"] == 12


def test_a_partition_can_be_the_topic_of_letters(orders):
    orders("XTOPIC CREATE bin PARTITIONS 2")
    orders("XTOPIC ALTER orders CONFIG dead.letter.topic bin/1")
    orders("XCLAIM orders g carol 0 1-0")
    assert letters(orders, "bin/1") == [("1-0", "max.deliveries")]


@pytest.mark.parametrize("name", ["bin/7", "orders", "back"])
def test_where_no_letter_can_go_the_entry_is_delivered_on_and_the_operator_is_told(node, orders, name):
    orders("XTOPIC CREATE bin PARTITIONS 2")
    orders("XTOPIC CREATE back CONFIG max.deliveries 1 dead.letter.topic orders")
    orders("RENAME orders other")
    orders(f"XTOPIC ALTER other CONFIG dead.letter.topic {name}")
    orders("RENAME other orders")
    assert ids(orders("XCLAIM orders g carol 0 1-0")) == ["1-0"]
    assert pending(orders)[0] == ("1-0", "carol", 3)
    node.clock.advance(1000)
    node.tick()
    told = [sentence for _, sentence in node.node.housekeeping.take_reports()]
    assert any(f"for '{name}' cannot take any" in sentence for sentence in told)


def test_a_topic_is_not_its_own_topic_of_letters(ask):
    refusal = "-ERR topic setting 'dead.letter.topic': a topic cannot be its own"
    assert ask("XTOPIC CREATE t CONFIG dead.letter.topic t") == refusal
    ask("XADD t 1-0 a b")
    assert ask("XTOPIC ALTER t CONFIG dead.letter.topic t/1") == refusal


def test_letters_of_letters_go_on_to_the_next_topic(ask):
    ask("XTOPIC CREATE orders CONFIG max.deliveries 1")
    ask("XTOPIC CREATE orders.dlq CONFIG max.deliveries 1")
    ask("XADD orders 1-0 a b")
    for key in ("orders", "orders.dlq"):
        ask(f"XGROUP CREATE {key} g 0")
        ask(f"XREADGROUP GROUP g c STREAMS {key} >")
        ask(f"XAUTOCLAIM {key} g d 0 0")
    [[_, words]] = ask("XRANGE orders.dlq.dlq - +")
    assert words[:2] == ["a", "b"]
    assert words[2::2] == PROVENANCE * 2
    assert [words[3], words[17]] == ["orders", "orders.dlq"]


# -- in one piece ----------------------------------------------------------------------------------------------


def test_letters_and_acknowledgements_survive_a_restart(tmp_path):
    node = open_node(tmp_path)
    ask = asker(node)
    ask("XTOPIC CREATE orders CONFIG max.deliveries 1")
    for number in (1, 2):
        ask(f"XADD orders {number}-0 n {number}")
    ask("XGROUP CREATE orders g 0")
    ask("XREADGROUP GROUP g c STREAMS orders >")
    ask("XCLAIM orders g d 0 1-0")
    node.kill()
    again = asker(open_node(tmp_path))
    assert pending(again) == [("2-0", "c", 1)]
    assert letters(again) == [("1-0", "max.deliveries")]


def test_they_are_counted_and_told_in_sums(node, orders):
    orders("XCLAIM orders g carol 0 2-0 3-0")
    orders("XAUTOCLAIM orders g carol 0 0")
    assert fields(orders("XTOPIC INFO orders"))["dead-letters"] == 3
    assert "dead_letters:3\r\n" in orders("INFO stats")
    node.clock.advance(1000)
    node.tick()
    told = "3 entries of 'orders' went to 'orders.dlq' as dead letters of group 'g'"
    assert ("warning", told) in node.node.housekeeping.take_reports()
