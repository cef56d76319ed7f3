"""SCAN's order keeps its promises while keys come, go and move."""

from __future__ import annotations

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respbroker.streams.key_order import KeyOrder

NAMES = st.sampled_from([b"key%d" % n for n in range(12)])


@attrs.define(eq=False)
class Entry:
    """As much of a catalog entry as the order sees."""

    place: int


def database(count: int) -> dict[bytes, Entry]:
    return {b"key%d" % n: Entry(n + 1) for n in range(count)}


def walk(keys, count):
    """A whole scan with nothing else going on: its pages."""
    order, cursor, pages = KeyOrder(keys), 0, []
    while True:
        cursor, page = order.page(keys, cursor, count)
        pages.append(page)
        if not cursor:
            return pages


def test_pages_hold_as_many_keys_as_asked_for_and_each_key_once():
    pages = walk(database(10), 4)
    assert [len(page) for page in pages] == [4, 4, 2]
    assert sorted(key for page in pages for key in page) == sorted(database(10))


def test_an_empty_database_is_one_empty_page():
    assert walk({}, 10) == [[]]


def test_a_cursor_from_elsewhere_is_answered_from_where_it_would_stand():
    keys = database(3)
    assert KeyOrder(keys).page(keys, 2**64 - 1, 10) == (0, [b"key2", b"key1", b"key0"])
    assert KeyOrder(keys).page(keys, 2, 10) == (0, [b"key0"])


def test_a_scan_ends_while_keys_are_made_faster_than_it_reads():
    keys = database(20)
    order, cursor, pages = None, 0, 0
    while True:
        for n in range(10):
            keys[b"new%d-%d" % (pages, n)] = Entry(len(keys) + 1)
        if order is None or not order.covers(keys, cursor):
            order = KeyOrder(keys)
        cursor, _ = order.page(keys, cursor, 10)
        pages += 1
        if not cursor:
            break
    assert pages == 3


def test_an_order_does_not_cover_a_scan_that_starts_after_its_newest_key_was_renamed():
    keys = database(3)
    order = KeyOrder(keys)
    assert order.covers(keys, 0)
    keys[b"renamed"] = keys.pop(b"key2")
    assert not order.covers(keys, 0)


class ScansUnderChange(RuleBasedStateMachine):
    """Scans of several clients share one cached order, which may be dropped at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[bytes, Entry] = {}
        self.order: KeyOrder | None = None
        self.next_place = 1
        #: Of each scan under way: its cursor, the keys there since it started, the keys it was given.
        self.scans: list[tuple[int, set[tuple[bytes, int]], list[bytes]]] = []

    @rule(name=NAMES)
    def create(self, name: bytes) -> None:
        if name not in self.keys:
            self.keys[name] = Entry(self.next_place)
            self.next_place += 1

    @rule(name=NAMES)
    def delete(self, name: bytes) -> None:
        self.keys.pop(name, None)

    @rule(name=NAMES, new_name=NAMES)
    def rename(self, name: bytes, new_name: bytes) -> None:
        if name in self.keys and name != new_name:
            self.keys.pop(new_name, None)
            self.keys[new_name] = self.keys.pop(name)

    @rule()
    def forget_the_order(self) -> None:
        self.order = None

    @rule(count=st.integers(1, 6))
    def start(self, count: int) -> None:
        self._step(0, self._present(), [], count)

    @rule(which=st.integers(0, 5), count=st.integers(1, 6))
    def go_on(self, which: int, count: int) -> None:
        if which < len(self.scans):
            self._step(*self.scans.pop(which), count)

    @invariant()
    def keys_that_went_are_no_longer_expected(self) -> None:
        present = self._present()
        for _, expected, _ in self.scans:
            expected &= present

    def _present(self) -> set[tuple[bytes, int]]:
        return {(name, entry.place) for name, entry in self.keys.items()}

    def _step(self, cursor: int, expected: set[tuple[bytes, int]], given: list[bytes], count: int) -> None:
        if self.order is None or not self.order.covers(self.keys, cursor):
            self.order = KeyOrder(self.keys)
        cursor, page = self.order.page(self.keys, cursor, count)
        given += page
        assert all(key in self.keys for key in page)
        if cursor:
            self.scans.append((cursor, expected, given))
            return
        self.order = None
        for name, _ in expected:
            assert given.count(name) == 1, (name, given)


TestScansUnderChange = ScansUnderChange.TestCase
TestScansUnderChange.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
