"""Keeping a log: what to sync, checkpoints, snapshots, dropping from the front, cutting at the end, merging."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from storage.batch import DATA, MORE
from storage.caches import Caches
from storage.config import LogConfig
from storage.durability import Durability, start_of
from storage.errors import DiskFailed, NotABatchBorder, OutOfRange, StorageError
from storage.files import disk_error
from storage.filesystem import FileSystem
from storage.index import IndexBuilder
from storage.names import INDEX, LOG, format_name
from storage.recovery import take_in
from storage.retention import Drop, decide
from storage.scan import walk
from storage.segment import Segment
from storage.segments import Segments
from storage.snapshot import Snapshots
from storage.swapping import LogSwaps
from storage.sync import Unsynced

NEVER_MS = 1 << 64  # later than any append


class LogUpkeep(LogSwaps):
    """The half of `storage.log.Log` that is not on anybody's way."""

    __slots__ = ("_appended_at_snapshot", "_poison", "_roll_at_ms", "appended")

    filesystem: FileSystem
    directory: str
    config: LogConfig
    caches: Caches
    segments: Segments
    snapshots: Snapshots
    durability: Durability
    drop_tail: Callable[[], None]
    roll: Callable[[int], None]
    _poison: StorageError | None
    #: Bytes appended since the log was opened.
    appended: int
    _roll_at_ms: int
    _appended_at_snapshot: int

    # Syncing.
    def unsynced(self) -> Unsynced:
        """What must be synced for everything appended so far to survive loss of power; empty if nothing."""
        return self.durability.unsynced()

    def synced(self, done: Unsynced) -> None:
        """Every item of ``done`` has been synced. Now and then this writes a checkpoint."""
        self.durability.confirm(done)

    def found_durable(self) -> None:
        """Whoever opened the log has synced all that was in its directory before (`FileSystem.sync_all`).

        Until then the next roll syncs what it relies on, and no segment is merged.
        """
        self.durability.found_durable()

    def sync_failed(self, error: OSError) -> None:
        """A sync failed: what is on the disk is unknown. No appends until the log is opened again; reads go on."""
        self._poison = DiskFailed(f"sync failed: {error}", file=self.segments.active.path)

    @property
    def is_poisoned(self) -> bool:
        return self._poison is not None

    def checkpoint(self) -> None:
        """Remember what has been synced, so that the next opening reads only what follows."""
        self.durability.write_checkpoint()

    # Snapshots.
    def write_snapshot(self, state: bytes, offset: int) -> None:
        """Keep ``state``, which contains the effects of all records below ``offset`` and of no other.

        It counts once it has been synced: it is part of `unsynced`.
        """
        if not self.segments.all[0].base_offset <= offset <= self.segments.active.end_offset:
            raise OutOfRange("snapshot of records that are not stored", file=self.directory, offset=offset)
        self.durability.before_snapshot()
        self.durability.pending += self.snapshots.write(state, offset)
        self._appended_at_snapshot = self.appended

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """Offset and state of the newest good one; damaged ones are passed over if the records to replace them are
        still stored.

        Raises:
            CorruptLog: they are not.
        """
        return self.snapshots.newest(self.segments.all[0].base_offset, self._bare_offset)

    @property
    def _bare_offset(self) -> int:
        """Below it effects were left out."""
        return max((segment.end_offset for segment in self.segments.all if segment.bare), default=0)

    @property
    def _cleaned_offset(self) -> int:
        """Below it entries were cleaned away, and effects may have been left out."""
        return max((segment.end_offset for segment in self.segments.all if segment.cleaned), default=0)

    @property
    def replay_floor(self) -> int:
        """Whoever has all records below may go on from there, with what follows. Who has less needs the log as a whole:
        the effects by which entries are gone stand behind the segments that lack them, and some in a snapshot only."""
        return max(self.segments.all[0].base_offset, self._cleaned_offset)

    @property
    def cut_floor(self) -> int:
        """Where the log can still be cut: at offsets before it, the state would not be known any more.

        What let segments go, a trim, may stand before the newest synced snapshot and behind an older one: without it
        the state at the older one speaks of entries that are not stored.
        """
        start, bare = self.segments.all[0].base_offset, self._bare_offset
        floor = max(start, self.snapshots.oldest(start, bare)) if start or bare else 0
        return max(floor, self.durability.dropped_by) if start else floor

    @property
    def is_cleaned(self) -> bool:
        """Whether entries were cleaned away from some segment."""
        return any(segment.cleaned for segment in self.segments.all)

    @property
    def bytes_since_snapshot(self) -> int:
        """About how much would be read to replay what follows the newest snapshot."""
        return self.appended - self._appended_at_snapshot

    def _bytes_behind(self, offset: int) -> int:
        """About how many bytes of log are at or behind an offset."""
        size = 0
        for segment in self.segments.from_offset(offset):
            size += segment.size
            if segment.base_offset < offset:
                index = segment.load_index(self.caches)
                size -= index.positions[index.block_of_offset(offset)]
        return size

    # Dropping from the front.
    def drop_before(self, ordinal: int) -> int:
        """Remove the sealed segments that hold no entry at or behind ``ordinal``; bytes freed.

        A segment with effects stays until a snapshot that contains them has been synced.
        """
        return self._drop([segment for segment in self.segments.sealed if segment.end_ordinal <= ordinal])

    def roll_expired(self, now_ms: int) -> None:
        """Seal the active segment if all its entries are older than ``retention_ms``, so that it can go as well.

        Raises:
            DiskFull: there is no room for another; the log is as it was.
        """
        active, retention_ms = self.segments.active, self.config.retention_ms
        if retention_ms is None or active.end_ordinal == active.first_ordinal:
            return
        if now_ms - self.newest_entry_ms(active, now_ms - retention_ms) > retention_ms:
            self.roll(now_ms)

    def retained_from(self, now_ms: int) -> int:
        """The ordinal from which on retention keeps entries; `apply_retention` drops the segments before it."""
        drops = self._outdated(now_ms)
        return drops[-1].end_ordinal if drops else self.segments.all[0].first_ordinal

    def _outdated(self, now_ms: int) -> list[Drop]:
        """What `storage.retention` says may go, by the age of entries: effects alone keep nothing."""
        config = self.config
        if config.retention_ms is None and config.retention_bytes is None:
            return []
        bound_ms = now_ms - (NEVER_MS if config.retention_ms is None else config.retention_ms)
        summaries = (
            attrs.evolve(segment.summary(), last_append_ms=self.newest_entry_ms(segment, bound_ms))
            for segment in self.segments.sealed
        )
        return decide(summaries, sum(segment.size for segment in self.segments.all), config, now_ms)

    def newest_entry_ms(self, segment: Segment, bound_ms: int) -> int:
        """When its last entry was appended; a time on the same side of ``bound_ms`` where that saves looking."""
        if segment.last_append_ms < bound_ms:
            return segment.last_append_ms
        if segment.entry_ms < bound_ms:
            segment.entry_ms = self._last_entry_ms(segment)
        return segment.entry_ms

    def _last_entry_ms(self, segment: Segment) -> int:
        index = segment.load_index(self.caches)
        block = index.block_of_ordinal(segment.end_ordinal - 1)
        for found in walk(segment.open_file(self.caches), index.positions[max(block, 0)], segment.size):
            if found.header.kind == DATA and found.header.end_ordinal >= segment.end_ordinal:
                return found.header.append_ms
        return segment.last_append_ms  # there is none, or it cannot be read: as long as effects may be needed

    def apply_retention(self, now_ms: int) -> list[Drop]:
        """Drop what `storage.retention` says may go; what went, and why."""
        drops = self._outdated(now_ms)
        self._drop(self.segments.sealed[: len(drops)])
        start = self.segments.all[0].base_offset
        return [drop for drop in drops if drop.base_offset < start]

    def _drop(self, segments: list[Segment]) -> int:
        """Remove a prefix of the segments, as far as that loses nothing. The synced checkpoint goes ahead: a crash in
        the middle is finished at the next opening."""
        going: list[Segment] = []
        for segment in segments:
            if not self._may_go(segment):
                break
            going.append(segment)
        if not going:
            return 0
        self.durability.dropped_by = self.snapshots.durable_offset
        self.durability.advance_start(self.segments.all[len(going)])
        self.segments.drop_first(len(going))
        for segment in going:
            self._remove_files(segment)
        return sum(segment.size for segment in going)

    def _may_go(self, segment: Segment) -> bool:
        has_effects = segment.end_offset - segment.base_offset > segment.end_ordinal - segment.first_ordinal
        if has_effects and segment.end_offset > self.snapshots.durable_offset:
            return False
        # The last one before an empty active segment stays: only batches say how far ordinals and IDs have come.
        active = self.segments.active
        return bool(active.size) or segment.end_offset < active.base_offset

    def _remove_files(self, segment: Segment) -> None:
        self._remove_file(segment, LOG)
        self._remove_file(segment, INDEX)

    def _remove_file(self, segment: Segment, kind: str) -> None:
        try:
            self.filesystem.remove(f"{self.directory}/{format_name(segment.base_offset, kind)}")
        except FileNotFoundError:
            pass  # an index that could not be written
        except OSError as error:
            raise disk_error(error, segment.path, "remove the segment") from error

    # Cutting at the end.
    def truncate(self, end_offset: int) -> None:
        """Forget the records at and behind ``end_offset``, which must be where an append began.

        Raises:
            OutOfRange: it is not between `cut_floor` and `end_offset`.
            NotABatchBorder: no append began there; the log is unchanged.
        """
        active = self.segments.active
        if end_offset == active.end_offset:
            return
        if not self.cut_floor <= end_offset < active.end_offset:
            raise OutOfRange("the log cannot be cut there", file=active.path, offset=end_offset)
        self._cut(self.segments.floor(end_offset), end_offset)

    def _cut(self, old: Segment, end_offset: int) -> None:
        """Let the log end there, with this segment."""
        new = self._shortened(old, end_offset)
        try:
            self._replace_end(old, new)
        except (OSError, StorageError) as error:  # on the disk it is as long as it was, or nearly
            self._poison = disk_error(error, new.path, "cut the log") if isinstance(error, OSError) else error
            raise self._poison from error

    def _shortened(self, old: Segment, end_offset: int) -> Segment:
        place = self.segments.all.index(old)
        begin = start_of(old, self.segments.all[place - 1]) if place else self.durability.start
        last_id = begin.last_ms, begin.last_seq
        new = Segment(
            self.filesystem, self.directory, old.base_offset, old.first_ordinal, last_id, self.caches.number()
        )
        new.interval = old.interval
        new.leader_epoch = begin.leader_epoch
        builder = IndexBuilder(new.interval)
        flags = 0
        for found in walk(old.open_file(self.caches), 0, old.size):
            if found.header.base_offset >= end_offset:
                break
            flags = found.header.flags
            take_in(new, builder, [(found.position, found.header)])
        if new.end_offset != end_offset or flags & MORE:
            raise NotABatchBorder("no append began there", file=old.path, offset=end_offset)
        new.index = builder.index
        return new

    def _roll_time(self, active: Segment) -> int:
        """When the next append begins a segment for the active one's age: at once if that is cleaned, for what is left
        of old appends and new ones do not go together (see `storage.block`, and what BARE says)."""
        if not active.size:
            return NEVER_MS
        return 0 if active.cleaned else active.first_append_ms + self.config.segment_ms

    def _replace_end(self, old: Segment, new: Segment) -> None:
        self.drop_tail()
        self.segments.cuts += 1
        gone = []
        while self.segments.active is not old:
            gone.append(self.segments.active)
            self.segments.drop_last()
        self.caches.forget(old)
        self.segments.replace(old, new)
        behind = [offset for offset in self.snapshots.offsets if offset > new.end_offset]
        for offset in behind:
            self.snapshots.offsets.remove(offset)
            self.filesystem.remove(self.snapshots.path(offset))
        self.durability.retreat(new, snapshots_went=bool(behind))
        for segment in gone:
            self._remove_files(segment)
        if gone:
            self._remove_file(new, INDEX)  # it would speak of what goes, should the segment get as long once more
        file = new.open_file(self.caches)
        file.truncate(new.size)
        file.sync()
        self.filesystem.sync_directory(self.directory)
        self.drop_tail()
        self._roll_at_ms = self._roll_time(new)

    # Closing.
    def close_files(self) -> None:
        """Let go of file descriptors and of the tail; the next use opens what it needs."""
        self.drop_tail()
        for segment in self.segments.all:
            self.caches.forget(segment)

    def close(self) -> None:
        """Checkpoint what was synced, and let go of everything. The log is not used after it."""
        if self._poison is None and self.durability.synced != self.durability.checkpointed:
            self.checkpoint()
        self.close_files()
