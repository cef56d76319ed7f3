"""A follower that is cut at every event of its disk is a follower still."""

from __future__ import annotations

import pytest

from tests.crash.follower_cuts import FollowerCutter
from tests.crash.topic_workload import TopicWorkload
from tests.crash.values_workload import ValuesWorkload
from tests.crash.workload import Workload


@pytest.mark.parametrize("policy", ["always", "everysec"])
@pytest.mark.parametrize("kind", [Workload, TopicWorkload, ValuesWorkload])
def test_a_follower_cut_at_any_event_has_whole_ticks_and_catches_up(kind: type[Workload], policy: str) -> None:
    tally = FollowerCutter(3, policy, ticks=25, survivals=1, every=2, workload=kind).run()
    assert tally.cuts > 100
