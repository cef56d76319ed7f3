"""Writing what a tick staged, one write a log, and taking it back where the disk refuses.

A tick of an EXEC that writes to several logs goes through the journal, so that a crash leaves it whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from respbroker.streams.catalog import Catalog
from respbroker.streams.journal import Journal
from storage import Log

if TYPE_CHECKING:
    from respbroker.model.settings import Settings
    from respbroker.streams.stream import Stream
    from respbroker.values.database import ValueDatabase


class Flushing:
    """The part of `respbroker.streams.keyspace.Keyspace` that makes staged changes lasting."""

    settings: Settings
    catalog: Catalog
    journal: Journal
    dirty: list[Stream]
    live_logs: set[Log]
    loose: dict[int, Log]
    to_open: list[int] | None
    open_streams: dict[int, Stream]
    changed_values: list[ValueDatabase]
    write_values: Callable[[int], None]
    forget_values: Callable[[], None]
    opened: Callable[[], Iterator[Stream]]
    unsynced_numbers: Callable[[], set[int]]
    open_numbers: Callable[[set[int]], None]
    _open_catalog: Callable[..., None]
    _following: bool
    _grown: list[Stream]
    _journal_ticks: int
    _leader_epoch: int

    #: Set when the tick holds an EXEC that writes to several keys: all of the tick is then written as one.
    atomic: bool
    #: Set while the journal's last record is the tick that is being flushed.
    journaled: bool

    @property
    def is_dirty(self) -> bool:
        """Whether anything is staged."""
        return bool(self.dirty) or self.catalog.is_dirty or bool(self.changed_values)

    def flush(self, now_ms: int) -> list[Log]:
        """Append what is staged, one write for each stream, the catalog last; the logs written to.

        Raises:
            StorageError: not all of it was; the caller must `take_back`.
        """
        assert not self._following, "a follower writes what it is sent"
        self.write_values(now_ms)
        if self.atomic:
            self._journal(now_ms)
        for stream in self.dirty:
            stream.flush(now_ms)
        written = [stream.log for stream in self.dirty]
        if self.catalog.is_dirty:
            self.catalog.flush(now_ms)
            written.append(self.catalog.log)
        self._grown = [stream for stream in self.dirty if stream.log.appended > stream.snapshot_due]
        self.dirty.clear()
        self.changed_values.clear()
        self.atomic = self.journaled = False
        return written

    def _journal(self, now_ms: int) -> None:
        """Record the tick before it is appended. The catalog is part of it always: without keys there is no stream."""
        if len(self.dirty) + self.catalog.is_dirty > 1:
            parts = [*(stream.staged() for stream in self.dirty), self.catalog.staged()]
            self.journal.record(parts, now_ms, epoch=self._leader_epoch, sync=self.settings.appendfsync != "no")
            self.journaled = True

    def take_back(self) -> None:
        """The tick is refused: what was appended of it goes, and everything that it changed is again as the logs say.

        Raises:
            StorageError: it is not, for the disk fails.
        """
        for stream in self.dirty:
            if not stream.is_dirty:  # this one was flushed
                stream.log.take_back()
        if self.journaled:
            self.journal.take_back()
        self.atomic = self.journaled = False
        if self.catalog.is_dirty or any(stream.log.end_offset == 0 for stream in self.dirty):
            self.reopen()
            return
        for stream in self.dirty:
            stream.reload()
        self.dirty.clear()
        self.forget_values()

    def reopen(self) -> None:
        """Forget memory: read the catalog again, what waits for a sync, and every other stream when it is next used."""
        unsynced = self.unsynced_numbers()
        self._close_logs()
        self._open_catalog(settle=True, journal=self.journal)
        self.open_numbers(unsynced)

    def close(self) -> None:
        """Close all files; what is staged is forgotten."""
        self._close_logs()
        self.journal.close()
        self._journal_ticks = self.journal.ticks

    def _close_logs(self) -> None:
        self.dirty.clear()
        self.changed_values.clear()
        self._grown.clear()
        for stream in self.opened():
            stream.log.close()
            if stream.topic is not None:
                stream.topic.groups.clear()  # whoever still knows them sees that they are over
        for log in self.loose.values():
            log.close()
        self.open_streams.clear()
        self.loose.clear()
        self.to_open = None
        self.live_logs.clear()
        self.catalog.log.close()
