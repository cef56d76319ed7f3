"""What the pending entries list promises, case by case."""

from __future__ import annotations

import msgpack
import pytest

from respbroker.streams.pending import COUNT_MAX, PendingEntries
from respbroker.streams.runs import BLOCK_SIZE


def read(pending: PendingEntries, reads: int, size: int, consumers: int = 1) -> None:
    """``reads`` reads of ``size`` entries, one behind the other, a millisecond apart."""
    for number in range(reads):
        pending.deliver(number * size, (number + 1) * size, b"c%d" % (number % consumers), 1000 + number)


def test_an_empty_list_answers_everything() -> None:
    pending = PendingEntries()
    assert len(pending) == 0
    assert pending.lowest() is pending.highest() is pending.oldest_time() is pending.get(0) is None
    assert pending.counts() == list(pending.iterate()) == list(pending.oldest_first(1 << 60)) == []
    assert pending.acknowledge([0]) == pending.acknowledge_range(0, 10) == pending.remove_consumer(b"c") == 0


def test_a_delivered_entry_is_pending_until_it_is_acknowledged() -> None:
    pending = PendingEntries()
    pending.deliver(5, 8, b"c", 1000)
    assert pending.get(6) == (b"c", 1000, 1)
    assert pending.acknowledge([6]) == 1
    assert pending.acknowledge([6]) == 0
    assert pending.get(6) is None
    assert [entry[0] for entry in pending.iterate()] == [5, 7]


def test_an_entry_named_twice_in_one_acknowledgement_counts_once() -> None:
    pending = PendingEntries()
    pending.deliver(0, 3, b"c", 1000)
    assert pending.acknowledge([1, 1]) == 1


def test_acknowledging_consecutive_entries_leaves_those_that_are_not_pending_uncounted() -> None:
    pending = PendingEntries()
    pending.deliver(0, 10, b"c", 1000, holes=[3, 4])
    assert pending.acknowledge([2, 3, 4, 5, 6]) == 3
    assert [entry[0] for entry in pending.iterate()] == [0, 1, 7, 8, 9]


def test_reads_across_a_border_of_blocks_lose_nothing() -> None:
    pending = PendingEntries()
    pending.deliver(BLOCK_SIZE - 2, BLOCK_SIZE * 3 + 1, b"c", 1000)
    assert len(pending) == 2 * BLOCK_SIZE + 3
    assert pending.lowest() == BLOCK_SIZE - 2
    assert pending.highest() == 3 * BLOCK_SIZE
    assert [entry[0] for entry in pending.iterate()] == list(range(BLOCK_SIZE - 2, 3 * BLOCK_SIZE + 1))


def test_an_entry_delivered_again_changes_its_owner_and_starts_anew() -> None:
    """After XGROUP SETID back, ``>`` gives what is pending already."""
    pending = PendingEntries()
    pending.deliver(0, 10, b"old", 1000, 7)
    pending.deliver(4, 6, b"new", 2000)
    assert pending.counts() == [(b"new", 2), (b"old", 8)]
    assert pending.get(4) == (b"new", 2000, 1)
    assert pending.get(3) == pending.get(6) == (b"old", 1000, 7)


def test_a_hole_in_a_delivery_keeps_what_was_pending_there() -> None:
    """A deleted entry may still be pending (XDEL leaves it) with the one who read it."""
    pending = PendingEntries()
    pending.deliver(0, 3, b"old", 1000)
    pending.deliver(0, 3, b"new", 2000, holes=[1])
    assert [(ordinal, name) for ordinal, name, _, _ in pending.iterate()] == [(0, b"new"), (1, b"old"), (2, b"new")]


def test_released_entries_belong_to_nobody_and_come_first_in_the_order_of_release() -> None:
    pending = PendingEntries()
    pending.deliver(0, 6, b"c", 1000)
    pending.release(4, 1)
    pending.release(2, COUNT_MAX)
    assert pending.get(2) == (None, 0, COUNT_MAX)
    assert pending.unowned_count == 2
    assert pending.count_of(b"c") == 4
    assert pending.oldest_time() == 0
    assert [entry[0] for entry in pending.oldest_first(1000)] == [4, 2, 0, 1, 3, 5]


def test_a_released_entry_released_again_keeps_its_place_and_takes_the_count() -> None:
    pending = PendingEntries()
    for ordinal in (1, 2, 1):
        pending.release(ordinal, ordinal + len(pending))
    assert [(entry[0], entry[3]) for entry in pending.oldest_first(0)] == [(1, 3), (2, 3)]


def test_of_a_released_entry_is_known_who_had_it_also_after_a_snapshot() -> None:
    pending = PendingEntries()
    pending.deliver(0, 3, b"c", 1000)
    for ordinal in (1, 5, 1):
        pending.release(ordinal, 1)
    state = pending.dump()
    for each in (pending, PendingEntries.load(state)):
        assert [each.former_owner(ordinal) for ordinal in (0, 1, 5)] == [None, b"c", None]
    older = PendingEntries.load(state[:3])
    assert [entry[:2] for entry in older.iterate()] == [entry[:2] for entry in pending.iterate()]
    assert older.former_owner(1) is None


def test_a_released_entry_that_is_claimed_is_no_longer_nobodys() -> None:
    pending = PendingEntries()
    pending.release(1, 0)
    pending.deliver(1, 2, b"c", 3000)
    assert pending.unowned_count == 0
    assert pending.oldest_time() == 3000
    assert list(pending.oldest_first(2999)) == []


def test_claims_come_longest_idle_first_and_by_ordinal_among_equals() -> None:
    pending = PendingEntries()
    pending.deliver(0, 3, b"c", 3000)
    pending.deliver(3, 6, b"c", 1000)
    pending.deliver(6, 9, b"d", 3000)
    assert [entry[0] for entry in pending.oldest_first(3000)] == [3, 4, 5, 0, 1, 2, 6, 7, 8]
    assert [entry[0] for entry in pending.oldest_first(2999)] == [3, 4, 5]


def test_dropping_an_iteration_by_age_half_way_loses_nothing() -> None:
    pending = PendingEntries()
    read(pending, reads=10, size=3)
    for _ in range(3):
        assert [entry[0] for entry, _ in zip(pending.oldest_first(1 << 60), range(7), strict=False)] == list(range(7))
    assert pending.oldest_time() == 1000


def test_the_index_by_age_does_not_grow_with_reads_that_were_acknowledged() -> None:
    pending = PendingEntries()
    assert pending.oldest_time() is None
    pending.deliver(0, 1, b"stuck", 1)
    assert pending.oldest_time() == 1  # the index exists from here on
    for ordinal in range(1, 20_000):
        pending.deliver(ordinal, ordinal + 1, b"c", ordinal)
        pending.acknowledge([ordinal])
    pending.check()
    assert [entry[0] for entry in pending.oldest_first(1 << 60)] == [0]


def test_what_was_read_and_acknowledged_leaves_no_blocks_behind() -> None:
    pending = PendingEntries()
    read(pending, reads=100, size=100, consumers=3)
    pending.acknowledge(list(range(10_000)))
    pending.check()
    assert pending.dump()[1] == []
    assert len(pending._blocks) == 1  # the one where the next read lands


def test_reads_of_one_consumer_in_one_millisecond_are_one_run() -> None:
    pending = PendingEntries()
    for ordinal in range(100):
        pending.deliver(ordinal, ordinal + 1, b"c", 1000)
    assert list(pending.stretches()) == [(0, 100, b"c", 1000, 1)]


def test_claiming_back_and_forth_does_not_leave_splinters() -> None:
    pending = PendingEntries()
    pending.deliver(0, 100, b"c", 1000)
    for ordinal in range(0, 100, 2):
        pending.deliver(ordinal, ordinal + 1, b"d", 2000, 2)
    for ordinal in range(99, -1, -1):
        pending.deliver(ordinal, ordinal + 1, b"c", 3000, 3)
    assert list(pending.stretches()) == [(0, 100, b"c", 3000, 3)]


def test_removing_a_consumer_leaves_the_others_alone() -> None:
    pending = PendingEntries()
    read(pending, reads=3000, size=1, consumers=3)
    assert pending.remove_consumer(b"c1") == 1000
    assert pending.counts() == [(b"c0", 1000), (b"c2", 1000)]
    pending.check()


def test_a_consumer_that_comes_back_under_its_old_name_starts_with_nothing() -> None:
    pending = PendingEntries()
    pending.deliver(0, 3, b"c", 1000)
    pending.remove_consumer(b"c")
    pending.deliver(3, 4, b"c", 2000)
    assert list(pending.iterate(consumer=b"c")) == [(3, b"c", 2000, 1)]
    pending.check()


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_the_state_survives_msgpack(size: int) -> None:
    pending = PendingEntries()
    read(pending, reads=50, size=size, consumers=4)
    pending.acknowledge(range(0, 50 * size, 3))
    pending.release(7, COUNT_MAX)
    pending.release(4, 0)
    loaded = PendingEntries.load(msgpack.unpackb(msgpack.packb(pending.dump())))
    loaded.check()
    assert loaded == pending
    assert loaded.dump() == pending.dump()
    loaded.acknowledge([5])
    assert loaded != pending


def test_a_million_pending_entries_of_reads_of_a_hundred_are_ten_thousand_runs() -> None:
    pending = PendingEntries()
    read(pending, reads=10_000, size=100, consumers=8)
    assert len(pending) == 1_000_000
    borders = 1_000_000 // BLOCK_SIZE  # a read over a border is two runs
    assert 10_000 <= sum(1 for _ in pending.stretches()) <= 10_000 + borders
