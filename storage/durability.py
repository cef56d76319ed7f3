"""What of a log has been synced, what has not, and the checkpoint that remembers it.

The order that recovery relies on:

* A checkpoint speaks only of what had been synced when it was written. So it needs no sync itself: an older one, or
  none, only means that more is scanned. While it alone knows where the log begins, it is synced before it is renamed.
* The first segment's name is synced before there is a second one, and the checkpoint too if that segment does not
  begin with the first record ever. So a log without its first segment is damaged.
* Never are there more than two segments behind the recovery point of a checkpoint that is itself synced: a roll that
  would make a third one syncs first (`before_roll`). So a hole in the middle of a log is never the mark of a crash.
"""

from __future__ import annotations

import attrs

from storage.batch import NO_ID, Id
from storage.checkpoint import Checkpoint
from storage.errors import StorageError
from storage.files import disk_error, replace
from storage.filesystem import File
from storage.index import SparseIndex
from storage.names import CHECKPOINT
from storage.segment import Segment
from storage.segments import Segments
from storage.snapshot import Snapshots, SnapshotSync
from storage.sync import ClosedFile, DirectorySync, Mark, Syncable, Unsynced

NEVER_SYNCED = -1  # as the base of a checkpoint: not even the log's first name is on the disk for good
UNKNOWN = -2  # the same of a log that was found: a killed process may have left its files in memory only


@attrs.frozen
class CheckpointSync:
    """A checkpoint's bytes."""

    file: File
    base_offset: int

    def sync(self) -> None:
        self.file.sync()


def mark_of(segment: Segment) -> Mark:
    """The end of a segment as it is now."""
    ms, seq = segment.last_id
    return Mark(
        segment.base_offset,
        segment.size,
        segment.end_offset,
        segment.end_ordinal,
        ms,
        seq,
        segment.first_append_ms,
        segment.last_append_ms,
        segment.batch_count,
        segment.leader_epoch,
        segment.merged | segment.bare << 1 | segment.cleaned << 2,
    )


def start_of(segment: Segment, previous: Segment | None) -> Mark:
    """The beginning of a segment, and what the one before it says."""
    last_id, epoch = (previous.last_id, previous.leader_epoch) if previous else (NO_ID, 0)
    return start_mark(segment.base_offset, segment.first_ordinal, last_id, epoch)


def start_mark(offset: int, ordinal: int, last_id: Id, leader_epoch: int) -> Mark:
    """The beginning of a segment, and the last entry ID and epoch before it."""
    return Mark(offset, 0, offset, ordinal, *last_id, 0, 0, 0, leader_epoch, 0)


class Durability:
    """One log's recovery point. Owned by its `Log`."""

    __slots__ = (
        "_found_base",
        "checkpointed",
        "directory",
        "dropped_by",
        "durable_base",
        "interval",
        "pending",
        "segments",
        "snapshots",
        "start",
        "synced",
        "unsynced_sealed",
    )

    def __init__(
        self, directory: str, segments: Segments, snapshots: Snapshots, start: Mark, synced: Mark, interval: int,
        durable_base: int,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.segments = segments
        self.snapshots = snapshots
        self.interval = interval
        #: Everything before it is on the disk for good.
        self.synced = synced
        #: The one the last checkpoint speaks of.
        self.checkpointed = synced
        #: The segment of the last checkpoint that has itself been synced.
        self.durable_base = UNKNOWN
        self._found_base = durable_base
        #: Files and directories to sync beside the segments.
        self.pending: list[Syncable] = []
        #: Sealed segments at or behind the recovery point, oldest first.
        self.unsynced_sealed: list[Segment] = []
        #: Segments below are dropped; in the checkpoint so that a crash in the middle of dropping is finished, and so
        #: that an empty log goes on where it is to.
        self.start = start
        #: The newest snapshot that was synced when segments were dropped; when that was is forgotten at a restart.
        self.dropped_by = snapshots.durable_offset

    def found_durable(self) -> None:
        """What was in the directory when the log was opened has been synced by somebody."""
        if self.durable_base == UNKNOWN:
            self.durable_base = self._found_base

    # Syncing, by whoever calls `Log.unsynced`.
    def unsynced(self) -> Unsynced:
        """Everything not yet synced. Segments first: what the rest says about them must not outlive them."""
        active = self.segments.active
        written = list(self.unsynced_sealed)
        if active.size and (self.synced.base_offset != active.base_offset or self.synced.position != active.size):
            written.append(active)
        items: list[Syncable] = [each.file or ClosedFile(each.filesystem, each.path) for each in written]
        pending = tuple(self.pending)
        return Unsynced((*items, *pending), mark_of(active), pending, self.segments.cuts)

    def confirm(self, done: Unsynced) -> None:
        """All items of ``done`` have been synced."""
        if done.mark.offset >= self.synced.offset and done.cuts == self.segments.cuts:
            self.synced = done.mark
            base = done.mark.base_offset
            self.unsynced_sealed = [segment for segment in self.unsynced_sealed if segment.base_offset >= base]
        for item in done.pending:
            if item not in self.pending:
                continue  # another sync did it, or what it speaks of was cut off
            self.pending.remove(item)
            if isinstance(item, DirectorySync) and item.directory == self.directory:
                self.durable_base = max(self.durable_base, self.segments.all[0].base_offset)
            elif isinstance(item, SnapshotSync):
                self.snapshots.became_durable(item.offset)
            elif isinstance(item, CheckpointSync):
                self.durable_base = max(self.durable_base, item.base_offset)
        new_segment = self.synced.base_offset != self.checkpointed.base_offset
        if new_segment or self.synced.position - self.checkpointed.position >= self.interval:
            self.write_checkpoint()

    # Checkpoints.
    def write_checkpoint(self) -> CheckpointSync | None:
        """Remember the recovery point, if there is room for it; None if not (nothing is lost but time)."""
        try:
            return self._put_checkpoint()
        except OSError:
            return None

    def _put_checkpoint(self) -> CheckpointSync:
        active = self.segments.active
        filesystem = active.filesystem
        synced = self.synced
        index = active.index if synced.base_offset == active.base_offset and active.index else SparseIndex()
        segment = self._segment(synced.base_offset)
        checkpoint = Checkpoint(
            synced,
            segment.first_ordinal,
            self.start,
            self.snapshots.durable_offset,
            index.below(synced.position),
        )
        path = f"{self.directory}/{CHECKPOINT}"
        # While nothing is synced that says where the log begins, the one before must not be lost with this one.
        alone = synced.offset == self.start.offset > 0 and self.durable_base != NEVER_SYNCED
        file = replace(filesystem, path, checkpoint.encode(), sync=alone)
        self.checkpointed = synced
        done = CheckpointSync(file, synced.base_offset)
        if synced.base_offset > self.durable_base:
            self.pending += [done, DirectorySync(filesystem, self.directory)]
        return done

    def _segment(self, base_offset: int) -> Segment:
        for segment in reversed(self.segments.all):
            if segment.base_offset == base_offset:
                return segment
        raise AssertionError("the recovery point is in a segment of the log")

    def sync_checkpoint(self) -> None:
        """Write a checkpoint and sync it, here and now.

        Raises:
            StorageError: it could not be done; what it was to permit must not happen.
        """
        path = f"{self.directory}/{CHECKPOINT}"
        filesystem = self.segments.active.filesystem
        try:
            if DirectorySync(filesystem, self.directory) in self.pending:  # names of segments it may speak of
                filesystem.sync_directory(self.directory)
            done = self._put_checkpoint()
            done.sync()
            filesystem.sync_directory(self.directory)
        except OSError as error:
            raise disk_error(error, path, "write a checkpoint") from error
        self.durable_base = max(self.durable_base, done.base_offset)

    @staticmethod
    def _is_behind(item: Syncable, active: Segment) -> bool:
        """Whether it speaks of what is behind the end of a segment."""
        if isinstance(item, SnapshotSync):
            return item.offset > active.end_offset
        return isinstance(item, CheckpointSync) and item.base_offset > active.base_offset

    def before_roll(self) -> None:
        """Keep the rule of two. Blocks on the disk only if a whole segment was written without any sync."""
        active = self.segments.active
        if self.durable_base == active.base_offset:
            return
        if self.durable_base == NEVER_SYNCED:
            self._sync_first()
            return
        self.sync_sealed()
        self.sync_checkpoint()

    def before_snapshot(self) -> None:
        """Keep the names of segments from being lost while that of a snapshot stays. Blocks only if none was synced."""
        if self.durable_base == NEVER_SYNCED:
            self._sync_first()
        elif self.durable_base == UNKNOWN:
            self._sync_names()

    def _sync_first(self) -> None:
        """Sync the name of a log's only segment, and the checkpoint that must be with it."""
        if self.start.offset:
            self.sync_checkpoint()
        else:
            self._sync_names()
            self.durable_base = self.start.offset

    def _sync_names(self) -> None:
        try:
            self.segments.active.filesystem.sync_directory(self.directory)
        except OSError as error:
            raise disk_error(error, self.directory, "sync the directory") from error

    def sync_sealed(self) -> None:
        """Sync what lies before the active segment."""
        active = self.segments.active
        for segment in self.unsynced_sealed:
            try:
                segment.open_file(self.segments.caches).sync()
            except OSError as error:
                raise disk_error(error, segment.path, "sync the segment") from error
        self.unsynced_sealed = []
        if self.synced.base_offset != active.base_offset:
            self.synced = start_of(active, self.segments.sealed[-1])

    # Moving the ends of the log.
    def advance_start(self, first: Segment) -> None:
        """``first`` is about to be the first segment; durable when this returns."""
        before = self.start, self.synced, self.unsynced_sealed
        self.start = start_of(first, self.segments.all[self.segments.all.index(first) - 1])
        self.unsynced_sealed = [s for s in self.unsynced_sealed if s.base_offset >= first.base_offset]
        if self.synced.base_offset < first.base_offset:
            self.synced = self.start
        try:
            self.sync_checkpoint()
        except StorageError:
            self.start, self.synced, self.unsynced_sealed = before
            raise

    def retreat(self, active: Segment, *, snapshots_went: bool) -> None:
        """``active`` is the last segment again, and shorter; durable when this returns.

        If the last checkpoint says nothing about what goes, it stays: taking back an append needs no room on the disk.
        """
        before = self.snapshots.durable_offset
        self.unsynced_sealed = [s for s in self.unsynced_sealed if s.base_offset < active.base_offset]
        self.durable_base = min(self.durable_base, active.base_offset)
        end = active.base_offset, active.size
        if self.synced[:2] > end:
            self.synced = mark_of(active)
        self.pending = [item for item in self.pending if not self._is_behind(item, active)]
        if snapshots_went:  # else what the checkpoint says of them stays, though one as old as that may be gone
            self.snapshots.durable_offset = max(
                (offset for offset in self.snapshots.offsets if offset <= self.snapshots.durable_offset), default=0
            )
        if self.checkpointed[:2] > end or self.snapshots.durable_offset != before:
            self.sync_checkpoint()
