"""A log that begins in the middle: made there, emptied, cut, and what must be known of what came before."""

from __future__ import annotations

import pytest

from storage import (
    CorruptLog,
    DiskFailed,
    DiskFull,
    Log,
    LogConfig,
    LogPoisoned,
    NotContiguous,
    Outdated,
    OutOfRange,
    Selection,
)
from tests.storage.test_raw import feed, fill, open_log, records, segments, settle
from tests.support.memory_filesystem import MemoryFileSystem, PowerLoss

SMALL = LogConfig(segment_bytes=1500, index_interval_bytes=300, checkpoint_interval_bytes=500, merge_target_bytes=700)


def disk(log: Log) -> MemoryFileSystem:
    assert isinstance(log.filesystem, MemoryFileSystem)
    return log.filesystem


def create(filesystem: MemoryFileSystem | None = None, epoch: int = 3) -> Log:
    filesystem = filesystem or MemoryFileSystem()
    return Log.create_at(filesystem, "/log", 100, 60, (7, 8), SMALL, last_epoch=epoch)


def bounds(log: Log) -> tuple[object, ...]:
    return (
        log.start_offset, log.end_offset, log.first_ordinal, log.end_ordinal, log.last_id, log.last_epoch,
        log.epoch_end(log.last_epoch - 1), log.replay_floor,
    )  # fmt: skip


EMPTY = (100, 100, 60, 60, (7, 8), 3, 100, 100)


def test_a_log_made_in_the_middle_is_the_same_when_it_is_opened_again_empty() -> None:
    log = create()
    assert bounds(log) == EMPTY
    for _ in range(3):
        log = open_log(disk(log).killed())
        assert bounds(log) == EMPTY
        assert log.report.cut is None
    log.close()
    assert bounds(open_log(disk(log))) == EMPTY


def test_it_survives_loss_of_power_once_it_was_synced_and_goes_on_as_any() -> None:
    log = create()
    settle(log)
    for seed in range(20):
        log = open_log(disk(log).powered_off(seed))
        assert bounds(log) == EMPTY
        log.checkpoint()
        log.append([8 + seed], [0], [b"lost"], [b"effect"], now_ms=1)
        log.checkpoint()
        if seed % 3 == 0:
            log.take_back()
        elif seed % 3 == 1:
            settle(log)
            log.truncate(100)
        else:
            log = open_log(disk(log).powered_off())
    with pytest.raises(ValueError, match="not above"):
        log.append([7], [8], [b"x"], now_ms=1)
    for round_number in range(20):
        fill(log, 12, first=10 + 12 * round_number)
        if round_number % 3 == 0:
            settle(log)
        log = open_log(disk(log).killed())
    assert (log.start_offset, log.first_ordinal) == (100, 60)
    assert len(log.segments.all) > 3
    log.truncate(100)
    assert bounds(log) == EMPTY
    assert bounds(open_log(disk(log).powered_off())) == EMPTY


def test_a_log_without_a_sync_rolls_without_ever_looking_damaged() -> None:
    def fill_some(filesystem: MemoryFileSystem) -> None:
        log = create(filesystem)
        pending = log.unsynced()
        pending.sync()
        promised.append(filesystem.events)
        log.synced(pending)
        fill(log, 60, first=10)

    promised: list[int] = []
    whole = MemoryFileSystem()
    fill_some(whole)
    for event in range(promised[0], len(whole.log)):
        for seed in range(3):
            filesystem = MemoryFileSystem()
            filesystem.stop_at = event
            with pytest.raises(PowerLoss):
                fill_some(filesystem)
            after = open_log(filesystem.powered_off(seed))
            assert bounds(after)[::2] == (100, 60, after.last_id, 100)
            assert after.last_epoch == 3


def test_it_is_made_only_where_there_is_none_and_there_is_room() -> None:
    filesystem = MemoryFileSystem()
    filesystem.mkdir("/log")
    create(filesystem)
    with pytest.raises(ValueError, match="there is a log"):
        create(filesystem)
    filesystem = MemoryFileSystem()
    filesystem.room = 10
    with pytest.raises(DiskFull):
        create(filesystem)


def test_a_checkpoint_that_is_lost_is_missed_only_by_an_empty_log() -> None:
    log = create()
    path = "/log/checkpoint"
    disk(log).flip(path, 500)
    with pytest.raises(CorruptLog, match="how far IDs have come"):
        open_log(disk(log).killed())
    disk(log).flip(path, 500)
    log.append([9], [0], [b"x"], [b"effect"], now_ms=1)
    disk(log).remove(path)
    again = open_log(disk(log).killed())
    assert (again.start_offset, again.end_offset, again.first_ordinal, again.end_ordinal) == (100, 102, 60, 61)
    assert again.origin == (100, 60, (0, 0), 3)


def test_without_a_checkpoint_a_log_takes_what_was_before_from_its_first_batch() -> None:
    for epoch, effects in ((5, [b"effect"]), (3, [])):
        log = create()
        log.leader_epoch = epoch
        log.append([9][len(effects) :], [0][len(effects) :], [b"x"][len(effects) :], effects, now_ms=1)
        log.roll(1)
        log.leader_epoch = 8
        fill(log, 30, first=20)
        settle(log)
        disk(log).remove("/log/checkpoint")
        again = open_log(disk(log).killed())
        assert again.origin == (100, 60, (7, 8) if effects else (0, 0), epoch)
        copy = Log.create_at(MemoryFileSystem(), "/log", *again.origin[:3], SMALL, last_epoch=again.origin.last_epoch)
        feed(again, copy)
        assert records(copy) == records(log)
        again.truncate(again.epoch_end(epoch))
        assert again.last_epoch == epoch


def test_a_copy_begins_where_the_others_begins_and_its_snapshot_counts() -> None:
    leader = open_log()
    leader.leader_epoch = 2
    fill(leader, 60)
    leader.write_snapshot(b"state", leader.end_offset)
    settle(leader)
    leader.drop_before(leader.end_ordinal // 2)
    fill(leader, 30, first=100)
    before = leader.durability.start
    copy = Log.create_at(
        MemoryFileSystem(), "/log", leader.start_offset, leader.first_ordinal, (before.last_ms, before.last_seq), SMALL,
        last_epoch=before.leader_epoch,
    )  # fmt: skip
    feed(leader, copy)
    assert records(copy) == records(leader)
    assert segments(copy) == segments(leader)
    snapshot = leader.newest_snapshot()
    assert snapshot
    assert copy.newest_snapshot() is None
    for outside in (copy.start_offset - 1, copy.end_offset + 1):
        with pytest.raises(OutOfRange):
            copy.write_snapshot(snapshot[1], outside)
    copy.write_snapshot(snapshot[1], snapshot[0])
    settle(copy)
    again = open_log(disk(copy).powered_off())
    assert again.newest_snapshot() == snapshot
    assert records(again) == records(leader)
    assert again.drop_before(again.end_ordinal) > 0


def test_effects_that_only_later_snapshots_have_keep_a_log_from_being_cut() -> None:
    log = open_log()
    fill(log, 40)
    first = log.end_offset
    log.write_snapshot(b"first", first)
    settle(log)
    fill(log, 20, first=100)
    second = log.end_offset
    assert log.cut_floor == 0
    assert log.drop_before(40) > 0
    assert log.cut_floor == first > log.start_offset > 0
    log.write_snapshot(b"second", second)
    settle(log)
    with pytest.raises(OutOfRange):
        log.truncate(log.segments.floor(first - 1).base_offset)
    log.truncate(first)
    assert log.newest_snapshot() == (first, b"first")


def test_a_log_is_not_cut_before_the_snapshot_by_which_segments_were_dropped() -> None:
    log = open_log()
    fill(log, 40)
    for state in (b"first", b"second"):  # a trim is between them
        fill(log, 1, first=200 + len(state))
        log.write_snapshot(state, log.end_offset)
        settle(log)
    first, second = log.snapshots.offsets
    fill(log, 1, first=300)
    assert log.drop_before(40) > 0
    for each in (log, open_log(disk(log).killed())):
        assert first < each.cut_floor == second
        with pytest.raises(OutOfRange):
            each.truncate(first)


def cleaned_log(*, bare: bool = True) -> Log:
    """A log of which a part is cleaned, and, if ``bare``, effects are left out of it."""
    log = open_log(config=SMALL)
    log.leader_epoch = 2
    fill(log, 30)
    log.roll(30)
    for state in (b"first", b"second"):
        log.append([200 + len(state)], [0], [b"more"], now_ms=40)
        if bare:
            log.write_snapshot(state, log.end_offset)
        settle(log)
    job = log.clean(log.settled(), Selection(gone=frozenset(range(2, 9))))
    job.run()
    log.swap(job)
    assert log.segments.all[0].bare == bare
    return log


@pytest.mark.parametrize("bare", [False, True])
def test_who_has_not_all_of_what_was_cleaned_needs_all_of_the_log(bare: bool) -> None:
    log = cleaned_log(bare=bare)
    end = log.segments.all[0].end_offset
    assert 0 == log.start_offset < log.replay_floor == end < log.end_offset
    assert log.cut_floor == (log.snapshots.offsets[0] if bare else 0)
    again = open_log(disk(log).killed())
    assert (again.replay_floor, again.cut_floor, again.is_cleaned) == (end, log.cut_floor, True)


@pytest.mark.parametrize("bare", [False, True])
def test_a_reader_that_comes_to_where_records_were_left_out_meanwhile_says_so(bare: bool) -> None:
    log = open_log(config=SMALL)
    fill(log, 20)
    log.roll(30)
    end = log.end_offset
    fill(log, 20, first=100)
    log.roll(30)
    for state in (b"first", b"second"):
        log.append([200 + len(state)], [0], [b"more"], now_ms=40)
        if bare:
            log.write_snapshot(state, log.end_offset)
        settle(log)
    reader = log.raw_reader(0)
    while reader.offset < end:
        reader.read(10_000)
    (job := log.clean([segment for segment in log.settled() if segment.base_offset >= end], Selection())).run()
    log.swap(job)
    with pytest.raises(Outdated):
        reader.read(10_000)
    assert reader.offset == end < log.replay_floor
    reader = log.raw_reader(end)  # by somebody who reads all of it
    while reader.read(10_000):
        pass
    assert reader.offset == log.end_offset


def test_new_entries_never_go_into_a_segment_of_cleaned_batches() -> None:
    leader = cleaned_log()
    reader = leader.raw_reader(0)
    copy = open_log(config=SMALL)
    while copy.end_offset < leader.segments.all[0].end_offset:
        chunk = reader.read(300)
        assert chunk
        copy.append_batches(chunk.raw, roll=chunk.begins_segment)
    plain = reader.read(10_000)
    assert plain
    config = LogConfig(index_interval_bytes=300, checkpoint_interval_bytes=500)
    for append in (
        lambda log: log.append([500], [0], [b"new"], [b"effect"], now_ms=1),
        lambda log: log.append_one(500, 0, b"new", 1),
        lambda log: log.append_batches(plain.raw),
    ):
        for synced in (False, True):
            log = open_log(disk(copy).killed(), config)
            assert log.segments.active.cleaned
            assert log.segments.active.bare
            floor = log.replay_floor
            if synced:
                settle(log)
                log = open_log(disk(log).killed(), config)
                assert log.report.scanned_bytes == 0
            append(log)
            assert len(log.segments.all) == 2
            assert log.replay_floor == floor
            everything = records(log)
            again = open_log(disk(log).killed(), config)
            assert records(again) == everything
            assert again.replay_floor == floor
            again.write_snapshot(b"state", again.end_offset)
            settle(again)
            assert again.newest_snapshot() == (again.end_offset, b"state")


def test_cleaned_batches_never_go_among_others() -> None:
    leader = cleaned_log(bare=False)
    reader = leader.raw_reader(0)
    first, second = reader.read(1), reader.read(1)
    assert first
    assert second
    uncleaned = open_log(config=SMALL)
    uncleaned.leader_epoch = 2
    fill(uncleaned, 30)
    copy = open_log(config=LogConfig(index_interval_bytes=300))
    source = uncleaned.raw_reader(0)
    while copy.end_offset < first.end_offset:
        chunk = source.read(1)
        assert chunk
        copy.append_batches(chunk.raw)
    assert copy.end_offset == first.end_offset
    with pytest.raises(NotContiguous):
        copy.append_batches(first.raw)
    copy.append_batches(second.raw)
    copy.truncate(first.end_offset)
    copy.append_batches(second.raw)
    assert len(copy.segments.all) == 2
    assert copy.read_each(0, 2) == uncleaned.read_each(0, 2)


def test_an_index_of_what_was_cut_is_not_taken_for_that_of_what_came_instead() -> None:
    logs = []
    for payload in (b"a", b"b"):
        log = open_log(config=LogConfig(segment_bytes=10**6))
        log.append([1], [0], [b"x"], now_ms=1)
        log.append([2], [0], [payload], now_ms=1)
        log.append([3 + (payload == b"b")], [0], [payload], now_ms=1)
        log.roll(1)
        log.append([9], [0], [payload], now_ms=1)
        logs.append(log)
    leader, follower = logs
    follower.truncate(1)
    assert not any(path.endswith(".index") for path in disk(follower).names)
    feed(leader, follower)
    assert records(open_log(disk(follower).killed())) == records(leader)


def test_a_sync_that_ends_after_a_cut_says_nothing_of_what_came_instead() -> None:
    log = open_log(config=LogConfig())
    fill(log, 20)
    settle(log)
    end = log.end_offset
    fill(log, 20, first=100)
    log.write_snapshot(b"cut off", log.end_offset)
    before = log.unsynced()
    before.sync()
    log.truncate(end)
    log.synced(before)
    assert log.snapshots.durable_offset == 0
    fill(log, 30, first=100)
    log.durability.sync_checkpoint()
    again = open_log(disk(log).powered_off())
    assert again.end_offset == end
    assert again.newest_snapshot() is None
    settle(log)
    again = open_log(disk(log).powered_off())
    assert again.end_offset == log.end_offset


def test_a_cut_that_cannot_be_made_durable_closes_the_log_for_appends() -> None:
    log = open_log()
    fill(log, 40)
    settle(log)
    disk(log).failing_syncs.add("*")
    with pytest.raises(DiskFailed):
        log.truncate(log.segments.active.base_offset)
    disk(log).failing_syncs.clear()
    with pytest.raises(LogPoisoned):
        log.append([10_000], [0], [b"x"], now_ms=1)
    assert open_log(disk(log).killed()).report.cut is None


def test_segments_come_to_begin_where_the_others_do_after_a_cut() -> None:
    leader, follower = open_log(), open_log()
    for log in (leader, follower):
        fill(log, 10)
    end = leader.end_offset
    follower.roll(1)
    fill(follower, 20, first=100)
    follower.truncate(end)
    assert follower.segments.active.base_offset == end
    fill(leader, 40, first=100)
    feed(leader, follower)
    assert segments(follower) == segments(leader)
    assert segments(open_log(disk(follower).killed())) == segments(leader)
