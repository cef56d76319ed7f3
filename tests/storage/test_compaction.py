"""At least the last entry of each key stays, however small the map is; tombstones go when their time has come."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from storage.compaction import Compaction, Dead, digest, groups

KEYS = [b"a", b"b", b"c" * 40, b"d" * 40, None]
entries = st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), max_size=60)  # key, whether it is a tombstone


class Marks(set[int]):
    """A set that can count in a range."""

    def range_cardinality(self, first: int, end: int) -> int:
        return sum(first <= ordinal < end for ordinal in self)


class Table:
    """A growing list of entries that is compacted in rounds; entry *i* was appended at time *i*."""

    def __init__(self, keys_max: int, retention: int) -> None:
        self.entries: list[tuple[bytes | None, bool]] = []
        self.dead = Marks()
        self.first_dirty = 0
        self.keys_max = keys_max
        self.retention = retention
        self.next_tombstone_ms: int | None = None

    def is_tombstone(self, ordinal: int) -> bool:
        key, empty = self.entries[ordinal]
        return empty and key is not None

    def round(self, end: int) -> None:
        """Compact the entries below ``end`` in batches of three."""
        found = Marks()
        compaction = Compaction(found, self.keys_max, len(self.entries) - self.retention)
        at = self.first_dirty
        while at < end and not compaction.is_full:
            stop = min(at + 3, end)
            compaction.add_dirty(*self.batch(at, stop))
            at = stop
        compaction.end_dirty()
        for start in range(0, self.first_dirty, 3):
            compaction.add_clean(*self.batch(start, min(start + 3, self.first_dirty)))
        assert not found & self.dead
        self.dead |= found
        self.first_dirty = at
        self.next_tombstone_ms = compaction.next_tombstone_ms

    def batch(self, first: int, end: int) -> tuple[list[int], list[bytes | None], list[int], int]:
        ordinals = [ordinal for ordinal in range(first, end) if ordinal not in self.dead]
        keys = [self.entries[ordinal][0] for ordinal in ordinals]
        tombstones = [place for place, ordinal in enumerate(ordinals) if self.is_tombstone(ordinal)]
        return ordinals, keys, tombstones, end - 1

    def check(self) -> None:
        clean: dict[bytes, int] = {}
        for ordinal, (key, _) in enumerate(self.entries[: self.first_dirty]):
            if key is not None:
                clean[key] = ordinal
        now = len(self.entries)
        for ordinal, (key, _) in enumerate(self.entries):
            is_last = key is None or ordinal >= self.first_dirty or clean[key] == ordinal
            if not is_last:
                assert ordinal in self.dead
            elif ordinal in self.dead:
                assert self.is_tombstone(ordinal)
                assert ordinal < now - self.retention


@given(st.lists(st.tuples(entries, st.booleans()), max_size=6), st.integers(1, 6), st.integers(0, 40))
def test_what_is_kept_is_what_a_dictionary_has(
    parts: list[tuple[list[tuple[bytes | None, bool]], bool]], keys_max: int, retention: int
) -> None:
    table = Table(keys_max, retention)
    for new, to_the_end in parts:
        table.entries += new
        table.round(len(table.entries) if to_the_end else max(table.first_dirty, len(table.entries) // 2))
        table.check()


@given(entries, st.integers(1, 6))
def test_rounds_get_through_everything(new: list[tuple[bytes | None, bool]], keys_max: int) -> None:
    table = Table(keys_max, retention=0)
    table.entries = new
    for _ in range(len(new) + 1):
        table.round(len(new))
    assert table.first_dirty == len(new)
    last = {key: ordinal for ordinal, (key, _) in enumerate(new) if key is not None}
    left = {ordinal for ordinal in range(len(new)) if ordinal not in table.dead}
    others = {ordinal for ordinal, (key, _) in enumerate(new) if key is None}
    assert {ordinal for ordinal in last.values() if not new[ordinal][1]} <= left <= others | set(last.values())


def test_a_tombstone_stays_for_its_time_and_then_goes_itself() -> None:
    table = Table(keys_max=10, retention=5)
    table.entries = [(b"a", False), (b"b", False), (b"a", True)]
    table.round(3)
    assert table.dead == {0}
    assert table.next_tombstone_ms == 2
    table.entries += [(b"c", False)] * 5
    table.round(3)
    assert table.dead == {0, 2}
    assert table.next_tombstone_ms is None


def test_an_entry_behind_the_tombstone_revives_the_key() -> None:
    table = Table(keys_max=10, retention=0)
    table.entries = [(b"a", False), (b"a", True), (b"a", False)]
    table.round(3)
    assert table.dead == {0, 1}


def test_what_stands_for_a_long_key_is_never_a_short_key() -> None:
    assert len(digest(b"x" * 33)) == 33
    assert digest(b"x" * 33) != digest(b"x" * 34)


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0, 1), st.booleans()), max_size=20), st.integers(50, 300))
def test_groups_are_neighbours_in_order_and_no_larger_than_a_segment(
    parts: list[tuple[int, float, bool]], segment_bytes: int
) -> None:
    segments = [Dead(size, int(size * share), joins) for size, share, joins in parts]
    found = groups(segments, segment_bytes, 0.1)
    places = [place for group in found for place in group]
    assert places == sorted(set(places))
    for group in found:
        assert len(group) == 1 or sum(segments[i].size - segments[i].dead for i in group) <= segment_bytes
        assert all(segments[i].joins for i in group[1:])
    for place, segment in enumerate(segments):
        if segment.dead > segment.size * 0.1:
            assert place in places
    assert bisect_left(places, len(segments)) == len(places)
