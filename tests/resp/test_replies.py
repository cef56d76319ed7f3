"""Replies to the byte, in both protocols."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.errors import BusyGroup, ReplyError
from respbroker.resp import replies
from respbroker.resp.codec import encode_entry, encode_id
from respbroker.resp.entry import decode_entry


@pytest.mark.parametrize("n", [0, 1, 1023, 1024, -1, 2**63 - 1, -(2**63)])
def test_an_integer_is_its_decimal_digits(n):
    assert replies.integer(n) == b":" + str(n).encode() + b"\r\n"


def test_an_error_never_starts_a_second_reply():
    assert replies.error(ReplyError("a\r\n+OK\nb")) == b"-ERR a  +OK b\r\n"


def test_an_error_carries_its_code_and_any_byte_a_client_chose():
    assert replies.error(BusyGroup()) == b"-BUSYGROUP Consumer Group name already exists\r\n"
    assert replies.error(ReplyError(b"\xff\x00".decode("latin-1"))) == b"-ERR \xff\x00\r\n"


def test_nulls_maps_sets_and_pushes_differ_by_protocol():
    pairs = [(replies.bulk(b"a"), replies.integer(1))]
    assert (replies.null(2), replies.null(3)) == (b"$-1\r\n", b"_\r\n")
    assert (replies.null_array(2), replies.null_array(3)) == (b"*-1\r\n", b"_\r\n")
    assert replies.map_(pairs, 2) == b"*2\r\n$1\r\na\r\n:1\r\n"
    assert replies.map_(pairs, 3) == b"%1\r\n$1\r\na\r\n:1\r\n"
    assert (replies.set_([b":1\r\n"], 2), replies.set_([b":1\r\n"], 3)) == (b"*1\r\n:1\r\n", b"~1\r\n:1\r\n")
    assert (replies.push([b":1\r\n"], 2), replies.push([b":1\r\n"], 3)) == (b"*1\r\n:1\r\n", b">1\r\n:1\r\n")
    assert (replies.verbatim(b"hi", 2), replies.verbatim(b"hi", 3)) == (b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n")
    assert (replies.boolean(True, 2), replies.boolean(False, 3)) == (b":1\r\n", b"#f\r\n")


@pytest.mark.parametrize(
    ("value", "digits"),
    [(1.0, b"1"), (0.1, b"0.1"), (float("inf"), b"inf"), (float("-inf"), b"-inf"), (1e21, b"1e+21")],
)
def test_a_double_has_the_shortest_digits(value, digits):
    assert replies.double(value, 3) == b"," + digits + b"\r\n"
    assert replies.double(value, 2) == replies.bulk(digits)


def test_encode_nests_plain_values():
    value = {"a": [1, b"b", None, (replies.Simple(b"OK"), replies.Wire(b":7\r\n"))], "f": 1.5, "e": ReplyError("no")}
    assert replies.encode(value, 2) == (
        b"*6\r\n$1\r\na\r\n*4\r\n:1\r\n$1\r\nb\r\n$-1\r\n*2\r\n+OK\r\n:7\r\n"
        b"$1\r\nf\r\n$3\r\n1.5\r\n$1\r\ne\r\n-ERR no\r\n"
    )
    assert replies.encode(value, 3).startswith(b"%3\r\n")
    with pytest.raises(TypeError):
        replies.encode(object(), 2)


U64 = st.integers(min_value=0, max_value=2**64 - 1)


@given(U64, U64 | st.integers(min_value=1000, max_value=1050))
def test_an_id_is_a_bulk_string(ms, seq):
    assert encode_id(ms, seq) == replies.bulk(b"%d-%d" % (ms, seq))


@given(U64, U64, st.lists(st.binary(max_size=30) | st.just(b"x" * 1023) | st.just(b"x" * 1024), min_size=2, max_size=8))
def test_an_entry_reads_back_and_is_what_encode_would_send(ms, seq, words):
    id_text = b"%d-%d" % (ms, seq)
    payload = encode_entry(encode_id(ms, seq), words, 0)
    assert payload == replies.encode([id_text, words], 2)
    assert decode_entry(payload) == (id_text, words)
    assert decode_entry(memoryview(payload)) == (id_text, words)


@given(st.integers(min_value=0, max_value=29))
def test_a_torn_entry_is_refused(cut):
    payload = encode_entry(encode_id(1, 1), [b"f", b"v"], 0)
    with pytest.raises(ValueError, match=r"."):
        decode_entry(payload[:cut])
    with pytest.raises(ValueError, match="behind"):
        decode_entry(payload + b"x")
