"""What strings, hashes and sorted sets are by themselves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.values.kinds import Hash, SortedSet, Text, encode_score

scores = st.floats(allow_nan=False)
members = st.binary(max_size=3)


@given(scores)
def test_a_score_comes_back_from_its_text_as_it_was(score: float) -> None:
    assert float(encode_score(score)) == score


def test_members_stand_in_the_order_of_scores_and_bytes() -> None:
    found = _sorted_set({b"b": 1.0, b"a": 1.0, b"c": -math.inf, b"d": math.inf})
    assert [member for member, _ in found] == [b"c", b"a", b"b", b"d"]


@given(st.lists(st.tuples(members, st.none() | scores)), st.booleans())
def test_a_sorted_set_is_as_a_dictionary_that_is_sorted(changes: list[tuple[bytes, float | None]], early: bool) -> None:
    found, model = SortedSet(1), dict[bytes, float]()
    if early:
        assert list(found) == []  # its order is made now, and kept
    for member, score in changes:
        if score is None:
            model.pop(member, None)
            found.discard(member)
        else:
            model[member] = score
            found.put(member, encode_score(score))
    assert list(found) == sorted(model.items(), key=lambda item: (item[1], item[0]))
    assert {member: found.score(member) for member in found.names()} == model


@given(st.dictionaries(members, st.sampled_from([-math.inf, -1.5, 0.0, 2.0, math.inf])), scores | st.just(0.0), scores)
def test_members_of_a_range_of_scores_are_counted(model: dict[bytes, float], low: float, high: float) -> None:
    found = _sorted_set(model)
    assert found.count(low, high) == sum(low <= score <= high for score in model.values())
    assert found.rank_of_score(low) == sum(score < low for score in model.values())
    assert found.rank_of_score(low, behind=True) == sum(score <= low for score in model.values())


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"0", b"int"),
        (b"-9223372036854775808", b"int"),
        (b"9223372036854775808", b"embstr"),
        (b"01", b"embstr"),
        (b"-0", b"embstr"),
        (b"", b"embstr"),
        (b"x" * 44, b"embstr"),
        (b"x" * 45, b"raw"),
    ],
)
def test_a_string_has_the_encoding_that_redis_would_tell(data: bytes, encoding: bytes) -> None:
    assert Text(data, 1).encoding == encoding


def test_members_have_the_encoding_that_redis_would_tell() -> None:
    assert Hash(1, fields={b"f": b"x" * 64}).encoding == b"listpack"
    assert Hash(1, fields={b"f": b"x" * 65}).encoding == b"hashtable"
    assert _sorted_set({b"%d" % n: 0.0 for n in range(128)}).encoding == b"listpack"
    assert _sorted_set({b"%d" % n: 0.0 for n in range(129)}).encoding == b"skiplist"


@pytest.mark.parametrize("value", [Text(b"x" * 1000, 1), Hash(1, fields={b"f": b"x" * 1000})])
def test_what_is_longer_takes_more_memory(value: Text | Hash) -> None:
    assert value.size > 1000


def _sorted_set(model: dict[bytes, float]) -> SortedSet:
    found = SortedSet(1)
    for member, score in model.items():
        found.put(member, encode_score(score))
    return found
