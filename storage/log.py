"""A log: append, read, find, roll. One writer, one thread; what may run elsewhere says so."""

from __future__ import annotations

from collections.abc import Sequence

from storage.batch import (
    DATA,
    ENTRY_TABLE,
    HEADER_SIZE,
    MORE,
    NO_ID,
    Id,
    encode_effects,
    encode_entries,
    parse_header,
)
from storage.block import Tail
from storage.caches import TAIL_ENTRY_COST, Caches
from storage.config import LogConfig
from storage.durability import NEVER_SYNCED, Durability, start_of
from storage.errors import DiskFailed, DiskFull, LogPoisoned, MissingLog, StorageError
from storage.files import disk_error, write_new
from storage.filesystem import FileSystem
from storage.index import SparseIndex
from storage.names import INDEX, format_name
from storage.reads import LogReads
from storage.recovery import Recovered, Recovery, RecoveryReport
from storage.segment import Segment
from storage.segments import Segments
from storage.snapshot import Snapshots
from storage.sync import DirectorySync
from storage.upkeep import NEVER_MS, LogUpkeep


class Log(LogReads, LogUpkeep):
    """Records in one order: entries (an ID and bytes) and effects (bytes), in segments on disk.

    *Offsets* count records, *ordinals* count entries; both are dense and start at 0 with the log's first record. IDs
    rise strictly. A half-open range of ordinals names the entries to read.

    Close it when done; forgetting that costs a scan at the next opening, never data.
    """

    __slots__ = (
        "_index_due",
        "_tail",
        "caches",
        "config",
        "directory",
        "durability",
        "filesystem",
        "report",
        "segments",
        "snapshots",
    )

    def __init__(
        self, filesystem: FileSystem, directory: str, config: LogConfig, caches: Caches, recovered: Recovered,
        report: RecoveryReport,
    ) -> None:  # fmt: skip
        """Use `Log.open`."""
        self.filesystem = filesystem
        self.directory = directory
        #: May be replaced at any time; holds from the next append on.
        self.config = config
        self.caches = caches
        self.report = report
        self.segments = Segments(recovered.segments, caches)
        checkpoint = recovered.checkpoint
        self.snapshots = Snapshots(
            filesystem, directory, recovered.snapshots, checkpoint.snapshot_offset if checkpoint else 0
        )
        first_unsynced = recovered.unsynced[0]
        synced = checkpoint.mark if checkpoint else start_of(first_unsynced)
        self.durability = Durability(
            directory, self.segments, self.snapshots, synced, config.checkpoint_interval_bytes,
            first_unsynced.base_offset,
        )  # fmt: skip
        self.durability.unsynced_sealed = recovered.unsynced[:-1]
        active = self.segments.active
        self._tail = Tail(active.end_ordinal)
        #: The next append at or behind this position begins a block; 0 makes any do so.
        self._index_due = 0
        self._roll_at_ms = active.first_append_ms + config.segment_ms if active.size else NEVER_MS
        self._poison = None
        self._appended = 0
        self._appended_at_snapshot = -self._bytes_behind(self.snapshots.offsets[-1] if self.snapshots.offsets else 0)

    @classmethod
    def open(
        cls,
        filesystem: FileSystem,
        directory: str,
        config: LogConfig | None = None,
        *,
        clock_ms: int = 0,
        caches: Caches | None = None,
        create: bool = True,
    ) -> Log:
        """Open the log in ``directory``, recovering it first; with ``create`` make it if there is none.

        ``caches`` are shared by the logs of a process. `Log.report` says what was found. ``clock_ms`` is not used
        yet: recovery decides nothing by time.

        Raises:
            MissingLog: there is none, and ``create`` is false.
            CorruptLog: bytes that should be there and valid are not; the place is named, nothing is changed.
        """
        config = config or LogConfig()
        caches = caches or Caches(open_files_max=64, block_bytes_max=4 << 20, tail_bytes_max=1 << 20)
        recovery = Recovery(filesystem, directory, config, caches)
        try:
            recovered = recovery.run()
        except FileNotFoundError:
            recovered = None
            if create:
                cls._make_directory(filesystem, directory)
        except OSError as error:
            raise DiskFailed(f"cannot recover: {error}", file=directory) from error
        if recovered is not None:
            log = cls(filesystem, directory, config, caches, recovered, recovery.report)
            if log.durability.unsynced():  # then the names may not be on the disk either
                log.durability.pending.append(DirectorySync(filesystem, directory))
            return log
        if not create:
            raise MissingLog("there is no log here", file=directory)
        return cls._create(filesystem, directory, config, caches, recovery.report)

    @staticmethod
    def _make_directory(filesystem: FileSystem, directory: str) -> None:
        try:
            filesystem.mkdir(directory)
        except OSError as error:
            raise disk_error(error, directory, "create the log") from error

    @classmethod
    def _create(
        cls, filesystem: FileSystem, directory: str, config: LogConfig, caches: Caches, report: RecoveryReport
    ) -> Log:
        segment = Segment(filesystem, directory, 0, 0, NO_ID, caches.number())
        segment.interval = config.index_interval_bytes
        segment.index = SparseIndex()
        try:
            caches.open(filesystem, segment, create=True)
        except OSError as error:
            raise disk_error(error, segment.path, "create the log") from error
        report.created = True
        report.segments = 1
        log = cls(filesystem, directory, config, caches, Recovered([segment], None, [], [segment]), report)
        parent = directory.rpartition("/")[0]
        log.durability.durable_base = NEVER_SYNCED
        log.durability.pending += [DirectorySync(filesystem, directory), DirectorySync(filesystem, parent or "/")]
        return log

    # Where the log begins and ends.
    @property
    def start_offset(self) -> int:
        """Offset of the first stored record."""
        return self.segments.all[0].base_offset

    @property
    def end_offset(self) -> int:
        """Offset the next record will get."""
        return self.segments.active.end_offset

    @property
    def first_ordinal(self) -> int:
        """Ordinal of the first stored entry; equal to `end_ordinal` if there is none."""
        return self.segments.all[0].first_ordinal

    @property
    def end_ordinal(self) -> int:
        """Ordinal the next entry will get."""
        return self.segments.active.end_ordinal

    @property
    def first_id(self) -> Id | None:
        """ID of the first stored entry."""
        first = self.first_ordinal
        return self.id_at(first) if first < self.end_ordinal else None

    @property
    def last_id(self) -> Id | None:
        """ID of the last entry ever appended, stored or not."""
        last_id = self.segments.active.last_id
        return None if last_id == NO_ID else last_id

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self.segments.all)

    # Append.
    def append(
        self,
        ms: Sequence[int],
        seqs: Sequence[int],
        payloads: Sequence[bytes],
        effects: Sequence[bytes] = (),
        *,
        now_ms: int,
        leader_epoch: int = 0,
    ) -> int:
        """Write entries, then effects, with one write and without a sync; the new end offset.

        All of it survives a crash or none. IDs (``ms`` and ``seqs``, parallel) rise and are above `last_id`; the
        caller sees to that, and the first one is checked.

        Raises:
            DiskFull: the log is as it was.
            DiskFailed, LogPoisoned: the log takes no more until it is opened again.
        """
        segment = self._segment_for(now_ms)
        size = segment.size
        offset = segment.end_offset
        ordinal = segment.end_ordinal
        last_id = first_id = segment.last_id
        count = len(payloads)
        batches = 0
        if count:
            first_id = (ms[0], seqs[0])
            if first_id <= last_id:
                raise ValueError(f"ID {first_id} is not above {last_id}")
            last_id = (ms[-1], seqs[-1])
            buffers: tuple[bytes, ...] = encode_entries(
                ms, seqs, payloads, offset, ordinal, now_ms, leader_epoch, MORE if effects else 0
            )
            if len(buffers[1]) > self.config.batch_bytes_max and count > 1:
                buffers = self._split(ms, seqs, payloads, effects, now_ms, leader_epoch)
            batches = len(buffers) >> 1
            if effects:
                buffers += encode_effects(effects, last_id, offset + count, ordinal + count, now_ms, leader_epoch)
                batches += 1
        elif effects:
            buffers = encode_effects(effects, last_id, offset, ordinal, now_ms, leader_epoch)
            batches = 1
        else:
            return offset
        try:
            file = segment.file or self.caches.open(self.filesystem, segment)
            file.append(buffers)
        except OSError as error:
            raise self._undo(error, segment) from error
        written = sum(map(len, buffers))
        if size >= self._index_due:
            self._begin_block(segment, size, first_id)
        if len(buffers) > 4:
            self._index_split(segment, size, buffers)
        segment.used = True
        segment.size = size + written
        segment.end_offset = offset = offset + count + len(effects)
        segment.end_ordinal = ordinal + count
        segment.last_id = last_id
        segment.last_append_ms = now_ms
        segment.batch_count += batches
        segment.leader_epoch = leader_epoch
        self._appended += written
        if not size:
            segment.first_append_ms = now_ms
            self._roll_at_ms = now_ms + self.config.segment_ms
        if count:
            self._extend_tail(ms, seqs, payloads, written)
        return offset

    def _segment_for(self, now_ms: int) -> Segment:
        """The segment to append to: the active one, or a new one if that is full or old."""
        segment = self.segments.active
        if self._poison is not None:
            raise LogPoisoned(f"log is closed for appends: {self._poison}", file=segment.path)
        if segment.size < self.config.segment_bytes and now_ms < self._roll_at_ms:
            return segment
        self.roll(now_ms)
        return self.segments.active

    def _extend_tail(self, ms: Sequence[int], seqs: Sequence[int], payloads: Sequence[bytes], written: int) -> None:
        """Keep what was just appended in memory, unless it alone is too much."""
        tail = self._tail
        tail.ms += ms
        tail.seqs += seqs
        tail.payloads += payloads
        cost = written + TAIL_ENTRY_COST * len(payloads)
        tail.size += cost
        self.caches.grow_tails(cost)
        if tail.size > self.config.tail_bytes_max and written > self.config.tail_bytes_max:
            self.drop_tail()

    def _split(
        self, ms: Sequence[int], seqs: Sequence[int], payloads: Sequence[bytes], effects: Sequence[bytes],
        now_ms: int, leader_epoch: int,
    ) -> tuple[bytes, ...]:  # fmt: skip
        """A large append as several batches, so that reading one of its entries does not load all of them."""
        segment = self.segments.active
        buffers: list[bytes] = []
        start = 0
        count = len(payloads)
        while start < count:
            end = start
            size = 0
            while end < count and (end == start or size + len(payloads[end]) <= self.config.batch_bytes_max):
                size += len(payloads[end]) + ENTRY_TABLE
                end += 1
            buffers += encode_entries(
                ms[start:end], seqs[start:end], payloads[start:end],
                segment.end_offset + start, segment.end_ordinal + start, now_ms, leader_epoch,
                MORE if effects or end < count else 0,
            )  # fmt: skip
            start = end
        return tuple(buffers)

    def _index_split(self, segment: Segment, position: int, buffers: tuple[bytes, ...]) -> None:
        """Each DATA batch of a large append but the first begins a block."""
        assert segment.index is not None
        for prefix, rest in zip(buffers[::2], buffers[1::2], strict=True):
            header = parse_header(prefix + rest[:HEADER_SIZE])
            if header and header.kind == DATA and header.ordinal > segment.end_ordinal:
                segment.index.add(position, header.ordinal, header.base_offset, header.first_ms, header.first_seq)
            position += len(prefix) + len(rest)

    def _begin_block(self, segment: Segment, position: int, first_id: Id) -> None:
        """What is appended now begins a block; the tail begins anew with it, if it is empty or has grown too large."""
        assert segment.index is not None
        ordinal = segment.end_ordinal
        segment.index.add(position, ordinal, segment.end_offset, *first_id)
        self._index_due = position + self.config.index_interval_bytes
        tail = self._tail
        if not tail.payloads or tail.size > self.config.tail_bytes_max:
            self.caches.drop_tail(segment.number, tail)
            tail.restart(ordinal)
            self.caches.add_tail(segment.number, self)

    def _undo(self, error: OSError, segment: Segment) -> StorageError:
        """Take back what a failed append may have written."""
        problem = disk_error(error, segment.path, "append")
        problem.offset = segment.end_offset
        problem.position = segment.size
        try:
            if segment.file is not None:
                segment.file.truncate(segment.size)
        except OSError:
            self._poison = problem
        if not isinstance(problem, DiskFull):
            self._poison = problem
        return problem

    def drop_tail(self) -> None:
        """Forget the newest entries' bytes; they are read from disk from now on."""
        active = self.segments.active
        self.caches.drop_tail(active.number, self._tail)
        self._tail.restart(active.end_ordinal)
        self._index_due = 0

    def roll(self, now_ms: int) -> None:
        """Seal the active segment and begin another; nothing if it is empty.

        Raises:
            DiskFull: there is no room for another; the log is as it was.
        """
        active = self.segments.active
        if not active.size:
            return
        try:
            self.durability.before_roll()
        except DiskFailed as error:
            self._poison = error
            raise
        segment = Segment(
            self.filesystem, self.directory, active.end_offset, active.end_ordinal, active.last_id, self.caches.number()
        )
        segment.interval = self.config.index_interval_bytes
        segment.index = SparseIndex()
        segment.leader_epoch = active.leader_epoch
        try:
            self.caches.open(self.filesystem, segment, create=True)
        except OSError as error:
            raise disk_error(error, segment.path, "create the segment") from error
        self.drop_tail()
        self._seal(active)
        self.segments.add(segment)
        self._roll_at_ms = NEVER_MS
        self.durability.unsynced_sealed.append(active)
        self.durability.pending.append(DirectorySync(self.filesystem, self.directory))

    def _seal(self, segment: Segment) -> None:
        assert segment.index is not None
        path = f"{self.directory}/{format_name(segment.base_offset, INDEX)}"
        try:
            write_new(self.filesystem, path, segment.encode_index(segment.index))
        except OSError:
            pass  # no room: it is rebuilt from the log when it is needed
        segment.index = None
