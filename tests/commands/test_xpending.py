"""XPENDING: the summary, and ranges of single entries."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, ids

SYNTAX = "-ERR syntax error"
NOT_AN_INTEGER = "-ERR value is not an integer or out of range"
INVALID_ID = "-ERR Invalid stream ID specified as stream command argument"
LAST = "18446744073709551615-18446744073709551615"


@pytest.fixture
def ask(node):
    """Four entries: d was given two 100 ms ago, c two now."""
    ask = asker(node)
    for line in ("XADD s 1-1 a b", "XADD s 2-0 a b", "XADD s 3-0 a b", "XADD s 4-0 a b", "XGROUP CREATE s g 0"):
        ask(line)
    ask("XREADGROUP GROUP g d COUNT 2 STREAMS s >")
    node.clock.advance(100)
    ask("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    return ask


def test_the_summary_has_count_first_last_and_each_consumer_with_its_count_as_text(ask):
    assert ask("XPENDING s g") == [4, "1-1", "4-0", [["c", "2"], ["d", "2"]]]


def test_the_summary_of_nothing(node, ask):
    ask("XACK s g 1-1 2-0 3-0 4-0")
    assert ask.wire("XPENDING s g") == b"*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n"
    assert asker(node, 3).wire("XPENDING s g") == b"*4\r\n:0\r\n_\r\n_\r\n_\r\n"


def test_a_range_tells_consumer_idle_time_and_deliveries(ask):
    assert ask("XPENDING s g - + 3") == [["1-1", "d", 100, 1], ["2-0", "d", 100, 1], ["3-0", "c", 0, 1]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("2 3 10", ["2-0", "3-0"]),
        ("(1-1 + 10", ["2-0", "3-0", "4-0"]),
        ("- (4-0 10", ["1-1", "2-0", "3-0"]),
        ("(1-1 (2-0 10", []),
        ("- + 10 c", ["3-0", "4-0"]),
        ("- + 1 d", ["1-1"]),
        ("- + 10 nobody", []),
        ('- + 10 ""', []),
        ("- + 0", []),
        ("- + -1", []),
        ("+ - 10", []),
        (f"- {LAST} 10", ["1-1", "2-0", "3-0", "4-0"]),
        ("IDLE 50 - + 10", ["1-1", "2-0"]),
        ("idle 100 - + 1", ["1-1"]),
        ("IDLE 101 - + 10", []),
        ("IDLE -5 - + 10 c", ["3-0", "4-0"]),
        ("- + 10 c ignored", ["3-0", "4-0"]),
    ],
)
def test_ranges_filters_and_counts(ask, words, found):
    assert ids(ask(f"XPENDING s g {words}")) == found


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("s g -", SYNTAX),
        ("s g - +", SYNTAX),
        ("s g IDLE 0 - +", SYNTAX),
        ("s g IDLE x - +", NOT_AN_INTEGER),
        ("s g IDLE 0 - + 10 c x", SYNTAX),
        ("none g - + x", NOT_AN_INTEGER),
        ("none g bad + x", NOT_AN_INTEGER),
        ("none g bad + 1", INVALID_ID),
        ("s g - bad 1", INVALID_ID),
        (f"s g ({LAST} + 10", "-ERR invalid start ID for the interval"),
        ("s g - (0-0 10", "-ERR invalid end ID for the interval"),
        ("none g", "-NOGROUP No such key 'none' or consumer group 'g'"),
        ("s none - + 1", "-NOGROUP No such key 's' or consumer group 'none'"),
    ],
)
def test_refusals_come_in_the_order_of_redis(ask, words, refusal):
    assert ask(f"XPENDING {words}") == refusal


def test_deleted_and_trimmed_entries_stay_pending_under_their_ids(ask):
    ask("XDEL s 2-0")
    ask("XTRIM s MAXLEN 0")
    assert ids(ask("XPENDING s g - + 10")) == ["1-1", "2-0", "3-0", "4-0"]
    assert ids(ask("XPENDING s g 2 3 10")) == ["2-0", "3-0"]


def test_counts_far_beyond_what_is_there_cost_nothing(ask):
    assert len(ask("XPENDING s g - + 9223372036854775807")) == 4
