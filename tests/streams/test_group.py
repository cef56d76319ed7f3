"""Effects on a consumer group, applied once, twice, and after a restart."""

from __future__ import annotations

import msgpack
import pytest

from respbroker.streams.consumer import NEVER
from respbroker.streams.group import Group


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


EFFECTS = {
    "delivered": lambda group: group.apply_delivered(b"d", 5, 20, 2000, holes=[6]),
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
