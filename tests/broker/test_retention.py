"""Retention by age and by size, on streams that are used and on streams that nobody has opened."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.support.asking import asker, fields, ids
from tests.support.nodes import open_node

MINUTE = 60_000


@pytest.fixture
def node(tmp_path):
    return open_node(tmp_path, segment_bytes=4096)


@pytest.fixture
def ask(node):
    return asker(node)


def fill(ask, key, count=10, size=100):
    for number in range(count):
        ask(f"XADD {key} * n {number} f {'x' * size}")


def rounds(node, count=4):
    """Let housekeeping come round; each time half a minute passes."""
    for _ in range(count):
        node.clock.advance(30_000)
        for _ in range(3):  # look, trim, sync
            node.clock.advance(200)
            node.tick()


def stream_of(node, key):
    return node.node.keyspace.lookup(0, key.encode(), node.clock.ms)


def told(node):
    return [sentence for level, sentence in node.node.housekeeping.take_reports() if level == "warning"]


def test_an_active_segment_goes_once_all_of_it_is_too_old(node, ask):
    ask(f"XTOPIC CREATE s CONFIG retention.ms {10 * MINUTE}")
    fill(ask, "s")
    rounds(node)
    assert ask("XLEN s") == 10
    node.clock.advance(5 * MINUTE)
    fill(ask, "s", 1)
    node.clock.advance(6 * MINUTE)
    rounds(node)
    assert ask("XLEN s") == 11  # for the last one is young, and a segment goes as a whole
    node.clock.advance(5 * MINUTE)
    rounds(node, 6)
    assert ask("XLEN s") == 0
    assert stream_of(node, "s").log.size < 500
    last = fields(ask("XINFO STREAM s"))["last-generated-id"]
    assert ask("XADD s * a b") > last


def test_acknowledgements_do_not_keep_entries(node, ask):
    ask(f"XTOPIC CREATE s CONFIG retention.ms {10 * MINUTE}")
    fill(ask, "s")
    ask("XGROUP CREATE s g 0")
    for entry_id in ids(ask("XRANGE s - +")):
        node.clock.advance(MINUTE)
        ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
        ask(f"XACK s g {entry_id}")
    node.clock.advance(MINUTE)
    rounds(node)
    assert ask("XLEN s") == 0


def test_entries_that_are_young_keep_what_is_sealed_before_them_no_longer(node, ask):
    ask(f"XTOPIC CREATE s CONFIG retention.ms {10 * MINUTE} segment.bytes 1024")
    fill(ask, "s", 20)
    node.clock.advance(9 * MINUTE)
    fill(ask, "s", 20)
    node.clock.advance(2 * MINUTE)
    rounds(node)
    assert 20 <= ask("XLEN s") < 28


def test_a_size_holds_for_each_partition(node, ask):
    ask("XTOPIC CREATE t PARTITIONS 2 CONFIG retention.bytes 8192 segment.bytes 2048")
    for _ in range(10):
        node.pipeline(ask.client, [("XADD", "t/0", "*", "f", "x" * 100)] * 20)
    fill(ask, "t/1", 3)
    rounds(node)
    left = ask("XLEN t/0")
    assert 40 < left < 70
    assert ask("XLEN t/1") == 3
    assert 8192 <= stream_of(node, "t/0").log.size < 8192 + 2 * 2048 + 500


def test_a_change_of_settings_holds_from_the_next_round_on(node, ask):
    fill(ask, "s", 100)
    rounds(node)
    assert ask("XLEN s") == 100
    ask("XTOPIC ALTER s CONFIG retention.bytes 4096")
    rounds(node)
    assert ask("XLEN s") < 70
    ask("XTOPIC ALTER s CONFIG retention.bytes -1")
    fill(ask, "s", 100)
    rounds(node)
    assert ask("XLEN s") > 100


# -- groups that are behind --------------------------------------------------------------------------------------


def test_a_group_that_loses_what_it_has_not_read_is_told_of_and_counted(node, ask):
    ask(f"XTOPIC CREATE orders CONFIG retention.ms {10 * MINUTE}")
    fill(ask, "orders")
    ask("XGROUP CREATE orders behind 0")
    ask("XGROUP CREATE orders done 0")
    ask("XREADGROUP GROUP behind c COUNT 3 STREAMS orders >")
    ask("XREADGROUP GROUP done c NOACK STREAMS orders >")
    last = ids(ask("XRANGE orders - +"))[-1]
    node.clock.advance(10 * MINUTE)
    rounds(node)
    before = "entries of 'orders' were removed by retention before group 'behind' had"
    assert told(node) == [f"7 {before} read them, up to {last}", f"3 {before} acknowledged them, up to {last}"]
    assert fields(ask("XTOPIC INFO orders"))["unread-lost"] == 7
    assert "unread_lost:7\r\n" in ask("INFO stats")
    lags = {fields(group)["name"]: fields(group)["lag"] for group in ask("XINFO GROUPS orders")}
    assert lags == {"behind": 0, "done": 0}
    fill(ask, "orders", 2)
    assert len(ask("XREADGROUP GROUP behind c STREAMS orders >")[0][1]) == 2


def test_what_was_deleted_is_not_lost(node, ask):
    ask(f"XTOPIC CREATE orders CONFIG retention.ms {10 * MINUTE}")
    fill(ask, "orders")
    ask("XGROUP CREATE orders g 0")
    for entry_id in ids(ask("XRANGE orders - + COUNT 9"))[3:]:
        ask(f"XDEL orders {entry_id}")
    node.clock.advance(10 * MINUTE)
    rounds(node)
    assert fields(ask("XTOPIC INFO orders"))["unread-lost"] == 4


def test_lag_stays_exact_while_the_front_goes(node, ask):
    ask("XTOPIC CREATE orders CONFIG retention.bytes 4096 segment.bytes 1024")
    ask("XGROUP CREATE orders g $")
    for _ in range(6):
        fill(ask, "orders", 10)
        rounds(node, 1)
        [group] = ask("XINFO GROUPS orders")
        assert fields(group)["lag"] == ask("XLEN orders")
    assert ask("XLEN orders") + fields(ask("XTOPIC INFO orders"))["unread-lost"] == 60


def test_who_watches_the_key_is_told(node, ask):
    ask(f"XTOPIC CREATE s CONFIG retention.ms {10 * MINUTE}")
    fill(ask, "s")
    ask("CONFIG SET notify-keyspace-events Et")
    listener, watcher = asker(node), asker(node)
    listener("SUBSCRIBE __keyevent@0__:xtrim")
    watcher("WATCH s")
    node.clock.advance(10 * MINUTE)
    rounds(node)
    assert listener.heard() == ["message", "__keyevent@0__:xtrim", "s"]
    watcher("MULTI")
    assert watcher("EXEC") is None


# -- streams that nobody has opened ----------------------------------------------------------------------------


def restarted(node, tmp_path, minutes=0, **settings):
    """A node on the same directory, some time later; nothing is open in it."""
    node.tick()
    node.node.stop()
    again = open_node(tmp_path, segment_bytes=4096, **settings)
    again.clock.ms = node.clock.ms + minutes * MINUTE
    return again


def open_count(node):
    return len(node.node.keyspace.open_streams)


def test_streams_are_looked_at_from_the_start_on_though_nobody_opens_them(node, ask, tmp_path):
    ask(f"XTOPIC CREATE orders PARTITIONS 3 CONFIG retention.ms {10 * MINUTE}")
    ask(f"XTOPIC CREATE young CONFIG retention.ms {100 * MINUTE}")
    for partition in range(3):
        fill(ask, f"orders/{partition}")
    fill(ask, "young")
    fill(ask, "plain")
    ask("XGROUP CREATE orders/1 g 0")
    again = restarted(node, tmp_path, 11)
    assert open_count(again) == 0
    rounds(again, 1)
    assert open_count(again) == 3  # those with something to do stay open
    rounds(again, 4)
    sizes = [stream.log.size for stream in again.node.keyspace.opened()]
    assert all(size < 500 for size in sizes)
    assert [sentence.partition(" ")[0] for sentence in told(again)] == ["10"]
    ask = asker(again)
    assert [ask(f"XLEN {key}") for key in ("orders/0", "orders/1", "orders/2", "young", "plain")] == [0, 0, 0, 10, 10]


def test_a_closed_stream_is_left_alone_until_it_may_have_something(node, ask, tmp_path):
    ask(f"XTOPIC CREATE s CONFIG retention.ms {10 * MINUTE}")
    fill(ask, "s")
    again = restarted(node, tmp_path)
    looked = []
    opening = again.node.keyspace.open_leaf
    again.node.keyspace.open_leaf = lambda *words: looked.append(again.clock.ms) or opening(*words)
    began = again.clock.ms
    rounds(again, 30)
    assert len(looked) == 2
    assert 10 * MINUTE < looked[1] - began < 11 * MINUTE


def test_a_closed_stream_is_looked_at_again_when_its_settings_change(node, ask, tmp_path):
    for _ in range(10):
        node.pipeline(ask.client, [("XADD", "s", "*", "f", "x" * 100)] * 10)
    again = restarted(node, tmp_path, retention_ms=60 * MINUTE)
    rounds(again, 2)
    assert open_count(again) == 0
    asker(again)("CONFIG SET retention.bytes 4096")
    rounds(again, 2)
    assert open_count(again) == 1
    assert asker(again)("XLEN s") < 70


def test_many_closed_streams_take_several_turns(node, ask, tmp_path):
    for number in range(35):
        ask(f"XTOPIC CREATE s{number} CONFIG retention.ms {10 * MINUTE}")
        fill(ask, f"s{number}", 1)
    again = restarted(node, tmp_path, 11)
    opened = []
    for _ in range(6):
        again.clock.advance(100)
        again.tick()
        opened.append(open_count(again))
    assert opened == sorted(opened)
    assert max(after - before for before, after in pairwise(opened)) == 10
    assert opened[-1] == 35
    ask = asker(again)
    assert [ask(f"XLEN s{number}") for number in range(35)] == [0] * 35


def test_a_damaged_stream_is_told_of_once_and_keeps_nobody_from_the_others(node, ask, tmp_path):
    for key in ("bad", "good"):
        ask(f"XTOPIC CREATE {key} CONFIG retention.ms {10 * MINUTE}")
        fill(ask, key)
    ask("SAVE")
    number = stream_of(node, "bad").number
    node.clock.advance(11 * MINUTE)
    node.kill()
    [log] = (tmp_path / "streams" / f"{number:010d}").glob("*.log")
    log.unlink()
    again = open_node(tmp_path, segment_bytes=4096)
    again.clock.ms = node.clock.ms
    rounds(again, 4)
    errors = [sentence for level, sentence in again.node.housekeeping.take_reports() if level == "error"]
    assert len(errors) == 1
    assert asker(again)("XLEN good") == 0
