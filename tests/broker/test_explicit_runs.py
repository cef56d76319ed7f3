"""Neighbouring XADDs with IDs of their own are served at once, and nobody can tell."""

from __future__ import annotations

import random

import pytest

from tests.broker.test_runs import in_memory, same

Request = list[bytes]


def add(entry_id: bytes, key: bytes = b"s", *fields: bytes) -> Request:
    return [b"XADD", key, entry_id, *(fields or (b"f", b"v"))]


def test_rising_ids() -> None:
    replies = same([add(b"1-1")], [add(b"%d-%d" % (number, number % 3)) for number in range(2, 102)])
    assert replies.count(b"$") == 100


@pytest.mark.parametrize(
    "odd",
    [b"5-0", b"4-9", b"0-0", b"7-*", b"*", b"7", b"007-01", b"x", b"NOMKSTREAM", b"18446744073709551616-0"],
)
def test_an_id_that_is_none_or_not_above_the_last_is_dealt_with_in_its_place(odd: bytes) -> None:
    same([add(b"1-1")], [add(b"5-0"), add(odd), add(b"6-0"), add(odd), add(odd), add(b"8-0"), add(b"9-0")])


def test_other_requests_end_a_run() -> None:
    others = [
        [b"PING"],
        [b"XLEN", b"s"],
        [b"XADD"],
        [b"XADD", b"s"],
        [b"XADD", b"s", b"9-0"],
        [b"XADD", b"s", b"9-0", b"f"],
    ]
    for other in others:
        same([add(b"1-1")], [add(b"2-0"), add(b"3-0"), other, add(b"4-0"), add(b"5-0"), other])


def test_up_to_the_last_id_and_beyond() -> None:
    last = b"18446744073709551615-1844674407370955161"
    replies = same([add(b"1-1")], [add(last + b"%d" % digit) for digit in (3, 4, 5, 5, 4)])
    assert replies.count(b"-ERR") == 2


def test_all_kinds_among_each_other() -> None:
    chooser = random.Random(7)
    for _ in range(20):
        number, requests = 0, []
        for _ in range(40):
            number += chooser.choice((0, 1, 1, 1, 1, 5))
            key, fields = (
                chooser.choice((b"s", b"s", b"s", b"t")),
                chooser.choice(([], [], [b"odd"], [b"f", b"", b"g", b"w"])),
            )
            requests.append(add(b"%d-0" % number, key, *fields))
        same([], requests)
        same([add(b"1-1"), [b"XGROUP", b"CREATE", b"s", b"g", b"0"]], requests)


def test_each_counts_as_a_change_and_a_watcher_learns_of_them() -> None:
    node = in_memory()
    watcher, writer = node.client(), node.client()
    node.run(writer, *add(b"1-1"))
    before = _changes(node.run(writer, b"INFO", b"persistence"))
    node.pipeline(watcher, [[b"WATCH", b"s"], [b"MULTI"], [b"XLEN", b"s"]])
    node.pipeline(writer, [add(b"2-1"), add(b"3-1"), add(b"4-1")])
    assert node.run(watcher, b"EXEC") == b"*-1\r\n"
    assert _changes(node.run(writer, b"INFO", b"persistence")) == before + 3


def _changes(info: bytes) -> int:
    [line] = [line for line in info.splitlines() if line.startswith(b"rdb_changes_since_last_save:")]
    return int(line.partition(b":")[2])


def test_a_blocked_reader_is_served_behind_them() -> None:
    node = in_memory()
    reader, writer = node.client(), node.client()
    node.run(writer, *add(b"1-1"))
    assert node.run(reader, b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$") == b""
    node.pipeline(writer, [add(b"2-1"), add(b"3-1"), add(b"4-1")])
    assert node.output(reader).count(b"$1\r\nv\r\n") == 3


def test_a_topic_of_several_partitions_and_a_schema_are_asked_each_time() -> None:
    topic = [[b"XTOPIC", b"CREATE", b"s", b"PARTITIONS", b"2"]]
    same(topic, [add(b"%d-0" % number) for number in range(1, 20)])
    schema = [b"schema", b'{"type": "object", "required": ["f"]}', b"schema.field", b"f"]
    strict = [[b"XTOPIC", b"CREATE", b"s", b"PARTITIONS", b"1", b"CONFIG", *schema]]
    same(strict, [add(b"%d-0" % number, b"s", b"f", b"{}") for number in range(1, 9)])
