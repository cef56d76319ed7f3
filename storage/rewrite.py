"""Writing sealed segments anew, merged or cleaned, and swapping the new files in.

A *merge* takes one segment and keeps all of it. A *cleaning* takes neighbours, leaves records out and makes them one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from storage.batch import BARE, Header, Table, parse_header
from storage.errors import CorruptLog, DiskFailed
from storage.files import disk_error, write_new
from storage.filesystem import File, FileSystem
from storage.index import IndexBuilder, SparseIndex, Summary, decode_index, encode_index
from storage.merge import CleanPair, Pair, Selection
from storage.names import CLEANED, INDEX, LOG, SWAP, format_name
from storage.scan import take_all
from storage.segment import Segment

_WRITE_SIZE = 1 << 20  # bytes gathered before a write
_SYNC_SIZE = 8 << 20  # bytes written before a sync, so that no sync of somebody else's waits for all at once

#: Told of every so many bytes read or written; may take its time.
Pace = Callable[[int], None]


def at_once(size: int) -> None:
    """No limit."""


@attrs.frozen
class Sealed:
    """Neighbouring sealed segments as plain values: what another thread, or process, needs to read them."""

    directory: str
    summaries: tuple[Summary, ...]
    interval: int
    target: int

    @classmethod
    def of(cls, segments: Sequence[Segment], target: int) -> Sealed:
        """``target`` is what merged batches aim at, in bytes."""
        first = segments[0]
        return cls(first.directory, tuple(segment.summary() for segment in segments), first.interval, target)

    def path(self, summary: Summary, kind: str = LOG) -> str:
        """The plain name of one of the files."""
        return f"{self.directory}/{format_name(summary.base_offset, kind)}"


def rewrite(filesystem: FileSystem, sealed: Sealed, selection: Selection | None, pace: Pace = at_once) -> Summary:
    """Write and sync new files beside the old ones; without ``selection`` nothing is left out.

    Raises:
        CorruptLog: a segment is damaged.
        DiskFull, DiskFailed: it could not be written; nothing is left behind.
    """
    try:
        return _Rewriting(filesystem, sealed, selection, pace).run()
    except OSError as error:
        discard(filesystem, sealed)
        raise disk_error(error, sealed.path(sealed.summaries[0]) + CLEANED, "rewrite the segment") from error
    except CorruptLog:
        discard(filesystem, sealed)
        raise


def discard(filesystem: FileSystem, sealed: Sealed) -> None:
    """Remove what was written."""
    for kind in (LOG, INDEX):
        try:
            filesystem.remove(sealed.path(sealed.summaries[0], kind) + CLEANED)
        except OSError:
            pass  # it was never there, or the next opening removes it


class _Rewriting:
    """One run of `rewrite`."""

    def __init__(self, filesystem: FileSystem, sealed: Sealed, selection: Selection | None, pace: Pace) -> None:
        self._filesystem = filesystem
        self._sealed = sealed
        self._selection = selection
        self._pace = pace
        self._builder = IndexBuilder(sealed.interval)
        self._size = self._batches = self._unsynced = 0
        self._is_bare = False
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        self._pair: Pair | None = None
        self._target: File

    def run(self) -> Summary:
        sealed = self._sealed
        first = sealed.summaries[0]
        self._target = write_new(self._filesystem, sealed.path(first) + CLEANED, b"")
        for summary in sealed.summaries:
            self._take(summary)
        self._emit()
        self._write()
        self._target.sync()
        summary = self._summary()
        index = encode_index(summary, self._builder.index)
        write_new(self._filesystem, sealed.path(first, INDEX) + CLEANED, index).sync()
        return summary

    def _take(self, summary: Summary) -> None:
        """Go through one of the old segments."""
        path = self._sealed.path(summary)
        source = self._filesystem.open(path)
        position = paced = 0
        for position, header, table in take_all(source, summary.log_size):
            if self._pair is None or not self._pair.take(header, table, self._sealed.target):
                self._emit()
                self._pair = self._begin(header, table)
            if position - paced >= _WRITE_SIZE:
                self._pace(position - paced)
                paced = position
        if position != summary.log_size:
            raise CorruptLog("batch is damaged", file=path, position=position)

    def _begin(self, header: Header, table: Table) -> Pair:
        pair = Pair(header) if self._selection is None else CleanPair(header, self._selection)
        pair.take(header, table, self._sealed.target)
        return pair

    def _emit(self) -> None:
        for raw in self._pair.encode() if self._pair else ():
            header = parse_header(raw)
            assert header is not None
            self._builder.see(self._size, header)
            self._size += len(raw)
            self._is_bare = self._is_bare or header.flags & BARE != 0
            self._batches += 1
            self._gathered.append(raw)
            self._gathered_size += len(raw)
        if self._gathered_size >= _WRITE_SIZE:
            self._write()

    def _write(self) -> None:
        self._target.append((b"".join(self._gathered),))
        self._pace(self._gathered_size)
        self._unsynced += self._gathered_size
        self._gathered.clear()
        self._gathered_size = 0
        if self._unsynced >= _SYNC_SIZE:
            self._target.sync()
            self._unsynced = 0

    def _summary(self) -> Summary:
        first, last = self._sealed.summaries[0], self._sealed.summaries[-1]
        return Summary(
            first.base_offset, last.end_offset, first.first_ordinal, last.end_ordinal, last.last_ms, last.last_seq,
            first.first_append_ms, last.last_append_ms, self._size, self._batches, last.leader_epoch, True,
            self._is_bare, self._selection is not None,
        )  # fmt: skip


class RewriteJob:
    """The rewriting of neighbouring segments: `run` may be called in another thread, then comes `Log.swap`.

    Who runs `rewrite` elsewhere puts its result into ``result``.
    """

    def __init__(
        self, filesystem: FileSystem, segments: Sequence[Segment], target: int, selection: Selection | None = None
    ) -> None:
        self.filesystem = filesystem
        self.segments = list(segments)
        self.sealed = Sealed.of(segments, target)
        self.selection = selection
        self.result: Summary | None = None
        self._log = self.sealed.path(self.sealed.summaries[0])
        self._index = self.sealed.path(self.sealed.summaries[0], INDEX)

    @property
    def path(self) -> str:
        """The file that will be replaced."""
        return self.segments[0].path

    def run(self) -> None:
        """Write the new files. Raises what `rewrite` raises; if a segment is not there any more there is no result."""
        try:
            self.result = rewrite(self.filesystem, self.sealed, self.selection)
        except DiskFailed as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise  # else it was dropped meanwhile, and `Log.swap` finds that

    def discard(self) -> None:
        """Remove what was written."""
        discard(self.filesystem, self.sealed)

    # Swapping in a merge.
    def install(self) -> None:
        """Make the new files those of the segment, in steps of which each may be the last before a crash.

        The index goes ahead: a new index beside an old log is found out and rebuilt, the opposite would look like a log
        cut short.
        """
        for path in (self._index, self._log):
            self.filesystem.rename(path + CLEANED, path + SWAP)
            self.settle()
        for path in (self._index, self._log):
            self.filesystem.rename(path + SWAP, path)
        self.settle()

    # Swapping in a cleaning: clear, rename the log, settle, rename the index, and then the others may be removed. A
    # cleaned log may cover more than the old index says, and be as long by chance: so the old index is gone for good
    # before the log takes its place, and the log is there for good before the new index and before others go.
    def clear(self) -> None:
        """Let the old index go; in any thread."""
        try:
            self.filesystem.remove(self._index)
        except FileNotFoundError:  # it could not be written
            pass
        self.settle()

    def settle(self) -> None:
        """See that the names as they are now are on the disk; in any thread."""
        self.filesystem.sync_directory(self.sealed.directory)

    def rename_log(self) -> None:
        self.filesystem.rename(self._log + CLEANED, self._log)

    def new_index(self) -> SparseIndex:
        """What `rename_index` puts in its place."""
        decoded = decode_index(self.filesystem.read(self._index + CLEANED))
        if decoded is None:
            raise CorruptLog("index is damaged", file=self._index + CLEANED)
        return decoded[1]

    def rename_index(self) -> None:
        self.filesystem.rename(self._index + CLEANED, self._index)
