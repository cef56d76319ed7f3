"""A workload that uses all of a log, and what must be true after it was cut anywhere."""

from __future__ import annotations

from storage import Caches, Log, LogConfig
from tests.support.memory_filesystem import MemoryFileSystem

CONFIG = LogConfig(
    segment_bytes=1800,
    index_interval_bytes=300,
    checkpoint_interval_bytes=500,
    merge_target_bytes=1000,
    tail_bytes_max=1000,
    batch_bytes_max=700,
)
DIRECTORY = "/data/log"


def open_log(filesystem: MemoryFileSystem, *, ran_on: bool = False) -> Log:
    caches = Caches(open_files_max=3, block_bytes_max=4000)
    return Log.open(filesystem, DIRECTORY, CONFIG, caches=caches, ran_on=ran_on)


class Workload:
    """Appends, syncs, snapshots, drops, merges, a cut and a reopening, with a list beside it."""

    def __init__(self, filesystem: MemoryFileSystem) -> None:
        self.filesystem = filesystem
        self.log: Log | None = None
        #: Every record by offset: ("entry", ms, seq, payload) or ("effect", bytes).
        self.records: list[tuple[object, ...]] = []
        #: Offsets between appends: the log may end only there.
        self.borders: set[int] = {0}
        #: All records below have been answered for with a sync.
        self.promised = 0
        self.promised_snapshot = 0
        self.entries = 0

    def run(self) -> None:
        """All of it; ends where the filesystem says so."""
        self.filesystem.mkdir("/data")
        self.filesystem.sync_directory("")
        self.log = open_log(self.filesystem)
        for round_number in range(14):
            for i in range(3):
                self.append((round_number * 3 + i) % 4, 1 + i % 2 if i != 1 else 0)
            if round_number % 2:
                self.sync()
            if round_number == 3:
                self.append(9, 1, size=200)
            if round_number % 4 == 3:
                self.snapshot()
            if round_number == 7:
                self.cut()
            if round_number == 8:
                self.reopen()
            if round_number in (6, 9, 12):
                self.merge()
            if round_number in (9, 13):
                self.drop()
        self.sync()
        self.log.close()

    def append(self, entries: int, effects: int, size: int = 40) -> None:
        assert self.log
        ms = [1000 + self.entries + i for i in range(entries)]
        payloads = [b"payload %d " % (self.entries + i) * (size // 12) for i in range(entries)]
        controls = [b"effect %d of %d" % (i, len(self.records)) for i in range(effects)]
        new: list[tuple[object, ...]] = [("entry", m, 7, p) for m, p in zip(ms, payloads, strict=True)]
        new += [("effect", c) for c in controls]
        self.records += new  # from here on they may be there
        self.borders.add(len(self.records))
        self.log.append(ms, [7] * entries, payloads, controls, now_ms=len(self.records))
        self.entries += entries

    def sync(self) -> None:
        assert self.log
        pending = self.log.unsynced()
        pending.sync()
        self.log.synced(pending)
        self.promised = max(self.promised, pending.mark.offset)
        self.promised_snapshot = self.log.snapshots.durable_offset

    def snapshot(self) -> None:
        assert self.log
        self.log.write_snapshot(b"state at %d" % self.log.end_offset, self.log.end_offset)

    def cut(self) -> None:
        """Truncate to some border a few appends back."""
        assert self.log
        border = sorted(self.borders)[-3]
        self.promised = min(self.promised, border)
        self.promised_snapshot = min(
            self.promised_snapshot, max((s for s in self.log.snapshots.offsets if s <= border), default=0)
        )
        self.log.truncate(border)
        del self.records[border:]
        self.borders = {b for b in self.borders if b <= border}
        self.entries = sum(record[0] == "entry" for record in self.records)

    def merge(self) -> None:
        assert self.log
        for segment in self.log.merge_candidates():
            job = self.log.merge(segment)
            job.run()
            self.log.swap(job)

    def drop(self) -> None:
        assert self.log
        self.log.drop_before(self.log.end_ordinal)

    def reopen(self) -> None:
        assert self.log
        self.log.close()
        self.log = open_log(self.filesystem)

    # After a cut.
    def check(self, filesystem: MemoryFileSystem, *, all_written: bool) -> Log:
        """Open what is left: everything promised is there, nothing is half there, and the log goes on."""
        if "/data" not in filesystem.names:
            filesystem.mkdir("/data")
        log = open_log(filesystem, ran_on=all_written)
        assert log.end_offset >= self.promised
        assert log.end_offset in self.borders
        if all_written and self.log:
            assert log.end_offset >= self.log.end_offset
        self._check_records(log)
        self._check_snapshot(log)
        self._check_goes_on(filesystem, log)
        return log

    def _check_records(self, log: Log) -> None:
        stored = self.records[log.start_offset : log.end_offset]
        entries = [r for r in stored if r[0] == "entry"]
        before = sum(r[0] == "entry" for r in self.records[: log.start_offset])
        assert (log.first_ordinal, log.end_ordinal) == (before, before + len(entries))
        assert log.read_each(log.first_ordinal, log.end_ordinal) == [r[3] for r in entries]
        assert log.ids(log.first_ordinal, log.end_ordinal) == ([r[1] for r in entries], [r[2] for r in entries])
        effects = [(log.start_offset + i, r[1]) for i, r in enumerate(stored) if r[0] == "effect"]
        assert [(c.offset, c.effect) for c in log.controls(0)] == effects

    def _check_snapshot(self, log: Log) -> None:
        newest = log.newest_snapshot()
        if self.promised_snapshot:
            assert newest is not None
        if newest:
            offset, state = newest
            assert state == b"state at %d" % offset
            assert self.promised_snapshot <= offset <= log.end_offset
        elif log.start_offset:
            raise AssertionError("effects are dropped, and no snapshot has them")

    def _check_goes_on(self, filesystem: MemoryFileSystem, log: Log) -> None:
        end, last = log.end_offset, log.end_ordinal
        log.append([10**6], [0], [b"after the crash"], [b"effect"], now_ms=10**6)
        log.roll(10**6)
        log.append([10**6], [1], [b"and after a roll"], now_ms=10**6)
        again = open_log(filesystem.killed())
        assert again.report.cut is None
        assert again.end_offset == end + 3
        assert again.read_each(last, last + 2) == [b"after the crash", b"and after a roll"]
