"""A node that is cut at every write, every sync and every change of a name opens again with all that it answered.

The numbers here are small so that the suite stays quick; `python -m tests.crash --seeds N` tries any number.
"""

from __future__ import annotations

import re
from itertools import product

import pytest

from tests.crash.compacted_workload import CompactedWorkload
from tests.crash.cuts import Cutter, new_disk, record
from tests.crash.driver import Driver
from tests.crash.letters_workload import LettersCutter, LettersWorkload
from tests.crash.retention_workload import RetentionWorkload
from tests.crash.topic_workload import TopicWorkload
from tests.crash.values_workload import ValuesWorkload
from tests.crash.workload import Workload

ALWAYS_SEED, EVERYSEC_SEED = 1, 2


@pytest.mark.parametrize(("policy", "seed"), [("always", ALWAYS_SEED), ("everysec", EVERYSEC_SEED)])
def test_what_was_answered_survives_a_crash_at_every_event(policy: str, seed: int) -> None:
    tally = Cutter(seed, policy, ticks=30, survivals=1).run()
    assert tally.cuts > 200


@pytest.mark.parametrize(("policy", "seed"), [("always", ALWAYS_SEED), ("everysec", EVERYSEC_SEED)])
def test_topics_survive_a_crash_at_every_event(policy: str, seed: int) -> None:
    tally = Cutter(seed, policy, ticks=20, survivals=1, workload=TopicWorkload).run()
    assert tally.cuts > 200


@pytest.mark.parametrize(("policy", "seed"), [("always", ALWAYS_SEED), ("everysec", EVERYSEC_SEED)])
def test_after_a_crash_at_any_event_an_entry_is_pending_or_a_dead_letter(policy: str, seed: int) -> None:
    cutter = LettersCutter(seed, policy, ticks=12, survivals=1, every=2)
    assert cutter.run().cuts > 100
    assert cutter.letters > 5


@pytest.mark.parametrize(("policy", "seed"), [("always", ALWAYS_SEED), ("everysec", EVERYSEC_SEED)])
def test_what_retention_leaves_is_the_same_after_a_crash_at_any_event(policy: str, seed: int) -> None:
    cutter = Cutter(seed, policy, ticks=12, survivals=1, every=2, workload=RetentionWorkload)
    tally = cutter.run()
    assert tally.cuts > 100
    assert tally.events["remove"] > 5
    assert cutter.driver.node.statistics.unread_lost > 5


@pytest.mark.parametrize(("policy", "seed"), [("always", ALWAYS_SEED), ("everysec", EVERYSEC_SEED)])
def test_compacted_topics_survive_a_crash_at_every_event(policy: str, seed: int) -> None:
    tally = Cutter(seed, policy, ticks=25, survivals=1, workload=CompactedWorkload).run()
    assert tally.cuts > 200


@pytest.mark.parametrize(("policy", "seed"), [("always", ALWAYS_SEED), ("everysec", EVERYSEC_SEED)])
def test_values_survive_a_crash_at_every_event(policy: str, seed: int) -> None:
    tally = Cutter(seed, policy, ticks=15, survivals=1, every=2, workload=ValuesWorkload).run()
    assert tally.cuts > 100


def test_values_are_compacted() -> None:
    driver = Driver(new_disk(), "everysec", 1)
    ValuesWorkload(driver, 1).run(60)
    said = [sentence for _, sentence in driver.node.housekeeping.reports]
    assert sum("compacted the values of database" in each for each in said) >= 3
    assert not [each for each in said if "compacted" not in each]


def test_compacted_topics_are_compacted() -> None:
    driver = Driver(new_disk(), "everysec", 1)
    CompactedWorkload(driver, 1).run(60)
    said = [sentence for _, sentence in driver.node.housekeeping.reports]
    assert sum("compacted" in each for each in said) >= 3
    assert not [each for each in said if "compacted" not in each]


def test_the_disk_is_asked_for_all_it_can_do() -> None:
    events = [event for seed in (1, 2, 3) for event in record(seed, "always", 60).events]
    done = {event.split(" /")[0] for event in events}
    assert done >= {"mkdir", "create", "write", "sync", "sync directory", "rename", "remove", "truncate", "rmdir"}
    for part in ("/catalog/", "/journal/", ".snapshot", ".index", "checkpoint", ".swap"):
        assert any(part in event for event in events), part


def test_every_kind_of_request_succeeds_now_and_then() -> None:
    asked, answered = set[bytes](), set[bytes]()
    for seed, kind in product(range(1, 7), (Workload, TopicWorkload, LettersWorkload, ValuesWorkload)):
        driver = Driver(new_disk(), "everysec", seed)
        workload = kind(driver, seed)
        for _ in range(150):
            words = workload._draw()
            asked.add(words[0])
            reply = driver.tick([(0, [words])])[0]
            if not re.match(rb"-|\$-1|\*-1|:0\r", reply):
                answered.add(words[0])
    assert asked == answered
