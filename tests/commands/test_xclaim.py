"""XCLAIM and XAUTOCLAIM: taking over what is pending with others."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, fields, ids

INVALID_ID = "-ERR Invalid stream ID specified as stream command argument"
COUNT_MAX = 2**63 - 1


@pytest.fixture
def ask(node):
    """Five entries, four of them pending with c for 1000 ms."""
    ask = asker(node)
    for number in range(1, 6):
        ask(f"XADD s {number}-0 a b")
    ask("XGROUP CREATE s g 0")
    ask("XREADGROUP GROUP g c COUNT 4 STREAMS s >")
    node.clock.advance(1000)
    return ask


def pending(ask):
    return ask("XPENDING s g - + 100")


def consumers(ask):
    return {fields(each)["name"]: fields(each) for each in ask("XINFO CONSUMERS s g")}


# -- XCLAIM -------------------------------------------------------------------------------------------------


def test_xclaim_hands_over_entries_that_idled_long_enough(node, ask):
    assert ask("XCLAIM s g d 1000 1-0 2-0") == [["1-0", ["a", "b"]], ["2-0", ["a", "b"]]]
    assert pending(ask)[:3] == [["1-0", "d", 0, 2], ["2-0", "d", 0, 2], ["3-0", "c", 1000, 1]]
    assert ask("XCLAIM s g e 1 1-0 3-0") == [["3-0", ["a", "b"]]]


def test_xclaim_answers_in_the_order_of_the_ids_asked_for(ask):
    assert ids(ask("XCLAIM s g d 0 3-0 1-0 2-0")) == ["3-0", "1-0", "2-0"]


def test_xclaim_justid_answers_ids_and_leaves_the_count(ask):
    assert ask("XCLAIM s g d 0 1-0 JUSTID") == ["1-0"]
    assert pending(ask)[0] == ["1-0", "d", 0, 1]


def test_xclaim_passes_over_what_is_not_pending_unless_forced(ask):
    assert ask("XCLAIM s g d 0 5-0") == []
    assert ids(ask("XCLAIM s g d 60000 5-0 99-0 FORCE")) == ["5-0"]
    assert pending(ask)[-1] == ["5-0", "d", 0, 2]
    ask("XCLAIM s g d 0 5-0 FORCE JUSTID")
    assert ask("XLEN s") == 5


def test_xclaim_drops_entries_that_are_gone_from_the_pending_list(ask):
    ask("XDEL s 2-0")
    assert ids(ask("XCLAIM s g d 60000 2-0 3-0")) == []
    assert ids(pending(ask)) == ["1-0", "3-0", "4-0"]
    ask("XTRIM s MINID 4-0")
    assert ids(ask("XCLAIM s g d 0 1-0 3-0 4-0")) == ["4-0"]
    assert ids(pending(ask)) == ["4-0"]


@pytest.mark.parametrize(
    ("options", "idle"),
    [
        ("IDLE 300", 300),
        ("IDLE -300", 0),
        ("IDLE 9223372036854775807", 0),
        ("TIME 1700000000500", 500),
        ("TIME -1", 0),
        ("TIME 99999999999999", 0),
        ("TIME 1700000000500 idle 7", 7),
    ],
)
def test_xclaim_sets_the_delivery_time_within_reason(node, ask, options, idle):
    ask(f"XCLAIM s g d 0 1-0 {options}")
    node.clock.advance(10)
    assert pending(ask)[0] == ["1-0", "d", idle + 10, 2]


def test_xclaim_sets_the_delivery_count(ask):
    ask("XCLAIM s g d 0 1-0 RETRYCOUNT 9")
    ask("XCLAIM s g d 0 2-0 RETRYCOUNT 9 RETRYCOUNT -1")
    assert [entry[3] for entry in pending(ask)[:2]] == [9, 2]


def test_xclaim_never_counts_beyond_what_fits(ask):
    ask(f"XCLAIM s g d 0 1-0 RETRYCOUNT {COUNT_MAX}")
    ask("XCLAIM s g d 0 1-0")
    assert pending(ask)[0][3] == COUNT_MAX


def test_xclaim_lastid_moves_the_group_forward_only(ask):
    ask("XCLAIM s g d 0 1-0 LASTID 5-0")
    ask("XCLAIM s g d 0 1-0 LASTID 2-0")
    group = fields(ask("XINFO GROUPS s")[0])
    assert (group["last-delivered-id"], group["lag"]) == ("5-0", 0)
    assert ask("XREADGROUP GROUP g c STREAMS s >") is None


def test_xclaim_creates_the_consumer_even_if_nothing_is_claimed(node, ask):
    ask("XCLAIM s g d 60000 1-0")
    assert (consumers(ask)["d"]["idle"], consumers(ask)["d"]["inactive"]) == (0, -1)
    node.clock.advance(5)
    ask("XCLAIM s g d 0 1-0 IDLE 1000")
    node.clock.advance(5)
    assert (consumers(ask)["d"]["idle"], consumers(ask)["d"]["inactive"]) == (5, 5)


def test_xclaim_of_an_id_named_twice_finds_what_the_first_left(ask):
    assert ids(ask("XCLAIM s g d 0 1-0 1-0")) == ["1-0", "1-0"]
    assert pending(ask)[0] == ["1-0", "d", 0, 3]
    assert ids(ask("XCLAIM s g e 500 2-0 2-0")) == ["2-0"]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("s g c x 1-0", "-ERR Invalid min-idle-time argument for XCLAIM"),
        ("s none c x 1-0", "-NOGROUP No such key 's' or consumer group 'none'"),
        ("none g c 0 1-0 FOO", "-NOGROUP No such key 'none' or consumer group 'g'"),
        ("s g c 0 bad", "-ERR Unrecognized XCLAIM option 'bad'"),
        ("s g c 0 1-0 FOO", "-ERR Unrecognized XCLAIM option 'FOO'"),
        ("s g c 0 1-0 IDLE", "-ERR Unrecognized XCLAIM option 'IDLE'"),
        ("s g c 0 1-0 LASTID", "-ERR Unrecognized XCLAIM option 'LASTID'"),
        ("s g c 0 1-0 IDLE x", "-ERR Invalid IDLE option argument for XCLAIM"),
        ("s g c 0 1-0 TIME x", "-ERR Invalid TIME option argument for XCLAIM"),
        ("s g c 0 1-0 RETRYCOUNT x", "-ERR Invalid RETRYCOUNT option argument for XCLAIM"),
        ("s g c 0 1-0 LASTID bad", INVALID_ID),
        ("s g c 0", "-ERR wrong number of arguments for 'xclaim' command"),
    ],
)
def test_xclaim_refusals(ask, words, refusal):
    assert ask(f"XCLAIM {words}") == refusal


def test_a_refused_xclaim_changes_nothing(ask):
    before = pending(ask)
    ask("XCLAIM s g d 0 1-0 IDLE x")
    assert (pending(ask), list(consumers(ask))) == (before, ["c"])


# -- XAUTOCLAIM -----------------------------------------------------------------------------------------------


def test_xautoclaim_claims_from_the_start_and_says_where_to_go_on(ask):
    assert ask("XAUTOCLAIM s g d 1000 0 COUNT 2") == ["3-0", [["1-0", ["a", "b"]], ["2-0", ["a", "b"]]], []]
    assert ask("XAUTOCLAIM s g d 1000 3-0 COUNT 2") == ["0-0", [["3-0", ["a", "b"]], ["4-0", ["a", "b"]]], []]
    assert pending(ask) == [[f"{n}-0", "d", 0, 2] for n in range(1, 5)]


def test_xautoclaim_as_an_iterator_reaches_everything_once(ask):
    seen, start = [], "-"
    while start != "0-0":
        start, claimed, _ = ask(f"XAUTOCLAIM s g d 500 {start} COUNT 1 JUSTID")
        seen += claimed
    assert seen == ["1-0", "2-0", "3-0", "4-0"]


def test_xautoclaim_passes_over_the_young(ask):
    ask("XCLAIM s g c 0 2-0")
    assert ask("XAUTOCLAIM s g d 1000 (1-0 JUSTID") == ["0-0", ["3-0", "4-0"], []]


def test_xautoclaim_looks_at_ten_times_count_at_most(node, ask):
    for number in range(10, 31):
        ask(f"XADD s {number}-0 a b")
    ask("XREADGROUP GROUP g c STREAMS s >")
    assert ask("XAUTOCLAIM s g d 100 5-0 COUNT 1") == ["19-0", [], []]


def test_xautoclaim_drops_what_is_gone_and_counts_it(ask):
    ask("XDEL s 1-0 2-0 4-0")
    assert ask("XAUTOCLAIM s g d 0 0 COUNT 1") == ["2-0", [], ["1-0"]]
    assert ask("XAUTOCLAIM s g d 0 0") == ["0-0", [["3-0", ["a", "b"]]], ["2-0", "4-0"]]
    assert ids(pending(ask)) == ["3-0"]


def test_xautoclaim_drops_what_was_trimmed_whatever_its_age(ask):
    ask("XTRIM s MAXLEN 2")
    assert ask("XAUTOCLAIM s g d 60000 0") == ["0-0", [], ["1-0", "2-0", "3-0"]]
    assert ids(pending(ask)) == ["4-0"]


def test_xautoclaim_justid_leaves_the_count(ask):
    assert ask("XAUTOCLAIM s g d 0 0 COUNT 1 JUSTID") == ["2-0", ["1-0"], []]
    assert pending(ask)[0] == ["1-0", "d", 0, 1]


def test_xautoclaim_creates_the_consumer_even_if_nothing_is_claimed(ask):
    assert ask("XAUTOCLAIM s g d 60000 0") == ["0-0", [], []]
    assert consumers(ask)["d"]["inactive"] == -1


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("s none c x 0", "-ERR Invalid min-idle-time argument for XAUTOCLAIM"),
        ("s none c 0 bad FOO", INVALID_ID),
        ("s none c 0 0 FOO", "-ERR syntax error"),
        ("s none c 0 0 COUNT", "-ERR syntax error"),
        ("s none c 0 0 COUNT 0", "-ERR COUNT must be > 0"),
        ("s none c 0 0 COUNT x", "-ERR COUNT must be > 0"),
        ("s none c 0 0 COUNT 576460752303423488", "-ERR COUNT must be > 0"),
        ("s none c 0 0", "-NOGROUP No such key 's' or consumer group 'none'"),
        ("none g c 0 0", "-NOGROUP No such key 'none' or consumer group 'g'"),
        (
            "s g c 0 (18446744073709551615-18446744073709551615",
            "-ERR invalid start ID for the interval",
        ),
    ],
)
def test_xautoclaim_refusals(ask, words, refusal):
    assert ask(f"XAUTOCLAIM {words}") == refusal


def test_claims_survive_a_restart(ask):
    ask("XCLAIM s g d 0 1-0 3-0 IDLE 50 RETRYCOUNT 4")
    ask("XAUTOCLAIM s g e 500 0")
    before = pending(ask)
    ask("DEBUG RELOAD")
    assert pending(ask) == before
