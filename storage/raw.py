"""Batches as they are: read from one log, appended to another.

A log that is fed with all that another one was, and rolled where that one was, has the same bytes in its segments.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from storage.appends import LogAppends
from storage.batch import (
    CONTROL,
    DATA,
    GAPS,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    MORE,
    SPARSE,
    Header,
    is_intact,
    parse_header,
    parse_table,
)
from storage.errors import CorruptBatch, CorruptLog, LogPoisoned, NotABatchBorder, NotContiguous, Outdated, OutOfRange
from storage.index import IndexBuilder
from storage.recovery import take_in
from storage.scan import Effect, Found, effects_of, walk
from storage.segment import Segment

_MAGIC = struct.Struct("<I")  # with which the batch behind a chunk must begin
_TAIL_MAX = 64 << 10  # bytes of batches whose entries are worth keeping in memory one by one

#: Batches and their positions.
Batches = list[tuple[int, Header]]


class RawChunk(NamedTuple):
    """Whole appends out of one segment."""

    raw: bytes
    base_offset: int
    end_offset: int
    begins_segment: bool


class LogRaw(LogAppends):
    """The part of `storage.log.Log` that neither encodes nor decodes."""

    __slots__ = ()

    def append_batches(self, raw: bytes | memoryview, *, roll: bool = False) -> list[Effect]:
        """Write whole batches of another log, which continue this one, with one write and without a sync; the effects
        in them.

        They are verified first: checksums, and that offsets, ordinals, IDs and epochs go on from here. What is inside a
        batch is taken as its checksum vouches for it. With ``roll`` they begin a segment. No segment is rolled for its
        size or age.

        Raises:
            CorruptBatch, NotContiguous: nothing was written.
            DiskFull: the log is as it was.
            DiskFailed, LogPoisoned: the log takes no more until it is opened again.
        """
        raw = bytes(raw)
        segment = self.segments.active
        if self._poison is not None:
            raise LogPoisoned(f"log is closed for appends: {self._poison}", file=segment.path)
        batches = verified(raw, segment)
        if not batches:
            return []
        if roll:
            self.roll(0)
            segment = self.segments.active
        try:
            file = segment.file or self.caches.open(self.filesystem, segment)
            file.append((raw,))
        except OSError as error:
            raise self._undo(error, segment) from error
        self._take_batches(segment, raw, batches)
        return [
            effect
            for at, header in batches
            if header.kind == CONTROL
            for effect in effects_of(Found(at, header, raw, at))
        ]

    def _take_batches(self, segment: Segment, raw: bytes, batches: Batches) -> None:
        """Count what was written as part of the log."""
        size = segment.size
        first = batches[0][1]
        self.append_start = segment.end_offset
        if size >= self._index_due:
            self._begin_block(segment, size, (first.first_ms, first.first_seq))
        builder = IndexBuilder(self.config.index_interval_bytes, segment.index, self._index_due)
        take_in(segment, builder, [(size + at, header) for at, header in batches])
        self._index_due = builder.due
        segment.used = True
        self.appended += len(raw)
        if not size:
            self._roll_at_ms = segment.first_append_ms + self.config.segment_ms
        if len(raw) <= _TAIL_MAX and not any(header.flags & ~MORE for _, header in batches):
            for at, header in batches:
                if header.kind == DATA:
                    self._extend_tail(*_entries_of(raw, at, header), header.size)
        else:
            self.drop_tail()

    def raw_reader(self, offset: int) -> RawReader:
        """A cursor that reads batches as they are, from ``offset`` on.

        An append must have begun there. Of a merged or cleaned segment not every append's place is left: there it must
        be the first record of what became one batch, or one pair of an entries' and an effects' batch. All records
        before it are before that batch then, and all others in or behind it, so whoever has the records before
        ``offset``, merged or not, may go on there.

        Raises:
            NotABatchBorder: it lies within such a batch, and one must go on from ``restart_offset``, where the segment
                begins.
            OutOfRange: it is not between `start_offset` and `end_offset`.
            CorruptLog: the place cannot be found.
        """
        segments = self.segments
        if not segments.all[0].base_offset <= offset <= segments.active.end_offset:
            raise OutOfRange("records are not stored", file=self.directory, offset=offset)
        segment = segments.floor(offset)
        return RawReader(self, segment, self._position_of(segment, offset), offset)

    def _position_of(self, segment: Segment, offset: int) -> int:
        """Where the append that begins at an offset of the segment is."""
        if offset == segment.base_offset:
            return 0
        if offset == segment.end_offset:
            return segment.size
        index = segment.load_index(self.caches)
        block = index.block_of_offset(offset)
        if block and index.offsets[block] == offset:
            block -= 1  # the batch before tells whether this one was written with it
        position = index.positions[block]
        flags = 0
        for found in walk(segment.open_file(self.caches), position, segment.size):
            if found.header.base_offset == offset and not flags & MORE:
                return found.position
            if found.header.base_offset > offset:
                break
            flags = found.header.flags
            position = found.position + found.header.size
        else:
            if position != segment.size:
                raise CorruptLog("batch is damaged", file=segment.path, position=position)
        problem = NotABatchBorder("no append began there", file=segment.path, offset=offset)
        problem.restart_offset = segment.base_offset
        raise problem


class RawReader:
    """A place in a log, between two appends. It stays good while the log grows and rolls, and while segments behind it
    are dropped, merged or cleaned; when the one it is in is, or the log is cut, it is done for."""

    __slots__ = ("_cuts", "_log", "_offset", "_position", "_segment")

    def __init__(self, log: LogRaw, segment: Segment, position: int, offset: int) -> None:
        """Use `LogRaw.raw_reader`."""
        self._log = log
        self._cuts = log.segments.cuts
        self._segment = segment
        self._position = position
        self._offset = offset

    @property
    def offset(self) -> int:
        """Of the record that is read next."""
        return self._offset

    def read(self, bytes_max: int) -> RawChunk | None:
        """The next appends, as many as ``bytes_max`` has room for but at least one, all of one segment; None at the
        log's end.

        Only headers are looked at: whoever appends the batches verifies them.

        Raises:
            Outdated: the segment is not what it was.
            CorruptLog: a header is damaged; the place is named.
            DiskFailed: the disk cannot read them.
        """
        segment = self._current()
        position = self._position
        rest = segment.size - position
        if not rest:
            return None
        size = min(max(bytes_max, HEADER_SIZE) + _MAGIC.size, rest)
        while True:
            raw = segment.pread(self._log.caches, size, position)
            end, end_offset = self._whole(raw, bytes_max)
            if end:
                break
            if size == rest:
                raise CorruptLog("batch is cut off", file=segment.path, offset=self._offset, position=position)
            size = min(2 * size, rest)
        base_offset = self._offset
        self._position = position + end
        self._offset = end_offset
        return RawChunk(raw[:end], base_offset, end_offset, not position)

    def _current(self) -> Segment:
        """The segment to read from."""
        segments, segment = self._log.segments, self._segment
        if segments.cuts != self._cuts:
            raise self._outdated()
        if segment is segments.active:
            return segment
        if self._position == segment.size:
            following = segments.floor(self._offset)
            if following.base_offset != self._offset:
                raise self._outdated()
            self._segment = segment = following
            self._position = 0
        elif segments.floor(segment.base_offset) is not segment:
            raise self._outdated()
        return segment

    def _outdated(self) -> Outdated:
        return Outdated("the segment is not what it was", file=self._segment.path, offset=self._offset)

    def _whole(self, raw: bytes, bytes_max: int) -> tuple[int, int]:
        """Size and end offset of the whole appends at the beginning of ``raw``; no more once it is much."""
        unpack = HEADER.unpack_from
        whole, end_offset = 0, self._offset
        whole_offset = end_offset
        at = flags = 0
        last = len(raw) - HEADER_SIZE
        while at <= last:
            magic, size, _, _, base_offset, _, _, _, _, _, _, _, span, _, new_flags, _ = unpack(raw, at)
            follows = base_offset == end_offset or (flags & MORE and new_flags & SPARSE and base_offset < end_offset)
            if magic != MAGIC or size < HEADER_SIZE or not follows:
                raise self._damaged(at, end_offset)
            at += size
            if at > len(raw):
                break
            end_offset = max(end_offset, base_offset + span)
            flags = new_flags
            if not flags & MORE:
                whole, whole_offset = at, end_offset
                if at >= bytes_max:
                    break
        if whole + _MAGIC.size <= len(raw) and _MAGIC.unpack_from(raw, whole)[0] != MAGIC:
            raise self._damaged(whole, whole_offset)  # or the batch before has a wrong size
        return whole, whole_offset

    def _damaged(self, at: int, offset: int) -> CorruptLog:
        return CorruptLog("batch is damaged", file=self._segment.path, offset=offset, position=self._position + at)


def verified(raw: bytes, segment: Segment) -> Batches:
    """The batches of ``raw``, of which each is intact, and which together continue the log that ends with ``segment``.

    Raises:
        CorruptBatch, NotContiguous: with the offset and position where it is not so.
    """
    batches: Batches = []
    end = _End(segment)
    at, size = 0, len(raw)
    while at < size:
        header = parse_header(raw, at)
        if header is None or not is_intact(raw, at, header):
            raise CorruptBatch("batch is damaged or cut off", file=segment.path, offset=end.offset, position=at)
        if not end.take(header):
            raise NotContiguous("batch does not continue the log", file=segment.path, offset=end.offset, position=at)
        batches.append((at, header))
        at += header.size
    if end.flags & MORE:
        raise CorruptBatch("batch is not whole without the next", file=segment.path, offset=end.offset, position=at)
    if batches and any((header.flags ^ batches[0][1].flags) & GAPS for _, header in batches if header.kind == DATA):
        raise NotContiguous("cleaned batches among others", file=segment.path, offset=segment.end_offset)
    return batches


def end_of_batches(raw: bytes) -> int:
    """The offset behind the last record of whole batches."""
    at = end = 0
    while at < len(raw):
        header = parse_header(raw, at)
        if header is None:
            raise CorruptBatch("batch is damaged or cut off", offset=end, position=at)
        end = max(end, header.end_offset)
        at += header.size
    return end


class _End:
    """Where a log ends while batches are added to it."""

    __slots__ = ("epoch", "flags", "group_offset", "last_id", "offset", "ordinal")

    def __init__(self, segment: Segment) -> None:
        self.offset = segment.end_offset
        self.ordinal = segment.end_ordinal
        self.last_id = segment.last_id
        self.epoch = segment.leader_epoch
        self.flags = 0
        #: Where the batches begin that were written together with the last one.
        self.group_offset = self.offset

    def take(self, header: Header) -> bool:
        """Add a batch; False if it does not belong here."""
        if not (header.ordinal == self.ordinal and self._offset_follows(header) and self._id_follows(header)):
            return False
        self.ordinal = header.end_ordinal
        self.offset = max(self.offset, header.end_offset)
        self.last_id = (header.last_ms, header.last_seq)
        self.epoch = header.leader_epoch
        self.flags = header.flags
        return True

    def _offset_follows(self, header: Header) -> bool:
        """Offsets are dense; in a merged pair the effects may be among the entries. A group is of one epoch."""
        base_offset, offset = header.base_offset, self.offset
        if not self.flags & MORE:
            self.group_offset = offset
            return base_offset == offset and header.leader_epoch >= self.epoch
        if header.leader_epoch != self.epoch:
            return False
        return base_offset == offset or (header.flags & SPARSE != 0 and self.group_offset <= base_offset < offset)

    def _id_follows(self, header: Header) -> bool:
        """IDs rise; effects have that of the last entry before them, and so may what begins a cleaned batch."""
        first_id, last_id = (header.first_ms, header.first_seq), (header.last_ms, header.last_seq)
        if header.kind == CONTROL:
            return first_id == last_id == self.last_id
        if header.flags & GAPS:
            return self.last_id <= first_id <= last_id
        return self.last_id < first_id <= last_id


def _entries_of(raw: bytes, at: int, header: Header) -> tuple[list[int], list[int], list[bytes]]:
    """IDs and payloads of a plain DATA batch."""
    if header.records == 1:
        return [header.first_ms], [header.first_seq], [raw[at + header.payload_start : at + header.size]]
    table = parse_table(raw, at, header)
    ends = table.ends.tolist()
    payload, start = table.payload, 0
    payloads = []
    for end in ends:
        payloads.append(bytes(payload[start:end]))
        start = end
    return table.ms.tolist(), table.seqs.tolist(), payloads
