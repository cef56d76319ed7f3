"""XINFO of a topic of several partitions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.asking import asker, fields, ids
from tests.support.nodes import open_node


@pytest.fixture
def node(tmp_path):
    return open_node(tmp_path, stream_node_max_entries=10)


@pytest.fixture
def ask(node):
    """A topic, and beside it a stream with the same entries."""
    ask = asker(node)
    assert ask("XTOPIC CREATE orders PARTITIONS 3 CONFIG group.mode shared") == "OK"
    for number in range(40):
        ask(f"XADD orders/{(0, 2, 0, 1)[number % 4]} * n {number}")
        ask(f"XADD plain * n {number}")
        node.clock.advance(1)
    return ask


def info(ask: Any, line: str) -> dict[str, Any]:
    return fields(ask(line))


def numbers(entries: list[Any]) -> list[int]:
    return [int(entry[1][1]) for entry in entries]


def without_ids(told: dict[str, Any]) -> dict[str, Any]:
    """What a topic and a stream with the same entries must tell alike."""
    left = {name: value for name, value in told.items() if not name.startswith("radix") and not name.endswith("-id")}
    for name in ("first-entry", "last-entry"):
        if name in left:
            left[name] = left[name] and left[name][1]
    return left


def both(ask: Any, line: str) -> list[Any]:
    return [ask(line.replace("KEY", key)) for key in ("orders", "plain")]


# -- XINFO STREAM ------------------------------------------------------------------------------------------


def test_xinfo_stream_tells_of_all_partitions_and_their_number_last(ask):
    topic, plain = (info(ask, f"XINFO STREAM {key}") for key in ("orders", "plain"))
    assert list(topic) == [*plain, "partitions"]
    assert topic.pop("partitions") == 3
    assert without_ids(topic) == without_ids(plain)
    everything = ids(ask("XRANGE orders - +"))
    assert topic["recorded-first-entry-id"] == everything[0]
    assert topic["last-generated-id"] == everything[-1]


def test_xinfo_stream_of_a_topic_that_lost_entries(ask):
    for key in ("orders", "plain"):
        everything = ids(ask(f"XRANGE {key} - +"))
        ask(f"XDEL {key} {everything[0]} {everything[20]} {everything[39]}")
        ask(f"XTRIM {key} MAXLEN 30")
    topic, plain = (info(ask, f"XINFO STREAM {key}") for key in ("orders", "plain"))
    del topic["partitions"]
    assert without_ids(topic) == without_ids(plain)
    everything = ids(ask("XRANGE orders - +"))
    assert topic["recorded-first-entry-id"] == everything[0]
    assert topic["max-deleted-entry-id"] > everything[-1]


def test_an_empty_topic_has_no_first_entry(ask):
    ask("XTRIM orders MAXLEN 0")
    told = info(ask, "XINFO STREAM orders")
    assert (told["length"], told["first-entry"], told["last-entry"]) == (0, None, None)
    assert told["recorded-first-entry-id"] == "0-0"
    assert told["entries-added"] == 40
    assert info(ask, "XINFO STREAM orders FULL")["entries"] == []


@pytest.mark.parametrize("tail", ["", " COUNT 3", " COUNT 0", " COUNT 100", " COUNT -1"])
def test_xinfo_stream_full_lists_entries_and_what_is_pending_in_the_order_of_ids(node, ask, tail):
    for key in ("orders", "plain"):
        ask(f"XGROUP CREATE {key} g 0")
        everything = ids(ask(f"XRANGE {key} - +"))
        for number, consumer in ((0, "bert"), (3, "anna"), (5, "bert"), (13, "anna")):
            ask(f"XCLAIM {key} g {consumer} 0 {everything[number]} FORCE")
        node.clock.advance(1)
    topic, plain = (info(ask, f"XINFO STREAM {key} FULL{tail}") for key in ("orders", "plain"))
    assert list(topic) == [*plain, "partitions"]
    assert numbers(topic["entries"]) == numbers(plain["entries"])
    of_topic, of_plain = fields(topic["groups"][0]), fields(plain["groups"][0])
    assert list(of_topic) == list(of_plain)
    for name in ("name", "lag", "pel-count", "nacked-count"):
        assert of_topic[name] == of_plain[name], name
    place = {entry_id: n for key in ("orders", "plain") for n, entry_id in enumerate(ids(ask(f"XRANGE {key} - +")))}
    assert [place[each[0]] for each in of_topic["pending"]] == [place[each[0]] for each in of_plain["pending"]]
    assert [each[1] for each in of_topic["pending"]] == [each[1] for each in of_plain["pending"]]
    consumers = [[fields(each) for each in group["consumers"]] for group in (of_topic, of_plain)]
    for one, other in zip(*consumers, strict=True):
        assert list(one) == list(other)
        assert (one["name"], one["pel-count"]) == (other["name"], other["pel-count"])
        assert [place[each[0]] for each in one["pending"]] == [place[each[0]] for each in other["pending"]]
    assert len(consumers[0]) == 2


def test_what_xinfo_refuses_of_a_stream_it_refuses_of_a_topic(ask):
    for line in (
        "XINFO STREAM KEY FUL", "XINFO STREAM KEY FULL COUNT", "XINFO STREAM KEY FULL COUNT x", "XINFO STREAM KEY x y",
        "XINFO GROUPS KEY x",
    ):  # fmt: skip
        one, other = both(ask, line)
        assert one == other, line
    assert ask("XINFO CONSUMERS orders g") == "-NOGROUP No such consumer group 'g' for key name 'orders'"


@pytest.mark.parametrize("protocol", [2, 3])
def test_xinfo_answers_maps_in_resp3(node, ask, protocol):
    other = asker(node, protocol)
    ask("XGROUP CREATE orders g 0")
    ask("XGROUP CREATECONSUMER orders g c")
    assert isinstance(other("XINFO STREAM orders"), dict if protocol == 3 else list)
    assert isinstance(other("XINFO GROUPS orders")[0], dict if protocol == 3 else list)
    assert isinstance(other("XINFO CONSUMERS orders g")[0], dict if protocol == 3 else list)


# -- XINFO GROUPS and CONSUMERS ----------------------------------------------------------------------------


def group_of(ask: Any, key: str) -> dict[str, Any]:
    return fields(ask(f"XINFO GROUPS {key}")[0])


def test_xinfo_groups_counts_over_all_partitions(ask):
    for key in ("orders", "plain"):
        ask(f"XGROUP CREATE {key} g 0")
    topic, plain = group_of(ask, "orders"), group_of(ask, "plain")
    assert topic == plain
    assert topic == {
        "name": "g", "consumers": 0, "pending": 0, "last-delivered-id": "0-0", "entries-read": None, "lag": 40
    }  # fmt: skip
    for consumer, count in (("a", 4), ("b", 7), ("a", 1)):
        for key in ("orders", "plain"):
            ask(f"XREADGROUP GROUP g {consumer} COUNT {count} STREAMS {key} >")
    topic, plain = group_of(ask, "orders"), group_of(ask, "plain")
    assert list(topic) == list(plain)
    for name in ("consumers", "pending", "entries-read", "lag"):
        assert topic[name] == plain[name], name
    delivered = [each[0] for each in ask("XPENDING orders g - + 100")]
    assert topic["last-delivered-id"] == max(delivered, key=lambda each: tuple(map(int, each.split("-"))))


def test_lag_is_exact_after_deleting_and_trimming(ask):
    for key in ("orders", "plain"):
        ask(f"XGROUP CREATE {key} g $")
        assert group_of(ask, key)["lag"] == 0
        ask(f"XGROUP SETID {key} g 0")
        everything = ids(ask(f"XRANGE {key} - +"))
        ask(f"XDEL {key} {everything[9]} {everything[30]}")
        ask(f"XTRIM {key} MAXLEN 25")
    assert group_of(ask, "orders")["lag"] == group_of(ask, "plain")["lag"] == 25


def test_a_group_of_one_partition_is_none_of_the_topic(ask):
    ask("XGROUP CREATE orders/1 own 0")
    assert ask("XINFO GROUPS orders") == []
    assert info(ask, "XINFO STREAM orders")["groups"] == 0
    assert group_of(ask, "orders/1")["name"] == "own"


def test_xinfo_consumers_sums_what_is_pending(node, ask):
    for key in ("orders", "plain"):
        ask(f"XGROUP CREATE {key} g 0")
        ask(f"XREADGROUP GROUP g b COUNT 20 STREAMS {key} >")
    node.clock.advance(5)
    for key in ("orders", "plain"):
        ask(f"XREADGROUP GROUP g a COUNT 15 STREAMS {key} >")
        ask(f"XREADGROUP GROUP g idle STREAMS {key} 0")
    node.clock.advance(2)
    topic, plain = both(ask, "XINFO CONSUMERS KEY g")
    assert topic == plain
    assert [fields(each)["name"] for each in topic] == ["a", "b", "idle"]
    assert [fields(each)["pending"] for each in topic] == [15, 20, 0]
    assert [fields(each)["inactive"] for each in topic] == [2, 7, -1]


def test_in_an_ordered_group_xinfo_consumers_tells_who_owns_what(node, ask):
    assert ask("XTOPIC ALTER orders CONFIG group.mode ordered") == "OK"
    ask("XGROUP CREATE orders g 0")
    others = [asker(node) for _ in range(2)]
    for name, other in zip("ab", others, strict=True):
        other(f"XREADGROUP GROUP g {name} COUNT 1 STREAMS orders >")
        for each in ask(f"XPENDING orders g - + 10 {name}"):
            ask(f"XACK orders g {each[0]}")
    for name, other in zip("ab", others, strict=True):
        other(f"XREADGROUP GROUP g {name} COUNT 1 STREAMS orders >")
    consumers = [fields(each) for each in ask("XINFO CONSUMERS orders g")]
    assert [list(each)[-1] for each in consumers] == ["partitions"] * 2
    assert sorted(n for each in consumers for n in each["partitions"]) == [0, 1, 2]
    assert sorted(len(each["partitions"]) for each in consumers) == [1, 2]


# -- XCFGSET -----------------------------------------------------------------------------------------------


def test_xcfgset_sets_every_partition(ask):
    assert ask("XCFGSET orders IDMP-DURATION 7 IDMP-MAXSIZE 9") == "OK"
    for key in ("orders", "orders/0", "orders/2"):
        told = info(ask, f"XINFO STREAM {key}")
        assert (told["idmp-duration"], told["idmp-maxsize"]) == (7, 9)
