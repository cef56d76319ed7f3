"""A short slice of the simulation of replicas; `python -m tests.simulation.replicas` runs as many seeds as wanted."""

from __future__ import annotations

import pytest

from tests.simulation.replicas.values import Keeper
from tests.simulation.replicas.world import World


@pytest.mark.parametrize("seed", [*range(1, 81), 207046])
def test_nothing_that_was_promised_is_lost_whatever_happens_to_servers(seed: int) -> None:
    World(seed).run()


@pytest.mark.parametrize("seed", [*range(1, 31), 301700, 301824, 305385, 305449, 306030, 306059])
def test_one_server_at_a_time_may_lose_what_it_had_not_synced_or_its_disk(seed: int) -> None:
    World(seed, loses_unsynced=True).run()


@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("loses_unsynced", [False, True])
def test_no_value_that_was_promised_is_lost_whatever_happens_to_servers(seed: int, loses_unsynced: bool) -> None:
    world = World(seed, loses_unsynced=loses_unsynced, values=True).run()
    keepers = [caller for caller in world.callers if isinstance(caller, Keeper)]
    assert sum(keeper.count for keeper in keepers) > 10


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
