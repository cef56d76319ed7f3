"""XGROUP: groups and consumers made, moved and dropped."""

from __future__ import annotations

import pytest

from tests.support.asking import asker, fields

NEEDS_KEY = (
    "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM "
    "option to create an empty stream automatically."
)
INVALID_ID = "-ERR Invalid stream ID specified as stream command argument"


def unreadable(subcommand: str) -> str:
    return f"-ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try XGROUP HELP."


@pytest.fixture
def ask(node):
    ask = asker(node)
    for line in ("XADD s 1-1 a b", "XADD s 2-0 a b", "XADD s 3-0 a b"):
        ask(line)
    return ask


def cursor(ask, key="s", place=0):
    group = fields(ask(f"XINFO GROUPS {key}")[place])
    return group["last-delivered-id"], group["entries-read"], group["lag"]


# -- CREATE -----------------------------------------------------------------------------------------------


def test_a_group_created_at_0_has_everything_before_it(ask):
    assert ask("XGROUP CREATE s g 0") == "OK"
    assert cursor(ask) == ("0-0", None, 3)


def test_a_group_created_at_the_dollar_sign_has_nothing_before_it(ask):
    ask("XGROUP CREATE s g $")
    assert cursor(ask) == ("3-0", None, 0)


def test_creating_a_group_twice_is_refused(ask):
    ask("XGROUP CREATE s g 0")
    assert ask("XGROUP CREATE s g 0") == "-BUSYGROUP Consumer Group name already exists"


def test_without_mkstream_the_key_must_exist(ask):
    assert ask("XGROUP CREATE none g $") == NEEDS_KEY
    assert ask("XGROUP CREATE none g bad") == NEEDS_KEY


def test_mkstream_makes_an_empty_stream(ask):
    assert ask("XGROUP CREATE new g $ mkstream") == "OK"
    assert (ask("TYPE new"), ask("XLEN new")) == ("stream", 0)
    assert cursor(ask, "new") == ("0-0", None, 0)


def test_a_refused_create_with_mkstream_makes_no_stream(ask):
    assert ask("XGROUP CREATE new g bad MKSTREAM") == INVALID_ID
    assert ask("EXISTS new") == 0


@pytest.mark.parametrize("word", ["-", "+", "bad", "1-", "(1-0"])
def test_the_id_must_be_one(ask, word):
    assert ask(f"XGROUP CREATE s g {word}") == INVALID_ID


def test_entriesread_is_at_most_what_was_added(ask):
    ask("XGROUP CREATE s g 0 ENTRIESREAD 100")
    assert cursor(ask) == ("0-0", 3, 3)


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ("MKSTREAM FOO", unreadable("CREATE")),
        ("ENTRIESREAD", unreadable("CREATE")),
        ("ENTRIESREAD x", "-ERR value is not an integer or out of range"),
        ("ENTRIESREAD -2", "-ERR value for ENTRIESREAD must be positive or -1"),
    ],
)
def test_options_are_read_before_the_key_is_looked_up(ask, options, refusal):
    assert ask(f"XGROUP CREATE none g 0 {options}") == refusal


def test_more_options_than_there_are_is_a_mistake_in_the_subcommand(ask):
    assert ask("XGROUP CREATE s g 0 MKSTREAM ENTRIESREAD -1 MKSTREAM") == unreadable("CREATE")


def test_a_group_ahead_of_its_stream_is_not_given_what_comes_before_its_id(ask):
    ask("XGROUP CREATE s g 99-0")
    ask("XADD s 50-0 a b")
    assert ask("XREADGROUP GROUP g c STREAMS s >") is None
    ask("XADD s 99-1 a b")
    assert ask("XREADGROUP GROUP g c STREAMS s >") == [["s", [["99-1", ["a", "b"]]]]]
    assert cursor(ask) == ("99-1", 5, 0)


# -- SETID ------------------------------------------------------------------------------------------------


def test_setid_moves_the_cursor_and_forgets_the_counter(ask):
    ask("XGROUP CREATE s g 0 ENTRIESREAD 2")
    assert ask("XGROUP SETID s g 1-1") == "OK"
    assert cursor(ask) == ("1-1", None, 2)


def test_setid_keeps_pending_entries_and_delivers_them_again_to_the_next_reader(ask):
    ask("XGROUP CREATE s g 0")
    ask("XREADGROUP GROUP g first STREAMS s >")
    ask("XGROUP SETID s g 0")
    ask("XREADGROUP GROUP g second STREAMS s >")
    assert ask("XPENDING s g") == [3, "1-1", "3-0", [["second", "3"]]]


def test_setid_alone_takes_the_first_and_the_last_of_all_ids_as_dash_and_plus(ask):
    ask("XGROUP CREATE s g 0")
    assert ask("XGROUP SETID s g +") == "OK"
    assert ask("XREADGROUP GROUP g c STREAMS s >") is None
    assert ask("XGROUP SETID s g -") == "OK"
    assert len(ask("XREADGROUP GROUP g c STREAMS s >")[0][1]) == 3
    assert [ask(f"XGROUP CREATE s other {end}") for end in "-+"] == [INVALID_ID] * 2


def test_setid_looks_for_the_key_then_the_group_then_at_the_id(ask):
    assert ask("XGROUP SETID none g bad") == NEEDS_KEY
    assert ask("XGROUP SETID s none bad") == "-NOGROUP No such consumer group 'none' for key name 's'"
    ask("XGROUP CREATE s g 0")
    assert ask("XGROUP SETID s g bad") == INVALID_ID
    assert ask("XGROUP SETID s g 0 MKSTREAM") == unreadable("SETID")


# -- DESTROY, and consumers ---------------------------------------------------------------------------------


def test_destroy_says_whether_there_was_a_group(ask):
    ask("XGROUP CREATE s g 0")
    assert [ask("XGROUP DESTROY s g"), ask("XGROUP DESTROY s g")] == [1, 0]
    assert ask("XINFO GROUPS s") == []
    assert ask("XGROUP DESTROY none g") == NEEDS_KEY


def test_a_consumer_is_created_once(ask):
    ask("XGROUP CREATE s g 0")
    assert [ask("XGROUP CREATECONSUMER s g c"), ask("XGROUP CREATECONSUMER s g c")] == [1, 0]
    assert fields(ask("XINFO CONSUMERS s g")[0])["inactive"] == -1


def test_deleting_a_consumer_drops_what_was_pending_with_it(ask):
    ask("XGROUP CREATE s g 0")
    ask("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    ask("XREADGROUP GROUP g d STREAMS s >")
    assert ask("XGROUP DELCONSUMER s g c") == 2
    assert ask("XPENDING s g") == [1, "3-0", "3-0", [["d", "1"]]]
    assert ask("XGROUP DELCONSUMER s g c") == 0


@pytest.mark.parametrize("subcommand", ["CREATECONSUMER", "DELCONSUMER"])
def test_a_consumer_needs_key_and_group(ask, subcommand):
    assert ask(f"XGROUP {subcommand} none g c") == NEEDS_KEY
    assert ask(f"XGROUP {subcommand} s none c") == "-NOGROUP No such consumer group 'none' for key name 's'"


# -- what others see ----------------------------------------------------------------------------------------


def test_group_commands_notify_but_do_not_break_a_watch(node, ask):
    ask("CONFIG SET notify-keyspace-events KEA")
    watcher, listener = asker(node), asker(node, 3)
    listener("PSUBSCRIBE __keyevent@0__:*")
    watcher("WATCH s")
    for line in (
        "XGROUP CREATE s g 0",
        "XGROUP CREATECONSUMER s g c",
        "XREADGROUP GROUP g d STREAMS s >",
        "XGROUP SETID s g 0",
        "XGROUP DELCONSUMER s g c",
        "XGROUP DESTROY s g",
        "XGROUP DESTROY s g",
    ):
        ask(line)
    heard = node.output(listener.client)
    events = [word.split(b":")[-1].decode() for word in heard.split(b"\r\n") if word.startswith(b"__keyevent@0__:x")]
    assert events == [
        "xgroup-create",
        "xgroup-createconsumer",
        "xgroup-createconsumer",
        "xgroup-setid",
        "xgroup-delconsumer",
        "xgroup-destroy",
    ]
    watcher("MULTI")
    watcher("PING")
    assert watcher("EXEC") == ["PONG"]


def test_help_is_that_of_redis(ask):
    lines = ask("XGROUP HELP")
    assert lines[0] == "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert (len(lines), lines[-1]) == (17, "    Print this help.")


def test_groups_survive_a_restart(node, ask):
    ask("XGROUP CREATE s g 0")
    ask("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    ask("XACK s g 1-1")
    before = ask("XINFO STREAM s FULL")
    assert ask("DEBUG RELOAD") == "OK"
    assert ask("XINFO STREAM s FULL") == before
