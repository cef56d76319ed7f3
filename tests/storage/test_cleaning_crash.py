"""A log that is compacted, dropped from and cut at every write, sync and name still says which entries are live."""

from __future__ import annotations

import pytest

from storage import Caches, Log, LogConfig, Selection
from storage.segment import Segment
from tests.support.memory_filesystem import MemoryFileSystem, PowerLoss

CONFIG = LogConfig(segment_bytes=900, index_interval_bytes=200, merge_target_bytes=400, checkpoint_interval_bytes=300)
DIRECTORY = "/data/log"
KEYS = 5


def open_log(filesystem: MemoryFileSystem) -> Log:
    return Log.open(filesystem, DIRECTORY, CONFIG, caches=Caches(open_files_max=3, block_bytes_max=2000))


def restore(log: Log) -> set[int]:
    """Which entries are gone, as the newest snapshot and the effects behind it say."""
    gone: set[int] = set()
    newest = log.newest_snapshot()
    offset, state = newest or (log.start_offset, b"")
    gone.update(map(int, state.split()))
    for effect in log.controls(offset):
        gone.update(map(int, effect.effect.split()))
    return gone


def in_groups(log: Log) -> list[list[Segment]]:
    """Up to three settled neighbours each."""
    groups: list[list[Segment]] = []
    for segment in log.settled():
        if groups and len(groups[-1]) < 3 and log.may_join(groups[-1][-1], segment):
            groups[-1].append(segment)
        else:
            groups.append([segment])
    return groups


def test_segments_left_over_by_a_cleaning_are_known_without_a_checkpoint_too() -> None:
    filesystem = MemoryFileSystem()
    filesystem.mkdir("/data")
    log = open_log(filesystem)
    for i in range(40):
        log.append([i + 1], [0], [b"x" * 60], now_ms=i)
    pending = log.unsynced()
    pending.sync()
    log.synced(pending)
    left_over = {path: bytes(inode.current) for path, inode in filesystem.names.items() if inode}
    run = in_groups(log)[0]
    job = log.clean(run, Selection(gone=frozenset({1, 2, 3})))
    job.run()
    log.swap(job)
    expected = log.read_each(0, 40)
    for segment in run[1:]:
        filesystem.open(segment.path, create=True).append([left_over[segment.path]])
    for kept in (1, 2, 3):
        after = filesystem.killed()
        if f"{DIRECTORY}/checkpoint" in after.names:
            after.remove(f"{DIRECTORY}/checkpoint")
        for segment in log.segments.all[kept:]:
            for path in list(after.names):
                if path.startswith(segment.path.removesuffix("log")):
                    after.remove(path)
        again = open_log(after)
        end = log.segments.all[kept - 1].end_ordinal
        assert again.end_ordinal == end
        assert again.read_each(0, end) == expected[: len(again.stored(0, end))]
        assert {segment.base_offset for segment in again.segments.all} == {
            segment.base_offset for segment in log.segments.all[:kept]
        }


class Workload:
    """Entry *i* has the key ``i % KEYS``; what a round finds superseded becomes an effect, is synced, and is cleaned
    away."""

    def __init__(self, filesystem: MemoryFileSystem) -> None:
        self.filesystem = filesystem
        self.log: Log | None = None
        self.count = 0
        self.gone: set[int] = set()
        #: What has been answered for with a sync: entries, and what is gone.
        self.promised = 0
        self.promised_gone: set[int] = set()
        self.cleanings = 0

    def run(self) -> None:
        self.filesystem.mkdir("/data")
        self.filesystem.sync_directory("")
        self.log = open_log(self.filesystem)
        for turn in range(14):
            for _ in range(4):
                self.append(3)
            self.sync()
            if turn % 2:
                self.compact()
            if turn % 3 == 1:
                self.log.write_snapshot(b" ".join(b"%d" % i for i in sorted(self.gone)), self.log.end_offset)
                self.sync()
            if turn == 4:
                self.log.drop_before(20)
        self.sync()
        self.log.close()

    def append(self, entries: int, effect: bytes = b"") -> None:
        assert self.log
        first, self.count = self.count, self.count + entries
        ms = list(range(first + 1, self.count + 1))
        payloads = [b"entry %d" % i for i in range(first, self.count)]
        self.log.append(ms, [0] * entries, payloads, [effect] if entries % 2 else [], now_ms=self.count)

    def sync(self) -> None:
        assert self.log
        count, gone = self.count, set(self.gone)
        pending = self.log.unsynced()
        pending.sync()
        self.log.synced(pending)
        self.promised, self.promised_gone = count, gone

    def compact(self) -> None:
        assert self.log
        dead = set(range(max(0, self.log.segments.active.first_ordinal - KEYS))) - self.gone
        dead -= {7}  # an entry without a key
        self.gone |= dead
        self.append(1, b" ".join(b"%d" % i for i in sorted(dead)))
        self.sync()
        for group in in_groups(self.log):
            job = self.log.clean(group, Selection(frozenset(self.gone), hollow={3}))
            job.run()
            self.log.swap(job)
            self.cleanings += 1

    def check(self, filesystem: MemoryFileSystem) -> None:
        """All that was promised is there or rightly gone; the log goes on, and is cleaned again."""
        if "/data" not in filesystem.names:
            filesystem.mkdir("/data")
        log = open_log(filesystem)
        assert log.end_ordinal >= self.promised
        gone = restore(log)
        assert self.promised_gone <= gone <= self.gone
        self.check_entries(log, gone)
        log.append([10**6], [0], [b"after the crash"], now_ms=1)
        log.roll(1)
        log.append([10**6], [1], [b"and a roll"], now_ms=1)
        for _ in range(2):
            pending = log.unsynced()
            pending.sync()
            log.synced(pending)
        for group in in_groups(log):
            job = log.clean(group, Selection(frozenset(gone)))
            job.run()
            log.swap(job)
        again = open_log(filesystem.killed())
        assert restore(again) == gone
        self.check_entries(again, gone, 2)
        assert not [path for path in filesystem.names if path.endswith((".cleaned", ".swap"))]

    def check_entries(self, log: Log, gone: set[int], more: int = 0) -> None:
        end = log.end_ordinal - more
        live = [i for i in range(log.first_ordinal, end) if i not in gone]
        assert set(live) <= set(log.stored(log.first_ordinal, end))
        for i in live:
            assert log.read_each(i, i + 1) == [b"entry %d" % i]
            assert log.find((i + 1, 0)) == i


def count_events() -> list[str]:
    filesystem = MemoryFileSystem()
    workload = Workload(filesystem)
    workload.run()
    assert workload.cleanings > 8
    assert workload.log
    assert any(segment.bare for segment in workload.log.segments.all)
    return filesystem.log


EVENTS = count_events()


def cut_at(event: int) -> Workload:
    filesystem = MemoryFileSystem()
    filesystem.stop_at = event
    workload = Workload(filesystem)
    with pytest.raises(PowerLoss):
        workload.run()
    filesystem.stop_at = None
    return workload


def test_a_kill_at_every_event_loses_nothing_that_is_live() -> None:
    for event in range(len(EVENTS)):
        workload = cut_at(event)
        try:
            workload.check(workload.filesystem.killed())
        except BaseException as error:
            error.add_note(f"event {event} ({EVENTS[event]})")
            raise


def test_loss_of_power_at_every_event_loses_nothing_that_was_promised(pytestconfig: pytest.Config) -> None:
    for event in range(len(EVENTS)):
        workload = cut_at(event)
        for seed in (None, *range(pytestconfig.getoption("--storage-seeds"))):
            try:
                workload.check(workload.filesystem.powered_off(seed))
            except BaseException as error:
                error.add_note(f"event {event} ({EVENTS[event]}), seed {seed}")
                raise
