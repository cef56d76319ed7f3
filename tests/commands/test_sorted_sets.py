"""Sorted sets: members added under conditions, ranges of them, and the lowest taken out."""

from __future__ import annotations

import random

import pytest

from tests.support.asking import Asker, asker
from tests.support.keyspace_events import listen
from tests.support.nodes import open_node

WRONG_TYPE = "-WRONGTYPE Operation against a key holding the wrong kind of value"


@pytest.fixture
def ask(node) -> Asker:
    return asker(node)


def test_zadd_counts_what_is_new_and_with_ch_what_has_changed(ask):
    assert ask("ZADD z 1 a 2 b") == 2
    assert ask("ZADD z 5 a 3 c") == 1
    assert ask("ZADD z CH 6 a 2 b 4 d") == 2
    assert ask("ZRANGE z 0 -1 WITHSCORES") == ["b", "2", "c", "3", "d", "4", "a", "6"]


@pytest.mark.parametrize(
    ("options", "scores"),
    [
        ("NX", {"a": "5", "new": "9"}),
        ("XX", {"a": "9", "new": None}),
        ("GT", {"a": "9", "new": "9"}),
        ("LT", {"a": "5", "new": "9"}),
        ("XX LT", {"a": "5", "new": None}),
    ],
)
def test_conditions_of_zadd(ask, options, scores):
    ask("ZADD z 5 a")
    ask(f"ZADD z {options} 9 a 9 new")
    assert {member: ask(f"ZSCORE z {member}") for member in scores} == scores


def test_zadd_with_incr_answers_the_score_or_nothing(ask):
    assert ask("ZADD z INCR 1.5 a") == "1.5"
    assert ask("ZADD z INCR 1 a") == "2.5"
    assert ask("ZADD z NX INCR 1 a") is None
    assert ask("ZADD z XX INCR 1 new") is None
    for line in ("GT INCR -1", "GT INCR 0", "LT INCR 0", "LT INCR 1"):
        assert ask(f"ZADD z {line} a") is None
    ask("ZADD z inf a")
    assert ask("ZADD z INCR -inf a") == "-ERR resulting score is not a number (NaN)"


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("ZADD z NX XX 1 a", "XX and NX options at the same time are not compatible"),
        ("ZADD z GT LT 1 a", "GT, LT, and/or NX options at the same time are not compatible"),
        ("ZADD z INCR 1 a 2 b", "INCR option supports a single increment-element pair"),
        ("ZADD z 1 a 2", "syntax error"),
        ("ZADD z CH 1", "syntax error"),
        ("ZADD z 1 a x b", "value is not a valid float"),
        ("ZADD z nan a", "value is not a valid float"),
        ('ZADD z "" a', "value is not a valid float"),
        ("ZCOUNT z x 1", "min or max is not a float"),
        ("ZRANGE z x 1", "value is not an integer or out of range"),
        ("ZRANGE z 0 1 LIMIT 0 1", "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"),
        ("ZRANGE z 0 1 BYLEX", "min or max not valid string range item"),
        ("ZRANGEBYSCORE z 0 1 REV", "syntax error"),
        ("ZPOPMIN z -1", "value is out of range, must be positive"),
    ],
)
def test_what_is_refused_adds_nothing(ask, line, refusal):
    assert ask(line) == f"-ERR {refusal}"
    assert ask("EXISTS z") == 0


def test_scores_are_numbers_in_resp3_and_pairs_where_there_are_several(node, ask):
    ask("ZADD z 1 a 2.5 b")
    three = asker(node, 3)
    assert three.wire("ZSCORE z b") == b",2.5\r\n"
    assert three.wire("ZRANGE z 0 -1 WITHSCORES") == b"*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2.5\r\n"
    assert three.wire("ZPOPMIN z") == b"*2\r\n$1\r\na\r\n,1\r\n"
    assert three.wire("ZPOPMIN z 1") == b"*1\r\n*2\r\n$1\r\nb\r\n,2.5\r\n"


def test_zpopmin_takes_the_lowest_and_the_last_takes_the_key_with_it(ask):
    ask("ZADD z 3 c 1 b 1 a")
    assert ask("ZPOPMIN z") == ["a", "1"]
    assert ask("ZPOPMIN z 0") == []
    assert ask("ZPOPMIN z 5") == ["b", "1", "c", "3"]
    assert ask("EXISTS z") == 0
    assert ask("ZPOPMIN z") == []


def test_every_member_that_changes_counts_as_a_change(node, ask):
    before = node.node.dirty
    ask("ZADD z 1 a 2 b 3 c")
    ask("ZADD z 1 a 5 b")
    ask("ZREM z a x")
    ask("ZPOPMIN z 2")
    assert node.node.dirty - before == 3 + 1 + 1 + 2


def test_zrem_counts_what_it_took_out(ask):
    ask("ZADD z 1 a 2 b")
    assert ask("ZREM z a a x") == 1
    assert ask("ZCARD z") == 1
    assert ask("ZREM z b") == 1
    assert ask("EXISTS z") == 0


def test_ranges_by_score_leave_an_end_out_behind_a_bracket(ask):
    ask("ZADD z 1 a 2 b 3 c inf d")
    assert ask("ZRANGEBYSCORE z (1 3") == ["b", "c"]
    assert ask("ZRANGEBYSCORE z -inf (3") == ["a", "b"]
    assert ask("ZRANGEBYSCORE z (inf +inf") == []
    assert ask("ZRANGEBYSCORE z 1 +inf LIMIT 1 2") == ["b", "c"]
    assert ask("ZRANGEBYSCORE z 1 +inf LIMIT 2 -1") == ["c", "d"]
    assert ask("ZRANGEBYSCORE z 1 +inf LIMIT -1 -1") == []
    assert (ask("ZCOUNT z (1 (3"), ask("ZCOUNT z 3 1"), ask("ZCOUNT n 0 1")) == (1, 0, 0)
    assert ask("ZRANGE z (3 1 BYSCORE REV LIMIT 0 1") == ["b"]


def test_ranges_are_what_a_sorted_list_says(ask):
    """Ranks, scores and members of a random set, both ways, against slices and comparisons."""
    draw = random.Random(4)
    scores = {f"m{n}": draw.randint(1, 9) for n in range(60)}
    for member, score in scores.items():
        ask(f"ZADD z {score} {member}")
    ordered = sorted(scores, key=lambda member: (scores[member], member))
    for _ in range(100):
        low, high = draw.randint(-70, 70), draw.randint(-70, 70)
        first = max(0, low + 60 if low < 0 else low)
        behind = max(0, (high + 60 if high < 0 else high) + 1)
        assert ask(f"ZRANGE z {low} {high}") == ordered[first:behind]
        assert ask(f"ZRANGE z {low} {high} REV") == ordered[::-1][first:behind]
        few, many = sorted((draw.randint(0, 10), draw.randint(0, 10)))
        within = [member for member in ordered if few <= scores[member] <= many]
        assert ask(f"ZRANGEBYSCORE z {few} {many}") == within
        assert ask(f"ZRANGE z {many} {few} BYSCORE REV") == within[::-1]
        assert ask(f"ZCOUNT z {few} {many}") == len(within)
    for member in scores:
        ask(f"ZADD e 0 {member}")
    for low, high in [("-", "+"), ("[m2", "(m40"), ("(m2", "[m5"), ("(m30", "+"), ("[m9", "[m1")]:
        kept = [
            member
            for member in sorted(scores)
            if (low == "-" or member > low[1:] or low == f"[{member}")
            and (high == "+" or member < high[1:] or high == f"[{member}")
        ]
        assert ask(f"ZRANGE e {low} {high} BYLEX") == kept


def test_a_key_of_another_kind_is_refused(ask):
    ask("SET t x")
    ask("XADD s 1-1 f v")
    for key in ("t", "s"):
        for line in (
            "ZADD {} 1 a",
            "ZCARD {}",
            "ZSCORE {} a",
            "ZCOUNT {} 0 1",
            "ZRANGE {} 0 1",
            "ZREM {} a",
            "ZPOPMIN {}",
        ):
            assert ask(line.format(key)) == WRONG_TYPE


def test_sorted_sets_are_there_after_the_end_of_the_process(tmp_path):
    node = open_node(tmp_path)
    ask = asker(node)
    ask("ZADD z 1 a 0.1 b inf c -2.5e-10 d")
    ask("ZPOPMIN z")
    ask("ZADD z 7 a")
    node.kill()
    ask = asker(open_node(tmp_path))
    assert ask("ZRANGE z 0 -1 WITHSCORES") == ["b", "0.1", "a", "7", "c", "inf"]


def test_every_change_of_a_sorted_set_is_told(node, ask):
    told = listen(node)
    for line, events in [
        ("ZADD z 1 a 2 b 3 c", ["zadd@0 z"]),
        ("ZADD z 1 a", []),
        ("ZADD z INCR 1 a", ["zincr@0 z"]),
        ("ZREM z x", []),
        ("ZREM z a", ["zrem@0 z"]),
        ("ZPOPMIN z", ["zpopmin@0 z"]),
        ("ZPOPMIN z 2", ["zpopmin@0 z", "del@0 z"]),
    ]:
        ask(line)
        assert told() == events, line
