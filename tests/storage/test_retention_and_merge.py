"""Old segments go for a reason, and small batches become large ones without anybody noticing."""

from __future__ import annotations

from storage import Caches, Log, LogConfig
from storage.index import Summary
from storage.retention import decide
from tests.crash.disk import WatchedDisk
from tests.support.memory_filesystem import MemoryFileSystem


def summary(base: int, size: int, last_append_ms: int) -> Summary:
    return Summary(base, base + 10, base, base + 10, 1, 1, 0, last_append_ms, size, 1, 0, False)


SEALED = [summary(0, 100, 1000), summary(10, 100, 2000), summary(20, 100, 3000)]


def test_nothing_goes_by_default() -> None:
    assert decide(SEALED, 10**9, LogConfig(), now_ms=10**12) == []


def test_segments_go_when_their_last_append_is_older_than_retention_ms() -> None:
    drops = decide(SEALED, 300, LogConfig(retention_ms=500), now_ms=2500)
    assert [drop.base_offset for drop in drops] == [0]
    assert drops[0].reason == "last append 1500 ms ago, retention.ms is 500"


def test_segments_go_while_what_remains_is_large_enough() -> None:
    drops = decide(SEALED, 350, LogConfig(retention_bytes=150), now_ms=0)
    assert [drop.base_offset for drop in drops] == [0, 10]
    assert drops[1].reason == "150 bytes remain without it, retention.bytes is 150"


def test_only_a_prefix_goes() -> None:
    young_first = [summary(0, 100, 5000), summary(10, 100, 1)]
    assert decide(young_first, 200, LogConfig(retention_ms=500), now_ms=5000) == []


def filled(segments: int = 4) -> tuple[MemoryFileSystem, Log]:
    filesystem = MemoryFileSystem()
    log = Log.open(filesystem, "/log", LogConfig(merge_target_bytes=2000, index_interval_bytes=500))
    for i in range(segments * 50):
        log.append([i + 1], [i], [b"entry %d" % i], [b"effect %d" % i] if i % 3 == 0 else [], now_ms=i)
        if i % 50 == 49:
            log.roll(i)
            sync(log)
    sync(log)
    return filesystem, log


def sync(log: Log) -> None:
    pending = log.unsynced()
    pending.sync()
    log.synced(pending)


def test_segments_with_effects_stay_until_a_snapshot_has_been_synced() -> None:
    _, log = filled()
    assert log.drop_before(120) == 0
    log.write_snapshot(b"state", log.end_offset)
    assert log.drop_before(120) == 0
    sync(log)
    assert log.drop_before(120) > 0
    assert (log.first_ordinal, log.end_ordinal) == (100, 200)
    assert log.newest_snapshot() == (log.end_offset, b"state")


def test_retention_says_what_went_and_the_last_entries_stay() -> None:
    filesystem, log = filled()
    log.write_snapshot(b"state", log.end_offset)
    sync(log)
    log.config = LogConfig(retention_ms=0)
    drops = log.apply_retention(10**6)
    assert [drop.end_ordinal for drop in drops] == [50, 100, 150]  # the active segment is empty
    assert log.ids(log.first_ordinal, log.end_ordinal)[1] == list(range(150, 200))
    log.close()
    assert Log.open(filesystem, "/log").last_id == (200, 199)


def test_a_merge_keeps_offsets_ordinals_ids_payloads_and_effects() -> None:
    filesystem, log = filled()
    before = log.read_each(0, 200), log.ids(0, 200), list(log.controls())
    batches = [segment.batch_count for segment in log.segments.sealed]
    freed = 0
    for segment in log.merge_candidates():
        job = log.merge(segment)
        job.run()
        freed += log.swap(job)
    assert freed > 0
    assert sum(segment.batch_count for segment in log.segments.sealed) < sum(batches) / 5
    assert (log.read_each(0, 200), log.ids(0, 200), list(log.controls())) == before
    for offset in range(log.end_offset):
        assert list(log.controls(offset)) == [effect for effect in before[2] if effect.offset >= offset]
    assert log.merge_candidates() == []
    log.close()
    for path in [path for path in filesystem.names if path.endswith(".index")]:
        filesystem.remove(path)  # and so does an index made again from merged batches
    again = Log.open(filesystem, "/log")
    assert (again.read_each(0, 200), again.ids(0, 200), list(again.controls())) == before


def test_a_merged_segment_that_was_dropped_meanwhile_is_discarded() -> None:
    filesystem, log = filled()
    job = log.merge(log.merge_candidates()[0])
    job.run()
    log.write_snapshot(b"state", log.end_offset)
    sync(log)
    log.drop_before(60)
    assert log.swap(job) == 0
    late = log.merge(log.segments.sealed[0])
    log.drop_before(200)
    late.run()
    assert late.result is None
    assert log.swap(late) == 0
    assert not [path for path in filesystem.names if path.endswith(".cleaned")]


def test_many_logs_share_a_few_files() -> None:
    filesystem = MemoryFileSystem()
    caches = Caches(open_files_max=16, tail_bytes_max=1000)
    logs = [Log.open(filesystem, f"/log{i}", caches=caches) for i in range(300)]
    for turn in range(3):
        for i, log in enumerate(logs):
            log.append([turn + 1], [i], [b"%d of %d" % (turn, i)], now_ms=1)
    assert caches.open_files <= 16
    assert caches.tail_bytes <= 1000
    for i, log in enumerate(logs):
        assert log.read_each(0, 3) == [b"%d of %d" % (turn, i) for turn in range(3)]
        log.close()
    assert caches.open_files == 0
    assert caches.tail_bytes == 0


def test_a_merge_that_makes_a_segment_larger_may_be_cut_anywhere() -> None:
    """Many small effects take more room in a merged batch, whose table has the offset and time of each."""
    disk = WatchedDisk()
    log = Log.open(disk, "/log", LogConfig(merge_target_bytes=4000, index_interval_bytes=500))
    for i in range(40):
        log.append([i + 1], [i], [b"entry"], [b"e%d" % i] * 30, now_ms=i)
    sync(log)
    log.roll(40)
    log.append([99], [99], [b"entry"], [], now_ms=41)
    sync(log)
    sync(log)
    before, opened = log.read_each(0, 41), 0

    def look(torn: int) -> None:
        nonlocal opened
        for left in (disk.killed(), disk.powered_off()):
            again = Log.open(left, "/log")
            assert again.read_each(0, 41) == before
            assert len(list(again.controls())) == 1200
            opened += 1

    [segment] = log.merge_candidates()
    job = log.merge(segment)
    disk.on_event = look
    job.run()
    assert log.swap(job) < 0, "it was to become larger"
    look(0)
    assert opened > 10
