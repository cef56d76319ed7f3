"""Logs that share caches read their own entries, whatever another one read before."""

from __future__ import annotations

from pathlib import Path

from storage import Caches, Log, LogConfig, OsFileSystem

CONFIG = LogConfig(index_interval_bytes=256, tail_bytes_max=0)


def filled(directory: Path, caches: Caches, mark: bytes) -> Log:
    """Blocks of several entries with the same ordinals and IDs as in any other log, and other payloads."""
    log = Log.open(OsFileSystem(), str(directory), CONFIG, caches=caches)
    for n in range(100):
        log.append([n + 1], [0], [b"%b%d" % (mark, n)], now_ms=1)
    log.drop_tail()
    return log


def test_what_was_read_last_is_never_taken_for_another_logs(tmp_path: Path) -> None:
    caches = Caches()
    logs = {mark: filled(tmp_path / mark.decode(), caches, mark) for mark in (b"a", b"b")}
    for n in range(100):
        for mark, log in logs.items():
            assert log.ordinal_of((n + 1, 0)) == n
            assert log.id_at(n) == (n + 1, 0)
            assert log.read_each(n, n + 1) == [b"%b%d" % (mark, n)]
            assert b"".join(log.read(n, min(n + 20, 100))) == b"".join(
                b"%b%d" % (mark, m) for m in range(n, min(n + 20, 100))
            )


def test_no_more_than_one_block_is_held_beyond_the_bound(tmp_path: Path) -> None:
    caches = Caches(block_bytes_max=0)
    log = filled(tmp_path / "log", caches, b"a")
    log.read(0, 100)
    assert caches.block_bytes == 0
    assert caches.recent is not None
    log.roll(2)
    assert caches.recent is None


def test_what_was_read_last_goes_with_its_segment(tmp_path: Path) -> None:
    caches = Caches()
    log = filled(tmp_path / "log", caches, b"a")
    end = log.end_offset
    log.append([200, 201], [0, 0], [b"old", b"old"], now_ms=1)
    log.append([300], [0], [b"old"], now_ms=1)
    log.drop_tail()
    assert log.read_each(100, 102) == [b"old", b"old"]
    log.truncate(end)
    log.append([200], [0], [b"new"], now_ms=1)
    log.drop_tail()
    assert log.read_each(100, 101) == [b"new"]
    assert log.ordinal_of((201, 0)) == 101


def test_a_block_is_kept_when_it_is_read_again(tmp_path: Path) -> None:
    caches = Caches()
    log = filled(tmp_path / "log", caches, b"a")
    for read in (1, 2, 3):
        assert len(log.read_each(0, 90)) == 90
        assert (caches.block_bytes > 0) == (read > 1)
        caches.recent = None
