"""From a directory after a crash to a valid log, with a report.

What is read: the checkpoint, the head of each sealed segment's index, and the batches behind the recovery point.
Before it a bad byte is always damage; behind it `storage.torn` decides. Damage is an error that names the place, and
nothing is cut or removed then.
"""

from __future__ import annotations

import attrs

from storage.batch import BARE, GAPS, MORE, NO_ID, SPARSE, Header
from storage.caches import Caches
from storage.checkpoint import Checkpoint
from storage.config import LogConfig
from storage.errors import CorruptLog, MissingSegment
from storage.files import write_new
from storage.filesystem import FileSystem
from storage.index import SUMMARY_SIZE, IndexBuilder, Summary, decode_summary
from storage.lost_checkpoint import covered, likely_start
from storage.names import CHECKPOINT, INDEX, LOG, SNAPSHOT, SWAP, format_name, parse_name
from storage.scan import walk
from storage.segment import Segment
from storage.sync import Mark
from storage.torn import is_damage


@attrs.define
class RecoveryReport:
    """What opening a log found and did."""

    created: bool = False
    segments: int = 0
    scanned_bytes: int = 0
    #: Cut from the torn tail, segments behind it included.
    dropped_bytes: int = 0
    #: File, offset and byte position of the first thing missing; None if nothing was torn.
    cut: tuple[str, int, int] | None = None
    #: Files removed: left over from a crash, or behind the cut.
    removed: tuple[str, ...] = ()
    #: Files that were missing or damaged and could be made again from the log.
    rebuilt: tuple[str, ...] = ()
    #: Files that are not ours; left alone.
    foreign: tuple[str, ...] = ()


@attrs.frozen
class Recovered:
    """A valid log, as files and numbers."""

    segments: list[Segment]
    checkpoint: Checkpoint | None
    snapshots: list[int]
    #: The last segments, from that of the recovery point on.
    unsynced: list[Segment]
    #: Where the log begins, and what is known of what was before.
    start: Mark


class Recovery:
    """One opening of one directory."""

    def __init__(
        self, filesystem: FileSystem, directory: str, config: LogConfig, caches: Caches, *, ran_on: bool = False
    ) -> None:
        """``ran_on``: the machine did since the log was written to, as in `Log.open`."""
        self.filesystem = filesystem
        self._ran_on = ran_on
        self.directory = directory
        self.config = config
        self.caches = caches
        self.report = RecoveryReport()
        self.sizes: dict[int, int] = {}  # base offset to bytes, of the segments
        self.snapshots: list[int] = []
        self.checkpoint: Checkpoint | None = None
        self._leftovers: list[str] = []

    def run(self) -> Recovered | None:
        """The log, or None if there is none (a directory without any of our files).

        Raises:
            CorruptLog: bytes that should be there and valid are not.
        """
        self._list()
        self._load_checkpoint()
        if not self.sizes:
            if self.checkpoint or self.snapshots:
                base = self.checkpoint.mark.base_offset if self.checkpoint else 0
                raise MissingSegment("segment is missing", file=self._path(base, LOG), offset=base)
            self._remove_leftovers()
            return None
        self._finish_drop()
        self._check_synced_part()
        if not self.checkpoint and len(self.sizes) > 1:
            for base in covered(self.filesystem, self.directory, self.sizes):
                self._remove_segment(base)
        recovery_base = self.checkpoint.mark.base_offset if self.checkpoint else sorted(self.sizes)[-2:][0]
        segments = self._recover_segments(recovery_base)
        self._remove_snapshots_behind(segments[-1].end_offset)
        self._remove_leftovers()
        self.report.segments = len(segments)
        unsynced = [segment for segment in segments if segment.base_offset >= recovery_base]
        start = self.checkpoint.start if self.checkpoint else likely_start(segments[0], self.caches)
        return Recovered(segments, self.checkpoint, self.snapshots, unsynced, start)

    # The directory.
    def _path(self, offset: int, kind: str) -> str:
        return f"{self.directory}/{format_name(offset, kind)}"

    def _list(self) -> None:
        listed = dict(self.filesystem.files(self.directory))
        for name in sorted(listed):
            parsed = parse_name(name)
            if parsed and parsed[2] == SWAP:
                plain = name.removesuffix(SWAP)
                self.filesystem.rename(f"{self.directory}/{name}", f"{self.directory}/{plain}")
                listed[plain] = listed.pop(name)
        for name, size in sorted(listed.items()):
            parsed = parse_name(name)
            if parsed is None:
                self.report.foreign += (name,)
            elif parsed[2]:
                self._leftovers.append(name)
            elif parsed[1] == LOG:
                self.sizes[parsed[0]] = size
            elif parsed[1] == SNAPSHOT:
                self.snapshots.append(parsed[0])

    def _remove_leftovers(self) -> None:
        for name in self._leftovers:
            self._remove(name)

    def _remove(self, name: str) -> None:
        try:
            self.filesystem.remove(f"{self.directory}/{name}")
        except FileNotFoundError:
            return
        self.report.removed += (name,)

    def _load_checkpoint(self) -> None:
        try:
            self.checkpoint = Checkpoint.decode(self.filesystem.read(f"{self.directory}/{CHECKPOINT}"))
        except FileNotFoundError:
            return
        if self.checkpoint is None:
            self.report.rebuilt += (CHECKPOINT,)

    def _finish_drop(self) -> None:
        """Segments below the log's start are what a crash left of dropping them."""
        start = self.checkpoint.start.offset if self.checkpoint else 0
        for base in sorted(self.sizes):
            if base < start:
                self._remove_segment(base)

    def _remove_segment(self, base: int) -> None:
        del self.sizes[base]
        self._remove(format_name(base, LOG))
        self._remove(format_name(base, INDEX))

    def _check_synced_part(self) -> None:
        """The first segment and that of the recovery point must be there, and as long as they were synced."""
        if not self.checkpoint:
            return
        mark = self.checkpoint.mark
        for needed in (self.checkpoint.start.offset, mark.base_offset):
            if needed not in self.sizes:
                raise MissingSegment("segment is missing", file=self._path(needed, LOG), offset=needed)
        size = self.sizes[mark.base_offset]
        if size < mark.position:
            path = self._path(mark.base_offset, LOG)
            raise CorruptLog("file is shorter than what was synced", file=path, offset=mark.offset, position=size)

    # Segments.
    def _recover_segments(self, recovery_base: int) -> list[Segment]:
        bases = sorted(self.sizes)
        segments: list[Segment] = []
        for base in tuple(bases):
            previous = segments[-1] if segments else None
            if previous and previous.merged and base < min(previous.end_offset, recovery_base):
                bases.remove(base)
                self._remove_segment(base)  # what a crash left of a cleaning that made one segment of several
                continue
            if previous and previous.end_offset != base:
                self._check_gap(previous.end_offset, base, recovery_base)
                self._cut(previous, previous.size, bases)
                break
            segment = self._new_segment(base, previous)
            segments.append(segment)
            if base >= recovery_base:
                self._recover(segment, bases)
                if self.report.cut:
                    break
            elif not self._adopt_summary(segment):
                self._scan_sealed(segment)
        for segment in segments[:-1]:
            segment.index = None
        return segments

    def _check_gap(self, end_offset: int, base: int, recovery_base: int) -> None:
        if base <= recovery_base or end_offset > base:
            raise MissingSegment("segment is missing", file=self._path(end_offset, LOG), offset=end_offset)

    def _new_segment(self, base: int, previous: Segment | None) -> Segment:
        ordinal, last_id, epoch = 0, NO_ID, 0
        if previous:
            ordinal, last_id, epoch = previous.end_ordinal, previous.last_id, previous.leader_epoch
        elif self.checkpoint:
            start = self.checkpoint.start
            ordinal, last_id, epoch = start.ordinal, (start.last_ms, start.last_seq), start.leader_epoch
        segment = Segment(self.filesystem, self.directory, base, ordinal, last_id, self.caches.number())
        segment.interval = self.config.index_interval_bytes
        segment.leader_epoch = epoch
        return segment

    def _adopt_summary(self, segment: Segment) -> bool:
        """Take the numbers of a sealed segment from its index file, if that is good."""
        summary = self._read_summary(segment)
        if summary and summary.base_offset == segment.base_offset:
            size = self.sizes[segment.base_offset]
            if size == summary.log_size:
                segment.adopt(summary)
                return True
            if size < summary.log_size:
                self._scan_shorter(segment, summary)
                return True
        return False

    def _scan_shorter(self, segment: Segment, summary: Summary) -> None:
        """A log with fewer bytes than its index says: cut off, or a crash came between the names of the two when a
        merge or a cleaning gave them other files. Then it ends where the index says, if not earlier."""
        size = self.sizes[segment.base_offset]
        self._walk(segment, IndexBuilder(segment.interval), size)
        if segment.size != size or segment.end_offset < summary.end_offset:
            raise CorruptLog("file is shorter than it was", file=segment.path, position=size)
        self._write_index(segment)

    def _read_summary(self, segment: Segment) -> Summary | None:
        try:
            file = self.filesystem.open(self._path(segment.base_offset, INDEX))
        except FileNotFoundError:
            return None
        return decode_summary(file.pread(SUMMARY_SIZE, 0))

    def _scan_sealed(self, segment: Segment) -> None:
        """A synced segment without a good index: walk all of it."""
        size = self.sizes[segment.base_offset]
        stop = self._walk(segment, IndexBuilder(segment.interval), size)
        if segment.size != size:
            raise CorruptLog("batch is damaged", file=segment.path, offset=segment.end_offset, position=stop)
        self._write_index(segment)

    def _write_index(self, segment: Segment) -> None:
        assert segment.index is not None
        self.report.rebuilt += (format_name(segment.base_offset, INDEX),)
        try:
            write_new(self.filesystem, self._path(segment.base_offset, INDEX), segment.encode_index(segment.index))
        except OSError:
            pass  # it can be made again

    def _recover(self, segment: Segment, bases: list[int]) -> None:
        """A segment that may have a torn tail: walk what is behind the recovery point."""
        size = self.sizes[segment.base_offset]
        stop = self._walk(segment, self._from_checkpoint(segment), size)
        followed = segment.base_offset != bases[-1]
        if not segment.size and not self.checkpoint and segment.base_offset == bases[0] > 0:
            path = f"{self.directory}/{CHECKPOINT}"
            raise CorruptLog("checkpoint is damaged or missing, and no batch says how far IDs have come", file=path)
        if segment.size != size:
            file = segment.open_file(self.caches)
            if stop < size and is_damage(
                file, stop, size, self._next_offset, self._next_ordinal, followed=followed, ran_on=self._ran_on
            ):
                raise CorruptLog("batch is damaged", file=segment.path, offset=self._next_offset, position=stop)
            self._cut(segment, segment.size, bases)
        elif followed and self._read_summary(segment) != segment.summary():
            self._write_index(segment)

    def _from_checkpoint(self, segment: Segment) -> IndexBuilder:
        """Where the walk starts: the recovery point if the checkpoint has the index up to there, else the beginning."""
        checkpoint = self.checkpoint
        if not checkpoint or checkpoint.mark.base_offset != segment.base_offset or not len(checkpoint.index):
            return IndexBuilder(segment.interval)
        mark = checkpoint.mark
        segment.first_ordinal = checkpoint.first_ordinal
        segment.size = mark.position
        segment.end_offset = mark.offset
        segment.end_ordinal = mark.ordinal
        segment.last_id = (mark.last_ms, mark.last_seq)
        segment.first_append_ms = mark.first_append_ms
        segment.last_append_ms = mark.last_append_ms
        segment.batch_count = mark.batch_count
        segment.leader_epoch = mark.leader_epoch
        segment.merged, segment.bare, segment.cleaned = (bool(mark.state & bit) for bit in (1, 2, 4))
        return IndexBuilder(segment.interval, checkpoint.index.below(mark.position))

    def _walk(self, segment: Segment, builder: IndexBuilder, size: int) -> int:
        """Take in whole groups of intact batches from ``segment.size`` on; where the first bad one would begin."""
        group: list[tuple[int, Header]] = []
        stop = segment.size
        self._next_offset = segment.end_offset
        self._next_ordinal = segment.end_ordinal
        unknown_start = not stop and not segment.first_ordinal  # the first segment may begin anywhere
        for found in walk(segment.open_file(self.caches), stop, size):
            header = found.header
            if unknown_start:
                segment.first_ordinal = self._next_ordinal = header.ordinal
                unknown_start = False
            if not self._continues(header):
                break
            self._next_offset = max(self._next_offset, header.end_offset)
            self._next_ordinal = header.end_ordinal
            self.report.scanned_bytes += header.size
            stop = found.position + header.size
            group.append((found.position, header))
            if not header.flags & MORE:
                take_in(segment, builder, group)
                group.clear()
        segment.index = builder.index
        return stop

    def _continues(self, header: Header) -> bool:
        if header.ordinal != self._next_ordinal:
            return False
        return header.flags & SPARSE != 0 or header.base_offset == self._next_offset

    def _cut(self, segment: Segment, position: int, bases: list[int]) -> None:
        """End the log here. Later segments go first, and for good, so that none can return behind new appends."""
        report = self.report
        report.cut = (segment.path, segment.end_offset, position)
        report.dropped_bytes += self.sizes[segment.base_offset] - position
        for base in reversed(bases):
            if base > segment.base_offset:
                report.dropped_bytes += self.sizes[base]
                self._remove(format_name(base, LOG))
                self._remove(format_name(base, INDEX))
        self.filesystem.sync_directory(self.directory)
        file = segment.open_file(self.caches)
        file.truncate(position)
        file.sync()
        self._remove(format_name(segment.base_offset, INDEX))

    def _remove_snapshots_behind(self, end_offset: int) -> None:
        """A snapshot of records that are lost would come true again, with other records, as the log grows."""
        for offset in [offset for offset in self.snapshots if offset > end_offset]:
            self.snapshots.remove(offset)
            self._remove(format_name(offset, SNAPSHOT))
            self.filesystem.sync_directory(self.directory)
        self.snapshots.sort()


def take_in(segment: Segment, builder: IndexBuilder, group: list[tuple[int, Header]]) -> None:
    """Count whole batches that follow the segment's end as part of it."""
    for position, header in group:
        builder.see(position, header)
        if not segment.batch_count:
            segment.first_append_ms = header.append_ms
        segment.size = position + header.size
        segment.end_offset = max(segment.end_offset, header.end_offset)
        segment.end_ordinal = header.end_ordinal
        segment.last_id = (header.last_ms, header.last_seq)
        segment.last_append_ms = header.append_ms
        segment.batch_count += 1
        segment.leader_epoch = header.leader_epoch
        segment.merged = segment.merged or bool(header.flags & SPARSE)
        segment.bare = segment.bare or bool(header.flags & BARE)
        segment.cleaned = segment.cleaned or bool(header.flags & GAPS)
