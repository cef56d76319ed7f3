"""A full disk leaves the log as it was; a failing one closes it for appends."""

from __future__ import annotations

import pytest

from storage import DiskFailed, DiskFull, Log, LogConfig, LogPoisoned
from tests.support.memory_filesystem import MemoryFileSystem

FIRST = "/log/00000000000000000000.log"


def new_log(**limits: int) -> tuple[MemoryFileSystem, Log]:
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log", LogConfig(**limits))
    log.append([1], [0], [b"first"], [b"effect"], now_ms=1)
    return filesystem, log


def test_an_append_to_a_full_disk_leaves_the_log_as_it_was_whatever_room_there_was() -> None:
    for room in range(0, 200, 7):
        filesystem, log = new_log()
        before = bytes(filesystem.content(FIRST))
        filesystem.room = room
        with pytest.raises(DiskFull) as caught:
            log.append([2, 3], [0, 0], [b"x" * 100, b"y" * 100], [b"z"], now_ms=2)
        assert (caught.value.file, caught.value.offset, caught.value.position) == (FIRST, 2, len(before))
        assert bytes(filesystem.content(FIRST)) == before
        assert log.read_each(0, 1) == [b"first"]
        filesystem.room = None
        assert log.append([2], [0], [b"second"], now_ms=3) == 3
        assert Log.open(filesystem.killed(), "/log").read_each(0, 2) == [b"first", b"second"]


def test_a_roll_on_a_full_disk_leaves_the_log_as_it_was() -> None:
    filesystem, log = new_log(segment_bytes=10)
    filesystem.room = 0
    with pytest.raises(DiskFull):
        log.append([2], [0], [b"second"], now_ms=2)
    filesystem.room = None
    log.append([2], [0], [b"second"], now_ms=2)
    assert log.read_each(0, 2) == [b"first", b"second"]


def test_a_failed_write_closes_the_log_for_appends_until_it_is_opened_again() -> None:
    filesystem, log = new_log()
    filesystem.failing_writes.add(FIRST)
    with pytest.raises(DiskFailed):
        log.append([2], [0], [b"second"], now_ms=2)
    filesystem.failing_writes.clear()
    with pytest.raises(LogPoisoned):
        log.append([2], [0], [b"second"], now_ms=2)
    assert log.read_each(0, 1) == [b"first"]
    again = Log.open(filesystem, "/log")
    assert again.append([2], [0], [b"second"], now_ms=2) == 3


def test_a_failed_sync_is_never_tried_again_as_if_nothing_had_happened() -> None:
    filesystem, log = new_log()
    filesystem.failing_syncs.add(FIRST)
    with pytest.raises(OSError, match="sync failed") as caught:
        log.unsynced().sync()
    log.sync_failed(caught.value)
    filesystem.failing_syncs.clear()
    assert log.is_poisoned
    with pytest.raises(LogPoisoned, match="sync failed"):
        log.append([2], [0], [b"second"], now_ms=2)
    assert log.read_each(0, 1) == [b"first"]


def test_a_failed_read_names_the_place() -> None:
    filesystem, log = new_log()
    log.close_files()
    filesystem.failing_reads.add(FIRST)
    with pytest.raises(DiskFailed) as caught:
        log.read(0, 1)
    assert (caught.value.file, caught.value.position) == (FIRST, 0)


def test_a_checkpoint_without_room_costs_nothing_but_time() -> None:
    filesystem, log = new_log()
    pending = log.unsynced()
    pending.sync()
    log.synced(pending)
    filesystem.room = 0
    log.close()
    filesystem.room = None
    assert Log.open(filesystem, "/log").read_each(0, 1) == [b"first"]


def test_an_append_is_taken_back_without_room_where_the_checkpoint_knows_only_snapshots_that_are_gone() -> None:
    filesystem, log = new_log()
    for number in range(2, 6):
        log.write_snapshot(b"state", log.end_offset)
        pending = log.unsynced()
        pending.sync()
        log.synced(pending)
        if number == 2:
            log.checkpoint()
        log.append([number], [0], [b"entry"], now_ms=number)
    again = filesystem.killed()
    log = Log.open(again, "/log")
    assert log.snapshots.durable_offset < log.snapshots.offsets[0]
    end = log.end_offset
    log.append([9], [0], [b"refused"], now_ms=9)
    again.room = 0
    log.take_back()
    assert log.end_offset == end


def test_syncing_in_the_background_may_outlast_rolls_drops_and_closing() -> None:
    filesystem, log = new_log(segment_bytes=10)
    pending = log.unsynced()
    for i in range(2, 6):
        log.append([i], [0], [b"more"], now_ms=i)
    log.close_files()
    pending.sync()
    log.synced(pending)
    later = log.unsynced()
    later.sync()
    log.synced(later)
    assert Log.open(filesystem.powered_off(), "/log").read_each(0, 5) == [b"first", *[b"more"] * 4]
