"""XINFO: streams, groups and consumers described."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, fields

NO_SUCH_KEY = "-ERR no such key"
UNREADABLE = "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP."
COMMON = [
    "length",
    "radix-tree-keys",
    "radix-tree-nodes",
    "last-generated-id",
    "max-deleted-entry-id",
    "entries-added",
    "recorded-first-entry-id",
    "idmp-duration",
    "idmp-maxsize",
    "pids-tracked",
    "iids-tracked",
    "iids-added",
    "iids-duplicates",
]


@pytest.fixture
def ask(node):
    ask = asker(node)
    for line in ("XADD s 1-1 a b", "XADD s 2-0 c d", "XADD s 3-0 e f", "XGROUP CREATE s g 0", "XGROUP CREATE s b 2"):
        ask(line)
    return ask


def test_a_stream_is_described_in_the_order_of_redis(ask):
    described = fields(ask("XINFO STREAM s"))
    assert list(described) == [*COMMON, "groups", "first-entry", "last-entry"]
    assert list(described.values()) == [
        3, 1, 2, "3-0", "0-0", 3, "1-1", 100, 100, 0, 0, 0, 0, 2, ["1-1", ["a", "b"]], ["3-0", ["e", "f"]],
    ]  # fmt: skip


def test_resp3_has_maps(node, ask):
    assert list(asker(node, 3)("XINFO STREAM s")) == [*COMMON, "groups", "first-entry", "last-entry"]
    assert asker(node, 3)("XINFO GROUPS s")[0]["name"] == "b"


def test_an_empty_stream_has_no_first_and_last_entry(node, ask):
    ask("XTRIM s MAXLEN 0")
    described = fields(ask("XINFO STREAM s"))
    assert (described["length"], described["entries-added"], described["last-generated-id"]) == (0, 3, "3-0")
    assert (described["recorded-first-entry-id"], described["first-entry"], described["last-entry"]) == (
        "0-0",
        None,
        None,
    )
    assert (described["radix-tree-keys"], described["radix-tree-nodes"]) == (0, 1)


def test_deleting_sets_the_highest_deleted_id_and_trimming_does_not(ask):
    ask("XDEL s 2-0")
    ask("XDEL s 1-1")
    ask("XTRIM s MAXLEN 0")
    described = fields(ask("XINFO STREAM s"))
    assert described["max-deleted-entry-id"] == "2-0"


def test_full_describes_groups_with_their_pending_entries_and_consumers(node, ask):
    ask("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    node.clock.advance(5)
    ask("XGROUP CREATECONSUMER s g a")
    now = node.clock.ms
    described = fields(ask("XINFO STREAM s FULL"))
    assert list(described) == [*COMMON, "entries", "groups"]
    assert described["entries"] == [["1-1", ["a", "b"]], ["2-0", ["c", "d"]], ["3-0", ["e", "f"]]]
    group = fields(described["groups"][1])
    consumers = [fields(each) for each in group.pop("consumers")]
    assert list(group.items()) == [
        ("name", "g"),
        ("last-delivered-id", "2-0"),
        ("entries-read", 2),
        ("lag", 1),
        ("pel-count", 2),
        ("nacked-count", 0),
        ("pending", [["1-1", "c", now - 5, 1], ["2-0", "c", now - 5, 1]]),
    ]
    assert [list(each.items()) for each in consumers] == [
        [("name", "a"), ("seen-time", now), ("active-time", -1), ("pel-count", 0), ("pending", [])],
        [
            ("name", "c"),
            ("seen-time", now - 5),
            ("active-time", now - 5),
            ("pel-count", 2),
            ("pending", [["1-1", now - 5, 1], ["2-0", now - 5, 1]]),
        ],
    ]


@pytest.mark.parametrize(("count", "shown"), [("COUNT 0", 15), ("COUNT 2", 2), ("count -1", 10), ("", 10)])
def test_full_shows_ten_of_everything_unless_told(ask, count, shown):
    for number in range(10, 22):
        ask(f"XADD s {number}-0 a b")
    ask("XREADGROUP GROUP g c STREAMS s >")
    described = fields(ask(f"XINFO STREAM s full {count}".strip()))
    group = fields(described["groups"][1])
    assert len(described["entries"]) == len(group["pending"]) == shown
    assert len(fields(group["consumers"][0])["pending"]) == shown


def test_groups_come_in_order_of_names_and_lag_is_always_a_number(ask):
    ask("XDEL s 3-0")
    groups = [fields(each) for each in ask("XINFO GROUPS s")]
    assert [list(each.items()) for each in groups] == [
        [
            ("name", name),
            ("consumers", 0),
            ("pending", 0),
            ("last-delivered-id", last),
            ("entries-read", None),
            ("lag", lag),
        ]
        for name, last, lag in (("b", "2-0", 0), ("g", "0-0", 2))
    ]


def test_consumers_tell_when_they_tried_and_when_they_got_something(node, ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    node.clock.advance(30)
    ask("XREADGROUP GROUP g c STREAMS s >")
    node.clock.advance(4)
    assert ask("XINFO CONSUMERS s g") == [["name", "c", "pending", 3, "idle", 4, "inactive", 34]]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("STREAM none FOO", NO_SUCH_KEY),
        ("STREAM s FOO", UNREADABLE),
        ("STREAM s FULL COUNT", UNREADABLE),
        ("STREAM s FULL COUNT x", "-ERR value is not an integer or out of range"),
        ("STREAM s FULL COUNT 1 x", UNREADABLE),
        ("GROUPS none", NO_SUCH_KEY),
        ("CONSUMERS none g", NO_SUCH_KEY),
        ("CONSUMERS s none", "-NOGROUP No such consumer group 'none' for key name 's'"),
        ("NOPE", "-ERR unknown subcommand 'NOPE'. Try XINFO HELP."),
    ],
)
def test_refusals(ask, words, refusal):
    assert ask(f"XINFO {words}") == refusal


def test_help_is_that_of_redis(ask):
    lines = ask("XINFO HELP")
    assert (len(lines), lines[1]) == (9, "CONSUMERS <key> <groupname>")
