"""XACK, XACKDEL and XNACK: being done with entries, or giving them up."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, fields, ids
from tests.support.nodes import open_node

INVALID_ID = "-ERR Invalid stream ID specified as stream command argument"
NUMIDS_POSITIVE = "-ERR Number of IDs must be a positive integer"
NUMIDS_MATCH = "-ERR The `numids` parameter must match the number of arguments"
COUNT_MAX = 2**63 - 1


@pytest.fixture
def ask(node):
    """Four entries, two groups; c of g has been given three, d of h two."""
    ask = asker(node)
    for number in range(1, 5):
        ask(f"XADD s {number}-0 a b")
    for line in (
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s h 0",
        "XREADGROUP GROUP g c COUNT 3 STREAMS s >",
        "XREADGROUP GROUP h d COUNT 2 STREAMS s >",
    ):
        ask(line)
    return ask


def pending(ask, group="g"):
    return ids(ask(f"XPENDING s {group} - + 100"))


# -- XACK -------------------------------------------------------------------------------------------------


def test_xack_counts_what_was_pending(ask):
    assert ask("XACK s g 1-0 1-0 2 99-99") == 2
    assert pending(ask) == ["3-0"]
    assert ask("XACK s g 1-0") == 0


def test_xack_of_an_entry_pending_with_another_consumer_acknowledges_it(ask):
    ask("XCLAIM s g other 0 1-0")
    assert ask("XACK s g 1-0") == 1


def test_xack_is_for_one_group(ask):
    ask("XACK s g 1-0")
    assert pending(ask, "h") == ["1-0", "2-0"]


def test_xack_fails_whole_on_one_invalid_id(ask):
    assert ask("XACK s g 1-0 bad") == INVALID_ID
    assert ask("XACK s g 1-0 -") == INVALID_ID
    assert pending(ask) == ["1-0", "2-0", "3-0"]


def test_xack_without_key_or_group_is_no_error(ask):
    assert [ask("XACK none g bad"), ask("XACK s none bad")] == [0, 0]


def test_xack_of_deleted_and_trimmed_entries_works(ask):
    ask("XDEL s 2-0")
    ask("XTRIM s MAXLEN 0")
    assert ask("XACK s g 1-0 2-0 3-0") == 3


def test_xack_one_by_one_reaches_every_entry_however_many(node, ask):
    node.tick([(ask.client, [[b"XADD", b"s", b"%d-7" % n, b"f", b"v"] for n in range(10, 1010)])])
    node.output(ask.client)
    ask("XREADGROUP GROUP g c STREAMS s >")
    acknowledge = [["XACK", "s", "g", f"{n}-7"] for n in range(10, 1010)]
    assert node.pipeline(ask.client, acknowledge) == b":1\r\n" * 1000
    assert node.pipeline(ask.client, acknowledge[::-1]) == b":0\r\n" * 1000
    assert pending(ask) == ["1-0", "2-0", "3-0", "4-0"]


def test_xack_of_entries_whose_segment_was_dropped(tmp_path):
    node = open_node(tmp_path, segment_bytes=4096)
    ask = asker(node)
    add = [("XADD", "s", f"{n}-0", "f", "x" * 100) for n in range(1, 201)]
    node.pipeline(ask.client, [*add[:3], ("XGROUP", "CREATE", "s", "g", "0")])
    ask("XREADGROUP GROUP g c STREAMS s >")
    for request in add[3:]:
        node.pipeline(ask.client, [request])
    ask("XTRIM s MAXLEN 10")
    for _ in range(3):  # a snapshot, its sync, and then segments go
        node.clock.advance(11_000)
        node.tick()
    assert node.node.keyspace.lookup(0, b"s", 0).log.first_ordinal > 64
    assert ask("XACK s g 1-0 2-0 9-9") == 2
    assert pending(ask) == ["3-0"]


def test_xack_survives_a_restart(ask):
    ask("XACK s g 2-0")
    ask("DEBUG RELOAD")
    assert pending(ask) == ["1-0", "3-0"]


# -- XACKDEL ----------------------------------------------------------------------------------------------


def test_xackdel_acknowledges_and_deletes(ask):
    assert ask("XACKDEL s g IDS 2 1-0 4-0") == [1, -1]
    assert ids(ask("XRANGE s - +")) == ["2-0", "3-0", "4-0"]
    assert (pending(ask), pending(ask, "h")) == (["2-0", "3-0"], ["1-0", "2-0"])


def test_xackdel_of_an_entry_that_is_gone_acknowledges_it(ask):
    ask("XDEL s 1-0")
    assert ask("XACKDEL s g IDS 1 1-0") == [1]
    assert pending(ask) == ["2-0", "3-0"]


def test_xackdel_delref_takes_it_from_all_groups(ask):
    assert ask("XACKDEL s g DELREF IDS 1 1-0") == [1]
    assert pending(ask, "h") == ["2-0"]


def test_xackdel_acked_spares_what_another_group_still_needs(ask):
    assert ask("XACKDEL s g ACKED IDS 2 1-0 3-0") == [2, 2]
    assert ask("XLEN s") == 4
    assert ask("XACKDEL s h IDS 1 1-0 ACKED") == [1]
    assert ids(ask("XRANGE s - +")) == ["2-0", "3-0", "4-0"]


def test_xackdel_without_key_or_group_answers_for_each_before_reading_ids(ask):
    assert [ask("XACKDEL none g IDS 2 1-0 bad"), ask("XACKDEL s none IDS 2 1-0 bad")] == [[-1, -1], [-1, -1]]
    assert ask("XACKDEL s g IDS 2 1-0 bad") == INVALID_ID
    assert pending(ask) == ["1-0", "2-0", "3-0"]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("IDS 1", "-ERR wrong number of arguments for 'xackdel' command"),
        ("IDS 0 1-0", NUMIDS_POSITIVE),
        ("IDS x 1-0", NUMIDS_POSITIVE),
        ("IDS 2 1-0", NUMIDS_MATCH),
        ("FOO IDS 1 1-0", "-ERR syntax error"),
        ("ACKED DELREF IDS 1 1-0", "-ERR syntax error"),
    ],
)
def test_xackdel_refusals(ask, words, refusal):
    assert ask(f"XACKDEL s g {words}") == refusal


# -- XNACK --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("SILENT IDS 1 1-0", 0),
        ("FAIL IDS 1 1-0", 1),
        ("FATAL IDS 1 1-0", COUNT_MAX),
        ("fail ids 1 1-0 retrycount 7", 7),
        ("FATAL RETRYCOUNT 3 FORCE IDS 1 1-0", 3),
    ],
)
def test_xnack_releases_with_the_count_of_its_mode(ask, words, count):
    assert ask(f"XNACK s g {words}") == 1
    assert ask("XPENDING s g - + 1") == [["1-0", "", -1, count]]


def test_xnack_counts_only_what_somebody_held(ask):
    assert ask("XNACK s g FAIL IDS 4 1-0 1-0 4-0 99-0") == 1
    assert ask("XNACK s g FAIL IDS 1 1-0") == 0


def test_xnack_force_makes_an_unowned_pending_entry_of_one_that_exists(ask):
    assert ask("XNACK s g FAIL IDS 2 4-0 99-0 FORCE") == 1
    assert ask("XPENDING s g 4 4 1") == [["4-0", "", -1, 0]]


def test_what_xnack_released_is_pending_with_nobody(ask):
    ask("XNACK s g FAIL IDS 1 1-0")
    assert ask("XPENDING s g") == [3, "1-0", "3-0", [["c", "2"]]]
    full = fields(fields(ask("XINFO STREAM s FULL"))["groups"][0])
    assert (full["pel-count"], full["nacked-count"]) == (3, 1)
    assert fields(ask("XINFO CONSUMERS s g")[0])["pending"] == 2


def test_what_xnack_released_can_be_claimed_at_any_age_and_acknowledged(ask):
    ask("XNACK s g FAIL IDS 3 1-0 2-0 3-0")
    assert ids(ask("XCLAIM s g d 60000 1-0")) == ["1-0"]
    assert ids(ask("XAUTOCLAIM s g d 60000 0 COUNT 1")[1]) == ["2-0"]
    assert ask("XACK s g 3-0") == 1
    assert ask("XPENDING s g - + 10") == [["1-0", "d", 0, 2], ["2-0", "d", 0, 2]]


def test_xnack_without_key_or_group_releases_nothing(ask):
    assert [ask("XNACK none g FAIL IDS 1 1-0"), ask("XNACK s none FAIL IDS 1 1-0")] == [0, 0]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("MAYBE IDS 1 1-0", "-ERR mode must be SILENT, FAIL, or FATAL"),
        ("FAIL IDS 2 1-0", NUMIDS_MATCH),
        ("FAIL IDS 0 1-0", NUMIDS_POSITIVE),
        ("FAIL FORCE RETRYCOUNT 1", "-ERR IDS option is required"),
        ("FAIL IDS 1 1-0 FOO", "-ERR syntax error"),
        ("FAIL IDS 1 bad", INVALID_ID),
    ],
)
def test_xnack_refusals(ask, words, refusal):
    assert ask(f"XNACK s g {words}") == refusal


def test_xnack_survives_a_restart(ask):
    ask("XNACK s g FATAL IDS 2 3-0 1-0")
    ask("DEBUG RELOAD")
    assert ask("XPENDING s g - + 3")[0] == ["1-0", "", -1, COUNT_MAX]
    assert ids(ask("XREADGROUP GROUP g d COUNT 2 CLAIM 60000 STREAMS s >")[0][1]) == ["3-0", "1-0"]
