"""Logs of a follower that go or come as wholes: cut where they left the leader's, removed, copied anew, all wiped.

A crash at any point leaves what a follower puts up with at its next start: logs that are shorter than the leader's, or
missing. It tells the leader what it has, and is sent the rest. Ticks in the journal are settled first, for a log that
they speak of may be neither cut nor removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from respbroker.streams import effects
from respbroker.streams.catalog import Catalog, KeyEntry
from respbroker.streams.directories import COPY, remove_whole, sync_files, wipe
from respbroker.streams.journal import CATALOG, Journal
from storage import DiskFailed, FileSystem, Log, MissingLog, NotABatchBorder, OutOfRange

if TYPE_CHECKING:
    from respbroker.streams.places import Places
    from respbroker.streams.stream import Stream


class WholeLogs:
    """The part of `respbroker.streams.keyspace.Keyspace` that replaces what is there. Only while it follows."""

    filesystem: FileSystem
    directory: str
    following: bool
    catalog: Catalog
    journal: Journal
    places: Places
    dirty: list[Stream]
    loose: dict[int, Log]
    open_streams: dict[int, Stream]
    trash: list[int]
    _trash_taken: set[int]
    path_of: Callable[[int], str]
    close: Callable[[], None]
    reopen: Callable[[], None]
    unsynced_numbers: Callable[[], set[int]]
    open_numbers: Callable[[set[int]], None]
    _open: Callable[[int, bytes, KeyEntry], Stream]
    _open_catalog: Callable[..., None]
    _open_log_in: Callable[[str, bool], Log]
    sync_everything: Callable[[], None]
    match_values: Callable[[], None]
    read_values_again: Callable[[Stream], None]
    _let_go: Callable[[Log], None]

    def copy_path(self, number: int) -> str:
        """Where a log is to be put together that `adopt_copy` takes; what a crash leaves there is removed."""
        return self._log_path(number) + COPY

    def _log_path(self, number: int) -> str:
        return f"{self.directory}/catalog" if number == CATALOG else self.path_of(number)

    def _settle_journal(self) -> None:
        if not self.journal.is_empty:
            self.sync_everything()
            self.journal.clear()

    # -- one log -------------------------------------------------------------------------------------------------

    def adopt_copy(self, number: int, log_directory: str) -> None:
        """Put a closed log that was copied anew in the place of the one with that number; durable when this returns.

        What of it has not been synced yet is synced here.
        """
        assert self.following
        self._settle_journal()
        with _disk_failures(log_directory):
            sync_files(self.filesystem, log_directory)
        if number == CATALOG:
            self.close()
            self._replace(number, log_directory)
            self._open_catalog(settle=True)
            return
        before = self._release(number)
        self._replace(number, log_directory)
        self._take_up(before)
        self.match_values()

    def remove_log(self, number: int) -> None:
        """Remove a log that the leader does not have; durable when this returns. A key that has it, for it will be
        dropped, is empty until then."""
        assert self.following
        assert number != CATALOG
        self._settle_journal()
        before = self._release(number)
        self._remove([number])
        self._take_up(before)

    def _replace(self, number: int, log_directory: str) -> None:
        path = self._log_path(number)
        parent, _, name = path.rpartition("/")
        with _disk_failures(path):
            remove_whole(self.filesystem, parent, [name])
            self.filesystem.rename(log_directory, path)
            self.filesystem.sync_directory(parent)

    def _remove(self, numbers: list[int]) -> None:
        parent = f"{self.directory}/streams"
        with _disk_failures(parent):
            remove_whole(self.filesystem, parent, [f"{number:010d}" for number in numbers])

    def _release(self, number: int) -> Stream | None:
        """Close a log; its stream, if that was open."""
        stream = self.open_streams.pop(number, None)
        if stream is not None:
            self.catalog.leaf(stream.db, stream.key).stream = None
            self._let_go(stream.log)
        elif number in self.loose:
            self._let_go(self.loose.pop(number))
        return stream

    def _take_up(self, before: Stream | None) -> None:
        """A stream that was open is open again, over another log."""
        if before is None:
            return
        stream = self._open(before.db, before.key, self.catalog.leaf(before.db, before.key))
        stream.settings, stream.log.config = before.settings, before.log.config
        if before.topic is not None:
            before.topic.replace(before.partition, stream)
        self.read_values_again(stream)

    # -- many ----------------------------------------------------------------------------------------------------

    def cut(self, cuts: Mapping[int, int]) -> list[int]:
        """Cut logs at their ends, numbers to end offsets, and be as if reopened; durable when this returns.

        Gives the numbers of those that cannot be cut there, and are as they were: they are to be copied anew.
        """
        assert self.following
        self._settle_journal()
        self._remove_dropped()
        unsynced = self.unsynced_numbers()
        self.close()
        try:
            return [number for number, end_offset in cuts.items() if not self._cut(number, end_offset)]
        finally:
            self._open_catalog(settle=True)
            self.open_numbers(unsynced)

    def _cut(self, number: int, end_offset: int) -> bool:
        try:
            log = self._open_log_in(self._log_path(number), False)
        except MissingLog:
            return False
        try:
            if _lacks_entries(log, end_offset):
                return False
            log.truncate(end_offset)
        except (NotABatchBorder, OutOfRange):
            return False
        finally:
            log.close()
        return True

    def _remove_dropped(self) -> None:
        """Where the catalog is cut, keys may come back whose logs were on their way out: they come back empty."""
        names = self.filesystem.directories(f"{self.directory}/streams")
        coming = self.catalog.next_number
        present = [int(name) for name in names if name.isdigit()]
        self._remove([number for number in present if number < coming and self.places.of(number) is None])
        self.trash.clear()
        self._trash_taken.clear()

    def wipe(self) -> None:
        """Everything goes; the keyspace is empty, and on the disk, when this returns."""
        assert self.following
        self.close()
        with _disk_failures(self.directory):
            wipe(self.filesystem, self.directory)
        self._open_catalog(settle=True)


def _lacks_entries(log: Log, end_offset: int) -> bool:
    """Whether a compaction may have taken entries out of the files that are still there for who ends at an offset.

    One that leads with nobody in sync compacts by what it alone has decided.
    """
    return log.is_cleaned and any(
        effects.unpack(control.effect)[0] in effects.REMOVING for control in log.controls(end_offset)
    )


@contextmanager
def _disk_failures(directory: str) -> Iterator[None]:
    """Name the directory where the disk fails in changing it."""
    try:
        yield
    except OSError as error:
        raise DiskFailed(f"cannot change the logs: {error}", file=directory) from error
