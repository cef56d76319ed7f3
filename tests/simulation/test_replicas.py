"""A short slice of the simulation of replicas; `python -m tests.simulation.replicas` runs as many seeds as wanted."""

from __future__ import annotations

import pytest

from tests.simulation.replicas.world import World


@pytest.mark.parametrize("seed", range(1, 31))
def test_nothing_that_was_promised_is_lost_whatever_happens_to_servers(seed: int) -> None:
    World(seed).run()


def test_a_seed_gives_the_same_run_again() -> None:
    one, other = World(7).run(), World(7).run()
    assert one.events.count == other.events.count
    assert one.happened == other.happened
    assert one.history.replies == other.history.replies > 100
