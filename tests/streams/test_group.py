"""Effects on a consumer group, applied once, twice, and after a restart."""

from __future__ import annotations

import msgpack
import pytest

from respbroker.streams.consumer import NEVER
from respbroker.streams.group import Group, spans_of


def group_with_entries() -> Group:
    group = Group(b"g")
    group.apply_consumer_created(b"idle", 500)
    group.apply_delivered(b"c", 0, 10, 1000)
    group.apply_cursor((10, 0), 10, 10)
    return group


def test_a_delivery_makes_its_consumer_and_marks_it_active() -> None:
    group = group_with_entries()
    assert (group.consumers[b"c"].seen_ms, group.consumers[b"c"].active_ms) == (1000, 1000)
    assert (group.consumers[b"idle"].seen_ms, group.consumers[b"idle"].active_ms) == (500, NEVER)


def test_an_attempt_that_gave_nothing_is_seen_but_not_active() -> None:
    group = group_with_entries()
    group.apply_seen(b"c", 2000)
    group.apply_seen(b"new", 3000)
    assert (group.consumers[b"c"].seen_ms, group.consumers[b"c"].active_ms) == (2000, 1000)
    assert (group.consumers[b"new"].seen_ms, group.consumers[b"new"].active_ms) == (3000, NEVER)


def test_creating_a_consumer_that_exists_changes_nothing() -> None:
    group = group_with_entries()
    group.apply_consumer_created(b"c", 9000)
    assert group.consumers[b"c"].seen_ms == 1000


def test_deleting_a_consumer_takes_its_pending_entries_with_it() -> None:
    group = group_with_entries()
    assert group.apply_consumer_deleted(b"c") == 10
    assert group.apply_consumer_deleted(b"c") == 0
    assert b"c" not in group.consumers
    assert len(group.pending) == 0


def test_a_claim_sets_owner_time_and_count_of_each_entry() -> None:
    group = group_with_entries()
    group.apply_claimed(b"idle", [(2, 4, 2), (7, 8, 5)], 1500)
    assert group.pending.get(3) == (b"idle", 1500, 2)
    assert group.pending.get(7) == (b"idle", 1500, 5)
    assert group.pending.counts() == [(b"c", 7), (b"idle", 3)]
    group.check()


def test_a_claim_for_nobody_we_know_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        group_with_entries().apply_claimed(b"stranger", [(2, 4, 2)], 1500)


EFFECTS = {
    "delivered": lambda group: group.apply_delivered(b"d", 5, 20, 2000, holes=[6]),
    "claimed": lambda group: group.apply_claimed(b"idle", [(2, 4, 2), (7, 8, 5)], 1500),
    "nacked": lambda group: group.apply_nacked([(8, 0), (3, 1), (11, 1)]),
    "acknowledged": lambda group: group.apply_acknowledged([9, 1, 30]),
    "acknowledged ranges": lambda group: group.apply_acknowledged_ranges([(0, 3), (5, 100)]),
    "cursor": lambda group: group.apply_cursor((20, 1), 20, None),
    "seen": lambda group: group.apply_seen(b"c", 7000, active=True),
    "created": lambda group: group.apply_consumer_created(b"e", 7000),
    "deleted": lambda group: group.apply_consumer_deleted(b"c"),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_applied_twice_is_applied_once(name: str) -> None:
    once, twice = group_with_entries(), group_with_entries()
    before = once.dump()
    EFFECTS[name](once)
    EFFECTS[name](twice)
    EFFECTS[name](twice)
    assert once == twice
    assert once.dump() != before
    twice.check()


@pytest.mark.parametrize("name", EFFECTS)
def test_a_group_is_the_same_after_a_restart(name: str) -> None:
    group = group_with_entries()
    EFFECTS[name](group)
    assert Group.load(msgpack.unpackb(msgpack.packb(group.dump()))) == group


def test_lag_counts_live_entries_behind_the_cursor() -> None:
    group = group_with_entries()
    deleted = [3, 12, 13]

    def deleted_between(first: int, end: int) -> int:
        return sum(first <= ordinal < end for ordinal in deleted)

    assert group.lag(20, deleted_between) == 8
    assert group.lag(10, deleted_between) == 0
    assert group.lag(20, deleted_between, first_ordinal=13) == 6
    assert group.lag(20, deleted_between, first_ordinal=20) == 0


def test_an_entry_is_referred_to_while_it_is_unread_or_pending() -> None:
    group = group_with_entries()
    group.apply_acknowledged([0, 1, 5])
    assert [ordinal for ordinal in range(12) if not group.refers_to(ordinal)] == [0, 1, 5]
    assert group.first_referenced() == 2
    group.apply_acknowledged_ranges([(0, 10)])
    assert group.first_referenced() == 10


def test_spans_join_neighbours_of_one_count() -> None:
    assert spans_of([(1, 1), (2, 1), (3, 2), (5, 2), (6, 2)]) == [(1, 3, 1), (3, 4, 2), (5, 7, 2)]
    assert spans_of([]) == []
