"""The block that appends still go into is read from disk as it is now, never as it was."""

from __future__ import annotations

from pathlib import Path

from storage import Log, LogConfig, OsFileSystem
from tests.support.memory_filesystem import MemoryFileSystem


def test_an_entry_appended_behind_a_search_is_found_after_the_segment_is_sealed(tmp_path: Path) -> None:
    log = Log.open(OsFileSystem(), str(tmp_path / "log"), LogConfig())
    log.append([], [], [], [b"effect"], now_ms=1)
    log.append([5], [0], [b"first"], now_ms=1)
    assert log.ordinal_of((1, 0)) == 0  # reads the block, which begins below the first entry
    log.append([6], [0], [b"second"], now_ms=1)
    log.roll(2)
    log.append([7], [0], [b"third"], now_ms=2)
    assert log.read_each(0, 3) == [b"first", b"second", b"third"]


def test_an_index_that_is_rebuilt_with_other_borders_is_not_read_by_blocks_of_the_one_before() -> None:
    """An index that goes on behind a checkpoint names a border there, which one built from the log does not."""
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log", LogConfig())
    expected = [b"entry %d" % n for n in range(4)]
    for n, payload in enumerate(expected):
        log.append([5 + n], [0], [payload], now_ms=1)
        if n == 1:
            pending = log.unsynced()
            pending.sync()
            log.synced(pending)
            log.checkpoint()
    filesystem = filesystem.killed()
    log = Log.open(filesystem, "/log", LogConfig())
    for _ in range(3):  # the second reader puts a block into the cache
        assert log.read_each(0, 4) == expected
        log.caches.recent = None  # others read elsewhere meanwhile
    log.roll(2)
    filesystem.remove(f"/log/{0:020}.index")  # there was no room for it
    assert log.read_each(0, 4) == expected
