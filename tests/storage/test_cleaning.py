"""Cleaned segments: what is left keeps ordinal, offset and ID, and no reader goes astray in the gaps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import Caches, CorruptLog, Log, LogConfig, RewriteJob, Selection
from storage.compaction import CompactionConfig
from storage.inspect import main
from storage.rewrite import Sealed
from storage.scan import walk
from storage.survey import survey
from tests.storage.test_compaction import Marks
from tests.support.memory_filesystem import MemoryFileSystem

CONFIG = LogConfig(merge_target_bytes=600, index_interval_bytes=300)


def sync(log: Log) -> None:
    pending = log.unsynced()
    pending.sync()
    log.synced(pending)


def filled(segments: int = 4, each: int = 20) -> tuple[MemoryFileSystem, Log]:
    """Entry *i* has the ID ``i // 3 + 1``-``i``; every fourth append has an effect."""
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log", CONFIG, caches=Caches(open_files_max=3, block_bytes_max=3000))
    for i in range(segments * each):
        log.append([i // 3 + 1], [i], [b"entry %d" % i], [b"effect %d" % i] if i % 4 == 0 else [], now_ms=i)
        if i % each == each - 1:
            log.roll(i)
            sync(log)
    sync(log)
    return filesystem, log


def clean(log: Log, count: int, selection: Selection, start: int = 0) -> RewriteJob:
    job = log.clean(log.settled()[start : start + count], selection)
    job.run()
    log.swap(job)
    return job


def check(log: Log, end: int, kept: list[int], hollow: frozenset[int] = frozenset()) -> None:
    """Ask for everything in every way."""
    payloads = [b"" if i in hollow else b"entry %d" % i for i in kept]
    assert (log.first_ordinal, log.end_ordinal, log.end_offset) == (0, end, end + (end + 3) // 4)
    assert log.last_id == ((end - 1) // 3 + 1, end - 1)
    for first in range(0, end + 1, 7):
        for stop in range(first, end + 1, 11):
            low, high = bisect_left(kept, first), bisect_left(kept, stop)
            assert list(log.stored(first, stop)) == kept[low:high]
            assert log.read_each(first, stop) == payloads[low:high]
            ranges = list(log.stretches(first, stop))
            assert [i for each in ranges for i in range(*each)] == kept[low:high]
            for some in (ranges, ranges[::2]):
                pieces = [bytes(piece) for pieces in log.read_ranges(some) for piece in pieces]
                wanted = [i for each in some for i in range(*each)]
                assert b"".join(pieces) == b"".join(payloads[kept.index(i)] for i in wanted)
            assert b"".join(log.read(first, stop)) == b"".join(payloads[low:high])
            assert log.sizes(first, stop) == [len(payload) for payload in payloads[low:high]]
            ids = list(zip(*log.ids(first, stop), strict=True))
            assert len(ids) == stop - first
            assert [each for each in ids if each[1] >= 0] == [(i // 3 + 1, i) for i in kept[low:high]]
            assert [first + i for i, (_, seq) in enumerate(ids) if seq >= 0] == kept[low:high]
            assert ids == sorted(ids, key=itemgetter(0))
    for i in range(end):
        found = log.find((i // 3 + 1, i))
        assert found == i if i in kept else found in (None, i)
        ordinal = log.ordinal_of((i // 3 + 1, i))
        assert i <= ordinal
        assert bisect_left(kept, i) == bisect_left(kept, ordinal)  # nothing is left in between
        if i in kept:
            assert log.id_at(i) == (i // 3 + 1, i)
        before = bisect_right(kept, i)
        low = kept[before - 1] if before else 0
        assert (low // 3 + 1, low) <= log.id_at(i) <= (i // 3 + 1, i)
    effects = [(i + (i + 3) // 4 + 1, i, b"effect %d" % i) for i in range(0, end, 4)]
    for offset in range(0, log.end_offset, 7):
        assert list(log.controls(offset)) == [effect for effect in effects if effect[0] >= offset]


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 79)), st.sets(st.integers(0, 79)), st.integers(0, 2), st.integers(1, 4))
def test_what_is_left_is_found_as_before(gone: set[int], again: set[int], start: int, count: int) -> None:
    filesystem, log = filled()
    within = range(start * 20, min(start + count, 4) * 20)
    clean(log, count, Selection(gone), start)
    kept = [i for i in range(80) if i not in gone or i not in within]
    check(log, 80, kept)
    clean(log, 4, Selection(again))
    kept = [i for i in kept if i not in again]
    check(log, 80, kept)
    log.close()
    check(Log.open(filesystem, "/log", CONFIG), 80, kept)
    for path in [path for path in filesystem.names if path.endswith(".index")]:
        filesystem.remove(path)  # the log says it all
    check(Log.open(filesystem, "/log", CONFIG), 80, kept)


def test_segments_of_which_nothing_is_left_become_one_small_file() -> None:
    filesystem, log = filled(segments=9)
    effects_end = log.settled()[7].end_offset
    job = clean(log, 8, Selection(range(160), effects_from=effects_end))
    assert job.result is not None
    assert job.result.log_size < 200
    assert [path for path in sorted(filesystem.names) if path.endswith(".log")] == [
        f"/log/{n:020d}.log" for n in (0, effects_end, effects_end + 25)
    ]
    log.close()
    log.write_snapshot(b"state", effects_end)
    again = Log.open(filesystem, "/log", CONFIG)
    assert again.read_each(0, 180) == [b"entry %d" % i for i in range(160, 180)]
    assert again.ordinal_of((1, 0)) == 0
    assert again.ordinal_of((53, 159)) == 160
    assert [effect.effect for effect in again.controls()] == [b"effect %d" % i for i in range(160, 180, 4)]


def test_effects_go_when_two_snapshots_have_them_and_then_one_is_needed() -> None:
    filesystem, log = filled()
    for i in range(2):
        log.write_snapshot(b"state", log.end_offset)
        clean(log, 4, Selection(range(3)))
        assert len(list(log.controls())) == 20
        log.append([100 + i], [0], [b"more"], now_ms=100)
    sync(log)
    clean(log, 4, Selection(range(3)))
    assert list(log.controls()) == []
    log.close()
    for path in [path for path in filesystem.names if path.endswith(".index")]:
        filesystem.remove(path)
    again = Log.open(filesystem, "/log", CONFIG)
    assert again.newest_snapshot() == (101, b"state")
    for offset in (101, 100):
        assert again.newest_snapshot() == (offset, b"state")
        filesystem.flip(f"/log/{offset:020d}.snapshot", 200)
    with pytest.raises(CorruptLog, match="snapshot is damaged or missing"):
        again.newest_snapshot()


def test_a_hollow_entry_keeps_its_id_and_goes_with_the_next_cleaning() -> None:
    _, log = filled()
    clean(log, 4, Selection(range(0, 80, 2), hollow={10, 12}))
    kept = sorted({*range(1, 80, 2), 10, 12})
    check(log, 80, kept, frozenset({10, 12}))
    clean(log, 4, Selection(range(0, 80, 2), hollow={12}))
    check(log, 80, [i for i in kept if i != 10], frozenset({12}))


def test_a_cleaned_batch_is_as_old_as_its_last_entry_whatever_effects_followed() -> None:
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log", CONFIG)
    log.append([1, 2], [0, 0], [b"a", b"b"], now_ms=10)
    log.append([], [], [], [b"effect"], now_ms=99)
    log.roll(100)
    log.append([3], [0], [b"c"], now_ms=100)
    for _ in range(2):
        sync(log)
    clean(log, 1, Selection({0}))
    found = next(walk(filesystem.open("/log/00000000000000000000.log"), 0, 1000))
    assert found.header.append_ms == 10


def test_new_entries_and_later_cleanings_follow() -> None:
    filesystem, log = filled()
    clean(log, 2, Selection(range(3, 40)))
    for i in range(80, 100):
        log.append([i // 3 + 1], [i], [b"entry %d" % i], [b"effect %d" % i] if i % 4 == 0 else [], now_ms=i)
    sync(log)
    log.roll(100)
    sync(log)
    sync(log)  # the checkpoint, too
    clean(log, 4, Selection(range(30, 95)))
    kept = [0, 1, 2, *range(95, 100)]
    check(log, 100, kept)
    log.close()
    check(Log.open(filesystem, "/log", CONFIG), 100, kept)


def test_a_cleaned_log_is_printed_and_found_whole(capsys: object) -> None:
    filesystem, log = filled()
    clean(log, 4, Selection(range(5, 70)))
    assert main(["/log", "--records"], filesystem) == 0


def keys_of(payload: memoryview, ends: object) -> tuple[list[bytes | None], list[int]]:
    """``key=value``; without a value a tombstone."""
    keys: list[bytes | None] = []
    tombstones = []
    start = 0
    for place, end in enumerate(ends):  # type: ignore[call-overload]
        key, found, value = bytes(payload[start:end]).partition(b"=")
        keys.append(key if found else None)
        if found and not value:
            tombstones.append(place)
        start = end
    return keys, tombstones


writes = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(writes, min_size=1, max_size=6), st.integers(1, 12), st.integers(0, 3))
def test_a_table_written_over_and_over_reads_as_a_dictionary(
    parts: list[list[tuple[int, bool]]], keys_max: int, retention_ms: int
) -> None:
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log", CONFIG)
    config = CompactionConfig(delete_retention_ms=retention_ms, map_bytes=224 * keys_max)
    table: dict[bytes, bytes] = {}
    gone = Marks()
    first_dirty = count = 0
    for number, part in enumerate(parts):
        for key, is_set in part:
            count += 1
            payload = b"k%d=%b" % (key, b"%d" % count if is_set else b"")
            log.append([count], [0], [payload], now_ms=number)
            table[b"k%d" % key] = payload
        log.roll(number)
        sync(log)
        log.append([count], [1], [b"no key"], now_ms=number)
        count += 1
        sync(log)
        segments = log.settled()
        dead = Marks()
        for _ in range(len(part) + 2):
            found = survey(
                filesystem, Sealed.of(segments, 600), first_dirty, gone, dead, keys_of, config, number
            )  # fmt: skip
            first_dirty = found.end_ordinal
            gone |= dead
        clean(log, len(segments), Selection(gone))
        lines = [line for line in log.read_each(0, log.end_ordinal) if line != b"no key"]
        assert len(lines) == len({line.partition(b"=")[0] for line in lines})
        assert {line for line in lines if not line.endswith(b"=")} == {
            line for line in table.values() if not line.endswith(b"=")
        }
        if found.next_tombstone_ms is not None:
            assert found.next_tombstone_ms >= number - retention_ms
