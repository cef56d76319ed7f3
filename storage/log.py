"""A log: append, read, find, roll. One writer, one thread; what may run elsewhere says so."""

from __future__ import annotations

from typing import NamedTuple

from storage.batch import NO_ID, Id
from storage.block import Tail
from storage.caches import Caches
from storage.checkpoint import Checkpoint
from storage.config import LogConfig
from storage.durability import NEVER_SYNCED, Durability, start_mark, start_of
from storage.epochs import LogEpochs
from storage.errors import DiskFailed, DiskFull, MissingLog
from storage.files import disk_error
from storage.filesystem import FileSystem
from storage.index import SparseIndex
from storage.names import parse_name
from storage.raw import LogRaw
from storage.reads import LogReads
from storage.recovery import Recovered, Recovery, RecoveryReport
from storage.segment import Segment
from storage.segments import Segments
from storage.snapshot import Snapshots
from storage.sync import DirectorySync, Mark


class Origin(NamedTuple):
    """Where a log begins, and what was before: so many entries, the last one's ID, the last batch's epoch."""

    base_offset: int
    first_ordinal: int
    last_id: Id
    last_epoch: int


def default_caches() -> Caches:
    """Of a log that shares none."""
    return Caches(open_files_max=64, block_bytes_max=4 << 20, tail_bytes_max=1 << 20)


class Log(LogReads, LogRaw, LogEpochs):
    """Records in one order: entries (an ID and bytes) and effects (bytes), in segments on disk.

    *Offsets* count records, *ordinals* count entries; both are dense and start at 0 with the log's first record. IDs
    rise strictly. A half-open range of ordinals names the entries to read.

    Close it when done; forgetting that costs a scan at the next opening, never data.
    """

    __slots__ = (
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
        synced = checkpoint.mark if checkpoint else start_of(first_unsynced, None)
        self.durability = Durability(
            directory, self.segments, self.snapshots, recovered.start, synced, config.checkpoint_interval_bytes,
            first_unsynced.base_offset,
        )  # fmt: skip
        self.durability.unsynced_sealed = recovered.unsynced[:-1]
        active = self.segments.active
        self._tail = Tail(active.end_ordinal)
        self._index_due = 0
        self.append_start = active.end_offset
        self.leader_epoch = active.leader_epoch
        self.on_append = None
        self._roll_at_ms = self._roll_time(active)
        self._poison = None
        self.appended = 0
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
        ran_on: bool = False,
    ) -> Log:
        """Open the log in ``directory``, recovering it first; with ``create`` make it if there is none.

        ``ran_on``: since it was written to at most the process died, not the machine. So no byte is missing in what it
        had written, and a bad one is damage wherever it stands.

        ``caches`` are shared by the logs of a process. `Log.report` says what was found. ``clock_ms`` is not used
        yet: recovery decides nothing by time.

        Raises:
            MissingLog: there is none, and ``create`` is false.
            CorruptLog: bytes that should be there and valid are not; the place is named, nothing is changed.
        """
        config = config or LogConfig()
        caches = caches or default_caches()
        recovery = Recovery(filesystem, directory, config, caches, ran_on=ran_on)
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
                log.durability.pending += cls._name_syncs(filesystem, directory)
            return log
        if not create:
            raise MissingLog("there is no log here", file=directory)
        return cls._create(filesystem, directory, config, caches, recovery.report, start_mark(0, 0, NO_ID, 0))

    @classmethod
    def create_at(
        cls, filesystem: FileSystem, directory: str, base_offset: int, first_ordinal: int, last_id: Id,
        config: LogConfig | None = None, caches: Caches | None = None, *, last_epoch: int = 0,
    ) -> Log:  # fmt: skip
        """A new empty log that begins where another one has come to: before ``base_offset`` there were so many entries,
        of which the last one had ``last_id``; the batch before it was written in ``last_epoch``.

        The directory is made if it is not there. The log counts once what `unsynced` names has been synced; what a loss
        of power leaves before may be refused by `open`.

        Raises:
            ValueError: there is a log already.
            DiskFull, DiskFailed: what was made so far can be removed.
        """
        config = config or LogConfig()
        caches = caches or default_caches()
        start = start_mark(base_offset, first_ordinal, last_id, last_epoch)
        try:
            if any(parse_name(name) for name, _ in filesystem.files(directory)):
                raise ValueError(f"there is a log in {directory}")
        except FileNotFoundError:
            cls._make_directory(filesystem, directory)
        return cls._create(filesystem, directory, config, caches, RecoveryReport(), start)

    @staticmethod
    def _make_directory(filesystem: FileSystem, directory: str) -> None:
        try:
            filesystem.mkdir(directory)
        except OSError as error:
            raise disk_error(error, directory, "create the log") from error

    @classmethod
    def _create(
        cls, filesystem: FileSystem, directory: str, config: LogConfig, caches: Caches, report: RecoveryReport,
        start: Mark,
    ) -> Log:  # fmt: skip
        last_id = start.last_ms, start.last_seq
        segment = Segment(filesystem, directory, start.offset, start.ordinal, last_id, caches.number())
        segment.interval = config.index_interval_bytes
        segment.leader_epoch = start.leader_epoch
        segment.index = SparseIndex()
        try:
            caches.open(filesystem, segment, create=True)
        except OSError as error:
            raise disk_error(error, segment.path, "create the log") from error
        report.created = True
        report.segments = 1
        begun = Checkpoint(start, start.ordinal, start, 0, segment.index)
        log = cls(filesystem, directory, config, caches, Recovered([segment], begun, [], [segment], start), report)
        log.durability.durable_base = NEVER_SYNCED
        log.durability.pending += cls._name_syncs(filesystem, directory)
        if start.offset and log.durability.write_checkpoint() is None:
            raise DiskFull("no room for a checkpoint", file=directory)
        return log

    @staticmethod
    def _name_syncs(filesystem: FileSystem, directory: str) -> list[DirectorySync]:
        parent = directory.rpartition("/")[0]
        return [DirectorySync(filesystem, directory), DirectorySync(filesystem, parent or "/")]

    # Where the log begins and ends.
    @property
    def origin(self) -> Origin:
        """What `create_at` needs for a log that is to begin as this one does.

        If a checkpoint was lost the ID may be 0-0, and the epoch a later one, but none later than the first batch's.
        """
        start = self.durability.start
        return Origin(start.offset, start.ordinal, (start.last_ms, start.last_seq), start.leader_epoch)

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
