"""Reading a topic of several partitions as one stream, and waiting for it."""

from __future__ import annotations

import pytest

from tests.support.asking import NOTHING, asker, ids


@pytest.fixture
def ask(node):
    ask = asker(node)
    assert ask("XTOPIC CREATE orders PARTITIONS 4 CONFIG key.field k") == "OK"
    return ask


def add(ask, count, key="orders"):
    return [ask(f"XADD {key} * k {number}") for number in range(count)]


def read(reply):
    """Keys and their IDs of an XREAD reply."""
    return {key: ids(entries) for key, entries in reply or []}


# -- what is there ---------------------------------------------------------------------------------------------


def test_ranges_of_a_topic_are_in_the_order_of_appending(ask):
    added = add(ask, 20)
    assert len({int(each.split("-")[1]) % 4096 for each in added}) == 4, "in all partitions"
    assert ask("XLEN orders") == 20
    assert ids(ask("XRANGE orders - +")) == added
    assert ids(ask("XREVRANGE orders + -")) == added[::-1]
    assert ids(ask(f"XRANGE orders ({added[4]} {added[9]} COUNT 3")) == added[5:8]
    assert ids(ask("XREVRANGE orders + - COUNT 3")) == added[:-4:-1]


def test_what_xrange_refuses_of_a_stream_it_refuses_of_a_topic(ask):
    ask("XADD s * a b")
    for line in (
        "XRANGE KEY x +", "XRANGE KEY - + COUNT", "XRANGE KEY - + COUNT x", "XRANGE KEY - + LIMIT 1",
        "XRANGE KEY (18446744073709551615-18446744073709551615 +", "XREVRANGE KEY + - COUNT 0", "XLEN KEY x",
        "XRANGE KEY - + COUNT -1",
        "XREAD STREAMS KEY", "XREAD STREAMS KEY >", "XREAD COUNT x STREAMS KEY 0", "XREAD STREAMS KEY x",
    ):  # fmt: skip
        assert ask(line.replace("KEY", "orders")) == ask(line.replace("KEY", "s")), line


def test_entries_that_wait_for_the_end_of_the_tick_are_read_too(node, ask):
    client = ask.client
    requests = [["XADD", "orders", "*", "k", n] for n in range(8)] + [["XRANGE", "orders", "-", "+", "COUNT", 8]]
    *added, entries = ask.value(b"*9\r\n" + node.pipeline(client, requests))
    assert ids(entries) == added


@pytest.mark.parametrize("protocol", [2, 3])
def test_xread_names_the_topic_in_its_reply(node, ask, protocol):
    added = add(ask, 3)
    other = asker(node, protocol)
    usual = other.wire("XREAD COUNT 10 STREAMS orders 0")
    assert usual == other.wire("XREAD STREAMS orders 0")
    expected = {"orders": ask("XRANGE orders - +")} if protocol == 3 else [["orders", ask("XRANGE orders - +")]]
    assert other.value(usual) == expected
    assert ids(ask("XRANGE orders - +")) == added


def test_xread_takes_topics_partitions_and_streams_at_once(ask):
    add(ask, 12)
    in_stream = [ask(f"XADD s {n}-1 a b") for n in (1, 2)]
    everything = ids(ask("XRANGE orders - +"))
    partition = ids(ask("XRANGE orders/1 - +"))
    reply = ask("XREAD COUNT 5 STREAMS s orders none orders/1 0 0 0 0")
    assert read(reply) == {"s": in_stream, "orders": everything[:5], "orders/1": partition[:5]}
    assert [key for key, _ in reply] == ["s", "orders", "orders/1"]
    assert read(ask(f"XREAD STREAMS s orders $ {everything[8]}")) == {"orders": everything[9:]}
    assert read(ask("XREAD COUNT 9 STREAMS s orders + +")) == {"s": in_stream[-1:], "orders": everything[-1:]}
    assert ask("XREAD STREAMS orders $") is None


def test_limits_of_a_reply_hold_over_topics_and_streams(ask):
    add(ask, 12)
    everything = ids(ask("XRANGE orders - +"))
    ask("XADD s 1-1 a b")
    assert read(ask("XREAD MAXCOUNT 4 STREAMS s orders 0 0")) == {"s": ["1-1"], "orders": everything[:3]}
    assert read(ask("XREAD MAXCOUNT 4 STREAMS orders s 0 0")) == {"orders": everything[:4]}
    size = len(ask.wire("XRANGE orders - + COUNT 3")) - len(b"*3\r\n")
    assert read(ask(f"XREAD MAXSIZE {size} STREAMS orders s 0 0")) == {"orders": everything[:3]}
    assert read(ask("XREAD MAXSIZE 1 STREAMS orders s 0 0")) == {"orders": everything[:1]}


def test_after_deleting_the_last_entry_plus_means_the_one_before(ask):
    added = add(ask, 6)
    assert ask(f"XDEL orders {added[-1]}") == 1
    assert read(ask("XREAD STREAMS orders +")) == {"orders": [added[-2]]}
    assert ask("XREAD STREAMS orders $") is None


def test_reading_a_topic_counts_as_a_hit(node, ask):
    before = node.node.statistics.keyspace_hits
    for line in ("XLEN orders", "XRANGE orders - +", "XREVRANGE orders + -", "XREAD STREAMS orders 0"):
        ask(line)
    assert node.node.statistics.keyspace_hits == before + 4


# -- waiting ---------------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(node):
    return asker(node)


def test_a_blocked_reader_is_woken_by_any_partition(node, ask, waiting):
    for partition in (2, 0, 3, 1):
        assert waiting("XREAD BLOCK 0 STREAMS orders $") == NOTHING
        entry_id = ask(f"XADD orders/{partition} * a b")
        assert read(waiting.heard()) == {"orders": [entry_id]}


def test_a_blocked_reader_is_woken_by_entries_added_to_the_topic(node, ask, waiting):
    assert waiting("XREAD BLOCK 0 COUNT 2 STREAMS orders $") == NOTHING
    requests = [["XADD", "orders", "*", "k", n] for n in range(3)]
    added = ask.value(b"*3\r\n" + node.pipeline(ask.client, requests))
    assert read(waiting.heard()) == {"orders": added[:2]}


def test_a_reader_of_a_partition_is_not_woken_by_another(ask, waiting):
    assert waiting("XREAD BLOCK 0 STREAMS orders/1 $") == NOTHING
    ask("XADD orders/2 * a b")
    assert waiting.heard() == NOTHING
    entry_id = ask("XADD orders/1 * a b")
    assert read(waiting.heard()) == {"orders/1": [entry_id]}


def test_a_reader_waits_for_topics_and_streams_at_once(ask, waiting):
    assert waiting("XREAD BLOCK 0 STREAMS s orders $ $") == NOTHING
    entry_id = ask("XADD orders * k v")
    assert read(waiting.heard()) == {"orders": [entry_id]}
    assert waiting("XREAD BLOCK 0 STREAMS orders s $ $") == NOTHING
    ask("XADD s 1-1 a b")
    assert read(waiting.heard()) == {"s": ["1-1"]}


def test_a_reader_whose_time_is_over_is_told_so(node, ask, waiting):
    assert waiting("XREAD BLOCK 100 STREAMS orders $") == NOTHING
    node.clock.advance(101)
    node.tick()
    assert waiting.heard() is None


def test_a_reader_waits_on_when_its_topic_goes_and_reads_the_one_that_comes(ask, waiting):
    add(ask, 5)
    assert waiting("XREAD BLOCK 0 STREAMS orders $") == NOTHING
    assert ask("DEL orders") == 1
    assert waiting.heard() == NOTHING
    assert ask("XTOPIC CREATE orders PARTITIONS 2") == "OK"
    assert waiting.heard() == NOTHING
    entry_id = ask("XADD orders/1 9999999999999-* a b")
    assert read(waiting.heard()) == {"orders": [entry_id]}


def test_a_reader_of_a_name_without_key_reads_the_topic_that_gets_it(ask, waiting):
    added = add(ask, 5)
    assert waiting("XREAD BLOCK 0 STREAMS renamed 0") == NOTHING
    assert ask("RENAME orders renamed") == "OK"
    assert read(waiting.heard()) == {"renamed": added}
    assert waiting("XREAD BLOCK 0 STREAMS renamed $") == NOTHING
    entry_id = ask("XADD renamed * k v")
    assert read(waiting.heard()) == {"renamed": [entry_id]}


def test_a_reader_of_a_topic_reads_the_stream_that_is_renamed_onto_it(ask, waiting):
    assert waiting("XREAD BLOCK 0 STREAMS orders 0") == NOTHING
    ask("XADD s 1-1 a b")
    assert ask("RENAME s orders") == "OK"
    assert read(waiting.heard()) == {"orders": ["1-1"]}


def test_a_reader_of_a_stream_goes_on_when_it_gets_partitions(ask, waiting):
    ask("XADD s * a b")
    assert waiting("XREAD BLOCK 0 STREAMS s $") == NOTHING
    assert ask("XTOPIC ALTER s PARTITIONS 3") == "OK"
    assert waiting.heard() == NOTHING
    entry_id = ask("XADD s/2 * a b")
    assert read(waiting.heard()) == {"s": [entry_id]}


def test_inside_exec_a_reader_of_a_topic_does_not_wait(ask):
    ask("MULTI")
    ask("XADD orders 5-* k v")
    ask("XREAD BLOCK 0 STREAMS orders 0")
    ask("XREAD BLOCK 0 STREAMS orders $")
    ask("XRANGE orders - +")
    added, first, second, entries = ask("EXEC")
    assert read(first) == {"orders": [added]}
    assert second is None
    assert ids(entries) == [added]


def test_a_reader_that_follows_misses_nothing_whatever_the_partition(node, ask, waiting):
    """By one reader that blocks, while entries come one, two and seven in a tick."""
    seen, added, after = [], [], "0"
    for round_ in range(30):
        reply = waiting(f"XREAD BLOCK 0 COUNT 2 STREAMS orders {after}")
        if reply == NOTHING:
            requests = [["XADD", f"orders/{(n * 7 + round_) % 4}", "*", "a", n] for n in range((1, 2, 7)[round_ % 3])]
            added += ask.value(b"*%d\r\n" % len(requests) + node.pipeline(ask.client, requests))
            reply = waiting.heard()
        seen += read(reply)["orders"]
        after = seen[-1]
        node.clock.advance(round_ % 2)
    seen += ids(ask(f"XRANGE orders ({after} +"))
    assert seen == added


def test_a_topic_among_neighbouring_reads_of_streams_is_answered_in_its_place(node, ask):
    added = add(ask, 6)
    ask("XADD s 1-1 a b")
    for head, tail in ((["XRANGE"], ["-", "+"]), (["XRANGE"], ["0", "+", "COUNT", 3])):
        requests = [[*head, key, *tail] for key in ("s", "orders", "s", "orders/9", "s", "none", "orders")]
        replies = ask.value(b"*7\r\n" + node.pipeline(ask.client, requests))
        assert [ids(replies[n]) for n in (0, 2, 4, 5)] == [["1-1"], ["1-1"], ["1-1"], []]
        assert ids(replies[1]) == ids(replies[6]) == added[: 3 if "COUNT" in tail else None]
        assert replies[3].startswith("-ERR 'orders' has 4 partitions, 0 to 3")
    requests = [["XREAD", "COUNT", 3, "STREAMS", key, 0] for key in ("s", "orders", "s", "orders/9", "orders")]
    replies = ask.value(b"*5\r\n" + node.pipeline(ask.client, requests))
    assert [read(replies[n]) for n in (0, 1, 2, 4)] == [
        {"s": ["1-1"]},
        {"orders": added[:3]},
        {"s": ["1-1"]},
        {"orders": added[:3]},
    ]
