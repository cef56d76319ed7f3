"""MULTI, EXEC, DISCARD, WATCH, UNWATCH."""

from __future__ import annotations

import pytest

from tests.support.nodes import open_node

QUEUED = b"+QUEUED\r\n"
ABORTED = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
NULL = b"*-1\r\n"


@pytest.fixture
def client(node):
    return node.client()


@pytest.fixture
def ask(node, client):
    return lambda line: node.run(client, *line.split())


@pytest.fixture
def other(node):
    """Another client's requests."""
    client = node.client()
    return lambda line: node.run(client, *line.split())


# -- queueing --------------------------------------------------------------------------------------------------


def test_what_is_queued_runs_at_exec_and_not_before(ask, other):
    ask("MULTI")
    assert ask("XADD s 1-1 f v") == QUEUED
    assert other("EXISTS s") == b":0\r\n"
    assert ask("XLEN s") == QUEUED
    assert ask("EXEC") == b"*2\r\n$3\r\n1-1\r\n:1\r\n"
    assert other("EXISTS s") == b":1\r\n"


def test_an_empty_transaction_is_an_empty_array(ask):
    ask("MULTI")
    assert ask("EXEC") == b"*0\r\n"


def test_a_whole_transaction_may_come_in_one_piece(node, client):
    words = [line.split() for line in ("MULTI", "XADD s 1-1 f v", "XRANGE s - +", "EXEC", "PING")]
    entries = b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
    assert node.pipeline(client, words) == b"+OK\r\n" + 2 * QUEUED + b"*2\r\n$3\r\n1-1\r\n" + entries + b"+PONG\r\n"


def test_discard_forgets_what_was_queued(ask):
    ask("MULTI")
    ask("XADD s 1-1 f v")
    assert ask("DISCARD") == b"+OK\r\n"
    assert ask("EXISTS s") == b":0\r\n"


def test_one_that_fails_does_not_stop_the_others(ask):
    ask("MULTI")
    for line in ("XADD s 1-1 f v", "XADD s 1-1 f v", "XLEN s"):
        ask(line)
    too_small = b"-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n"
    assert ask("EXEC") == b"*3\r\n$3\r\n1-1\r\n" + too_small + b":1\r\n"


def test_select_inside_counts_for_what_follows_and_after(ask):
    ask("MULTI")
    for line in ("SELECT 1", "XADD s 1-1 f v", "SELECT 2", "EXISTS s"):
        ask(line)
    assert ask("EXEC") == b"*4\r\n+OK\r\n$3\r\n1-1\r\n+OK\r\n:0\r\n"
    assert ask("EXISTS s") == b":0\r\n"
    ask("SELECT 1")
    assert ask("EXISTS s") == b":1\r\n"


@pytest.mark.parametrize(
    "refused", ["NOPE", "XADD s", "XADD s 1-1 f", "XGROUP NOPE", "MULTI x", "WATCH", "DISCARD x", "SHUTDOWN NOSAVE FOO"]
)
def test_a_refusal_while_queueing_aborts_the_whole(ask, refused):
    ask("MULTI")
    ask("XADD s 1-1 f v")
    if refused != "XADD s 1-1 f":  # an odd number of fields shows only when it runs, unless the arity tells
        assert ask(refused).startswith(b"-ERR ")
    else:
        assert ask(refused) == b"-ERR wrong number of arguments for 'xadd' command\r\n"
    assert ask("EXEC") == ABORTED
    assert ask("EXISTS s") == b":0\r\n"
    assert ask("EXEC") == b"-ERR EXEC without MULTI\r\n"


def test_exec_with_a_word_too_many_says_why_it_discards(ask):
    ask("MULTI")
    ask("XADD s 1-1 f v")
    reason = b"wrong number of arguments for 'exec' command"
    assert ask("EXEC x") == b"-EXECABORT Transaction discarded because of: " + reason + b"\r\n"
    assert ask("DISCARD") == b"-ERR DISCARD without MULTI\r\n"


def test_multi_and_watch_inside_are_refused_and_break_nothing(ask):
    ask("MULTI")
    assert ask("MULTI") == b"-ERR MULTI calls can not be nested\r\n"
    assert ask("WATCH a") == b"-ERR WATCH inside MULTI is not allowed\r\n"
    assert ask("PING") == QUEUED
    assert ask("EXEC") == b"*1\r\n+PONG\r\n"


def test_exec_and_discard_need_multi(ask):
    assert ask("EXEC") == b"-ERR EXEC without MULTI\r\n"
    assert ask("DISCARD") == b"-ERR DISCARD without MULTI\r\n"


def test_reset_ends_a_transaction(ask):
    ask("MULTI")
    assert ask("UNWATCH") == QUEUED
    assert ask("RESET") == b"+RESET\r\n"
    assert ask("EXEC") == b"-ERR EXEC without MULTI\r\n"


def test_a_read_that_would_wait_answers_null_at_once(node, ask):
    ask("MULTI")
    ask("XREAD BLOCK 1000 STREAMS q $")
    ask("PING")
    assert ask("EXEC") == b"*2\r\n*-1\r\n+PONG\r\n"


def test_waiting_readers_are_served_behind_the_whole_of_an_exec(node, ask):
    reader = node.client()
    assert node.run(reader, "XREAD", "BLOCK", "0", "STREAMS", "s", "$") == b""
    ask("MULTI")
    ask("XADD s 1-1 f v")
    ask("XADD s 2-1 f v")
    ask("EXEC")
    assert node.output(reader).count(b"-1\r\n") == 2


def test_a_transaction_holds_over_a_restart(tmp_path, node, ask):
    ask("MULTI")
    ask("XADD s 1-1 f v")
    ask("XADD t 1-1 f v")
    ask("EXEC")
    node.node.stop()
    again = open_node(tmp_path)
    assert again.run(again.client(), "EXISTS", "s", "t") == b":2\r\n"


# -- watching --------------------------------------------------------------------------------------------------


def executed(ask) -> bool:
    """Whether a transaction goes through now."""
    ask("MULTI")
    ask("PING")
    reply = ask("EXEC")
    assert reply in (b"*1\r\n+PONG\r\n", NULL), reply
    return reply != NULL


BREAKING = [
    "XADD k * f v",
    "XTRIM k MAXLEN 1",
    "XDEL k 1-1",
    "DEL k",
    "UNLINK k",
    "EXPIRE k 100",
    "EXPIRE k 0",
    "RENAME k z",
    "RENAME s k",
    "COPY s k REPLACE",
    "MOVE k 5",
    "SWAPDB 0 1",
    "FLUSHDB",
    "FLUSHALL",
]
HARMLESS = [
    "XLEN k",
    "XADD s * f v",
    "XDEL k 9-9",
    "DEL n",
    "PERSIST k",
    "EXPIRE k 100 XX",
    "COPY k z",
    "COPY s k",
    "RENAMENX s k",
    "MOVE s 5",
    "TOUCH k",
    "SWAPDB 0 0",
    "SWAPDB 3 4",
    "XGROUP CREATE k g 0",
    "XSETID k 9-9",
]


@pytest.fixture
def watched(ask, other):
    """``k`` with two entries, which ``ask`` watches; ``s`` with one."""
    for line in ("XADD k 1-1 f v", "XADD k 2-1 f v", "XADD s 1-1 f v"):
        other(line)
    ask("WATCH k")


@pytest.mark.parametrize("line", BREAKING)
def test_a_changed_key_makes_exec_null(ask, other, watched, line):
    assert not other(line).startswith(b"-")
    assert not executed(ask)
    assert executed(ask)


@pytest.mark.parametrize("line", HARMLESS)
def test_what_leaves_the_key_alone_does_not(ask, other, watched, line):
    assert not other(line).startswith(b"-")
    assert executed(ask)


@pytest.mark.parametrize("line", ["XREADGROUP GROUP g c STREAMS k >", "XACK k g 1-1", "XGROUP DESTROY k g"])
def test_groups_are_not_what_is_watched(ask, other, watched, line):
    other("XGROUP CREATE k g 0")
    other("XREADGROUP GROUP g c COUNT 1 STREAMS k >")
    ask("UNWATCH")
    ask("WATCH k")
    other(line)
    assert executed(ask)


def test_ones_own_change_counts_too(ask, watched):
    ask("XADD k * f v")
    assert not executed(ask)


def test_null_is_one_in_resp3(node, other):
    client = node.client(3)
    node.run(client, "WATCH", "k")
    other("XADD k 1-1 f v")
    node.run(client, "MULTI")
    assert node.run(client, "EXEC") == b"_\r\n"


@pytest.mark.parametrize("line", ["UNWATCH", "RESET"])
def test_a_broken_watch_can_be_forgotten(ask, other, watched, line):
    other("XADD k * f v")
    ask(line)
    assert executed(ask)


def test_discard_forgets_watches(ask, other, watched):
    other("XADD k * f v")
    ask("MULTI")
    ask("DISCARD")
    assert executed(ask)


def test_unwatch_inside_does_not_save_a_broken_watch(ask, other, watched):
    other("XADD k * f v")
    ask("MULTI")
    assert ask("UNWATCH") == QUEUED
    assert ask("EXEC") == NULL


def test_exec_forgets_watches(ask, other, watched):
    assert executed(ask)
    other("XADD k * f v")
    assert executed(ask)


def test_previous_errors_come_before_a_broken_watch(ask, other, watched):
    other("XADD k * f v")
    ask("MULTI")
    ask("NOPE")
    assert ask("EXEC") == ABORTED


def test_a_key_that_was_created_counts(ask, other):
    ask("WATCH n m")
    other("XADD m 1-1 f v")
    assert not executed(ask)


def test_flushing_nothing_breaks_nothing(ask, other):
    ask("WATCH n")
    other("FLUSHALL")
    assert executed(ask)


def test_a_watch_is_of_one_database(ask, other):
    ask("WATCH k")
    other("SELECT 1")
    other("XADD k 1-1 f v")
    assert executed(ask)


def test_swapping_a_key_in_breaks_a_watch_of_its_name(ask, other):
    ask("WATCH k")
    other("SELECT 1")
    other("XADD k 1-1 f v")
    ask("UNWATCH")
    ask("WATCH k")
    other("SWAPDB 0 1")
    assert not executed(ask)


def test_swapping_breaks_watches_of_both_databases(ask, other):
    other("XADD k 1-1 f v")
    ask("SELECT 1")
    ask("WATCH k")
    other("SWAPDB 0 1")
    assert not executed(ask)


def test_expiry_breaks_a_watch(node, ask, other, watched):
    ask("UNWATCH")
    other("PEXPIRE k 100")
    ask("WATCH k")
    node.clock.advance(100)
    assert not executed(ask)


def test_expiry_breaks_a_watch_also_when_nobody_has_noticed_it_yet(node, client, ask, other, watched):
    ask("UNWATCH")
    other("PEXPIRE k 100")
    ask("WATCH k")
    node.clock.advance(100)
    assert node.pipeline(client, [["MULTI"], ["PING"], ["EXEC"]]) == b"+OK\r\n" + QUEUED + NULL


def test_a_watch_holds_from_the_moment_it_is_set(node, client, ask):
    """Also when the change comes in the same tick."""
    node.tick([(client, [[b"WATCH", b"k"]]), (node.client(), [[b"XADD", b"k", b"*", b"f", b"v"]])])
    node.output(client)
    assert not executed(ask)


def test_a_key_that_had_expired_when_it_was_watched_breaks_nothing(node, ask, other, watched):
    other("PEXPIRE k 100")
    ask("UNWATCH")
    node.clock.advance(100)
    ask("WATCH k")
    assert executed(ask)


def test_watchers_of_one_key_are_told_apart(node, ask, other, watched):
    third = node.client()
    node.run(third, "WATCH", "k")
    node.run(third, "UNWATCH")
    other("XADD k * f v")
    assert not executed(ask)
    assert executed(lambda line: node.run(third, *line.split()))


def test_a_client_that_leaves_leaves_no_watch(node, watched):
    for client in list(node.node.clients.values()):
        node.node.disconnect(client)
    assert not node.node.watches
