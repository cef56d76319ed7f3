"""The set of deleted ordinals against a plain set."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respbroker.streams.deletions import Deletions

ordinals = st.one_of(st.integers(0, 40), st.integers(65_530, 65_540), st.integers((1 << 32) - 3, (1 << 32) + 3))


class DeletionsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.deletions = Deletions()
        self.model: set[int] = set()

    @rule(ordinal=ordinals)
    def add(self, ordinal: int) -> None:
        self.deletions.add(ordinal)
        self.model.add(ordinal)

    @rule(chosen=st.lists(ordinals))
    def add_many(self, chosen: list[int]) -> None:
        self.deletions.add_many(chosen)
        self.model.update(chosen)

    @rule(first=ordinals, width=st.one_of(st.integers(0, 20), st.integers(20, 90)))
    def add_range(self, first: int, width: int) -> None:
        self.deletions.add_range(first, first + width)
        self.model.update(range(first, first + width))

    @rule(floor=ordinals)
    def trim(self, floor: int) -> None:
        self.deletions.trim(floor)
        self.model = {ordinal for ordinal in self.model if ordinal >= floor}

    @rule()
    def restart(self) -> None:
        loaded = Deletions.load(self.deletions.dump())
        assert loaded == self.deletions
        self.deletions = loaded

    @rule(first=ordinals, width=st.integers(0, 60))
    def count_between(self, first: int, width: int) -> None:
        end = first + width
        assert self.deletions.count_between(first, end) == sum(first <= mark < end for mark in self.model)

    @rule(ordinal=ordinals)
    def live_neighbours(self, ordinal: int) -> None:
        following = ordinal
        while following in self.model:
            following += 1
        assert self.deletions.next_live(ordinal) == following
        previous = ordinal
        while previous in self.model:
            previous -= 1
        assert self.deletions.previous_live(ordinal) == previous

    @rule(chosen=st.lists(ordinals), floor=ordinals)
    def add_dump(self, chosen: list[int], floor: int) -> None:
        other = Deletions()
        other.add_many(chosen)
        self.deletions.add_dump(other.dump(), floor)
        self.model.update(ordinal for ordinal in chosen if ordinal >= floor)

    @rule(ranges=st.lists(st.tuples(ordinals, st.integers(0, 20))))
    def among(self, ranges: list[tuple[int, int]]) -> None:
        found = self.deletions.among((first, first + width) for first, width in ranges)
        within = {ordinal for first, width in ranges for ordinal in range(first, first + width)}
        assert {ordinal for ordinal in within if ordinal in found} == within & self.model
        assert found.count == len(within & self.model)

    @rule(first=ordinals, width=st.integers(0, 200))
    def live_ranges(self, first: int, width: int) -> None:
        live = [ordinal for ordinal in range(first, first + width) if ordinal not in self.model]
        ranges = list(self.deletions.live_ranges(first, first + width))
        assert [ordinal for low, high in ranges for ordinal in range(low, high)] == live
        assert all(low < high for low, high in ranges)
        assert all(left[1] < right[0] for left, right in itertools.pairwise(ranges))

    @rule(first=ordinals, width=st.sampled_from([0, 1, 60, 70_000]))
    def live_ranges_backwards(self, first: int, width: int) -> None:
        ranges = list(self.deletions.copy().live_ranges_backwards(first, first + width))
        assert all(low < high for low, high in ranges)
        assert all(left[0] >= right[1] for left, right in itertools.pairwise(ranges))
        live = {*range(first, first + width)} - self.model
        assert sum(high - low for low, high in ranges) == len(live)
        assert all(ordinal in live for low, high in ranges for ordinal in range(low, high))

    @rule(floor=ordinals, width=st.integers(0, 60), count=st.integers(1, 70))
    def nth_live_before(self, floor: int, width: int, count: int) -> None:
        live = [ordinal for ordinal in range(floor, floor + width) if ordinal not in self.model]
        expected = live[-count] if len(live) >= count else floor
        assert self.deletions.nth_live_before(floor + width, count, floor) == expected

    @invariant()
    def agrees(self) -> None:
        assert len(self.deletions) == len(self.model)
        assert bool(self.deletions) == bool(self.model)
        for ordinal in (0, 7, 40, 65_536, 1 << 32):
            assert (ordinal in self.deletions) == (ordinal in self.model)


DeletionsMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
TestDeletionsMachine = DeletionsMachine.TestCase


def test_nothing_deleted_is_false_and_dumps_to_nothing() -> None:
    deletions = Deletions()
    assert not deletions
    assert deletions.dump() == b""
    assert Deletions.load(b"") == deletions


def test_trimming_everything_leaves_nothing() -> None:
    deletions = Deletions()
    deletions.add_range(10, 20)
    deletions.trim(20)
    assert not deletions
    assert deletions.dump() == b""


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1 << 34), st.integers(1, 1 << 22))
def test_the_neighbours_of_a_large_deleted_range_are_its_ends(first: int, width: int) -> None:
    deletions = Deletions()
    deletions.add_range(first, first + width)
    assert deletions.next_live(first) == first + width
    assert deletions.previous_live(first + width - 1) == first - 1
