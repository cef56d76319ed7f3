"""XREADGROUP CLAIM: old pending entries on the way to new ones."""

from __future__ import annotations

import pytest

from tests.support.asking import NOTHING, asker, ids


@pytest.fixture
def ask(node):
    ask = asker(node)
    for line in ("XADD s 1-0 a b", "XADD s 2-0 c d", "XGROUP CREATE s g 0"):
        ask(line)
    return ask


def entries(reply):
    return reply[0][1]


def test_every_entry_tells_its_idle_time_and_earlier_deliveries(node, ask):
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    node.clock.advance(150)
    assert ask.wire("XREADGROUP GROUP g d CLAIM 100 STREAMS s >") == (
        b"*1\r\n*2\r\n$1\r\ns\r\n*2\r\n"
        b"*4\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n:150\r\n:1\r\n"
        b"*4\r\n$3\r\n2-0\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n:0\r\n:0\r\n"
    )
    assert ask("XPENDING s g - + 10") == [["1-0", "d", 0, 2], ["2-0", "d", 0, 1]]


def test_what_is_not_old_enough_stays_where_it_is(node, ask):
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    node.clock.advance(50)
    assert ids(entries(ask("XREADGROUP GROUP g d CLAIM 100 STREAMS s >"))) == ["2-0"]
    assert ask("XPENDING s g - + 1") == [["1-0", "c", 50, 1]]


def test_the_longest_idle_comes_first_and_count_covers_both_kinds(node, ask):
    ask("XADD s 3-0 e f")
    ask("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    node.clock.advance(100)
    ask("XCLAIM s g c 0 1-0")
    node.clock.advance(100)
    assert ids(entries(ask("XREADGROUP GROUP g d COUNT 2 CLAIM 50 STREAMS s >"))) == ["2-0", "1-0"]
    node.clock.advance(100)
    assert ids(entries(ask("XREADGROUP GROUP g d COUNT 3 CLAIM 50 STREAMS s >"))) == ["1-0", "2-0", "3-0"]


def test_released_entries_come_first_whatever_their_age(ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    ask("XNACK s g FAIL IDS 1 2-0")
    read = entries(ask("XREADGROUP GROUP g d CLAIM 60000 STREAMS s >"))
    assert [(entry[0], entry[3]) for entry in read] == [("2-0", 1)]


def test_pending_entries_that_are_gone_are_passed_over(node, ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    ask("XDEL s 1-0")
    node.clock.advance(100)
    assert ids(entries(ask("XREADGROUP GROUP g d CLAIM 100 STREAMS s >"))) == ["2-0"]


def test_noack_is_for_new_entries_only(node, ask):
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    node.clock.advance(100)
    assert len(entries(ask("XREADGROUP GROUP g d NOACK CLAIM 100 STREAMS s >"))) == 2
    assert ids(ask("XPENDING s g - + 10")) == ["1-0"]


def test_history_reads_ignore_it(node, ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    node.clock.advance(100)
    assert entries(ask("XREADGROUP GROUP g d CLAIM 0 STREAMS s 0")) == []
    assert entries(ask("XREADGROUP GROUP g c COUNT 1 CLAIM 0 STREAMS s 0")) == [["1-0", ["a", "b"]]]


def test_maxcount_and_maxsize_count_claimed_entries_too(node, ask):
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    node.clock.advance(100)
    assert ids(entries(ask("XREADGROUP GROUP g d MAXCOUNT 1 CLAIM 100 STREAMS s >"))) == ["1-0"]
    node.clock.advance(100)
    assert ids(entries(ask("XREADGROUP GROUP g d MAXSIZE 1 CLAIM 100 STREAMS s >"))) == ["1-0"]


def test_a_waiting_reader_wakes_when_the_oldest_pending_entry_comes_of_age(node, ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    node.clock.advance(40)
    reader = asker(node)
    assert reader("XREADGROUP GROUP g d BLOCK 0 CLAIM 100 STREAMS s >") == NOTHING
    node.clock.advance(59)
    node.tick()
    assert reader.heard() == NOTHING
    assert node.node.next_deadline() <= node.clock.seconds + 0.0011
    node.clock.advance(1)
    node.tick()
    assert ids(entries(reader.heard())) == ["1-0", "2-0"]


def test_a_waiting_reader_follows_what_becomes_pending_meanwhile(node, ask):
    ask("XGROUP SETID s g $")
    reader = asker(node)
    assert reader("XREADGROUP GROUP g d BLOCK 0 CLAIM 100 STREAMS s >") == NOTHING
    node.clock.advance(10)
    ask("XCLAIM s g c 0 1-0 FORCE")
    for _ in range(11):
        node.clock.advance(10)
        node.tick()
    assert ids(entries(reader.heard())) == ["1-0"]


def test_released_entries_wake_a_waiting_reader_at_once(node, ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    reader = asker(node)
    reader("XREADGROUP GROUP g d BLOCK 0 CLAIM 60000 STREAMS s >")
    ask("XNACK s g SILENT IDS 1 1-0")
    assert ids(entries(reader.heard())) == ["1-0"]


def test_a_waiting_reader_does_not_spin_on_an_old_entry_that_is_gone(node, ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    ask("XDEL s 1-0 2-0")
    node.clock.advance(1000)
    reader = asker(node)
    assert reader("XREADGROUP GROUP g d BLOCK 0 CLAIM 100 STREAMS s >") == NOTHING
    assert node.node.next_deadline() > node.clock.seconds
