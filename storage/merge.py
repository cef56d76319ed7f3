"""Rewriting a sealed segment with its small batches merged into large ones.

Nothing a reader can ask for changes: offsets, ordinals, IDs, payloads, effects and their append times stay. Entries
and effects that alternated before become pairs of one DATA and one CONTROL batch; the tables say each record's
offset. The first record of such a pair is an entry, so pairs cover rising ranges of offsets.
"""

from __future__ import annotations

from array import array

from storage.batch import (
    CONTROL,
    DATA,
    MAGIC,
    MORE,
    NO_ID,
    SPARSE,
    Header,
    Id,
    Table,
    encode_sparse_effects,
    encode_sparse_entries,
    parse_header,
    parse_table,
)
from storage.errors import CorruptLog
from storage.files import disk_error, write_new
from storage.filesystem import FileSystem
from storage.index import IndexBuilder, Summary, encode_index
from storage.names import CLEANED, INDEX, SWAP, format_name
from storage.scan import walk
from storage.segment import Segment

_WRITE_SIZE = 1 << 20  # merged bytes gathered before a write


class Column:
    """Records of one kind on their way into a merged batch."""

    __slots__ = ("columns", "ends", "offsets", "payloads", "size", "times")

    def __init__(self) -> None:
        self.ends = array("I")
        self.offsets: list[int] = []
        self.times: list[int] = []
        #: IDs as they stand in the tables: ms, seqs.
        self.columns: tuple[list[bytes], list[bytes]] = ([], [])
        self.payloads: list[bytes] = []
        self.size = 0

    def add(self, header: Header, table: Table) -> None:
        """Take over all records of a batch."""
        base, count, size = header.base_offset, header.records, self.size
        self.ends.extend([size + end for end in table.ends])
        self.offsets += [base + delta for delta in table.deltas] if table.deltas else range(base, base + count)
        self.times += list(table.times) if table.times else [header.append_ms] * count
        self.columns[0].append(bytes(table.ms))
        self.columns[1].append(bytes(table.seqs))
        self.payloads.append(bytes(table.payload))
        self.size += len(table.payload)


class Pair:
    """What becomes a DATA and a CONTROL batch."""

    def __init__(self, first: Header) -> None:
        self.first = first
        self.last_ms = first.append_ms
        self.entries = Column()
        self.effects = Column()
        self.first_id: Id = (first.first_ms, first.first_seq)
        self.last_id: Id = NO_ID

    def takes(self, header: Header, target: int) -> bool:
        """True if a batch can still join."""
        if header.leader_epoch != self.first.leader_epoch or self.effects.size >= target:
            return False
        if header.kind == CONTROL:
            return True
        return bool(self.entries.ends) and self.entries.size + header.size <= target

    def add(self, header: Header, table: Table) -> None:
        (self.effects if header.kind else self.entries).add(header, table)
        self.last_id = (header.last_ms, header.last_seq)
        self.last_ms = header.append_ms

    def encode(self) -> list[bytes]:
        """The one or two batches."""
        batches = []
        if self.entries.ends:
            batches.append(self._encode_entries())
        if self.effects.ends:
            batches.append(self._encode_effects())
        return batches

    def _header(self, column: Column, kind: int, flags: int, ordinal: int, first_id: Id) -> Header:
        base = column.offsets[0]
        span = column.offsets[-1] + 1 - base
        return Header(
            MAGIC, 0, 0, self.first.leader_epoch, base, ordinal, self.last_ms, *first_id, *self.last_id,
            len(column.ends), span, kind, flags, 0,
        )  # fmt: skip

    def _encode_entries(self) -> bytes:
        column = self.entries
        dense = column.offsets[-1] + 1 - column.offsets[0] == len(column.ends)
        flags = (0 if dense else SPARSE) | (MORE if self.effects.ends else 0)
        header = self._header(column, DATA, flags, self.first.ordinal, self.first_id)
        deltas = b"" if dense else _deltas(column)
        ms, seqs = (b"".join(parts) for parts in column.columns)
        return encode_sparse_entries(header, column.ends.tobytes(), ms, seqs, deltas, b"".join(column.payloads))

    def _encode_effects(self) -> bytes:
        column = self.effects
        header = self._header(column, CONTROL, SPARSE, self.first.ordinal + len(self.entries.ends), self.last_id)
        times = array("Q", column.times).tobytes()
        return encode_sparse_effects(header, column.ends.tobytes(), _deltas(column), times, b"".join(column.payloads))


def _deltas(column: Column) -> bytes:
    base = column.offsets[0]
    return array("I", [offset - base for offset in column.offsets]).tobytes()


class MergeJob:
    """The rewriting of one segment. `run` may be called in another thread; it only reads what never changes."""

    def __init__(self, filesystem: FileSystem, segment: Segment, target: int) -> None:
        self.filesystem = filesystem
        self.segment = segment
        self.target = target
        self.result: Summary | None = None
        self._path = segment.path + CLEANED
        self._builder = IndexBuilder(segment.interval)
        self._size = 0
        self._batches = 0

    @property
    def index_path(self) -> str:
        """Of the plain file."""
        return f"{self.segment.directory}/{format_name(self.segment.base_offset, INDEX)}"

    def run(self) -> None:
        """Write and sync the new files beside the old ones.

        Raises:
            CorruptLog: the segment is damaged.
            DiskFull, DiskFailed: it could not be written; nothing is left behind.
        """
        try:
            self._rewrite()
            summary = self._summary()
            index = write_new(self.filesystem, self.index_path + CLEANED, encode_index(summary, self._builder.index))
            index.sync()
            self.result = summary
        except OSError as error:
            self.discard()
            raise disk_error(error, self._path, "merge") from error
        except CorruptLog:
            self.discard()
            raise

    def install(self) -> None:
        """Make the new files the segment's, in steps of which each may be the last before a crash.

        The index goes ahead: a new index beside an old log is found out and rebuilt, the opposite would look like
        a log cut short.
        """
        directory = self.segment.directory
        for path in (self.index_path, self.segment.path):
            self.filesystem.rename(path + CLEANED, path + SWAP)
            self.filesystem.sync_directory(directory)
        for path in (self.index_path, self.segment.path):
            self.filesystem.rename(path + SWAP, path)
        self.filesystem.sync_directory(directory)

    def discard(self) -> None:
        """Remove what was written."""
        for path in (self._path, self.index_path + CLEANED):
            try:
                self.filesystem.remove(path)
            except OSError:
                pass  # it was never there, or the next opening removes it

    def _rewrite(self) -> None:
        source = self.filesystem.open(self.segment.path)
        target = write_new(self.filesystem, self._path, b"")
        gathered: list[bytes] = []
        size = position = 0
        pair: Pair | None = None
        for found in walk(source, 0, self.segment.size):
            header = found.header
            position = found.position + header.size
            if pair is None or not pair.takes(header, self.target):
                size += self._emit(pair, gathered)
                pair = Pair(header)
                if size >= _WRITE_SIZE:
                    target.append((b"".join(gathered),))
                    gathered.clear()
                    size = 0
            pair.add(header, parse_table(found.raw, found.at, header))
        if position != self.segment.size:
            raise CorruptLog("batch is damaged", file=self.segment.path, position=position)
        self._emit(pair, gathered)
        target.append((b"".join(gathered),))
        target.sync()

    def _emit(self, pair: Pair | None, gathered: list[bytes]) -> int:
        start = self._size
        for raw in pair.encode() if pair else ():
            header = parse_header(raw)
            assert header is not None
            self._builder.see(self._size, header)
            self._size += len(raw)
            self._batches += 1
            gathered.append(raw)
        return self._size - start

    def _summary(self) -> Summary:
        old = self.segment.summary()
        return Summary(
            old.base_offset, old.end_offset, old.first_ordinal, old.end_ordinal, old.last_ms, old.last_seq,
            old.first_append_ms, old.last_append_ms, self._size, self._batches, old.leader_epoch, True,
        )  # fmt: skip
