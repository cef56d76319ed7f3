"""XREADGROUP: new entries, history, options and refusals."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, fields, ids
from tests.support.nodes import open_node

SYNTAX = "-ERR syntax error"
NOT_AN_INTEGER = "-ERR value is not an integer or out of range"
INVALID_ID = "-ERR Invalid stream ID specified as stream command argument"
UNBALANCED = "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."


def no_group(key: str, group: str) -> str:
    return f"-NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP option"


@pytest.fixture
def ask(node):
    ask = asker(node)
    for line in ("XADD s 1-1 a b", "XADD s 2-0 c d", "XADD s 3-0 e f", "XGROUP CREATE s g 0"):
        ask(line)
    return ask


def consumers(ask):
    return {fields(each)["name"]: fields(each) for each in ask("XINFO CONSUMERS s g")}


def deliveries(ask):
    return {entry[0]: (entry[1], entry[3]) for entry in ask("XPENDING s g - + 100")}


# -- new entries ------------------------------------------------------------------------------------------


def test_new_entries_are_given_once_in_order(ask):
    assert ask("XREADGROUP GROUP g c COUNT 2 STREAMS s >") == [["s", [["1-1", ["a", "b"]], ["2-0", ["c", "d"]]]]]
    assert ask("XREADGROUP GROUP g d COUNT 2 STREAMS s >") == [["s", [["3-0", ["e", "f"]]]]]
    assert ask("XREADGROUP GROUP g c STREAMS s >") is None


def test_replies_are_arrays_in_resp2_and_maps_in_resp3(node, ask):
    assert ask.wire("XREADGROUP GROUP g c COUNT 1 STREAMS s >") == (
        b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
    )
    newer = asker(node, 3)
    assert newer.wire("XREADGROUP GROUP g c COUNT 1 STREAMS s >") == (
        b"%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n"
    )
    ask("XGROUP SETID s g $")
    assert (ask.wire("XREADGROUP GROUP g c STREAMS s >"), newer.wire("XREADGROUP GROUP g c STREAMS s >")) == (
        b"*-1\r\n",
        b"_\r\n",
    )


def test_a_stream_named_twice_is_read_twice(ask):
    read = ask("XREADGROUP GROUP g c COUNT 1 STREAMS s s > >")
    assert [(key, ids(entries)) for key, entries in read] == [("s", ["1-1"]), ("s", ["2-0"])]


def test_streams_without_anything_new_are_left_out(ask):
    ask("XGROUP CREATE t g $ MKSTREAM")
    assert [key for key, _ in ask("XREADGROUP GROUP g c STREAMS t s > >")] == ["s"]


def test_deleted_entries_are_passed_over(ask):
    ask("XDEL s 2-0")
    assert ids(ask("XREADGROUP GROUP g c COUNT 2 STREAMS s >")[0][1]) == ["1-1", "3-0"]


def test_entries_of_the_same_tick_are_there(node, ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    wire = node.pipeline(
        ask.client,
        [
            ["XADD", "s", "4-0", "x", "y"],
            ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"],
            ["XACK", "s", "g", "4-0"],
        ],
    )
    assert wire == (b"$3\r\n4-0\r\n*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nx\r\n$1\r\ny\r\n:1\r\n")


def test_noack_leaves_nothing_pending_and_creates_the_consumer(ask):
    assert ids(ask("XREADGROUP GROUP g c COUNT 2 NOACK STREAMS s >")[0][1]) == ["1-1", "2-0"]
    assert ask("XPENDING s g") == [0, None, None, None]
    assert consumers(ask)["c"]["inactive"] == -1


def test_count_zero_or_below_means_all(ask):
    assert len(ask("XREADGROUP GROUP g c COUNT 0 STREAMS s >")[0][1]) == 3
    ask("XGROUP SETID s g 0")
    assert len(ask("XREADGROUP GROUP g c COUNT -7 STREAMS s >")[0][1]) == 3


def test_options_come_in_any_case_and_order_and_the_last_one_counts(ask):
    assert len(ask("xreadgroup count 1 COUNT 3 noack Group other x group g c count 2 streams s >")[0][1]) == 2


def test_a_group_and_a_consumer_may_be_called_streams(ask):
    ask("XGROUP CREATE s STREAMS 0")
    assert ids(ask("XREADGROUP GROUP STREAMS STREAMS COUNT 1 STREAMS s >")[0][1]) == ["1-1"]
    assert ask("COMMAND GETKEYS XREADGROUP GROUP STREAMS STREAMS COUNT 1 STREAMS s >") == ["s"]


def test_reading_creates_the_consumer_even_if_nothing_is_there(ask):
    ask("XGROUP SETID s g $")
    ask("XREADGROUP GROUP g c STREAMS s >")
    assert list(consumers(ask)) == ["c"]


def test_seen_time_moves_with_every_attempt_active_time_with_entries_only(node, ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    node.clock.advance(100)
    ask("XREADGROUP GROUP g c STREAMS s >")
    assert (consumers(ask)["c"]["idle"], consumers(ask)["c"]["inactive"]) == (0, 100)


# -- history ----------------------------------------------------------------------------------------------


def test_history_is_what_is_pending_with_the_consumer_behind_the_id(ask):
    ask("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    ask("XREADGROUP GROUP g d STREAMS s >")
    assert ids(ask("XREADGROUP GROUP g c STREAMS s 0")[0][1]) == ["1-1", "2-0"]
    assert ids(ask("XREADGROUP GROUP g c STREAMS s 1-1")[0][1]) == ["2-0"]
    assert ids(ask("XREADGROUP GROUP g c STREAMS s 1")[0][1]) == ["1-1", "2-0"]
    assert ids(ask("XREADGROUP GROUP g c COUNT 1 STREAMS s 0")[0][1]) == ["1-1"]


def test_empty_history_is_told_as_an_empty_list_and_never_blocks(ask):
    assert ask("XREADGROUP GROUP g c BLOCK 0 STREAMS s 0") == [["s", []]]


def test_history_raises_the_delivery_count_and_sets_the_time(node, ask):
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    node.clock.advance(500)
    ask("XREADGROUP GROUP g c STREAMS s 0")
    assert ask("XPENDING s g - + 1") == [["1-1", "c", 0, 2]]
    assert consumers(ask)["c"]["inactive"] == 500


def test_history_reports_deleted_entries_as_null_and_leaves_them_as_they_are(node, ask):
    ask("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    ask("XDEL s 1-1")
    assert ask.wire("XREADGROUP GROUP g c STREAMS s 0") == (
        b"*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n"
    )
    assert deliveries(ask) == {"1-1": ("c", 1), "2-0": ("c", 2)}
    assert asker(node, 3)("XREADGROUP GROUP g c COUNT 1 STREAMS s 0") == {"s": [["1-1", None]]}


def test_history_reports_trimmed_entries_as_null(ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    ask("XTRIM s MAXLEN 0")
    assert ask("XREADGROUP GROUP g c STREAMS s 0") == [["s", [["1-1", None], ["2-0", None], ["3-0", None]]]]
    assert ask("XREADGROUP GROUP g c STREAMS s 1-1") == [["s", [["2-0", None], ["3-0", None]]]]


def test_the_last_possible_id_reads_new_entries(ask):
    last = "18446744073709551615-18446744073709551615"
    assert ids(ask(f"XREADGROUP GROUP g c COUNT 1 STREAMS s {last}")[0][1]) == ["1-1"]


# -- MAXCOUNT and MAXSIZE -----------------------------------------------------------------------------------


def test_maxcount_counts_over_all_streams_from_the_first_on(ask):
    ask("XADD t 1-0 a b")
    ask("XGROUP CREATE t g 0")
    read = ask("XREADGROUP GROUP g c COUNT 2 MAXCOUNT 3 STREAMS s t > >")
    assert [(key, ids(entries)) for key, entries in read] == [("s", ["1-1", "2-0"]), ("t", ["1-0"])]
    ask("XGROUP SETID s g 0")
    ask("XGROUP SETID t g 0")
    assert [key for key, _ in ask("XREADGROUP GROUP g c MAXCOUNT 3 STREAMS s t > >")] == ["s"]


def test_maxsize_lets_one_entry_through_always_and_skipped_ones_stay_new(ask):
    assert ids(ask("XREADGROUP GROUP g c MAXSIZE 1 STREAMS s >")[0][1]) == ["1-1"]
    assert ask("XPENDING s g")[0] == 1
    assert ids(ask("XREADGROUP GROUP g c MAXSIZE 1000 STREAMS s >")[0][1]) == ["2-0", "3-0"]


def test_maxcount_and_maxsize_hold_for_history_too(ask):
    ask("XREADGROUP GROUP g c STREAMS s >")
    assert ids(ask("XREADGROUP GROUP g c MAXCOUNT 2 STREAMS s 0")[0][1]) == ["1-1", "2-0"]
    assert ids(ask("XREADGROUP GROUP g c MAXSIZE 1 STREAMS s 0")[0][1]) == ["1-1"]


@pytest.mark.parametrize("name", ["MAXCOUNT", "MAXSIZE"])
@pytest.mark.parametrize("word", ["0", "-1", "x"])
def test_maxcount_and_maxsize_are_positive(ask, name, word):
    assert ask(f"XREADGROUP GROUP g c {name} {word} STREAMS s >") == f"-ERR {name} must be a positive integer"


# -- the read counter -----------------------------------------------------------------------------------------


def counter(ask):
    group = fields(ask("XINFO GROUPS s")[0])
    return group["entries-read"], group["lag"]


def test_the_counter_of_a_group_from_the_start_counts(ask):
    seen = [counter(ask)]
    for _ in range(3):
        ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
        seen.append(counter(ask))
    assert seen == [(None, 3), (1, 2), (2, 1), (3, 0)]


def test_the_counter_is_lost_over_a_deletion_and_found_at_the_end_while_lag_stays_exact(ask):
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    ask("XADD s 4-0 g h")
    ask("XDEL s 3-0")
    assert counter(ask) == (1, 2)
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    assert counter(ask) == (None, 1)
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    assert counter(ask) == (4, 0)


def test_the_counter_goes_on_behind_entries_that_were_trimmed_unread(ask):
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    ask("XTRIM s MAXLEN 1")
    assert counter(ask) == (1, 1)
    ask("XREADGROUP GROUP g c STREAMS s >")
    assert counter(ask) == (3, 0)


def test_the_counter_of_an_empty_stream_is_unknown(ask):
    ask("XGROUP CREATE e g $ MKSTREAM")
    group = fields(ask("XINFO GROUPS e")[0])
    assert (group["entries-read"], group["lag"]) == (None, 0)


# -- refusals, in their order ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("GROUP g c STREAMS s", "-ERR wrong number of arguments for 'xreadgroup' command"),
        ("GROUP g c STREAMS s t >", UNBALANCED),
        ("GROUP g c COUNT 1 STREAMS", SYNTAX),
        ("GROUP g c COUNT 1 BLOCK 1 x", SYNTAX),
        ("GROUP g c FOO 1 STREAMS s >", SYNTAX),
        ("COUNT 1 COUNT 1 STREAMS s >", "-ERR Missing GROUP option for XREADGROUP"),
        ("GROUP g c COUNT x STREAMS s >", NOT_AN_INTEGER),
        ("GROUP g c BLOCK x STREAMS s >", "-ERR timeout is not an integer or out of range"),
        ("GROUP g c BLOCK -1 STREAMS s >", "-ERR timeout is negative"),
        ("GROUP g c BLOCK 9223372036854775807 STREAMS s >", "-ERR timeout is out of range"),
        ("GROUP g c CLAIM x STREAMS s >", "-ERR min-idle-time is not an integer or out of range"),
        ("GROUP g c CLAIM -1 STREAMS s >", "-ERR min-idle-time must be a positive integer"),
        ("GROUP g c COUNT 1 STREAMS s bad", INVALID_ID),
        ("GROUP g c STREAMS s > COUNT 1", INVALID_ID),
        ("GROUP none c COUNT 1 STREAMS s bad", no_group("s", "none")),
        ("GROUP g c COUNT 1 STREAMS none >", no_group("none", "g")),
        ("GROUP g c COUNT 1 STREAMS s none bad >", INVALID_ID),
        ("GROUP g c COUNT 1 STREAMS none s > bad", no_group("none", "g")),
    ],
)
def test_refusals_come_in_the_order_of_redis(ask, words, refusal):
    assert ask(f"XREADGROUP {words}") == refusal


@pytest.mark.parametrize("sign", ["$", "+"])
def test_ids_that_mean_nothing_here_are_explained(ask, sign):
    assert ask(f"XREADGROUP GROUP g c STREAMS s {sign}") == (
        f"-ERR The {sign} ID is meaningless in the context of XREADGROUP: you want to read the history of this "
        "consumer by specifying a proper ID, or use the > ID to get new messages. "
        f"The {sign} ID would just return an empty result set."
    )


def test_a_refused_read_takes_nothing_from_any_stream(ask):
    ask("XREADGROUP GROUP g c STREAMS s none > >")
    assert ask("XPENDING s g")[0] == 0
    assert consumers(ask) == {}


# -- inside MULTI -----------------------------------------------------------------------------------------------


def test_inside_multi_a_read_that_would_block_answers_null(ask):
    ask("XGROUP SETID s g $")
    ask("MULTI")
    ask("XREADGROUP GROUP g c BLOCK 0 STREAMS s >")
    assert ask("EXEC") == [None]


def test_history_can_be_read_inside_multi(ask):
    ask("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    ask("MULTI")
    ask("XREADGROUP GROUP g c STREAMS s 0")
    ask("XACK s g 1-1")
    ask("XREADGROUP GROUP g c STREAMS s 0")
    assert ask("EXEC") == [[["s", [["1-1", ["a", "b"]]]]], 1, [["s", []]]]


def test_history_of_many_entries_with_holes_is_complete(node, ask):
    node.tick([(ask.client, [[b"XADD", b"s", b"%d-5" % n, b"f", b"v"] for n in range(10, 2010)])])
    node.output(ask.client)
    ask("XREADGROUP GROUP g c STREAMS s >")
    gone = {n for n in range(10, 2010) if n % 7 == 0}
    ask("XDEL s " + " ".join(f"{n}-5" for n in gone))
    ask("XACK s g " + " ".join(f"{n}-5" for n in range(10, 2010, 5)))
    expected = [(f"{n}-5", None if n in gone else ["f", "v"]) for n in range(10, 2010) if n % 5]
    read = ask("XREADGROUP GROUP g c STREAMS s 4-0")[0][1]
    assert [tuple(entry) for entry in read] == expected
    counted = ask("XREADGROUP GROUP g c COUNT 100 MAXCOUNT 300 STREAMS s 4-0")[0][1]
    assert [tuple(entry) for entry in counted] == expected[:100]
    limited = ask("XREADGROUP GROUP g c MAXCOUNT 300 STREAMS s 4-0")[0][1]
    assert [tuple(entry) for entry in limited] == expected[:300]
    assert {entry[3] for entry in ask("XPENDING s g 5 + 100") if int(entry[0][:-2]) not in gone} == {4}


def test_entries_that_cannot_be_read_stay_new(tmp_path):
    node = open_node(tmp_path, segment_bytes=4096)
    client = node.client()
    for n in range(1, 100):
        node.run(client, "XADD", "s", f"{n}-0", "f", "v" * 100)
    node.run(client, "XGROUP", "CREATE", "s", "g", "0")
    node.kill()
    node = open_node(tmp_path)
    client = node.client()
    assert node.run(client, "XLEN", "s") == b":99\r\n"
    path = min((tmp_path / "streams").glob("*/*.log"), key=lambda path: (path.stat().st_size < 4096, path))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"v" * 100, b"w" * 100))
    read = ["XREADGROUP", "GROUP", "g", "c", "COUNT", "3", "STREAMS", "s", ">"]
    assert node.run(client, *read).startswith(b"-")
    path.write_bytes(whole)
    assert node.run(client, *read).count(b"v" * 100) == 3
    assert node.run(client, "XPENDING", "s", "g").startswith(b"*4\r\n:3\r\n$3\r\n1-0\r\n")
