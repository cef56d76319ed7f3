"""XTOPIC POSITION: how much lies before and behind an ID, and which ID is so many entries away."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.asking import asker
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import open_node


@pytest.fixture
def ask(tmp_path):
    return asker(open_node(tmp_path), protocol=3)


def place(entry_id, up_to, behind):
    return {"id": entry_id, "entries-up-to": up_to, "entries-behind": behind}


def test_an_id_divides_the_stream(ask):
    for ms in (10, 20, 30, 40):
        ask(f"XADD s {ms}-0 a b")
    assert ask("XTOPIC POSITION s 0") == place("0-0", 0, 4)
    assert ask("XTOPIC POSITION s 20-0") == place("20-0", 2, 2)
    assert ask("XTOPIC POSITION s 25") == place("20-0", 2, 2)
    assert ask("XTOPIC POSITION s $") == place("40-0", 4, 0)
    assert ask("XTOPIC POSITION s 99999999") == place("40-0", 4, 0)
    assert ask("XTOPIC POSITION s 20 BY 1") == place("30-0", 3, 1)
    assert ask("XTOPIC POSITION s 25 by -1") == place("10-0", 1, 3)
    assert ask("XTOPIC POSITION s 20 BY -2") == place("0-0", 0, 4)
    assert ask("XTOPIC POSITION s 0 BY 9223372036854775807") == place("40-0", 4, 0)


def test_a_stream_that_holds_nothing_has_one_position(ask):
    ask("XADD s 10-0 a b")
    ask("XTRIM s MAXLEN 0")
    for line in ("0", "10", "$", "10 BY 5", "10 BY -5"):
        assert ask(f"XTOPIC POSITION s {line}") == place("0-0", 0, 0)


def test_a_partition_has_positions_of_its_own(ask):
    ask("XTOPIC CREATE orders PARTITIONS 2")
    ask("XADD orders/1 5-1 a b")
    assert ask("XTOPIC POSITION orders/1 0") == place("0-0", 0, 1)
    assert ask("XTOPIC POSITION orders/0 0") == place("0-0", 0, 0)
    assert ask("XTOPIC POSITION orders 0") == (
        "-ERR 'orders' has 2 partitions: name one of them, 'orders/0' to 'orders/1'"
    )


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("s", "-ERR wrong number of arguments for 'xtopic|position' command"),
        ("none 0", "-ERR no such key"),
        ("s x", "-ERR Invalid stream ID specified as stream command argument"),
        ("s 0 BY", "-ERR syntax error"),
        ("s 0 BY many", "-ERR value is not an integer or out of range"),
        ("s 0 PAST 1", "-ERR syntax error"),
    ],
)
def test_what_is_no_position_is_refused(ask, line, refusal):
    ask("XADD s 10-0 a b")
    assert ask(f"XTOPIC POSITION {line}") == refusal


@settings(max_examples=60, deadline=None)
@given(
    gone=st.sets(st.integers(1, 30)),
    floor=st.integers(0, 30),
    moves=st.lists(st.tuples(st.integers(0, 35), st.integers(-40, 40)), min_size=1, max_size=8),
)
def test_positions_are_those_in_a_plain_list(gone, floor, moves):
    disk = MemoryFileSystem()
    disk.mkdir("/node")
    ask = asker(open_node("/node", disk), protocol=3)
    for ms in range(1, 31):
        ask(f"XADD s {ms}-0 a b")
    ask(f"XTRIM s MINID {floor}")
    for ms in sorted(gone):
        ask(f"XDEL s {ms}-0")
    live = [ms for ms in range(max(floor, 1), 31) if ms not in gone]
    for ms, shift in moves:
        up_to = min(max(bisect_right(live, ms) + shift, 0), len(live))
        expected = place(f"{live[up_to - 1] if up_to else 0}-0", up_to, len(live) - up_to)
        assert ask(f"XTOPIC POSITION s {ms} BY {shift}") == expected
