"""Small batches becoming large ones, whole or without the entries that are cleaned away.

What stays keeps its offset, ordinal, ID and payload; effects keep their append times. Entries and effects that
alternated before become pairs of one DATA and one CONTROL batch; the tables say each record's offset. The first record
of such a pair is an entry, or the DATA batch says what the pair covers, so pairs cover rising ranges of offsets.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Protocol

import attrs

from storage.batch import (
    BARE,
    CONTROL,
    DATA,
    GAPS,
    MAGIC,
    MORE,
    NO_ID,
    SPARSE,
    Header,
    Id,
    Table,
    encode_gappy_entries,
    encode_sparse_effects,
    encode_sparse_entries,
)

SPAN_MAX = (1 << 32) - 1  # offsets or ordinals that one batch can cover


class Column:
    """Records of one kind on their way into a merged batch."""

    __slots__ = ("columns", "ends", "offsets", "payloads", "size", "times")

    def __init__(self) -> None:
        self.ends = array("I")
        self.offsets: list[int] = []
        self.times: list[int] = []
        #: IDs as they stand in the tables: ms, seqs.
        self.columns: tuple[list[bytes], list[bytes]] = ([], [])
        self.payloads: list[bytes | memoryview] = []
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

    def take(self, header: Header, table: Table, target: int) -> bool:
        """Let a batch join if it still can; whether it did."""
        if (self.entries.ends or self.effects.ends) and not self.takes(header, target):
            return False
        self.add(header, table)
        return True

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
            batches.append(self._encode_effects(self.first.ordinal + len(self.entries.ends)))
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

    def _encode_effects(self, ordinal: int) -> bytes:
        column = self.effects
        header = self._header(column, CONTROL, SPARSE, ordinal, self.last_id)
        times = array("Q", column.times).tobytes()
        return encode_sparse_effects(header, column.ends.tobytes(), _deltas(column), times, b"".join(column.payloads))


def _deltas(column: Column) -> bytes:
    base = column.offsets[0]
    return array("I", [offset - base for offset in column.offsets]).tobytes()


class Ordinals(Protocol):
    """A set of ordinals that can be asked for one."""

    def __contains__(self, ordinal: int, /) -> bool: ...


@attrs.frozen
class Selection:
    """Which records a cleaning leaves out: by ordinal, and for effects by offset."""

    #: Entries that go.
    gone: Ordinals = frozenset[int]()
    #: Those of them whose ID stays, for somebody still refers to it.
    hollow: Ordinals = frozenset[int]()
    #: Effects below go. All snapshots that are kept contain them, and this is 0 or behind all that is cleaned.
    effects_from: int = 0


class CleanPair(Pair):
    """A pair without what was selected to go. Its DATA batch is always there, if need be without records, and covers
    the ordinals and offsets of all that was taken in."""

    def __init__(self, first: Header, selection: Selection) -> None:
        super().__init__(first)
        self._selection = selection
        self._ordinals: list[int] = []
        self._end_ordinal = first.ordinal
        self._end_offset = first.base_offset
        self._entries_ms = first.append_ms
        self._is_empty = True
        self._flags = SPARSE | GAPS

    def take(self, header: Header, table: Table, target: int) -> bool:
        if header.kind == CONTROL:
            if not self._fits(header, self.effects.size < target):
                return False
            if header.end_offset > self._selection.effects_from:
                self.effects.add(header, table)
            else:
                self._flags |= BARE
        else:
            ordinals = ordinals_of(header, table)
            rows = self._rows(ordinals)
            pieces = self._pieces(table, ordinals, rows)
            size = self.entries.size
            if not self._fits(header, not size or size + sum(map(len, pieces)) <= target):
                return False
            self._add_rows(header, table, rows, pieces)
            self._entries_ms = header.append_ms
            self._ordinals += [ordinals[row] for row in rows]
        self._flags |= header.flags & BARE
        self.last_id = (header.last_ms, header.last_seq)
        self.last_ms = header.append_ms
        self._end_ordinal = header.end_ordinal
        self._end_offset = max(self._end_offset, header.end_offset)
        self._is_empty = False
        return True

    def _fits(self, header: Header, has_room: bool) -> bool:
        if self._is_empty:
            return True
        if not has_room or header.leader_epoch != self.first.leader_epoch:
            return False
        return header.end_offset - self.first.base_offset <= SPAN_MAX

    def _rows(self, ordinals: Sequence[int]) -> list[int]:
        """The rows of a batch that stay, with their payload or without."""
        gone, hollow = self._selection.gone, self._selection.hollow
        if hollow:
            return [row for row, ordinal in enumerate(ordinals) if ordinal not in gone or ordinal in hollow]
        return [row for row, ordinal in enumerate(ordinals) if ordinal not in gone]

    def _pieces(self, table: Table, ordinals: Sequence[int], rows: list[int]) -> list[memoryview]:
        """Their payloads."""
        ends, payload = table.ends, table.payload
        pieces = [payload[ends[row - 1] if row else 0 : ends[row]] for row in rows]
        if self._selection.hollow:
            gone = self._selection.gone
            return [payload[:0] if ordinals[row] in gone else piece for row, piece in zip(rows, pieces, strict=True)]
        return pieces

    def _add_rows(self, header: Header, table: Table, rows: list[int], pieces: list[memoryview]) -> None:
        column, base = self.entries, header.base_offset
        end = column.size
        for piece in pieces:
            end += len(piece)
            column.ends.append(end)
        column.size = end
        column.payloads += pieces
        deltas = table.deltas
        column.offsets += [base + deltas[row] for row in rows] if deltas else [base + row for row in rows]
        ms, seqs = table.ms, table.seqs
        column.columns[0].append(array("Q", [ms[row] for row in rows]).tobytes())
        column.columns[1].append(array("Q", [seqs[row] for row in rows]).tobytes())

    def encode(self) -> list[bytes]:
        batches = [self._encode_gappy()]
        if self.effects.ends:
            batches.append(self._encode_effects(self._end_ordinal))
        return batches

    def _encode_gappy(self) -> bytes:
        column, first = self.entries, self.first
        base, ordinal = first.base_offset, first.ordinal
        flags = self._flags | (MORE if self.effects.ends else 0)
        header = Header(
            MAGIC, 0, 0, first.leader_epoch, base, ordinal, self._entries_ms, *self.first_id, *self.last_id,
            len(column.ends), self._end_offset - base, DATA, flags, 0, self._end_ordinal - ordinal,
        )  # fmt: skip
        deltas = array("I", [offset - base for offset in column.offsets]).tobytes()
        ordinals = array("I", [each - ordinal for each in self._ordinals]).tobytes()
        ms, seqs = (b"".join(parts) for parts in column.columns)
        payload = b"".join(column.payloads)
        return encode_gappy_entries(header, column.ends.tobytes(), ms, seqs, deltas, ordinals, payload)


def ordinals_of(header: Header, table: Table) -> Sequence[int]:
    """The ordinal of each record of a DATA batch."""
    if header.flags & GAPS:
        first = header.ordinal
        return [first + delta for delta in table.ordinals]
    return range(header.ordinal, header.ordinal + header.records)
