"""What is written of values, and read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.resp.codec import encode_entry, encode_id
from respbroker.resp.entry_keys import EntryKeys
from respbroker.values.records import (
    NAME_FIELD,
    head_name,
    head_payload,
    member_name,
    parse_entry,
    parse_head,
    parse_name,
    words_of,
)

words = st.binary(max_size=40) | st.sampled_from([b"", b"=", b"1:", b"12:x", b"\r\n", b"\r\n$1\r\nv\r\n$3\r\n"])


@given(words, st.none() | words)
def test_a_name_is_parsed_back(key: bytes, member: bytes | None) -> None:
    name = head_name(key) if member is None else member_name(key, member)
    assert parse_name(name) == (key, member)


@given(st.lists(st.tuples(words, st.none() | words), unique=True))
def test_no_two_keys_and_members_have_one_name(pairs: list[tuple[bytes, bytes | None]]) -> None:
    names = {head_name(key) if member is None else member_name(key, member) for key, member in pairs}
    assert len(names) == len(pairs)


@given(words, st.none() | words)
def test_an_entry_is_parsed_back(name: bytes, payload: bytes | None) -> None:
    assert parse_entry(encode_entry(encode_id(17, 3), words_of(name, payload), 0)) == (name, payload)


@given(words, st.none() | words)
def test_compaction_finds_the_name_and_knows_a_tombstone(name: bytes, payload: bytes | None) -> None:
    entry = encode_entry(encode_id(17, 3), words_of(name, payload), 0)
    keys, tombstones = EntryKeys(NAME_FIELD)(memoryview(entry), [len(entry)])
    assert (keys, tombstones) == ([name], [0] if payload is None else [])


@given(st.integers(0, 1 << 62), st.integers(1, 1 << 62), words)
def test_a_head_is_parsed_back(expires_ms: int, place: int, data: bytes) -> None:
    assert parse_head(head_payload(b"string", expires_ms, place, data)) == (b"string", expires_ms, place, data)


def test_what_is_no_record_is_told() -> None:
    with pytest.raises(ValueError, match="no record of a value"):
        parse_entry(encode_entry(encode_id(1, 1), [b"field", b"value"], 0))
