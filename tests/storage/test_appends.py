"""One entry at a time is the same log as any other way of appending it."""

from __future__ import annotations

import pytest

from storage import DiskFull, Log, LogConfig
from storage.batch import MORE, encode_entries, encode_entry
from tests.support.memory_filesystem import MemoryFileSystem

SMALL = LogConfig(segment_bytes=2000, index_interval_bytes=300, tail_bytes_max=500)


def written(*, one_by_one: bool, payloads: list[bytes], config: LogConfig = SMALL) -> dict[str, bytes]:
    """The files of a log with these entries."""
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log", config)
    for number, payload in enumerate(payloads):
        if one_by_one:
            log.append_one(5 + number, 0, payload, number)
        else:
            log.append([5 + number], [0], [payload], now_ms=number)
    assert log.read_each(0, len(payloads)) == payloads
    log.checkpoint()
    log.close()
    return {path: bytes(filesystem.content(path)) for path, inode in filesystem.names.items() if inode}


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([10] * 100, id="over blocks and segments"),
        pytest.param([0, 1, 3000, 10, 5000, 10, 10], id="large among small"),
        pytest.param([400] * 20, id="each fills a tail"),
    ],
)
def test_the_files_are_the_same(sizes: list[int]) -> None:
    payloads = [b"x" * size for size in sizes]
    assert written(one_by_one=True, payloads=payloads) == written(one_by_one=False, payloads=payloads)


def test_the_batch_is_the_same() -> None:
    assert encode_entry(7, 8, b"payload", 3, 2, 9, 6) == b"".join(encode_entries([7], [8], [b"payload"], 3, 2, 9, 6, 0))
    assert encode_entry(7, 8, b"", 3, 2, 9, 0) != b"".join(encode_entries([7], [8], [b""], 3, 2, 9, 0, MORE))


def test_an_id_that_is_not_above_the_last_is_refused() -> None:
    log = Log.open(MemoryFileSystem(), "/log")
    log.append_one(5, 1, b"a", 0)
    for entry_id in ((5, 1), (5, 0), (4, 9)):
        with pytest.raises(ValueError, match="not above"):
            log.append_one(*entry_id, b"b", 0)
    assert log.read_each(0, 1) == [b"a"]


def test_a_full_disk_leaves_the_log_as_it_was() -> None:
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log")
    log.append_one(1, 0, b"a", 0)
    filesystem.room = 50
    with pytest.raises(DiskFull):
        log.append_one(2, 0, b"b" * 100, 0)
    filesystem.room = None
    log.append_one(2, 0, b"c", 0)
    assert log.read_each(0, 2) == [b"a", b"c"]
    assert Log.open(filesystem, "/log").end_offset == 2


def test_the_last_append_can_be_taken_back() -> None:
    log = Log.open(MemoryFileSystem(), "/log", SMALL)
    for number in range(50):
        log.append_one(number + 1, 0, b"x" * 100, number)
        log.append_one(number + 1, 1, b"not wanted", number)
        log.take_back()
    log.append([60], [0], [b"y"], [b"effect"], now_ms=60)
    log.take_back()
    log.append([], [], [], now_ms=61)
    log.take_back()
    assert (log.end_offset, log.last_id) == (50, (50, 0))
