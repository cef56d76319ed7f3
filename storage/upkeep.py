"""Keeping a log: what to sync, checkpoints, snapshots, dropping from the front, cutting at the end, merging."""

from __future__ import annotations

from collections.abc import Callable

from storage.caches import Caches
from storage.durability import Durability
from storage.errors import DiskFailed, OutOfRange, StorageError
from storage.filesystem import FileSystem
from storage.segments import Segments
from storage.snapshot import Snapshots
from storage.sync import Unsynced


class LogUpkeep:
    """The half of `storage.log.Log` that is not on anybody's way."""

    __slots__ = ("_appended", "_appended_at_snapshot", "_poison")

    filesystem: FileSystem
    directory: str
    caches: Caches
    segments: Segments
    snapshots: Snapshots
    durability: Durability
    drop_tail: Callable[[], None]
    _poison: StorageError | None
    _appended: int
    _appended_at_snapshot: int

    # Syncing.
    def unsynced(self) -> Unsynced:
        """What must be synced for everything appended so far to survive loss of power; empty if nothing."""
        return self.durability.unsynced()

    def synced(self, done: Unsynced) -> None:
        """Every item of ``done`` has been synced. Now and then this writes a checkpoint."""
        self.durability.confirm(done)

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
        self.durability.pending += self.snapshots.write(state, offset)
        self._appended_at_snapshot = self._appended

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """Offset and state of the newest good one; damaged ones are passed over if the records to replace them are
        still stored.

        Raises:
            CorruptLog: they are not.
        """
        return self.snapshots.newest(self.segments.all[0].base_offset)

    @property
    def bytes_since_snapshot(self) -> int:
        """About how much would be read to replay what follows the newest snapshot."""
        return self._appended - self._appended_at_snapshot

    def _bytes_behind(self, offset: int) -> int:
        """About how many bytes of log are at or behind an offset."""
        size = 0
        for segment in self.segments.from_offset(offset):
            size += segment.size
            if segment.base_offset < offset:
                index = segment.load_index(self.caches)
                size -= index.positions[index.block_of_offset(offset)]
        return size

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
