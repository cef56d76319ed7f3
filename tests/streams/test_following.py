"""A keyspace that follows is the leader's: its state after every tick, and the bytes of its logs."""

from __future__ import annotations

import random

import pytest

from respbroker.streams.keyspace import Keyspace
from tests.crash.compacted_workload import CompactedWorkload
from tests.crash.cuts import new_disk
from tests.crash.driver import DIRECTORY, Driver
from tests.crash.letters_workload import LettersWorkload
from tests.crash.retention_workload import RetentionWorkload
from tests.crash.state import State, state_of, state_of_keyspace
from tests.crash.topic_workload import TopicWorkload
from tests.crash.values_workload import ValuesWorkload
from tests.crash.workload import Workload
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.replicas import Follower, Leader, Tick, segments_on

WORKLOADS = (Workload, TopicWorkload, LettersWorkload, CompactedWorkload, RetentionWorkload, ValuesWorkload)


def led(kind: type[Workload], seed: int) -> tuple[Driver, Workload, Leader]:
    """A new node that leads in epoch 1, and what is done to it."""
    driver = Driver(new_disk(), "everysec", seed)
    return driver, kind(driver, seed), Leader(driver, epoch=1)


def joined(ticks: list[Tick], rng: random.Random) -> list[Tick]:
    """Some of them as one."""
    result: list[Tick] = []
    for tick in ticks:
        result.append(result.pop().joined(tick) if result and rng.random() < 0.4 else tick)
    return result


def assert_same_bytes(follower: Follower, leader: Leader) -> None:
    """Every segment has the bytes that the leader wrote, and the leader has no log that the follower lacks."""
    numbers = follower.keyspace.numbers()
    assert numbers == leader.keyspace.numbers()
    for number in numbers:
        for base, raw in segments_on(follower.disk, number).items():
            assert raw == leader.segments.get((number, base), b""), f"segment {base} of log {number}"


def check_open(keyspace: Keyspace) -> None:
    """What is open is where the catalog says, and is what whoever holds its topic sees."""
    for number, stream in keyspace.open_streams.items():
        assert stream.number == number
        assert keyspace.key_of(number) == (stream.db, stream.key)
        assert keyspace.catalog.leaf(stream.db, stream.key).stream is stream
        topic = stream.topic
        if topic is not None:
            assert topic.partitions[stream.partition] is stream
            assert keyspace.databases[topic.db].keys[topic.name].topic is topic
            assert topic.settings is stream.settings
            assert topic.last_id >= stream.last_id
    assert set(keyspace.open_streams).isdisjoint(keyspace.loose)
    logs = [*keyspace.loose.values(), *(stream.log for stream in keyspace.opened()), keyspace.catalog.log]
    assert keyspace.live_logs == set(logs)


@pytest.mark.parametrize("kind", WORKLOADS)
@pytest.mark.parametrize("seed", range(4))
def test_a_follower_is_as_its_leader_after_every_tick(kind: type[Workload], seed: int) -> None:
    driver, workload, leader = led(kind, seed)
    follower = Follower(MemoryFileSystem())
    rng = random.Random(seed)
    for _ in range(60):
        workload.run(rng.choice((1, 1, 3)))
        if rng.random() < 0.3:
            continue
        follower.follow(joined(leader.take(), rng))
        assert state_of_keyspace(follower.keyspace) == state_of(driver.node)
        assert_same_bytes(follower, leader)
        check_open(follower.keyspace)
        if rng.random() < 0.5:
            follower.sync()
        if rng.random() < 0.2:
            follower.restart()
    assert not follower.keyspace.is_dirty


@pytest.mark.parametrize("kind", WORKLOADS)
def test_upkeep_of_a_follower_changes_nothing_that_is_seen(kind: type[Workload]) -> None:
    driver, workload, leader = led(kind, 5)
    follower = Follower(MemoryFileSystem())
    rng = random.Random(5)
    for _ in range(40):
        workload.run(3)
        follower.follow(leader.take())
        follower.sync()
        follower.maintain()
        follower.sync()
        if rng.random() < 0.3:
            follower.restart()
        assert state_of_keyspace(follower.keyspace) == state_of(driver.node)
        assert not follower.keyspace.is_dirty
    done = {event.split(" /")[0] for event in follower.disk.log}
    assert any(event.endswith(".snapshot") or ".snapshot" in event for event in follower.disk.log)
    assert done >= {"remove", "rename"}


@pytest.mark.parametrize("kind", WORKLOADS)
def test_a_follower_that_was_killed_or_lost_its_power_goes_on_where_it_is(kind: type[Workload]) -> None:
    """What it lost is read from the leader's logs; here from all that was ever sent."""
    driver, workload, leader = led(kind, 7)
    follower = Follower(MemoryFileSystem())
    sent: list[Tick] = []
    rng = random.Random(7)
    for round_ in range(30):
        workload.run(2)
        ticks = leader.take()
        sent += ticks
        follower.follow(ticks)
        if rng.random() < 0.3:
            follower.sync()
        if rng.random() < 0.5:
            follower = Follower(rng.choice((follower.disk.killed, follower.disk.powered_off))())
        elif rng.random() < 0.5:
            follower = Follower(follower.disk.powered_off(round_))
        follower.catch_up(sent, leader.keyspace.numbers())
        assert state_of_keyspace(follower.keyspace) == state_of(driver.node)


@pytest.mark.parametrize("kind", WORKLOADS)
@pytest.mark.parametrize("seed", range(2))
def test_a_follower_that_is_promoted_leads_with_what_the_leader_had(kind: type[Workload], seed: int) -> None:
    driver, workload, leader = led(kind, seed)
    follower = Follower(MemoryFileSystem())
    workload.run(60)
    follower.follow(leader.take())
    states: list[State] = [state_of(driver.node)]
    follower.keyspace.following = False
    assert not follower.keyspace.is_dirty
    states.append(state_of_keyspace(follower.keyspace))
    follower.keyspace.close()
    again = Driver(follower.disk, "everysec", seed)
    states.append(state_of(again.node))
    states.append(state_of(Driver(follower.disk.powered_off(), "everysec", seed).node))
    assert states[1:] == [states[0]] * 3
    assert again.node.keyspace.findings == []
    kind(again, seed).run(20)
    assert DIRECTORY in follower.disk.names
