"""The block that appends still go into is read from disk as it is now, never as it was."""

from __future__ import annotations

from pathlib import Path

from storage import Log, LogConfig, OsFileSystem


def test_an_entry_appended_behind_a_search_is_found_after_the_segment_is_sealed(tmp_path: Path) -> None:
    log = Log.open(OsFileSystem(), str(tmp_path / "log"), LogConfig())
    log.append([], [], [], [b"effect"], now_ms=1)
    log.append([5], [0], [b"first"], now_ms=1)
    assert log.ordinal_of((1, 0)) == 0  # reads the block, which begins below the first entry
    log.append([6], [0], [b"second"], now_ms=1)
    log.roll(2)
    log.append([7], [0], [b"third"], now_ms=2)
    assert log.read_each(0, 3) == [b"first", b"second", b"third"]
