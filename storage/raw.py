"""Batches as they are: read from one log, appended to another.

A log that is fed with all that another one was, and rolled where that one was, has the same bytes in its segments.
"""

from __future__ import annotations

from storage.appends import LogAppends
from storage.batch import (
    CONTROL,
    DATA,
    GAPS,
    MORE,
    NO_ID,
    SPARSE,
    Header,
    is_intact,
    parse_header,
    parse_table,
)
from storage.errors import CorruptBatch, LogPoisoned, NotContiguous, OutOfRange
from storage.index import IndexBuilder
from storage.raw_reader import RawReader, position_of
from storage.recovery import take_in
from storage.scan import Effect, Found, effects_of
from storage.segment import Segment

_TAIL_MAX = 64 << 10  # bytes of batches whose entries are worth keeping in memory one by one

#: Batches and their positions.
Batches = list[tuple[int, Header]]


class LogRaw(LogAppends):
    """The part of `storage.log.Log` that neither encodes nor decodes."""

    __slots__ = ()

    def append_batches(self, raw: bytes | memoryview, *, roll: bool = False) -> list[Effect]:
        """Write whole batches of another log, which continue this one, with one write and without a sync; the effects
        in them.

        They are verified first: checksums, and that offsets, ordinals, IDs and epochs go on from here. What is inside a
        batch is taken as its checksum vouches for it. With ``roll`` they begin a segment, without they go into the
        last one, so that segments come to begin where those of the other log do. (But one that was merged here, or has
        cleaned batches where these are not, or the other way round, is left as it is.)

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
        is_cleaned = bool(batches[0][1].flags & GAPS)
        if roll or (segment.size and segment.cleaned != is_cleaned):
            self.roll(0)
        elif not segment.size and not is_cleaned:
            self._unroll()
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

    def _unroll(self) -> None:
        """Let go of an empty segment: what comes now stands in the one before at the other log."""
        sealed = self.segments.sealed
        if sealed and not sealed[-1].merged:
            self._cut(sealed[-1], sealed[-1].end_offset)

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
            self._roll_at_ms = self._roll_time(segment)
        if len(raw) > _TAIL_MAX or any(header.flags & ~MORE for _, header in batches):
            self.drop_tail()
        else:
            self._remember(raw, batches)

    def _remember(self, raw: bytes, batches: Batches) -> None:
        """Keep the entries of plain batches in the tail; all at once, for while it grows it may be dropped."""
        ms: list[int] = []
        seqs: list[int] = []
        payloads: list[bytes] = []
        for at, header in batches:
            if header.kind != DATA:
                continue
            if header.records == 1:
                ms.append(header.first_ms)
                seqs.append(header.first_seq)
                payloads.append(raw[at + header.payload_start : at + header.size])
                continue
            table = parse_table(raw, at, header)
            ms += table.ms
            seqs += table.seqs
            start = 0
            for end in table.ends:
                payloads.append(bytes(table.payload[start:end]))
                start = end
        if payloads:
            self._extend_tail(ms, seqs, payloads, len(raw))

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
        position = position_of(self.caches, segment, offset)
        return RawReader(self.segments, segment, position, offset, self.replay_floor)


def verified(raw: bytes, segment: Segment) -> Batches:
    """The batches of ``raw``, of which each is intact, and which together continue the log that ends with ``segment``.

    Raises:
        CorruptBatch, NotContiguous: with the offset and position where it is not so.
    """
    batches: Batches = []
    end = _End(segment)
    first_flags = 0
    at, size = 0, len(raw)
    while at < size:
        header = parse_header(raw, at)
        if header is None or not is_intact(raw, at, header):
            raise CorruptBatch("batch is damaged or cut off", file=segment.path, offset=end.offset, position=at)
        if not end.take(header):
            raise NotContiguous("batch does not continue the log", file=segment.path, offset=end.offset, position=at)
        if not at:
            first_flags = header.flags
        elif (header.flags ^ first_flags) & GAPS and header.kind == DATA:
            raise NotContiguous("cleaned batches among others", file=segment.path, offset=end.offset, position=at)
        batches.append((at, header))
        at += header.size
    if end.flags & MORE:
        raise CorruptBatch("batch is not whole without the next", file=segment.path, offset=end.offset, position=at)
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
            return first_id == last_id and self.last_id in (last_id, NO_ID)  # NO_ID also if it is not known any more
        if header.flags & GAPS:
            return self.last_id <= first_id <= last_id
        return self.last_id < first_id <= last_id
