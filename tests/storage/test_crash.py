"""A log cut at every write, every sync and every change of a name opens again with all that was promised."""

from __future__ import annotations

import random

import pytest

from storage import Log, LogConfig
from tests.storage.crash_workload import Workload
from tests.support.memory_filesystem import MemoryFileSystem, PowerLoss


def count_events() -> list[str]:
    filesystem = MemoryFileSystem()
    Workload(filesystem).run()
    return filesystem.log


def cut_at(event: int, tear: int = 0) -> Workload:
    filesystem = MemoryFileSystem()
    filesystem.stop_at = event
    filesystem.tear = tear
    workload = Workload(filesystem)
    with pytest.raises(PowerLoss):
        workload.run()
    filesystem.stop_at = None
    return workload


EVENTS = count_events()
WRITES = [i for i, event in enumerate(EVENTS) if event.startswith("write")]


def test_the_workload_does_everything_a_log_can_do() -> None:
    done = {event.split("/")[0].strip() for event in EVENTS}
    assert done == {"mkdir", "create", "write", "sync", "sync directory", "rename", "remove", "truncate"}
    assert any(event.endswith(".log.swap") or ".log.cleaned" in event for event in EVENTS)


def test_what_was_written_survives_a_kill_at_every_event() -> None:
    for event in range(len(EVENTS)):
        workload = cut_at(event)
        workload.check(workload.filesystem.killed(), all_written=True)


def test_what_was_synced_survives_loss_of_power_at_every_event() -> None:
    for event in range(len(EVENTS)):
        workload = cut_at(event)
        workload.check(workload.filesystem.powered_off(), all_written=False)


def test_what_was_synced_survives_when_any_part_of_the_rest_does(pytestconfig: pytest.Config) -> None:
    for event in range(len(EVENTS)):
        workload = cut_at(event)
        for seed in range(pytestconfig.getoption("--storage-seeds")):
            try:
                workload.check(workload.filesystem.powered_off(seed), all_written=False)
            except BaseException as error:
                error.add_note(f"event {event} ({EVENTS[event]}), seed {seed}")
                raise


def test_a_write_torn_anywhere_leaves_nothing_of_it() -> None:
    rng = random.Random(2)
    for event in WRITES:
        for tear in (1, 11, 12, 83, 84, 85, rng.randrange(400), rng.randrange(400)):
            workload = cut_at(event, tear)
            workload.check(workload.filesystem.killed(), all_written=True)


def test_rolls_without_any_sync_never_look_like_a_missing_segment() -> None:
    for seed in range(40):
        filesystem = MemoryFileSystem()
        log = Log.open(filesystem, "/log", LogConfig(segment_bytes=200))
        filesystem.sync_directory("")
        filesystem.sync_directory("/log")
        for i in range(1, 9):
            log.append([i], [0], [b"p" * 90], now_ms=i)
        after = Log.open(filesystem.powered_off(seed), "/log")
        assert after.read_each(0, after.end_ordinal) == [b"p" * 90] * after.end_ordinal


def test_a_snapshot_of_records_that_were_lost_does_not_come_true_again() -> None:
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log")
    log.append([1], [0], [b"kept"], now_ms=1)
    log.append([2], [0], [b"lost"], [b"effect"], now_ms=2)
    log.write_snapshot(b"knows the lost effect", 3)
    after = filesystem.killed()
    del after.content("/log/00000000000000000000.log")[-1:]
    again = Log.open(after, "/log")
    assert again.end_offset == 1
    again.append([5, 6], [0, 0], [b"new", b"new"], now_ms=5)
    assert again.newest_snapshot() is None
    assert Log.open(after, "/log").newest_snapshot() is None


@pytest.mark.parametrize("reopened", [False, True])
def test_a_snapshot_never_outlives_the_log(reopened: bool) -> None:
    for seed in range(20):
        filesystem = MemoryFileSystem()
        log = Log.open(filesystem, "/log")
        filesystem.sync_directory("")
        if reopened:
            log = Log.open(filesystem, "/log")
        log.append([1], [0], [b"lost"], [b"effect"], now_ms=1)
        log.write_snapshot(b"state", 2)
        after = Log.open(filesystem.powered_off(seed), "/log")
        assert after.end_offset in (0, 2)


def test_a_snapshot_written_once_more_is_never_lost_with_the_new_one() -> None:
    for seed in range(20):
        filesystem = MemoryFileSystem()
        log = Log.open(filesystem, "/log", LogConfig(segment_bytes=200))
        for i in range(1, 9):
            log.append([i], [0], [b"p" * 90], [b"effect"], now_ms=i)
        log.write_snapshot(b"state", log.end_offset)
        pending = log.unsynced()
        pending.sync()
        log.synced(pending)
        assert log.drop_before(log.end_ordinal) > 0
        log.write_snapshot(b"state", log.end_offset)
        assert Log.open(filesystem.powered_off(seed), "/log").newest_snapshot() == (log.end_offset, b"state")


def test_a_checkpoint_never_gets_to_the_disk_before_the_name_of_the_segment_it_speaks_of() -> None:
    def rolls(filesystem: MemoryFileSystem) -> None:
        log = Log.open(filesystem, "/log", LogConfig(segment_bytes=200))
        filesystem.sync_directory("")
        for i in range(1, 9):
            log.append([i], [0], [b"p" * 90], now_ms=i)
            if i == 5:
                log.write_snapshot(b"state", log.end_offset)
                pending = log.unsynced()
                pending.sync()
                log.synced(pending)
        log.drop_before(log.end_ordinal)

    whole = MemoryFileSystem()
    rolls(whole)
    for event in range(len(whole.log)):
        for seed in range(8):
            filesystem = MemoryFileSystem()
            filesystem.stop_at = event
            with pytest.raises(PowerLoss):
                rolls(filesystem)
            Log.open(filesystem.powered_off(seed), "/log")
