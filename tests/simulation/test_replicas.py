"""A short slice of the simulation of replicas; `python -m tests.simulation.replicas` runs as many seeds as wanted."""

from __future__ import annotations

import pytest

from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.tables import Table
from tests.simulation.replicas.value_clients import KINDS
from tests.simulation.replicas.value_spaces import Space
from tests.simulation.replicas.world import World


@pytest.mark.parametrize("seed", [*range(1, 71), 207046])
def test_nothing_that_was_promised_is_lost_whatever_happens_to_servers(seed: int) -> None:
    World(seed).run()


@pytest.mark.parametrize("seed", [*range(1, 41), 301700, 301824, 305385, 305449, 306030, 306059])
def test_one_server_at_a_time_may_lose_what_it_had_not_synced_or_its_disk(seed: int) -> None:
    World(seed, loses_unsynced=True).run()


@pytest.mark.parametrize("seed", range(1, 21))
@pytest.mark.parametrize("loses_unsynced", [False, True])
def test_no_value_that_was_promised_is_lost_whatever_happens_to_servers(seed: int, loses_unsynced: bool) -> None:
    world = World(seed, loses_unsynced=loses_unsynced, values=True).run()
    assert world.history.spaces.all


@pytest.mark.parametrize("seed", [*range(1, 6), 306042, 7400003, 7400295, 11000007, 11000028, 11000034, 11000054])
@pytest.mark.parametrize("loses_unsynced", [False, True])
def test_topics_that_linger_are_compacted_or_give_up_what_is_old_keep_what_they_promise(
    seed: int, loses_unsynced: bool
) -> None:
    world = World(seed, loses_unsynced=loses_unsynced, values=True, topics=True).run()
    assert world.table.rows


@pytest.mark.parametrize("seed", [*range(1, 13), 7700149, 12000066, 12001012, 12001703, 21000151, 21000404])
@pytest.mark.parametrize("loses_unsynced", [False, True])
def test_nothing_is_lost_by_flipped_bits_old_copies_and_full_disks(seed: int, loses_unsynced: bool) -> None:
    World(seed, loses_unsynced=loses_unsynced, values=True, topics=True, disks=True).run()


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("loses_unsynced", [False, True])
def test_four_servers_keep_what_they_promise(seed: int, loses_unsynced: bool) -> None:
    world = World(seed, loses_unsynced=loses_unsynced, values=True, topics=True, disks=True, servers=4).run()
    assert len(world.servers) == 4


def test_an_older_value_of_a_key_or_none_is_a_broken_promise() -> None:
    table = Table()
    row = table.new("w")
    for value in (b"one", b"two", None):
        row.change(value)
    row.promised, row.ids[1] = 1, (5, 0)
    table.check("here", [((4, 0), row.key, b"one"), ((5, 0), row.key, b"two")])
    table.check("here", [((5, 0), row.key, b"two"), ((6, 0), row.key, None)])
    table.check("here", [])  # removed, and cleaned away
    with pytest.raises(Broken, match="has change 0 of"):
        table.check("here", [((4, 0), row.key, b"one")])
    with pytest.raises(Broken, match="not so behind change"):
        table.check("here", [((5, 0), row.key, b"two"), ((7, 0), row.key, b"one")])
    row.refused.add(2)
    with pytest.raises(Broken, match="has nothing of"):
        table.check("here", [])


def test_values_of_every_kind_are_written_and_read() -> None:
    worlds = [World(seed, values=True).run() for seed in (3, 4, 8)]  # what is in a single one depends on every tick
    spaces = [space for world in worlds for space in world.history.spaces.all]
    assert {space.kind for space in spaces if space.promised} == KINDS.keys()
    assert any(space.seen for space in spaces)


def test_what_is_older_than_what_was_acknowledged_or_is_half_of_a_change_is_a_broken_promise() -> None:
    one, other = (0, b"one"), (0, b"other")
    space = Space("values", "mixed", (one, other))
    space.versions += [{one: ("string", b"1")}, {one: ("string", b"2"), other: ("stream", [b"2"])}]
    space.promised = 1
    assert space.check("here", {one: ("string", b"1"), other: None}, space.promised) == 1
    assert space.check("here", {one: ("string", b"2"), other: ("stream", [b"2"])}, space.promised) == 2
    with pytest.raises(Broken, match="was so after 0 changes"):
        space.check("here", {one: None, other: None}, space.promised)
    with pytest.raises(Broken, match="never was"):
        space.check("here", {one: ("string", b"2"), other: None}, space.promised)


@pytest.mark.parametrize("seed", [40493, 41040])
def test_with_a_minimum_of_1_a_leader_that_was_cut_off_may_take_back_what_it_alone_told(seed: int) -> None:
    world = World(seed).run()
    assert world.plan.minimum == 1


def test_with_a_minimum_of_1_one_that_is_promoted_below_another_leaders_epoch_promises_nothing() -> None:
    world = World(200946).run()
    assert world.plan.minimum == 1
    assert not world.checker.excused


def test_streams_are_everywhere_before_anything_goes_wrong() -> None:
    World(200611).run()  # its first fault, the leader's end, comes at once


def test_a_seed_gives_the_same_run_again() -> None:
    one, other = World(7).run(), World(7).run()
    assert one.events.count == other.events.count
    assert one.happened == other.happened
    assert one.history.replies == other.history.replies > 100
