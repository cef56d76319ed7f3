"""Batches as they are, from one log to another."""

from __future__ import annotations

import pytest

from storage import (
    CorruptBatch,
    CorruptLog,
    DiskFull,
    Effect,
    Log,
    LogConfig,
    NotABatchBorder,
    NotContiguous,
    Outdated,
    OutOfRange,
    Selection,
)
from storage.batch import MORE, encode_effects, encode_entries
from tests.support.memory_filesystem import MemoryFileSystem

SMALL = LogConfig(segment_bytes=1500, index_interval_bytes=300, tail_bytes_max=600, batch_bytes_max=200)


def open_log(filesystem: MemoryFileSystem | None = None, config: LogConfig = SMALL) -> Log:
    return Log.open(filesystem or MemoryFileSystem(), "/log", config)


def fill(log: Log, count: int, *, size: int = 40, first: int = 1) -> None:
    """So many appends: of one entry, of two with an effect, of an effect, of one that is split."""
    for number in range(first, first + count):
        payloads = [b"%d" % number * (size // 2)] * ((1, 2, 0, 9)[number % 4])
        effects = [b"effect %d" % number] if number % 4 in (1, 2) else []
        log.append([number] * len(payloads), list(range(len(payloads))), payloads, effects, now_ms=number)


def feed(leader: Log, follower: Log, bytes_max: int = 400) -> None:
    reader = leader.raw_reader(follower.end_offset)
    while chunk := reader.read(bytes_max):
        assert chunk.base_offset == follower.end_offset
        follower.append_batches(chunk.raw, roll=chunk.begins_segment)
        assert chunk.end_offset == follower.end_offset == reader.offset


def segments(log: Log) -> dict[str, bytes]:
    names = log.filesystem.files(log.directory)
    return {name: log.filesystem.read(f"{log.directory}/{name}") for name, _ in names if name.endswith(".log")}


def records(log: Log) -> tuple[object, ...]:
    first, end = log.first_ordinal, log.end_ordinal
    return (first, end, log.last_id, log.ids(first, end), log.read_each(first, end), list(log.controls()))


def settle(log: Log) -> None:
    for _ in range(2):
        pending = log.unsynced()
        pending.sync()
        log.synced(pending)


def merge(log: Log) -> None:
    settle(log)
    for segment in log.merge_candidates():
        job = log.merge(segment)
        job.run()
        log.swap(job)


@pytest.mark.parametrize("bytes_max", [1, 100, 400, 100_000])
def test_a_log_that_is_fed_with_another_ones_batches_has_the_same_segments(bytes_max: int) -> None:
    leader, follower = open_log(), open_log()
    for epoch in (0, 1, 4):
        leader.leader_epoch = epoch
        fill(leader, 60, first=1 + 60 * epoch)
        feed(leader, follower, bytes_max)
    assert len(segments(leader)) > 4
    assert segments(follower) == segments(leader)
    assert records(follower) == records(leader)
    assert follower.last_epoch == 4
    again = open_log(follower.filesystem.killed())  # type: ignore[attr-defined]
    assert again.report.cut is None
    assert records(again) == records(leader)
    assert [segment.summary() for segment in again.segments.all] == [s.summary() for s in leader.segments.all]


def test_what_on_append_is_told_of_keeps_another_log_level() -> None:
    leader, follower = open_log(), open_log()

    def ship(log: Log, buffers: object) -> None:
        raw = b"".join(buffers)  # type: ignore[call-overload]
        follower.append_batches(raw, roll=log.segments.active.size == len(raw))

    leader.on_append = ship
    leader.leader_epoch = 7
    for round_number in range(30):
        leader.append_one(100 * round_number + 1, 0, b"one", round_number)
        fill(leader, 4, first=100 * round_number + 2)
        assert follower.end_offset == leader.end_offset
        assert records(follower) == records(leader)
    assert segments(follower) == segments(leader)
    assert follower.last_epoch == 7


def test_the_effects_are_returned_in_order() -> None:
    leader, follower = open_log(), open_log()
    fill(leader, 8)
    chunk = leader.raw_reader(0).read(100_000)
    assert chunk
    assert follower.append_batches(memoryview(chunk.raw)) == list(leader.controls()) != []
    assert follower.append_batches(b"") == []
    assert all(isinstance(effect, Effect) for effect in leader.controls())


def test_what_was_appended_last_is_read_from_memory() -> None:
    leader, follower = open_log(), open_log()
    leader.append([5, 6], [0, 1], [b"a", b"b"], [b"effect"], now_ms=1)
    feed(leader, follower)
    follower.filesystem.failing_reads.add(follower.segments.active.path)  # type: ignore[attr-defined]
    assert follower.read_each(0, 2) == [b"a", b"b"]


def test_batches_that_do_not_continue_the_log_are_refused() -> None:
    leader, follower = open_log(), open_log()
    leader.append([5], [0], [b"a"], now_ms=1)
    leader.append([6], [0], [b"b"], now_ms=1)
    reader = leader.raw_reader(0)
    first, second = reader.read(1), reader.read(1)
    assert first
    assert second
    with pytest.raises(NotContiguous, match="offset 0"):
        follower.append_batches(second.raw)
    follower.append_batches(first.raw)
    with pytest.raises(NotContiguous, match="offset 1"):
        follower.append_batches(first.raw)
    with pytest.raises(NotContiguous, match="offset 2, at byte 105"):
        follower.append_batches(second.raw + first.raw)
    assert (follower.end_offset, follower.size) == (1, len(first.raw))
    follower.append_batches(second.raw)
    assert segments(follower) == segments(leader)


def test_ids_and_epochs_that_do_not_rise_are_refused() -> None:
    def log_with(ms: int, epoch: int, effect: bool = False) -> Log:
        log = open_log()
        log.leader_epoch = epoch
        log.append([ms], [0], [b"x"], now_ms=1)
        log.append([ms + 1][effect:], [0][effect:], [b"x"][effect:], [b"effect"][: int(effect)], now_ms=1)
        return log

    def second_of(log: Log) -> bytes:
        chunk = log.raw_reader(1).read(1)
        assert chunk
        return chunk.raw

    follower = log_with(5, 3)
    follower.truncate(1)
    for other in (log_with(4, 3), log_with(5, 2), log_with(4, 3, effect=True), log_with(6, 3, effect=True)):
        with pytest.raises(NotContiguous):
            follower.append_batches(second_of(other))
    follower.append_batches(second_of(log_with(5, 4, effect=True)))
    assert follower.last_epoch == 4
    entry = encode_entries([9], [0], [b"x"], 2, 1, 1, 5, MORE)
    with pytest.raises(NotContiguous):
        follower.append_batches(b"".join((*entry, *encode_effects([b"effect"], (9, 0), 3, 2, 1, 6))))
    follower.append_batches(b"".join((*entry, *encode_effects([b"effect"], (9, 0), 3, 2, 1, 5))))
    assert follower.last_epoch == 5


def test_damage_anywhere_is_refused_and_nothing_is_written() -> None:
    leader = open_log()
    fill(leader, 3)
    chunk = leader.raw_reader(0).read(100_000)
    assert chunk
    follower = open_log()
    for bit in range(0, 8 * len(chunk.raw), 7):
        raw = bytearray(chunk.raw)
        raw[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptBatch):
            follower.append_batches(bytes(raw))
    for size in range(1, len(chunk.raw)):
        if size not in (len(b) for b in _groups(leader)):
            with pytest.raises(CorruptBatch):
                follower.append_batches(chunk.raw[:size])
    assert (follower.end_offset, follower.size) == (0, 0)


def _groups(log: Log) -> list[bytes]:
    """What stands before the end of each append."""
    reader, before = log.raw_reader(0), [b""]
    while chunk := reader.read(1):
        before.append(before[-1] + chunk.raw)
    return before


def test_a_full_disk_leaves_the_log_as_it_was_and_the_last_batches_can_be_taken_back() -> None:
    leader, follower = open_log(), open_log()
    fill(leader, 40)
    reader = leader.raw_reader(0)
    first, second = reader.read(300), reader.read(300)
    assert first
    assert second
    follower.append_batches(first.raw)
    follower.filesystem.room = 50  # type: ignore[attr-defined]
    with pytest.raises(DiskFull):
        follower.append_batches(second.raw)
    follower.filesystem.room = None  # type: ignore[attr-defined]
    follower.append_batches(second.raw)
    follower.take_back()
    assert follower.end_offset == first.end_offset
    feed(leader, follower)
    assert records(follower) == records(leader)


def test_merged_and_cleaned_segments_are_copied_as_they_are() -> None:
    leader = open_log()
    fill(leader, 80)
    merge(leader)
    settled = leader.settled()
    job = leader.clean(settled[:2], Selection(gone=frozenset(range(2, 9))))
    job.run()
    leader.swap(job)
    for bytes_max in (1, 500, 100_000):
        follower = open_log()
        feed(leader, follower, bytes_max)
        assert segments(follower) == segments(leader)
        assert records(follower) == records(leader)
        again = open_log(follower.filesystem.killed())  # type: ignore[attr-defined]
        assert records(again) == records(leader)


def test_a_reader_begins_only_where_an_append_began() -> None:
    log = open_log()
    fill(log, 40)
    borders = {0}
    reader = log.raw_reader(0)
    while chunk := reader.read(1):
        borders.add(chunk.end_offset)
    for offset in range(log.end_offset + 1):
        if offset in borders:
            found = log.raw_reader(offset).read(1)
            assert (found and found.base_offset) == (offset if offset < log.end_offset else None)
        else:
            with pytest.raises(NotABatchBorder) as caught:
                log.raw_reader(offset)
            assert caught.value.restart_offset == log.segments.floor(offset).base_offset


def test_records_that_are_not_stored_cannot_be_read() -> None:
    log = open_log()
    fill(log, 60)
    log.write_snapshot(b"state", log.end_offset)
    settle(log)
    log.drop_before(log.end_ordinal)
    assert log.start_offset > 0
    for offset in (log.start_offset - 1, log.end_offset + 1):
        with pytest.raises(OutOfRange):
            log.raw_reader(offset)


def test_in_a_merged_segment_one_may_begin_where_all_before_are_before() -> None:
    leader = open_log(config=SMALL)
    fill(leader, 80)
    plain = records(leader)
    ends = _ends(leader)
    leader.config = LogConfig(merge_target_bytes=700)
    merge(leader)
    merged = _ends(leader)
    assert len(merged) < len(ends)
    begun = refused = 0
    for end in ends:
        follower = open_log()
        source = open_log()
        fill(source, 80)
        feed(source, follower)
        follower.truncate(end)
        try:
            feed(leader, follower)
            begun += 1
        except NotABatchBorder as border:
            refused += 1
            follower.truncate(border.restart_offset)
            feed(leader, follower)
        assert records(follower) == plain
    assert begun > 10 < refused


def _ends(log: Log, bytes_max: int = 1) -> list[int]:
    reader, ends = log.raw_reader(log.start_offset), []
    while chunk := reader.read(bytes_max):
        ends.append(chunk.end_offset)
    return ends


def test_a_reader_goes_on_while_the_log_grows_and_what_is_behind_it_goes() -> None:
    leader, follower = open_log(), open_log()
    reader = leader.raw_reader(0)
    assert reader.read(1000) is None
    for round_number in range(20):
        fill(leader, 20, first=1 + 20 * round_number)
        while chunk := reader.read(500):
            follower.append_batches(chunk.raw, roll=chunk.begins_segment)
        leader.roll(round_number)
        if round_number % 3 == 0:
            merge(leader)
        if round_number % 4 == 0:
            leader.write_snapshot(b"state", leader.end_offset)
            settle(leader)
            leader.drop_before(leader.end_ordinal)
    assert leader.start_offset > 0
    assert follower.read_each(leader.first_ordinal, leader.end_ordinal) == leader.read_each(
        leader.first_ordinal, leader.end_ordinal
    )


def test_a_reader_is_done_for_when_its_segment_is_rewritten_or_dropped_or_the_log_is_cut() -> None:
    def middle(log: Log) -> None:
        with pytest.raises(Outdated):
            reader.read(100)
        log.raw_reader(log.start_offset).read(100)

    log = open_log()
    fill(log, 60)
    reader = log.raw_reader(0)
    reader.read(1)
    merge(log)
    middle(log)
    reader = log.raw_reader(0)
    reader.read(1)
    log.write_snapshot(b"state", log.end_offset)
    settle(log)
    log.drop_before(log.end_ordinal)
    middle(log)
    reader = log.raw_reader(log.end_offset)
    log.append([10_000], [0], [b"x"], now_ms=1)
    assert reader.read(100)
    log.take_back()
    log.append([10_000], [0], [b"y"], now_ms=1)
    log.roll(1)  # the next segment begins where the reader is
    log.append([20_000], [0], [b"z"], now_ms=1)
    middle(log)


def test_a_damaged_batch_is_named_with_its_place() -> None:
    filesystem = MemoryFileSystem()
    log = open_log(filesystem, LogConfig())
    fill(log, 8)
    second = len(_groups(log)[1])
    for byte in (0, 5, 17, 100):  # magic, size, base offset, in the table or behind it
        path = log.segments.active.path
        filesystem.flip(path, 8 * (second + byte))
        for bytes_max in (1, 100, 1000):
            with pytest.raises(CorruptLog, match=r"offset [34], at byte"):
                _ends(log, bytes_max)
        filesystem.flip(path, 8 * (second + byte))
