"""Hashes: fields set, read, counted and taken out."""

from __future__ import annotations

import pytest

from tests.support.asking import Asker, asker
from tests.support.keyspace_events import listen
from tests.support.nodes import open_node

WRONG_TYPE = "-WRONGTYPE Operation against a key holding the wrong kind of value"


@pytest.fixture
def ask(node) -> Asker:
    return asker(node)


def test_hset_counts_the_fields_that_are_new(ask):
    assert ask("HSET h a 1 b 2 a 3") == 2
    assert ask("HSET h a 4 c 5") == 1
    assert ask("HGETALL h") == ["a", "4", "b", "2", "c", "5"]


def test_hgetall_is_a_map_in_resp3(node, ask):
    ask("HSET h a 1 b 2")
    assert asker(node, 3)("HGETALL h") == {"a": "1", "b": "2"}
    assert asker(node, 3).wire("HGETALL n") == b"%0\r\n"
    assert ask.wire("HGETALL n") == b"*0\r\n"


def test_fields_are_read_one_by_one_and_together(ask):
    ask("HSET h a 1 b 2")
    assert (ask("HGET h a"), ask("HGET h x"), ask("HGET n a")) == ("1", None, None)
    assert ask("HMGET h b x a") == ["2", None, "1"]
    assert ask("HMGET n b x") == [None, None]
    assert (ask("HKEYS h"), ask("HVALS h"), ask("HLEN h")) == (["a", "b"], ["1", "2"], 2)
    assert (ask("HEXISTS h a"), ask("HEXISTS h x"), ask("HEXISTS n a")) == (1, 0, 0)


def test_a_field_without_a_value_is_refused_and_none_is_set(ask):
    for name in ("hset", "hmset"):
        assert ask(f"{name} h a 1 b") == f"-ERR wrong number of arguments for '{name}' command"
    assert ask("EXISTS h") == 0


def test_hsetnx_leaves_a_field_alone(ask):
    assert ask("HSETNX h a 1") == 1
    assert ask("HSETNX h a 2") == 0
    assert ask("HGET h a") == "1"


def test_the_last_field_takes_the_key_with_it(ask):
    ask("HSET h a 1 b 2")
    assert ask("HDEL h a a x") == 1
    assert ask("EXISTS h") == 1
    assert ask("HDEL h b") == 1
    assert ask("EXISTS h") == 0
    assert ask("HDEL h b") == 0


def test_hincrby_counts_from_nothing_and_refuses_what_is_no_number(ask):
    assert (ask("HINCRBY h n 5"), ask("HINCRBY h n -7")) == (5, -2)
    ask("HSET h t x m 9223372036854775807")
    assert ask("HINCRBY h t 1") == "-ERR hash value is not an integer"
    assert ask("HINCRBY h n x") == "-ERR value is not an integer or out of range"
    assert ask("HINCRBY h m 1") == "-ERR increment or decrement would overflow"


def test_every_field_counts_as_a_change(node, ask):
    before = node.node.dirty
    ask("HSET h a 1 b 2 a 3")
    ask("HDEL h a x b")
    ask("HINCRBY h n 1")
    assert node.node.dirty - before == 3 + 2 + 1


def test_fields_do_not_change_the_expiry_of_their_key(ask):
    ask("HSET h a 1")
    ask("EXPIRE h 100")
    ask("HSET h b 2")
    ask("HDEL h a")
    assert ask("TTL h") == 100


def test_a_key_of_another_kind_is_refused(ask):
    ask("SET t x")
    ask("XADD s 1-1 f v")
    for key in ("t", "s"):
        for line in ("HSET {} a 1", "HGET {} a", "HGETALL {}", "HLEN {}", "HDEL {} a", "HINCRBY {} a 1", "HMGET {} a"):
            assert ask(line.format(key)) == WRONG_TYPE
    assert (ask("GET t"), ask("XLEN s")) == ("x", 1)


def test_hashes_are_there_after_the_end_of_the_process(tmp_path):
    node = open_node(tmp_path)
    ask = asker(node)
    ask("HSET h a 1 b 2")
    ask("HDEL h a")
    ask("HSET gone a 1")
    ask("HDEL gone a")
    node.kill()
    ask = asker(open_node(tmp_path))
    assert ask("HGETALL h") == ["b", "2"]
    assert ask("EXISTS gone") == 0


def test_every_change_of_a_hash_is_told(node, ask):
    told = listen(node)
    for line, events in [
        ("HSET h a 1 b 2", ["hset@0 h"]),
        ("HSETNX h a 1", []),
        ("HINCRBY h a 1", ["hincrby@0 h"]),
        ("HDEL h x", []),
        ("HDEL h a", ["hdel@0 h"]),
        ("HDEL h b", ["hdel@0 h", "del@0 h"]),
    ]:
        ask(line)
        assert told() == events, line
