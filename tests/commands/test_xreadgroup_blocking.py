"""XREADGROUP BLOCK: who is served, in which order, and what ends a wait."""

from __future__ import annotations

import pytest

from tests.support.asking import NOTHING, asker, fields, ids

READ = "XREADGROUP GROUP g {} BLOCK {} STREAMS s >"


def no_group(key: str = "s") -> str:
    return f"-NOGROUP No such key '{key}' or consumer group 'g' in XREADGROUP with GROUP option"


@pytest.fixture
def ask(node):
    ask = asker(node)
    ask("XGROUP CREATE s g $ MKSTREAM")
    return ask


@pytest.fixture
def waiting(node, ask):
    """Makes a client that waits for new entries of ``s``."""

    def wait(consumer="c", timeout_ms=0, line=READ):
        other = asker(node)
        assert other(line.format(consumer, timeout_ms)) == NOTHING
        return other

    return wait


def test_an_entry_wakes_the_reader(ask, waiting):
    reader = waiting()
    ask("XADD s 1-0 a b")
    assert reader.heard() == [["s", [["1-0", ["a", "b"]]]]]
    assert ask("XPENDING s g") == [1, "1-0", "1-0", [["c", "1"]]]


def test_a_reader_is_woken_in_its_own_protocol(node, ask):
    reader = asker(node, 3)
    reader(READ.format("c", 0))
    ask("XADD s 1-0 a b")
    assert reader.heard() == {"s": [["1-0", ["a", "b"]]]}


def test_readers_are_served_first_come_first_served_and_none_gets_an_empty_array(ask, waiting):
    first, second = waiting("c1"), waiting("c2")
    ask("XADD s 1-0 a b")
    assert (ids(first.heard()[0][1]), second.heard()) == (["1-0"], NOTHING)
    ask("XADD s 2-0 a b")
    assert ids(second.heard()[0][1]) == ["2-0"]


def test_readers_of_different_groups_are_all_served(node, ask, waiting):
    ask("XGROUP CREATE s h $")
    first, second = waiting(), waiting(line="XREADGROUP GROUP h {} BLOCK {} STREAMS s >")
    ask("XADD s 1-0 a b")
    assert ids(first.heard()[0][1]) == ids(second.heard()[0][1]) == ["1-0"]


def test_the_timeout_is_kept_when_another_takes_the_entry(node, ask, waiting):
    first, second = waiting("c1"), waiting("c2", 1000)
    node.clock.advance(600)
    ask("XADD s 1-0 a b")
    assert second.heard() == NOTHING
    node.clock.advance(399)
    node.tick()
    assert second.heard() == NOTHING
    node.clock.advance(2)
    node.tick()
    assert second.heard() is None
    assert first.heard() != NOTHING


def test_entries_added_inside_exec_wake_once_exec_is_done(node, ask, waiting):
    reader = waiting()
    ask("MULTI")
    ask("XADD s 1-0 a b")
    ask("XADD s 2-0 a b")
    ask("EXEC")
    assert ids(reader.heard()[0][1]) == ["1-0", "2-0"]


def test_an_entry_that_exec_deletes_again_wakes_nobody(ask, waiting):
    reader = waiting()
    for line in ("MULTI", "XADD s 1-0 a b", "XDEL s 1-0", "EXEC"):
        ask(line)
    assert reader.heard() == NOTHING
    ask("XADD s 2-0 a b")
    assert ids(reader.heard()[0][1]) == ["2-0"]


def test_a_stream_that_ran_dry_blocks_and_wakes(ask, waiting):
    ask("XADD s 1-0 a b")
    ask("XDEL s 1-0")
    reader = waiting()
    ask("XADD s 2-0 a b")
    assert ids(reader.heard()[0][1]) == ["2-0"]


def test_whoever_waits_for_several_streams_gets_the_one_that_has_something(node, ask):
    ask("XGROUP CREATE t g $ MKSTREAM")
    reader = asker(node)
    reader("XREADGROUP GROUP g c BLOCK 0 STREAMS s t > >")
    ask("XADD t 1-0 a b")
    assert [key for key, _ in reader.heard()] == ["t"]


@pytest.mark.parametrize(
    "line", ["DEL s", "UNLINK s", "FLUSHALL", "FLUSHDB", "XGROUP DESTROY s g", "RENAME s elsewhere", "PEXPIREAT s 1"]
)
def test_a_reader_whose_key_or_group_goes_is_told(ask, waiting, line):
    reader = waiting()
    ask(line)
    assert reader.heard() == no_group()


def test_a_reader_whose_key_goes_inside_exec_is_told(ask, waiting):
    reader = waiting()
    for line in ("MULTI", "DEL s", "EXEC"):
        ask(line)
    assert reader.heard() == no_group()


def test_a_reader_whose_database_is_swapped_away_is_told(ask, waiting):
    reader = waiting()
    ask("SWAPDB 0 1")
    assert reader.heard() == no_group()


def test_renaming_another_stream_onto_the_key_serves_or_tells(ask, waiting):
    ask("XADD with 1-0 a b")
    ask("XGROUP CREATE with g 0")
    reader = waiting()
    ask("RENAME with s")
    assert ids(reader.heard()[0][1]) == ["1-0"]
    ask("XADD without 1-0 a b")
    other = waiting()
    ask("RENAME without s")
    assert other.heard() == no_group()


def test_a_key_that_is_deleted_and_made_anew_inside_exec_serves_the_new_one(ask, waiting):
    reader = waiting()
    for line in ("MULTI", "DEL s", "XADD s 5-0 a b", "XGROUP CREATE s g 0", "EXEC"):
        ask(line)
    assert ids(reader.heard()[0][1]) == ["5-0"]


def test_many_readers_do_not_wake_one_another_for_ever(ask, waiting):
    readers = [waiting(f"c{number}") for number in range(3)]
    for number in range(1, 4):
        ask(f"XADD s {number}-0 a b")
    assert [ids(reader.heard()[0][1]) for reader in readers] == [["1-0"], ["2-0"], ["3-0"]]


def test_a_closed_connection_takes_nothing(node, ask, waiting):
    gone, reader = waiting("c1"), waiting("c2")
    node.node.disconnect(gone.client)
    ask("XADD s 1-0 a b")
    assert ids(reader.heard()[0][1]) == ["1-0"]


def test_client_unblock_ends_a_wait(ask, waiting):
    timed, refused = waiting("c1"), waiting("c2")
    assert ask(f"CLIENT UNBLOCK {timed.client.id}") == 1
    assert ask(f"CLIENT UNBLOCK {refused.client.id} ERROR") == 1
    assert timed.heard() is None
    assert refused.heard() == "-UNBLOCKED client unblocked via CLIENT UNBLOCK"


def test_noack_count_and_maxcount_hold_after_waiting(ask, waiting):
    reader = waiting(line="XREADGROUP GROUP g {} COUNT 2 MAXCOUNT 2 NOACK BLOCK {} STREAMS s >")
    for line in ("MULTI", "XADD s 1-0 a b", "XADD s 2-0 a b", "XADD s 3-0 a b", "EXEC"):
        ask(line)
    assert ids(reader.heard()[0][1]) == ["1-0", "2-0"]
    assert ask("XPENDING s g")[0] == 0


def test_waiting_creates_the_consumer_and_being_served_is_seen(node, ask, waiting):
    waiting()
    assert fields(ask("XINFO CONSUMERS s g")[0])["inactive"] == -1
    node.clock.advance(300)
    ask("XADD s 1-0 a b")
    consumer = fields(ask("XINFO CONSUMERS s g")[0])
    assert (consumer["idle"], consumer["inactive"]) == (0, 0)


def test_waiting_for_one_stream_twice_serves_once(node, ask):
    reader = asker(node)
    assert reader("XREADGROUP GROUP g c BLOCK 0 COUNT 1 STREAMS s s > >") == NOTHING
    ask("XADD s 1-0 a b")
    assert [(key, ids(entries)) for key, entries in reader.heard()] == [("s", ["1-0"])]
    ask("XADD s 2-0 a b")
    assert reader.heard() == NOTHING
    assert reader("PING") == "PONG"


def test_requests_sent_behind_a_waiting_read_are_answered_behind_it(node, ask):
    reader = asker(node)
    node.tick([(reader.client, [READ.format("c", 0).encode().split(), [b"PING"]])])
    assert node.output(reader.client) == b""
    ask("XADD s 1-0 a b")
    node.tick()
    assert node.output(reader.client).endswith(b"$1\r\na\r\n$1\r\nb\r\n+PONG\r\n")
