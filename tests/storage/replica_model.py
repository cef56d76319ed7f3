"""Two logs of which one follows the other, each with a list beside it of what it must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from storage import Caches, Log, LogConfig, NotABatchBorder, OutOfRange, Selection
from storage.segment import Segment
from tests.support.memory_filesystem import MemoryFileSystem

CONFIG = LogConfig(
    segment_bytes=1200, index_interval_bytes=250, tail_bytes_max=500, batch_bytes_max=250, merge_target_bytes=600,
    checkpoint_interval_bytes=400,
)  # fmt: skip


class Record(NamedTuple):
    epoch: int
    append_ms: int
    #: None of an effect.
    entry_id: tuple[int, int] | None
    payload: bytes


class Node:
    """A log on a disk of its own."""

    def __init__(self) -> None:
        self.filesystem = MemoryFileSystem()
        self.log = self._open()
        #: By offset, from 0 on: what is dropped or cleaned away too.
        self.records: list[Record] = []
        #: The epochs whose records it may have.
        self.history = [0]
        #: Ordinals that may have been cleaned away.
        self.gone: set[int] = set()
        #: It has been told that this much is synced.
        self.promised = 0
        #: A snapshot to be taken over when the log has come to its offset. Until then the state is not known.
        self.wanted: tuple[int, bytes] | None = None

    def _open(self) -> Log:
        return Log.open(
            self.filesystem, "/log", CONFIG, caches=Caches(open_files_max=2, block_bytes_max=3000, tail_bytes_max=800)
        )

    # What happens to it.
    def sync(self) -> None:
        pending = self.log.unsynced()
        pending.sync()
        self.log.synced(pending)
        self.promised = self.log.end_offset

    def crash(self, filesystem: MemoryFileSystem) -> None:
        self.filesystem = filesystem
        self.log = self._open()
        assert self.promised <= self.log.end_offset <= len(self.records)
        del self.records[self.log.end_offset :]

    def append(self, payloads: list[bytes], effects: list[bytes], now_ms: int, *, one: bool) -> None:
        log = self.log
        last = (log.last_id or (0, 0))[0]
        ids = [(last + 1 + i // 3, i) for i in range(len(payloads))]
        log.leader_epoch = self.history[-1]
        if one:
            for (ms, seq), payload in zip(ids, payloads, strict=True):
                log.append_one(ms, seq, payload, now_ms)
        else:
            log.append([ms for ms, _ in ids], [seq for _, seq in ids], payloads, effects, now_ms=now_ms)
        new: list[tuple[tuple[int, int] | None, bytes]] = [*zip(ids, payloads, strict=True)]
        new += [(None, effect) for effect in effects if not one]
        self.records += [Record(self.history[-1], now_ms, *each) for each in new]

    def snapshot(self) -> None:
        if self.wanted is None:
            self.log.write_snapshot(b"state at %d" % self.log.end_offset, self.log.end_offset)

    def merge(self) -> None:
        for segment in self.log.merge_candidates():
            job = self.log.merge(segment)
            job.run()
            self.log.swap(job)

    def clean(self, gone: Callable[[int], bool], first: int = 0) -> None:
        """Make neighbours from an offset on one, as many as can be, without some entries."""
        run: list[Segment] = []
        for segment in self.log.settled():
            if segment.base_offset < first:
                continue
            if run and not (len(run) < 3 and self.log.may_join(run[-1], segment)):
                break
            run.append(segment)
        if not run or self.wanted:
            return
        ordinals = {i for i in range(run[0].first_ordinal, run[-1].end_ordinal) if gone(i)}
        self.gone |= ordinals
        job = self.log.clean(run, Selection(gone=frozenset(ordinals)))
        job.run()
        self.log.swap(job)

    def cut(self, offset: int) -> bool:
        """End it there or, where that is inside of what was merged, before; False if the state were lost."""
        try:
            self.log.truncate(offset)
        except NotABatchBorder:
            return self.cut(self.log.segments.floor(offset).base_offset)
        except OutOfRange:
            return False
        del self.records[self.log.end_offset :]
        self.promised = min(self.promised, self.log.end_offset)
        return True

    def become_copy_of(self, leader: Node) -> None:
        """Begin anew where the leader begins."""
        base, ordinal, last_id, epoch = leader.log.origin
        self.filesystem = MemoryFileSystem()
        self.log = Log.create_at(self.filesystem, "/log", base, ordinal, last_id, CONFIG, last_epoch=epoch)
        self.records = leader.records[:base]
        self.gone = set()
        self.sync()

    def take_over(self) -> None:
        """The wanted snapshot, if it is time."""
        if self.wanted and self.log.end_offset >= self.wanted[0]:
            offset, state = self.wanted
            self.log.write_snapshot(state, offset)
            self.sync()
            assert self.log.newest_snapshot() == self.wanted
            self.wanted = None

    # What must be true.
    def check(self) -> None:
        log, records = self.log, self.records
        assert log.end_offset == len(records)
        entries = [record for record in records if record.entry_id]
        before = [record for record in records[: log.start_offset] if record.entry_id]
        assert (log.first_ordinal, log.end_ordinal) == (len(before), len(entries))
        if log.size or log.origin.last_id != (0, 0):  # else it was lost with a checkpoint, before or at the leader
            assert log.last_id == (entries[-1].entry_id if entries else None)
        ordinals = list(log.stored(log.first_ordinal, log.end_ordinal))
        assert self.gone.issuperset(set(range(log.first_ordinal, log.end_ordinal)) - set(ordinals))
        assert log.read_each(log.first_ordinal, log.end_ordinal) == [entries[i].payload for i in ordinals]
        assert [log.id_at(i) for i in ordinals] == [entries[i].entry_id for i in ordinals]
        self._check_epochs()
        self._check_effects()

    def _check_epochs(self) -> None:
        log, records = self.log, self.records
        last_epoch = records[-1].epoch if records else 0
        assert log.last_epoch == last_epoch or (not log.size and log.last_epoch > last_epoch)
        for epoch in range(-1, self.history[-1] + 2):
            end = sum(record.epoch <= epoch for record in records)  # they never fall
            assert log.epoch_end(epoch) == max(end, log.start_offset)

    def _check_effects(self) -> None:
        """All are there that no snapshot has."""
        log, records = self.log, self.records
        floor = log.start_offset
        if self.wanted is None:
            floor, state = log.newest_snapshot() or (0, b"state at 0")
            assert state == b"state at %d" % floor
        stored = {effect.offset: (effect.append_ms, effect.effect) for effect in log.controls()}
        for offset, record in enumerate(records[log.start_offset :], log.start_offset):
            if record.entry_id is None and (offset in stored or (offset >= floor and not self.wanted)):
                assert stored.pop(offset) == (record.append_ms, record.payload)
        assert not stored

    def segments(self) -> dict[str, bytes]:
        """The files that hold batches."""
        return {
            path: bytes(inode.current)
            for path, inode in self.filesystem.names.items()
            if inode and inode.current and path.endswith(".log")
        }
