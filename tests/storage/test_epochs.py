"""Where epochs end: an append began there, and the log can be cut, whatever was merged or cleaned since."""

from __future__ import annotations

from storage import LogConfig, Selection
from tests.storage.test_raw import fill, merge, open_log, settle


def test_an_epoch_ends_behind_the_last_record_written_in_it_or_before() -> None:
    log = open_log()
    ends = {0: 0}
    for epoch in (2, 3, 7):
        log.leader_epoch = epoch
        fill(log, 40, first=1 + 100 * epoch)
        ends[epoch] = log.end_offset
    for merged in (False, True):
        if merged:
            merge(log)
        assert log.last_epoch == 7
        assert [log.epoch_end(epoch) for epoch in range(9)] == [
            0, 0, ends[2], ends[3], ends[3], ends[3], ends[3], ends[7], ends[7],
        ]  # fmt: skip
    for epoch in (6, 2, 1):
        log.truncate(log.epoch_end(epoch))
        assert log.end_offset == max(end for e, end in ends.items() if e <= epoch)
        assert log.last_epoch == max(e for e in ends if e <= epoch)
        again = open_log(log.filesystem.killed())  # type: ignore[attr-defined]
        assert (again.end_offset, again.last_epoch) == (log.end_offset, log.last_epoch)


def test_entries_of_two_epochs_are_never_merged_into_one_batch() -> None:
    for select in (None, Selection(gone={7})):
        log = open_log(config=LogConfig(merge_target_bytes=4000))
        for number in range(40):
            log.leader_epoch = number // 10
            log.append_one(number + 1, 0, b"x" * 20, number)
        log.roll(40)
        settle(log)
        (segment,) = log.settled()
        job = log.merge(segment) if select is None else log.clean([segment], select)
        job.run()
        log.swap(job)
        assert log.segments.all[0].batch_count == 4
        assert [log.epoch_end(epoch) for epoch in range(5)] == [10, 20, 30, 40, 40]
        log.truncate(log.epoch_end(1))
        assert (log.end_offset, log.last_epoch) == (20, 1)


def test_the_epoch_of_an_empty_segment_is_that_of_the_one_before() -> None:
    log = open_log()
    log.leader_epoch = 5
    log.append([1], [0], [b"x"], now_ms=1)
    log.roll(1)
    assert (log.last_epoch, log.epoch_end(4), log.epoch_end(5)) == (5, 0, 1)
    again = open_log(log.filesystem.killed())  # type: ignore[attr-defined]
    assert (again.last_epoch, again.epoch_end(4), again.epoch_end(5)) == (5, 0, 1)
