"""Logs of a follower that are cut, removed, copied anew and wiped, until it is as its leader again."""

from __future__ import annotations

import random

import attrs
import pytest

from respbroker.streams.directories import remove_tree
from respbroker.streams.keyspace import Keyspace
from storage import MissingLog
from tests.crash.compacted_workload import CompactedWorkload
from tests.crash.cuts import new_disk
from tests.crash.disk import WatchedDisk
from tests.crash.driver import DIRECTORY, Driver
from tests.crash.letters_workload import LettersWorkload
from tests.crash.retention_workload import RetentionWorkload
from tests.crash.state import state_of, state_of_keyspace
from tests.crash.topic_workload import TopicWorkload
from tests.crash.values_workload import ValuesWorkload
from tests.crash.workload import Workload
from tests.streams.test_following import check_open
from tests.support.memory_filesystem import MemoryFileSystem, PowerLoss
from tests.support.replicas import Follower, Leader, Pair, copy_log, resync

WORKLOADS = (Workload, TopicWorkload, LettersWorkload, CompactedWorkload, RetentionWorkload, ValuesWorkload)


@attrs.define
class Parted:
    """A leader that died, and the follower that leads instead: each has written what the other has not."""

    old_disk: MemoryFileSystem
    driver: Driver
    workload: Workload
    leader: Leader


def parted(kind: type[Workload], seed: int) -> Parted:
    old = Driver(new_disk(), "everysec", seed)
    workload, leader = kind(old, seed), Leader(old, epoch=1)
    follower = Follower(new_disk())
    workload.run(12)
    follower.follow(leader.take())
    follower.sync()
    workload.run(8)  # what nobody else has
    follower.keyspace.following = False
    follower.keyspace.close()
    driver = Driver(follower.disk, "everysec", seed + 100)
    leader = Leader(driver, epoch=2)
    workload = kind(driver, seed + 100)
    workload.run(12)
    leader.take()
    return Parted(old.disk, driver, workload, leader)


@pytest.mark.parametrize("kind", WORKLOADS)
@pytest.mark.parametrize("seed", range(4))
def test_a_leader_that_lost_its_place_follows_the_new_one(kind: type[Workload], seed: int) -> None:
    there = parted(kind, seed)
    old = Follower(there.old_disk.powered_off(seed) if seed % 2 else there.old_disk.killed())
    for _ in range(4):
        resync(old, there.leader.keyspace)
        assert state_of_keyspace(old.keyspace) == state_of(there.driver.node)
        check_open(old.keyspace)
        assert old.keyspace.numbers() == there.leader.keyspace.numbers()
        there.workload.run(3)
        old.follow(there.leader.take())
        old.sync()
        old.maintain()
        assert state_of_keyspace(old.keyspace) == state_of(there.driver.node)
        there.workload.run(3)
        there.leader.take()  # missed
        old.restart()


@pytest.mark.parametrize("kind", WORKLOADS)
def test_whole_logs_change_under_streams_that_are_open(kind: type[Workload]) -> None:
    there = parted(kind, 11)
    old = Follower(there.old_disk.killed())
    state_of_keyspace(old.keyspace)
    resync(old, there.leader.keyspace)
    check_open(old.keyspace)
    assert state_of_keyspace(old.keyspace) == state_of(there.driver.node)


@pytest.mark.parametrize("kind", [Workload, TopicWorkload, RetentionWorkload])
def test_a_follower_cut_at_any_event_of_catching_up_catches_up_all_the_same(kind: type[Workload]) -> None:
    there = parted(kind, 3)
    rng = random.Random(3)
    disk = WatchedDisk()
    left = there.old_disk.killed()
    disk.names, disk._durable_names = left.names, left._durable_names
    cuts = 0

    def cut(torn: int) -> None:
        nonlocal cuts
        if rng.random() < 0.4:
            return
        cuts += 1
        watching, disk.on_event = disk.on_event, None
        crash = rng.choice((disk.killed, disk.powered_off, lambda: disk.powered_off(cuts)))
        after = Follower(crash())
        left = [*after.disk.directories(DIRECTORY), *after.disk.directories(f"{DIRECTORY}/streams")]
        assert not [name for name in left if name.endswith((".gone", ".copy"))]
        state_of_keyspace(after.keyspace)  # whatever it is, it can be read
        resync(after, there.leader.keyspace)
        assert state_of_keyspace(after.keyspace) == state_of(there.driver.node)
        disk.on_event = watching

    old = Follower(disk)
    disk.on_event = cut
    resync(old, there.leader.keyspace)
    old.keyspace.wipe()
    resync(old, there.leader.keyspace)
    disk.on_event = None
    assert cuts > 50
    assert state_of_keyspace(old.keyspace) == state_of(there.driver.node)


@pytest.mark.parametrize("key", [b"s", b"t/1"])
def test_a_copy_takes_the_place_of_a_stream_that_is_open(key: bytes) -> None:
    pair = Pair()
    pair.run("XADD s 1-1 f v", "XTOPIC CREATE t PARTITIONS 2 CONFIG max.deliveries 3", "XADD t/1 1-1 f v")
    stream, topic = pair.at(key), pair.keyspace.find(0, b"t", 0)
    source = pair.leader.keyspace.log_of(stream.number)
    assert source is not None
    pair.lead(f"XGROUP CREATE {key.decode()} g 0", f"XADD {key.decode()} 2-1 f v")
    copy_log(pair.follower, stream.number, source)
    assert pair.at(key) is not stream
    assert pair.keyspace.find(0, b"t", 0) is topic
    assert (pair.at(key).length, list(pair.at(key).groups)) == (2, [b"g"])
    assert pair.at(key).settings == stream.settings
    check_open(pair.keyspace)
    pair.run("XADD s 3-1 f v", "XADD t/1 3-1 f v")


def test_a_copy_of_the_catalog_is_read_anew() -> None:
    pair = Pair()
    pair.run("XADD s 1-1 f v", "XADD t 1-1 f v")
    pair.lead("RENAME s r")
    copy_log(pair.follower, 0, pair.leader.keyspace.catalog.log)
    assert pair.at(b"r").length == 1
    check_open(pair.keyspace)
    pair.run("XADD r 2-1 f v")


def test_a_stream_whose_log_is_removed_is_empty_until_it_is_sent_again() -> None:
    pair = Pair()
    pair.run("XADD s 1-1 f v", "XTOPIC CREATE t PARTITIONS 2", "XADD t/1 1-1 f v")
    topic = pair.keyspace.find(0, b"t", 0)
    for key in (b"s", b"t/1"):
        pair.keyspace.remove_log(pair.at(key).number)
        assert pair.at(key).length == 0
    assert pair.keyspace.find(0, b"t", 0) is topic
    check_open(pair.keyspace)
    resync(pair.follower, pair.leader.keyspace)
    pair.run("XADD s 2-1 f v")


def test_a_tick_that_was_cut_off_is_not_redone() -> None:
    pair = Pair()
    pair.run("XADD s 1-1 f v", "XADD t 1-1 f v")
    pair.run("MULTI;XADD s 2-1 f v;XADD t 2-1 f v;EXEC")
    assert not pair.keyspace.journal.is_empty
    assert pair.keyspace.cut({1: 1, 2: 1}) == []
    for disk in (pair.follower.disk.killed(), pair.follower.disk.powered_off()):
        after = Follower(disk).keyspace
        ends = [log.end_offset for log in map(after.log_of, (1, 2)) if log is not None]
        assert ends == [1, 1]


@pytest.mark.parametrize("removed", [False, True])
def test_a_key_whose_drop_is_cut_off_comes_back_empty(removed: bool) -> None:
    pair = Pair()
    pair.run("XADD s 1-1 f v")
    pair.lead("XADD t 1-1 f v")
    end = pair.keyspace.catalog.log.end_offset
    pair.keyspace.following = False
    pair.keyspace.delete(0, b"s")
    pair.keyspace.flush(0)
    pair.keyspace.following = True
    if removed:
        pair.follower.sync()
    assert pair.keyspace.cut({0: end}) == []
    assert pair.at(b"s").length == 0
    assert not pair.keyspace.trash
    resync(pair.follower, pair.leader.keyspace)
    pair.run("XADD s 2-1 f v")


def test_what_was_to_be_removed_before_a_cut_is_not_removed_behind_it() -> None:
    pair = Pair()
    pair.run("XADD s 1-1 f v", "XADD t 1-1 f v")
    pair.driver.settle()
    end = pair.keyspace.catalog.log.end_offset
    pair.keyspace.following = False
    pair.keyspace.flush_databases(0)
    pair.keyspace.flush(0)
    pair.keyspace.following = True
    taken = pair.keyspace.take_trash()
    assert taken == [1, 2]
    [aside] = pair.keyspace.set_trash_aside([1])  # a thread is about to remove it
    pair.keyspace.cut({0: end})
    resync(pair.follower, pair.leader.keyspace)
    remove_tree(pair.follower.disk, aside)
    assert pair.keyspace.set_trash_aside(taken) == []
    pair.keyspace.keep_trash(taken)
    assert not pair.keyspace.trash
    pair.follower.restart()
    pair.run("XADD s 2-1 f v;XADD t 2-1 f v")


def test_a_log_cannot_be_cut_where_nothing_tells_its_state() -> None:
    pair = Pair()
    value = "x" * 600
    pair.run(*(f"XADD s {number}-1 f {value}" for number in range(1, 12)), "XTRIM s MAXLEN 1")
    for _ in range(4):
        pair.follower.maintain()
        pair.follower.sync()
    log = pair.at(b"s").log
    start, end = log.start_offset, log.end_offset
    assert start > 1
    assert pair.keyspace.cut({1: start - 1}) == [1]
    assert pair.keyspace.cut({1: start}) == [1]
    assert pair.keyspace.cut({7: 0}) == [7]
    assert pair.at(b"s").log.end_offset == end
    assert pair.at(b"s").length == 1


def test_a_wiped_keyspace_is_empty_and_on_the_disk() -> None:
    there = parted(TopicWorkload, 5)
    old = Follower(there.old_disk.killed())
    old.keyspace.wipe()
    for disk in (old.disk.killed(), old.disk.powered_off()):
        assert state_of_keyspace(Follower(disk).keyspace) == {0: []}
        assert disk.directories(f"{DIRECTORY}/streams") == []
        assert sorted(disk.directories(DIRECTORY)) == ["catalog", "journal", "streams"]
    assert old.keyspace.numbers() == [0]
    assert not old.keyspace.trash


def test_a_leader_does_not_start_on_what_a_wipe_left() -> None:
    there = parted(Workload, 5)
    old = Follower(there.old_disk.killed())
    stop = old.disk.events
    old.disk.stop_at = stop + 6
    with pytest.raises(PowerLoss):
        old.keyspace.wipe()
    with pytest.raises(MissingLog):
        Keyspace(old.disk.killed(), DIRECTORY, old.settings, 0)
    assert state_of_keyspace(Follower(old.disk.killed()).keyspace) == {0: []}
