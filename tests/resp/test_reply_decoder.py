"""Replies of other servers as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.resp import replies
from respbroker.resp.reply_decoder import ErrorReply, ReplyDecoder, ReplyViolation

WIRE = (
    b"+OK\r\n"
    b"-READONLY You can't write against a read only replica.\r\n"
    b":-5\r\n"
    b"$-1\r\n"
    b"$4\r\n\r\n*2\r\n"
    b"*-1\r\n"
    b"*0\r\n"
    b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n-LOADING\r\n$-1\r\n"
)
VALUES = [
    b"OK",
    ErrorReply("READONLY", "You can't write against a read only replica."),
    -5,
    None,
    b"\r\n*2",
    None,
    [],
    [b"a", [1, ErrorReply("LOADING", "")], None],
]


def test_every_kind_of_reply_becomes_a_value():
    assert ReplyDecoder().feed(WIRE) == VALUES


@given(st.lists(st.integers(1, 20), max_size=20))
def test_how_the_input_is_cut_makes_no_difference(sizes):
    decoder, position, found = ReplyDecoder(), 0, []
    for size in [*sizes, len(WIRE)]:
        found += decoder.feed(WIRE[position : position + size])
        position += size
    assert found == VALUES


def test_an_error_reads_as_it_was_sent():
    (error,) = ReplyDecoder().feed(b"-NOAUTH Authentication required.\r\n")
    assert str(error) == "NOAUTH Authentication required."


@pytest.mark.parametrize("wire", [b"HTTP/1.1 400 Bad Request\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"*x\r\n", b"\0"])
def test_what_is_no_reply_is_a_violation(wire):
    with pytest.raises(ReplyViolation):
        ReplyDecoder().feed(wire)


@pytest.mark.parametrize("head", [b"$1000000\r\n", b"*1000000\r\n", b"+"])
def test_a_reply_without_end_is_a_violation_at_the_limit(head):
    decoder = ReplyDecoder(pending_bytes_max=1000)
    assert decoder.feed(head) == []
    piece = b":12345\r\n" if head[:1] == b"*" else b"x" * 8
    for _ in range((1000 - len(head)) // 8):
        assert decoder.feed(piece) == []
    with pytest.raises(ReplyViolation, match="larger than 1000 bytes"):
        decoder.feed(piece)


def test_the_limit_is_of_one_reply_and_not_of_all():
    decoder = ReplyDecoder(pending_bytes_max=1000)
    wire = replies.array([replies.bulk(b"x" * 900)])
    for _ in range(5):
        assert decoder.feed(wire[:600]) == []
        assert decoder.feed(wire[600:]) == [[b"x" * 900]]
