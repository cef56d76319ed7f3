"""Who owns which partition: balance, stickiness, hand-over of busy partitions, progress."""

from __future__ import annotations

from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from respbroker.streams.ownership import Ownership, assign

NAMES = [b"a", b"b", b"c", b"d", b"e"]


@st.composite
def situations(draw):
    """Owners now, live members, and who holds what; some owners are not live any more."""
    count = draw(st.integers(1, 24))
    owners = draw(st.lists(st.sampled_from([None, *NAMES]), min_size=count, max_size=count))
    members = draw(st.sets(st.sampled_from(NAMES)))
    holders = draw(st.lists(st.lists(st.sampled_from(NAMES), unique=True, max_size=3), min_size=count, max_size=count))
    return owners, members, holders


def first_live(owner, holding, members):
    return next((each for each in (owner, *holding) if each in members), None)


def settled(owners, members, holders) -> Ownership:
    """What comes of it once nothing is pending anywhere."""
    after = assign(owners, members, holders)
    return assign(after.owners, members, [[] for _ in holders])


@given(situations())
def test_every_partition_has_one_live_owner_and_none_where_nobody_is_live(situation):
    owners, members, holders = situation
    after = assign(owners, members, holders)
    assert len(after.owners) == len(owners)
    assert all(owner in members for owner in after.owners) if members else set(after.owners) == {None}


@given(situations())
def test_what_is_draining_goes_to_another_live_member(situation):
    owners, members, holders = situation
    after = assign(owners, members, holders)
    for partition, receiver in after.moving.items():
        assert receiver in members
        assert receiver != after.owners[partition]


@given(situations())
def test_nothing_leaves_a_live_owner_that_has_entries_pending_there(situation):
    owners, members, holders = situation
    after = assign(owners, members, holders)
    for owner, holding, owner_after in zip(owners, holders, after.owners, strict=True):
        if owner in members and owner in holding:
            assert owner_after == owner


@given(situations())
def test_without_a_live_owner_the_first_live_holder_is_the_owner(situation):
    owners, members, holders = situation
    after = assign(owners, members, holders)
    for owner, holding, owner_after in zip(owners, holders, after.owners, strict=True):
        if owner not in members and (first := first_live(owner, holding, members)):
            assert owner_after == first


@given(situations())
def test_once_nothing_is_pending_sizes_differ_by_at_most_one(situation):
    owners, members, holders = situation
    after = settled(owners, members, holders)
    assert not after.moving
    sizes = [after.owners.count(member) for member in members]
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


@given(situations())
def test_no_balanced_outcome_moves_fewer_partitions(situation):
    owners, members, holders = situation
    if not members:
        return
    current = [first_live(*each, members) for each in zip(owners, holders, strict=True)]
    after = settled(owners, members, holders)
    moved = sum(1 for one, other in zip(current, after.owners, strict=True) if one != other)
    # The fewest there can be: everybody keeps up to its quota, and as many as can be have the larger one.
    least, larger = divmod(len(owners), len(members))
    kept = sorted(Counter({member: current.count(member) for member in members}).values(), reverse=True)
    most_kept = sum(min(size, least + (place < larger)) for place, size in enumerate(kept))
    assert moved == len(owners) - most_kept


@given(situations())
def test_nobody_keeps_an_idle_partition_while_a_busy_one_of_its_drains(situation):
    owners, members, holders = situation
    after = assign(owners, members, holders)
    for partition in after.moving:
        owner = after.owners[partition]
        kept = [p for p, each in enumerate(after.owners) if each == owner and p not in after.moving]
        assert all(owner in holders[p] for p in [*kept, partition])


@given(situations())
@example(([None] * 13 + [b"e"] * 3, [b"a", b"b", b"c", b"d", b"e"], [[]] * 7 + [[b"a"]] * 4 + [[b"e"]] * 2 + [[]] * 3))
def test_assigning_again_changes_nothing(situation):
    owners, members, holders = situation
    after = assign(owners, members, holders)
    again = assign(after.owners, members, holders)
    assert again.owners == after.owners
    assert set(again.moving) == set(after.moving)


@given(situations(), st.randoms())
def test_the_order_in_which_members_are_named_does_not_matter(situation, random):
    owners, members, holders = situation
    shuffled = sorted(members, key=lambda _: random.random())
    assert assign(owners, members, holders) == assign(owners, shuffled, holders)


def test_a_newcomer_gets_what_is_idle_at_once_and_the_rest_when_it_drains():
    owners = [b"a"] * 4
    busy_everywhere = [[b"a"]] * 4
    after = assign(owners, [b"a", b"b"], busy_everywhere)
    assert after == Ownership((b"a",) * 4, {0: b"b", 1: b"b"})
    after = assign(after.owners, [b"a", b"b"], [[], [b"a"], [b"a"], [b"a"]])
    assert after == Ownership((b"b", b"a", b"a", b"a"), {1: b"b"})
    after = assign(after.owners, [b"a", b"b"], [[b"b"], [], [b"a"], [b"a"]])
    assert after == Ownership((b"b", b"b", b"a", b"a"))


def test_a_dead_owner_loses_everything_at_once_whatever_is_pending():
    after = assign([b"a", b"a", b"b", b"b"], [b"b"], [[b"a"], [], [b"b"], []])
    assert after == Ownership((b"b",) * 4)


def test_an_owner_s_partitions_are_listed():
    assert Ownership((b"a", b"b", b"a"), {2: b"b"}).owned_by(b"a") == [0, 2]


class Group(RuleBasedStateMachine):
    """Members come and go, read and acknowledge; an owner is given nothing new of what is draining."""

    def __init__(self):
        super().__init__()
        self.members: set[bytes] = set()
        self.pending: list[dict[bytes, int]] = [{} for _ in range(8)]
        self.ownership = Ownership((None,) * 8)

    def _assign(self):
        holders = [sorted(held) for held in self.pending]
        self.ownership = assign(self.ownership.owners, self.members, holders)

    @rule(name=st.sampled_from(NAMES))
    def comes(self, name):
        self.members.add(name)
        self._assign()

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def dies(self, data):
        self.members.remove(data.draw(st.sampled_from(sorted(self.members))))
        self._assign()

    @rule(partition=st.integers(0, 7), count=st.integers(1, 3))
    def owner_reads(self, partition, count):
        owner = self.ownership.owners[partition]
        if owner is None:
            return
        held = self.pending[partition]
        taken = sum(held.values())
        new = 0 if partition in self.ownership.moving else count
        held.clear()
        if taken + new:
            held[owner] = taken + new

    @rule(partition=st.integers(0, 7))
    def holder_acknowledges(self, partition):
        self.pending[partition].clear()
        self._assign()

    @invariant()
    def what_drains_is_held_by_its_owner(self):
        for partition in self.ownership.moving:
            assert self.ownership.owners[partition] in self.members

    @invariant()
    def acknowledging_everything_ends_in_balance(self):
        """Progress: from here on each may go on with what it has, and the partitions still find their places."""
        if not self.members:
            return
        owners, moving = self.ownership.owners, self.ownership.moving
        held = [set(held) for held in self.pending]
        for _ in range(len(owners) + 1):
            for partition, owner in enumerate(owners):  # everybody is busy wherever it may be
                held[partition] = set() if partition in moving else {owner}
            after = assign(owners, self.members, [sorted(each) for each in held])
            owners, moving = after.owners, after.moving
        assert not moving
        sizes = [owners.count(member) for member in self.members]
        assert max(sizes) - min(sizes) <= 1


TestGroup = Group.TestCase
TestGroup.settings = settings(stateful_step_count=40)
