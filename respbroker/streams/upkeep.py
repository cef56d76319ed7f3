"""Keeping a keyspace: snapshots, checkpoints, what may go, and which directories are known to be on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from respbroker.model.topic_settings import DEFAULTS, TopicSettings
from respbroker.streams.catalog import ON_DISK, Catalog
from respbroker.streams.directories import GONE
from respbroker.streams.journal import Journal
from respbroker.streams.stream import Stream
from storage import DiskFailed, FileSystem, Log, LogConfig, RewriteJob

if TYPE_CHECKING:
    from respbroker.streams.catalog import Database, KeyEntry
    from respbroker.streams.topic import Topic


class KeyspaceUpkeep:
    """The half of `respbroker.streams.keyspace.Keyspace` that is not on any request's way."""

    catalog: Catalog
    journal: Journal
    settled: bool
    frozen: bool
    databases: list[Database]
    live_logs: set[Log]
    on_unsynced: Callable[[Log], None]
    trash: list[int]
    _trash_taken: set[int]
    _set_aside: int
    filesystem: FileSystem
    path_of: Callable[[int], str]
    _grown: list[Stream]
    open_key: Callable[[int, bytes, KeyEntry], Stream | Topic]
    _snapshot_bytes: int
    opened: Callable[[], Iterator[Stream]]
    open_streams: dict[int, Stream]
    loose: dict[int, Log]
    following: bool
    log_of: Callable[[int], Log | None]
    config_for: Callable[[TopicSettings | None], LogConfig]
    _open: Callable[[int, bytes, KeyEntry], Stream]

    def compacted(self) -> Iterator[tuple[int, bytes, KeyEntry]]:
        """Database, key and entry of what is to be compacted and has not expired."""
        for database in self.databases:
            for key, entry in database.keys.items():
                if entry.settings is not None and entry.settings.is_compacted and not entry.expires_ms:
                    yield database.index, key, entry

    def open_leaf(self, db: int, key: bytes, entry: KeyEntry, index: int) -> Stream:
        """The stream of a key, or of one partition of a topic without the others."""
        leaf = entry.leaves[index]
        stream = leaf.stream or self._open(db, b"%b/%d" % (key, index) if entry.parts else key, leaf)
        stream.settings = entry.settings or DEFAULTS
        stream.log.config = self.config_for(entry.settings)
        return stream

    def close_leaf(self, leaf: KeyEntry) -> None:
        """Close a stream that nobody else knows of, with nothing staged and nothing to sync."""
        stream = leaf.stream
        assert stream is not None
        assert not stream.is_dirty
        assert stream.topic is None
        self.open_streams.pop(leaf.number, None)
        self.live_logs.discard(stream.log)
        stream.log.close()
        leaf.stream = None

    def unsynced_numbers(self) -> set[int]:
        """The streams with something to sync."""
        loose = {number for number, log in self.loose.items() if log.unsynced()}
        return loose | {stream.number for stream in self.opened() if stream.log.unsynced()}

    def open_numbers(self, numbers: set[int]) -> None:
        """Open these streams, so that `on_unsynced` hears of them; and let it hear of the catalog."""
        self.on_unsynced(self.catalog.log)
        if self.following:
            for number in numbers:
                self.log_of(number)
            return
        for database in self.databases if numbers else ():
            for key, entry in database.keys.items():
                if any(leaf.number in numbers and leaf.stream is None for leaf in entry.leaves):
                    self.open_key(database.index, key, entry)

    def found_durable(self) -> None:
        """All that was in the directory at the start is on the disk.

        Sync all of it at once: nobody knows to which of the streams a killed server had written. A disk that fails
        there without a word fails again at the first sync of what is written next.
        """
        self.settled = True
        for log in (*self.live_logs, self.journal.log):
            log.found_durable()

    def directories_synced(self, below: int) -> None:
        """The directories of all streams numbered below are on disk: to be remembered with the next change."""
        if self.settled and not (self.following or self.frozen) and below > self.catalog.on_disk_below:
            self.catalog.commit([ON_DISK, below])

    def take_trash(self) -> list[int]:
        """Numbers of directories to remove, once what was flushed so far is synced."""
        trash, self.trash = self.trash, []
        self._trash_taken.update(trash)
        return trash

    def keep_trash(self, numbers: list[int]) -> None:
        """Directories that were taken cannot be removed yet."""
        self.trash += self._still_trash(numbers)

    def set_trash_aside(self, numbers: list[int]) -> list[str]:
        """Give directories that were taken names of their own, under which a thread may remove them whatever comes in
        their places; those names. Raises DiskFailed."""
        paths = []
        for number in self._still_trash(numbers):
            path = self.path_of(number)
            self._set_aside += 1
            aside = f"{path}-{self._set_aside}{GONE}"
            try:
                self.filesystem.rename(path, aside)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise DiskFailed(f"cannot rename: {error}", file=path) from error
            paths.append(aside)
        return paths

    def _still_trash(self, numbers: list[int]) -> list[int]:
        """Those taken since the keyspace was opened: of others it was looked then what they are."""
        still = [number for number in numbers if number in self._trash_taken]
        self._trash_taken.difference_update(still)
        return still

    def write_due_snapshots(self) -> None:
        """Snapshots where much has gathered behind the last. Raises StorageError; nothing is lost by that."""
        grown, self._grown = self._grown, []
        for stream in grown:
            if not stream.is_dirty and stream.log in self.live_logs:
                self._snapshot(stream)
        self.catalog.write_due_snapshot()

    def _snapshot(self, stream: Stream) -> None:
        """Write the state of a stream next to its log, so that opening it replays little; unsynced like an append."""
        if stream.log.bytes_since_snapshot:
            state = stream.snapshot()
            stream.log.write_snapshot(state, stream.log.end_offset)
            stream.snapshot_due = stream.log.appended + max(self._snapshot_bytes, 4 * len(state))
            stream.snapshot_mark = stream.log.end_offset, stream.first_ordinal

    def checkpoint_all(self) -> list[Log]:
        """Snapshots of everything open; nothing may be staged. The logs that are to be synced for it."""
        for stream in self.opened():
            self._snapshot(stream)
        self.catalog.write_snapshot()
        return [*(stream.log for stream in self.opened()), self.catalog.log]

    def maintain(self, stream: Stream) -> list[RewriteJob]:
        """Let segments go that are trimmed away; jobs that merge small batches of sealed ones.

        Entries are trimmed first (by commands, or by `respbroker.streams.retention`); a segment without any goes once a
        snapshot from behind that trim has been synced, for it holds the IDs of what is still pending of them. Each
        takes a call of its own.
        """
        if not stream.log.segments.sealed:
            return []
        log = stream.log
        offset, floor = stream.snapshot_mark
        if floor >= log.segments.sealed[0].end_ordinal and log.snapshots.durable_offset >= offset:
            log.drop_before(floor)
        elif stream.first_ordinal >= log.segments.sealed[0].end_ordinal and not stream.is_dirty:
            self._snapshot(stream)
        if stream.settings.is_compacted:  # which merges them in the same pass
            return []
        return [log.merge(segment) for segment in log.merge_candidates()]
