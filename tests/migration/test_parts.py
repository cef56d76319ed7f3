"""The small parts of a migration, as values: pages, differences, progress."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.migration import pending
from respbroker.migration.comparing import entry_difference
from respbroker.migration.facts import SAME_MS
from respbroker.migration.pages import BYTES, COUNT_MAX, Pace, following
from respbroker.migration.pending import Held
from respbroker.migration.progress import Progress
from respbroker.migration.settling import expiry, missing_ids
from respbroker.model.stream_id import MAX, StreamId


def entry(entry_id: str, *fields: bytes) -> list[object]:
    return [entry_id.encode(), list(fields)]


# -- pages -----------------------------------------------------------------------------------------------------


def test_a_stream_of_small_entries_is_soon_read_a_thousand_at_a_time() -> None:
    pace = Pace.at(20)
    for _ in range(3):
        pace = pace.after([entry("1-1", b"f", b"v")] * pace.count)
    assert pace.count == COUNT_MAX


def test_a_stream_of_huge_entries_is_read_one_at_a_time() -> None:
    assert Pace.at(100 * BYTES).count == 1
    assert Pace(500).after([entry("1-1", b"", b"x" * 2 * BYTES)]).count == 1


@given(st.lists(st.integers(0, 3 * BYTES), max_size=20), st.integers(0, 2 * BYTES))
def test_a_page_is_never_planned_much_larger_than_a_megabyte(sizes: list[int], first: int) -> None:
    pace = Pace.at(first)
    for size in sizes:
        pace = pace.after([entry("1-1", b"x" * size)])
        assert 1 <= pace.count <= COUNT_MAX
        assert pace.count == 1 or pace.count * size <= BYTES


def test_an_empty_page_changes_nothing() -> None:
    assert Pace(7).after([]) == Pace(7)


def test_a_range_goes_on_behind_an_id_until_there_is_none() -> None:
    assert following(StreamId(5, 1)) == (5, 2)
    assert following(StreamId(5, 2**64 - 1)) == (6, 0)
    assert following(MAX) is None


# -- pending entries -------------------------------------------------------------------------------------------

held = st.builds(
    Held, st.sampled_from([b"a", b"b", None]), st.sampled_from([0, 10**12, 10**12 + 5 * SAME_MS]), st.integers(0, 3)
)
some = st.dictionaries(st.builds(StreamId, st.integers(1, 9), st.integers(0, 2)), held)


@given(some, some)
def test_claims_and_acknowledgements_make_one_side_as_the_other(
    source: pending.Pending, target: pending.Pending
) -> None:
    claims, acknowledged = pending.differences(source, target)
    target.update(claims)
    for entry_id in acknowledged:
        del target[entry_id]
    assert target.keys() == source.keys()
    assert all(each.is_as(target[entry_id]) for entry_id, each in source.items())


@given(some)
def test_what_is_alike_is_left_alone(source: pending.Pending) -> None:
    assert pending.differences(source, dict(source)) == ({}, [])


def test_entries_that_are_pending_alike_are_claimed_by_one_request() -> None:
    alike, other = Held(b"c", 10**12, 1), Held(b"c", 10**12, 2)
    requests = pending.claims(b"s", b"g", {StreamId(1, 0): alike, StreamId(2, 0): other, StreamId(3, 0): alike}, True)
    assert [[word for word in request if word in (b"1-0", b"2-0", b"3-0")] for request in requests] == [
        [b"1-0", b"3-0"],
        [b"2-0"],
    ]


# -- differences -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        ([entry("1-0")], [], "the entry 1-0 is only in the source"),
        ([], [entry("1-0")], "the entry 1-0 is only in the target"),
        (
            [entry("1-0"), entry("3-0")],
            [entry("1-0"), entry("2-0"), entry("3-0")],
            "the entry 2-0 is only in the target",
        ),
        ([entry("1-0"), entry("10-0")], [entry("1-0"), entry("9-0")], "the entry 9-0 is only in the target"),
        ([entry("2-0", b"f", b"v")], [entry("2-0", b"f", b"w")], "the entry 2-0 has other fields in the target"),
    ],
)
def test_the_first_entry_that_differs_is_named(here: list, there: list, said: str) -> None:
    assert entry_difference(here, there) == said


def test_only_what_is_too_much_within_a_range_is_deleted() -> None:
    there = [entry(f"{number}-0") for number in range(1, 8)]
    here = [entry("2-0"), entry("5-0")]
    assert missing_ids(here, there, StreamId(6, 0)) == [b"1-0", b"3-0", b"4-0", b"6-0"]


def test_times_of_expiry_are_set_and_taken_back() -> None:
    assert expiry(b"s", None, None) == expiry(b"s", 5000, 5000 + SAME_MS) == []
    assert expiry(b"s", 9000, None) == expiry(b"s", 9000, 5000) == [(b"PEXPIREAT", b"s", 9000)]
    assert expiry(b"s", None, 5000) == [(b"PERSIST", b"s")]


# -- progress --------------------------------------------------------------------------------------------------


def test_the_line_tells_share_rate_and_time_left() -> None:
    line = Progress(done=500_000, total=2_000_000, seconds=2.0).line()
    assert line == "[#####               ]  25%  500,000 of 2,000,000 entries, 250,000/s, 6.0s left"


def test_the_line_holds_where_nothing_is_to_be_done_or_more_than_was_thought() -> None:
    assert Progress(0, 0, 0.0).line() == "[####################] 100%  0 of 0 entries, 0/s"
    assert " 12 of 12 entries" in Progress(12, 10, 1.0).line()
