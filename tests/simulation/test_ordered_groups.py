"""A short slice of the simulation of ordered groups; `python -m tests.simulation` runs as many seeds as wanted."""

from __future__ import annotations

import pytest

from tests.simulation.ordered_groups import Simulation


@pytest.mark.parametrize("seed", range(1, 41))
def test_every_key_is_handled_in_order_whatever_happens_to_consumers(seed):
    Simulation(seed).run()


def test_a_seed_gives_the_same_run_again():
    one, other = Simulation(7).run(), Simulation(7).run()
    assert one.node.clock == other.node.clock
    assert one.events == other.events
    assert one.added == other.added
