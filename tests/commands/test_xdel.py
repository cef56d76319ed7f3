"""XDEL, XDELEX, XSETID and XCFGSET: what leaves a stream, and its counters and settings."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, fields, ids

SYNTAX = "-ERR syntax error"
NOT_AN_INTEGER = "-ERR value is not an integer or out of range"
INVALID_ID = "-ERR Invalid stream ID specified as stream command argument"
NUMIDS_POSITIVE = "-ERR Number of IDs must be a positive integer"
NUMIDS_MATCH = "-ERR The `numids` parameter must match the number of arguments"
SMALLER = "-ERR The ID specified in XSETID is smaller than"


@pytest.fixture
def ask(node):
    ask = asker(node)
    for number in range(1, 6):
        ask(f"XADD s {number}-0 a b")
    return ask


@pytest.fixture
def read(ask):
    """Group g has read and not acknowledged two entries, group h has read and acknowledged one."""
    for line in (
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s h 0",
        "XREADGROUP GROUP g c COUNT 2 STREAMS s >",
        "XREADGROUP GROUP h c COUNT 1 STREAMS s >",
        "XACK s h 1-0",
    ):
        ask(line)


def left(ask):
    return ids(ask("XRANGE s - +"))


def described(ask, *names):
    stream = fields(ask("XINFO STREAM s"))
    return tuple(stream[name] for name in names)


# -- XDEL ---------------------------------------------------------------------------------------------------


def test_xdel_counts_what_was_there(ask):
    assert ask("XDEL s 2 2-0 4-0 99-0") == 2
    assert left(ask) == ["1-0", "3-0", "5-0"]
    assert ask("XDEL none 1-0") == 0


def test_xdel_of_the_last_entry_leaves_an_empty_stream(ask):
    assert ask("XDEL s 1-0 2-0 3-0 4-0 5-0") == 5
    assert (ask("EXISTS s"), ask("XLEN s")) == (1, 0)
    assert described(ask, "last-generated-id", "entries-added", "recorded-first-entry-id") == ("5-0", 5, "0-0")
    assert ask("XADD s 5-0 a b") == (
        "-ERR The ID specified in XADD is equal or smaller than the target stream top item"
    )


def test_xdel_fails_whole_on_one_invalid_id(ask):
    assert ask("XDEL s 1-0 bad") == INVALID_ID
    assert ask("XDEL none bad") == 0
    assert len(left(ask)) == 5


def test_xdel_notifies_and_breaks_a_watch_only_when_something_went(node, ask):
    watcher = asker(node)
    for line, kept in (("XDEL s 99-0", True), ("XDEL s 1-0", False)):
        watcher("WATCH s")
        ask(line)
        watcher("MULTI")
        watcher("PING")
        assert (watcher("EXEC") == ["PONG"]) is kept


def test_deletions_survive_a_restart(ask):
    ask("XDEL s 2-0 4-0")
    ask("DEBUG RELOAD")
    assert left(ask) == ["1-0", "3-0", "5-0"]
    assert described(ask, "length", "max-deleted-entry-id") == (3, "4-0")


# -- XDELEX -------------------------------------------------------------------------------------------------


def test_xdelex_answers_for_each_id(ask):
    assert ask("XDELEX s IDS 4 2-0 2-0 99-0 4-0") == [1, -1, -1, 1]
    assert left(ask) == ["1-0", "3-0", "5-0"]
    assert ask("XDELEX none IDS 2 1-0 bad") == [-1, -1]


def test_xdelex_keepref_leaves_pending_lists_as_they_are(ask, read):
    assert ask("XDELEX s KEEPREF IDS 1 1-0") == [1]
    assert ids(ask("XPENDING s g - + 10")) == ["1-0", "2-0"]


def test_xdelex_delref_takes_the_entry_off_all_pending_lists_even_if_it_is_gone(ask, read):
    ask("XDEL s 1-0")
    assert ask("XDELEX s IDS 2 1-0 2-0 DELREF") == [-1, 1]
    assert ask("XPENDING s g")[0] == 0


def test_xdelex_acked_spares_what_is_pending_or_not_read_yet(ask, read):
    assert ask("XDELEX s ACKED IDS 4 1-0 2-0 5-0 99-0") == [2, 2, 2, 2]
    ask("XACK s g 1-0 2-0")
    assert ask("XDELEX s acked ids 3 1-0 2-0 0-7") == [1, 2, -1]
    assert left(ask) == ["2-0", "3-0", "4-0", "5-0"]


def test_xdelex_acked_without_groups_deletes(ask):
    assert ask("XDELEX s ACKED IDS 2 1-0 99-0") == [1, -1]


def test_xdelex_takes_the_last_ids_given(ask):
    assert ask("XDELEX s IDS 1 4-0 IDS 1 5-0") == [1]
    assert left(ask) == ["1-0", "2-0", "3-0", "4-0"]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("s IDS 1", "-ERR wrong number of arguments for 'xdelex' command"),
        ("s IDS 2 2-0", NUMIDS_MATCH),
        ("s IDS 3 2-0 KEEPREF", NUMIDS_MATCH),
        ("s IDS 99999999999 2-0", NUMIDS_MATCH),
        ("s IDS 1 2-0 3-0", SYNTAX),
        ("s IDS 0 2-0", NUMIDS_POSITIVE),
        ("s IDS -1 2-0", NUMIDS_POSITIVE),
        ("s IDS x 2-0", NUMIDS_POSITIVE),
        ("s KEEPREF KEEPREF IDS 1 2-0", SYNTAX),
        ("none FOO 2 1-1 bad", SYNTAX),
        ("s IDS 1 bad ACKED", INVALID_ID),
    ],
)
def test_xdelex_refusals(ask, words, refusal):
    assert ask(f"XDELEX {words}") == refusal


# -- XSETID -------------------------------------------------------------------------------------------------


def test_xsetid_sets_the_last_id_and_keeps_the_counters(ask):
    assert ask("XSETID s 9-0") == "OK"
    assert described(ask, "last-generated-id", "entries-added", "max-deleted-entry-id") == ("9-0", 5, "0-0")
    assert ask("XADD s 9-* a b") == "9-1"


def test_xsetid_sets_the_counters(ask):
    assert ask("XSETID s 9-0 entriesadded 100 MAXDELETEDID 7-0") == "OK"
    ask("XADD s 10-0 a b")
    assert described(ask, "entries-added", "max-deleted-entry-id") == (101, "7-0")
    ask("XSETID s 11-0 MAXDELETEDID 0-0")
    assert described(ask, "max-deleted-entry-id") == ("7-0",)
    ask("DEBUG RELOAD")
    assert described(ask, "last-generated-id", "entries-added", "max-deleted-entry-id") == ("11-0", 101, "7-0")


def test_a_group_ahead_of_a_lowered_last_id_stays_ahead(ask):
    ask("XSETID s 50-0")
    ask("XGROUP CREATE s g $")
    ask("XSETID s 5-0")
    ask("XADD s 6-0 a b")
    assert ask("XREADGROUP GROUP g c STREAMS s >") is None
    ask("XADD s 51-0 a b")
    assert ids(ask("XREADGROUP GROUP g c STREAMS s >")[0][1]) == ["51-0"]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("none 9-0 FOO 1", SYNTAX),
        ("none 9-0", "-ERR no such key"),
        ("s bad", INVALID_ID),
        ("s $", INVALID_ID),
        ("s 9-0 ENTRIESADDED", SYNTAX),
        ("s 9-0 ENTRIESADDED x", NOT_AN_INTEGER),
        ("s 9-0 ENTRIESADDED -1", "-ERR entries_added must be positive"),
        ("s 9-0 ENTRIESADDED 4", "-ERR The entries_added specified in XSETID is smaller than the target stream length"),
        ("s 9-0 MAXDELETEDID 10-0", f"{SMALLER} the provided max_deleted_entry_id"),
        ("s 4-0", f"{SMALLER} the target stream top item"),
    ],
)
def test_xsetid_refusals(ask, words, refusal):
    assert ask(f"XSETID {words}") == refusal


def test_xsetid_below_the_highest_deleted_id_is_refused(ask):
    ask("XDEL s 5-0")
    assert ask("XSETID s 4-7") == f"{SMALLER} current max_deleted_entry_id"


# -- XCFGSET ------------------------------------------------------------------------------------------------


def test_xcfgset_sets_what_the_stream_remembers_of_producers(ask):
    assert ask("XCFGSET s idmp-duration 60 IDMP-MAXSIZE 7") == "OK"
    assert described(ask, "idmp-duration", "idmp-maxsize") == (60, 7)
    assert ask("XCFGSET s IDMP-MAXSIZE 8") == "OK"
    ask("DEBUG RELOAD")
    assert described(ask, "idmp-duration", "idmp-maxsize") == (60, 8)


def test_xcfgset_to_another_value_forgets_producers_and_to_the_same_does_not(ask):
    first = ask("XADD s IDMP p 1 * a b")
    ask("XCFGSET s IDMP-DURATION 100")
    assert ask("XADD s IDMP p 1 * a b") == first
    ask("XCFGSET s IDMP-DURATION 99")
    assert ask("XADD s IDMP p 1 * a b") != first


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("s", "-ERR At least one parameter must be specified"),
        ("none IDMP-DURATION 1", "-ERR no such key"),
        ("s IDMP-DURATION 0", "-ERR IDMP-DURATION must be between 1 and 86400 seconds"),
        ("s IDMP-DURATION 86401", "-ERR IDMP-DURATION must be between 1 and 86400 seconds"),
        ("s IDMP-MAXSIZE 10001", "-ERR IDMP-MAXSIZE must be between 1 and 10000 entries"),
        ("s IDMP-MAXSIZE x", NOT_AN_INTEGER),
        ("s FOO 1", SYNTAX),
    ],
)
def test_xcfgset_refusals(ask, words, refusal):
    assert ask(f"XCFGSET {words}") == refusal
