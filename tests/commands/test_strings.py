"""Strings: set and read in all ways, counted, and replaced by and replacing keys of other kinds."""

from __future__ import annotations

import pytest

from tests.support.asking import Asker, asker
from tests.support.keyspace_events import listen
from tests.support.nodes import open_node

WRONG_TYPE = "-WRONGTYPE Operation against a key holding the wrong kind of value"


@pytest.fixture
def ask(node) -> Asker:
    return asker(node)


def test_set_replaces_the_text_and_takes_the_expiry_away(ask):
    assert ask("SET k v EX 100") == "OK"
    assert ask("TTL k") == 100
    assert ask("SET k w") == "OK"
    assert (ask("GET k"), ask("TTL k")) == ("w", -1)


def test_set_keeps_the_expiry_where_it_is_asked_to(ask):
    ask("SET k v PX 5000")
    ask("SET k w KEEPTTL")
    assert (ask("GET k"), ask("PTTL k")) == ("w", 5000)


def test_set_with_a_condition_answers_nothing_where_it_does_not_hold(ask):
    assert ask("SET k v XX") is None
    assert ask("SET k v NX") == "OK"
    assert ask("SET k w NX") is None
    assert ask("SET k w XX") == "OK"
    assert ask("GET k") == "w"


def test_set_with_get_tells_what_was_there(ask):
    assert ask("SET k v GET") is None
    assert ask("SET k w GET") == "v"
    assert ask("SET k x NX GET") == "w"
    assert ask("GET k") == "w"


@pytest.mark.parametrize(
    "options",
    ["EX", "EX 10 PX 10", "EX 10 KEEPTTL", "NX XX", "PERSIST", "IFEQ v", "EX 10 20", "NOPE"],
)
def test_set_with_options_that_do_not_fit_is_refused_and_sets_nothing(ask, options):
    assert ask(f"SET k v {options}") == "-ERR syntax error"
    assert ask("EXISTS k") == 0


@pytest.mark.parametrize("time", ["EX 0", "PX -1", "EX 9223372036854775807", "EXAT 0", "PX 9223372036854775807"])
def test_a_time_that_is_none_is_refused_with_the_name_of_the_command(ask, time):
    assert ask(f"SET k v {time}") == "-ERR invalid expire time in 'set' command"
    ask("SET k v")
    assert ask(f"GETEX k {time}") == "-ERR invalid expire time in 'getex' command"


def test_a_key_set_to_expire_in_the_past_is_gone(ask):
    assert ask("SET k v EXAT 1") == "OK"
    assert ask("GET k") is None


def test_a_text_goes_when_its_time_has_come(node, ask):
    ask("SET k v PX 500")
    node.clock.advance(499)
    assert ask("GET k") == "v"
    node.clock.advance(1)
    assert ask("GET k") is None
    assert ask("EXISTS k") == 0


def test_a_text_whose_time_is_over_goes_before_it_is_replaced(node, ask):
    ask("SET k v PX 500")
    told = listen(node)
    node.clock.advance(500)
    assert ask("SET k w KEEPTTL") == "OK"
    assert told() == ["expired@0 k", "set@0 k"]
    assert (ask("GET k"), ask("TTL k")) == ("w", -1)


def test_set_replaces_a_stream_but_other_commands_refuse_it(ask):
    ask("XADD s 1-1 f v")
    for line in ("GET s", "INCR s", "APPEND s x", "STRLEN s", "GETSET s x", "SET s x GET", "GETDEL s", "GETEX s"):
        assert ask(line) == WRONG_TYPE
    assert ask("XLEN s") == 1
    assert ask("SET s v") == "OK"
    assert ask("TYPE s") == "string"
    assert ask("XLEN s") == WRONG_TYPE
    assert ask("XADD s * f v") == WRONG_TYPE


def test_mget_tells_nothing_of_keys_that_hold_no_text(ask):
    ask("MSET a 1 b 2")
    ask("XADD s 1-1 f v")
    assert ask("MGET a s b n") == ["1", None, "2", None]


def test_mset_refuses_a_key_without_a_text(ask):
    assert ask("MSET a 1 b") == "-ERR wrong number of arguments for 'mset' command"
    assert ask("MSETNX a 1 b") == "-ERR wrong number of arguments for 'msetnx' command"
    assert ask("EXISTS a") == 0


def test_a_partition_holds_no_text_and_mset_of_one_sets_nothing(ask):
    ask("XTOPIC CREATE orders PARTITIONS 3")
    partition = "-ERR 'orders/1' is a partition of 'orders' and cannot go or be moved by itself"
    for line in ("SET orders/1 x", "MSET a 1 orders/1 x"):
        assert ask(line) == partition
    for line in ("SET orders/9 x", "MSET a 1 orders/9 x", "MSETNX a 1 orders/9 x"):
        assert ask(line).startswith("-ERR 'orders' has 3 partitions")
    assert ask("MSETNX a 1 orders/1 x") == 0
    assert ask("EXISTS a orders/9") == 0
    assert ask("SET orders x") == "OK"
    assert ask("MSET orders/1 y a 1") == "OK"
    assert ask("GET orders/1") == "y"


def test_msetnx_sets_all_or_nothing(ask):
    ask("XADD s 1-1 f v")
    assert ask("MSETNX a 1 s 2") == 0
    assert ask("EXISTS a") == 0
    assert ask("MSETNX a 1 b 2") == 1


def test_counters_count_from_nothing_and_keep_the_expiry(ask):
    assert [ask("INCR n"), ask("INCRBY n 9"), ask("DECRBY n 3"), ask("DECR n")] == [1, 10, 7, 6]
    ask("EXPIRE n 100")
    ask("INCR n")
    assert ask("TTL n") == 100


def test_counters_refuse_what_is_no_number_and_what_is_too_large(ask):
    no_number = "-ERR value is not an integer or out of range"
    too_large = "-ERR increment or decrement would overflow"
    for text in ("x", "01", "+1", "1.5", "-0", '""', "9223372036854775808"):
        ask(f"SET n {text}")
        assert ask("INCR n") == no_number
    ask("SET n 9223372036854775807")
    assert ask("INCR n") == too_large
    assert ask("DECRBY n -1") == too_large
    assert ask("DECRBY n -9223372036854775808") == "-ERR decrement would overflow"
    assert ask("INCRBY n x") == no_number
    assert ask("GET n") == "9223372036854775807"


def test_append_makes_the_key_and_lengthens_it(ask):
    assert ask("APPEND k abc") == 3
    assert ask("APPEND k de") == 5
    assert (ask("GET k"), ask("STRLEN k"), ask("STRLEN n")) == ("abcde", 5, 0)


def test_append_refuses_a_text_that_would_be_too_long(tmp_path):
    ask = asker(open_node(tmp_path, proto_max_bulk_len=1 << 20))
    ask("SET k " + "x" * (1 << 20))
    assert ask("APPEND k y") == "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"
    assert ask("STRLEN k") == 1 << 20


def test_getdel_takes_the_key_away(ask):
    ask("SET k v")
    assert ask("GETDEL k") == "v"
    assert ask("GETDEL k") is None


def test_getex_sets_or_takes_the_expiry_and_only_reads_without_options(ask):
    ask("SET k v")
    assert ask("GETEX k EX 100") == "v"
    assert ask("GETEX k") == "v"
    assert ask("TTL k") == 100
    assert ask("GETEX k PERSIST") == "v"
    assert ask("TTL k") == -1
    assert ask("GETEX k PXAT 1") == "v"
    assert ask("EXISTS k") == 0


def test_reads_of_texts_are_counted_as_hits_and_misses(node, ask):
    ask("SET k v")
    ask("XADD s 1-1 f v")
    before = node.node.statistics.keyspace_hits, node.node.statistics.keyspace_misses
    for line in ("GET k", "GET n", "MGET k n s", "STRLEN k", "GETSET k w", "GETEX n"):
        ask(line)
    after = node.node.statistics.keyspace_hits, node.node.statistics.keyspace_misses
    assert (after[0] - before[0], after[1] - before[1]) == (5, 3)


def test_texts_are_there_after_the_end_of_the_process(tmp_path):
    node = open_node(tmp_path)
    ask = asker(node)
    ask("MSET a 1 b 2 c 3")
    ask("EXPIRE a 100")
    ask("DEL b")
    node.kill()
    ask = asker(open_node(tmp_path))
    assert ask("MGET a b c") == ["1", None, "3"]
    assert ask("TTL a") == 100


def test_every_change_of_a_text_is_told(node, ask):
    told = listen(node)
    for line, events in [
        ("SET k v", ["set@0 k"]),
        ("SET k v EX 9", ["set@0 k", "expire@0 k"]),
        ("SETNX k v", []),
        ("GETEX k PERSIST", ["persist@0 k"]),
        ("GETEX k PERSIST", []),
        ("GETEX k PX 9", ["expire@0 k"]),
        ("MSET k 1 l 2", ["set@0 k", "set@0 l"]),
        ("DECR k", ["incrby@0 k"]),
        ("APPEND k x", ["append@0 k"]),
        ("GETDEL k", ["del@0 k"]),
        ("GETEX l EXAT 1", ["del@0 l"]),
    ]:
        ask(line)
        assert told() == events, line


def test_writes_that_need_memory_are_refused_above_maxmemory_and_others_are_not(node, ask):
    ask("MSET k v l w")
    ask("CONFIG SET maxmemory 1")
    node.node.housekeeping.out_of_memory = True
    for line in ("SET k x", "INCR n", "APPEND k x", "MSET a 1", "HSET h f v", "ZADD z 1 m", "SETEX k 9 v"):
        assert ask(line) == "-OOM command not allowed when used memory > 'maxmemory'."
    assert ask("GETDEL k") == "v"
    assert ask("GETEX l EX 10") == "w"
