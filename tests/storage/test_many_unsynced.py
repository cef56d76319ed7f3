"""Thousands of logs to sync at once need no more open files than the cache of open files has room for."""

from __future__ import annotations

from storage import Caches, Log
from tests.support.memory_filesystem import MemoryFileSystem

LOGS, OPEN_MAX = 12, 3


def test_what_was_closed_since_it_was_written_is_synced_without_being_kept_open() -> None:
    disk = MemoryFileSystem()
    disk.mkdir("/d")
    disk.sync_all()
    caches = Caches(open_files_max=OPEN_MAX)
    logs = [Log.open(disk, f"/d/{number}", caches=caches) for number in range(LOGS)]
    for number, log in enumerate(logs):
        log.append([1], [number], [b"x"], now_ms=1)
    parts = [(log, log.unsynced()) for log in logs]
    assert caches.open_files <= OPEN_MAX
    for log, unsynced in parts:
        for item in unsynced:
            item.sync()
        log.synced(unsynced)
    survived = [Log.open(disk.powered_off(0), f"/d/{number}", create=False) for number in range(LOGS)]
    assert [log.last_id for log in survived] == [(1, number) for number in range(LOGS)]


def test_a_file_that_was_dropped_before_its_sync_is_no_failure() -> None:
    disk = MemoryFileSystem()
    disk.mkdir("/d")
    caches = Caches(open_files_max=1)
    log = Log.open(disk, "/d/log", caches=caches)
    log.append([1], [1], [b"x"], now_ms=1)
    Log.open(disk, "/d/other", caches=caches)  # takes the place of the first one's file
    unsynced = log.unsynced()
    for name, _ in disk.files("/d/log"):
        disk.remove(f"/d/log/{name}")
    unsynced.items[0].sync()
