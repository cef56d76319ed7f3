"""Appending to a log: one write for each append, into the active segment; rolling to the next one.

`Appends.append` takes anything. `Appends.append_one` is the same for a single small entry: with many streams nearly
every append is one, so it touches nothing that such an append leaves as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from storage.batch import (
    DATA,
    ENTRY_TABLE,
    HEADER_SIZE,
    MORE,
    Id,
    encode_effects,
    encode_entries,
    encode_entry,
    parse_header,
)
from storage.block import Tail
from storage.caches import TAIL_ENTRY_COST
from storage.errors import DiskFailed, DiskFull, LogPoisoned, StorageError
from storage.files import disk_error, write_new
from storage.index import SparseIndex
from storage.names import INDEX, format_name
from storage.segment import Segment
from storage.sync import DirectorySync
from storage.upkeep import NEVER_MS, LogUpkeep

_SMALL = 4096  # bytes of an entry that are copied sooner than handed to the system apart from their header


class LogAppends(LogUpkeep):
    """The part of `storage.log.Log` that writes."""

    __slots__ = ("_index_due", "_tail", "append_start", "leader_epoch", "on_append")

    #: The next append at or behind this position begins a block; 0 makes any do so.
    _index_due: int
    _tail: Tail
    #: Where the last append began, for `take_back`.
    append_start: int
    #: Stands in every batch from the next `append` or `append_one` on; never falls. At first the last batch's.
    leader_epoch: int
    #: Called behind each `append` and `append_one` with the log and what was written; that began a segment if it is all
    #: of the active one. What `take_back` takes back was told of as well.
    on_append: Callable[[Any, Sequence[bytes]], None] | None

    def append(
        self,
        ms: Sequence[int],
        seqs: Sequence[int],
        payloads: Sequence[bytes],
        effects: Sequence[bytes] = (),
        *,
        now_ms: int,
    ) -> int:
        """Write entries, then effects, with one write and without a sync; the new end offset.

        All of it survives a crash or none. IDs (``ms`` and ``seqs``, parallel) rise and are above `last_id`; the
        caller sees to that, and the first one is checked.

        Raises:
            DiskFull: the log is as it was.
            DiskFailed, LogPoisoned: the log takes no more until it is opened again.
        """
        segment = self._segment_for(now_ms)
        size = segment.size
        self.append_start = offset = segment.end_offset
        ordinal = segment.end_ordinal
        last_id = first_id = segment.last_id
        count = len(payloads)
        leader_epoch = self.leader_epoch
        batches = 0
        if count:
            first_id = (ms[0], seqs[0])
            if first_id <= last_id:
                raise ValueError(f"ID {first_id} is not above {last_id}")
            last_id = (ms[-1], seqs[-1])
            buffers = self._encoded(ms, seqs, payloads, effects, now_ms)
            batches = len(buffers) >> 1
            if effects:
                buffers += encode_effects(effects, last_id, offset + count, ordinal + count, now_ms, leader_epoch)
                batches += 1
        elif effects:
            buffers = encode_effects(effects, last_id, offset, ordinal, now_ms, leader_epoch)
            batches = 1
        else:
            return offset
        try:
            file = segment.file or self.caches.open(self.filesystem, segment)
            file.append(buffers)
        except OSError as error:
            raise self._undo(error, segment) from error
        written = sum(map(len, buffers))
        if size >= self._index_due:
            self._begin_block(segment, size, first_id)
        if len(buffers) > 4:
            self._index_split(segment, size, buffers)
        segment.used = True
        segment.size = size + written
        segment.end_offset = offset = offset + count + len(effects)
        segment.end_ordinal = ordinal + count
        segment.last_id = last_id
        segment.last_append_ms = now_ms
        segment.batch_count += batches
        segment.leader_epoch = leader_epoch
        self.appended += written
        if not size:
            segment.first_append_ms = now_ms
            self._roll_at_ms = now_ms + self.config.segment_ms
        if count:
            self._extend_tail(ms, seqs, payloads, written)
        if self.on_append is not None:
            self.on_append(self, buffers)
        return offset

    def append_one(self, ms: int, seq: int, payload: bytes, now_ms: int) -> None:
        """`append` of one entry and no effects, where that is nothing special: no roll, no new block, an open file."""
        segment = self.segments.active
        config = self.config
        size = segment.size
        file = segment.file
        written = HEADER_SIZE + ENTRY_TABLE + len(payload)
        if (
            size >= self._index_due
            or size >= config.segment_bytes
            or now_ms >= self._roll_at_ms
            or file is None
            or self._poison is not None
            or written > _SMALL
            or written > config.tail_bytes_max
        ):
            self.append((ms,), (seq,), (payload,), now_ms=now_ms)
            return
        entry_id = (ms, seq)
        if entry_id <= segment.last_id:
            raise ValueError(f"ID {entry_id} is not above {segment.last_id}")
        offset = segment.end_offset
        ordinal = segment.end_ordinal
        leader_epoch = self.leader_epoch
        buffers = (encode_entry(ms, seq, payload, offset, ordinal, now_ms, leader_epoch),)
        try:
            file.append(buffers)
        except OSError as error:
            raise self._undo(error, segment) from error
        segment.used = True
        segment.size = size + written
        segment.end_offset = offset + 1
        segment.end_ordinal = ordinal + 1
        segment.last_id = entry_id
        segment.last_append_ms = now_ms
        segment.batch_count += 1
        segment.leader_epoch = leader_epoch
        self.append_start = offset
        self.appended += written
        tail = self._tail
        tail.ms.append(ms)
        tail.seqs.append(seq)
        tail.payloads.append(payload)
        cost = written + TAIL_ENTRY_COST
        tail.size += cost
        self.caches.grow_tails(cost)
        if self.on_append is not None:
            self.on_append(self, buffers)

    def take_back(self) -> None:
        """Forget the last append; the one before cannot be taken back then."""
        self.truncate(self.append_start)

    def _segment_for(self, now_ms: int) -> Segment:
        """The segment to append to: the active one, or a new one if that is full or old."""
        segment = self.segments.active
        if self._poison is not None:
            raise LogPoisoned(f"log is closed for appends: {self._poison}", file=segment.path)
        if segment.size < self.config.segment_bytes and now_ms < self._roll_at_ms:
            return segment
        self.roll(now_ms)
        return self.segments.active

    def _extend_tail(self, ms: Sequence[int], seqs: Sequence[int], payloads: Sequence[bytes], written: int) -> None:
        """Keep what was just appended in memory, unless it alone is too much."""
        tail = self._tail
        tail.ms += ms
        tail.seqs += seqs
        tail.payloads += payloads
        cost = written + TAIL_ENTRY_COST * len(payloads)
        tail.size += cost
        self.caches.grow_tails(cost)
        if tail.size > self.config.tail_bytes_max and written > self.config.tail_bytes_max:
            self.drop_tail()

    def _encoded(
        self, ms: Sequence[int], seqs: Sequence[int], payloads: Sequence[bytes], effects: Sequence[bytes],
        now_ms: int,
    ) -> tuple[bytes, ...]:  # fmt: skip
        """The entries of an append as one batch, or as several if they are much."""
        count, bytes_max = len(payloads), self.config.batch_bytes_max
        if count == 1 or len(payloads[0]) * count <= bytes_max:  # it is as small as it looks, nearly always
            segment, flags = self.segments.active, MORE if effects else 0
            buffers = encode_entries(
                ms, seqs, payloads, segment.end_offset, segment.end_ordinal, now_ms, self.leader_epoch, flags
            )
            if count == 1 or len(buffers[1]) <= bytes_max:
                return buffers
        return self._split(ms, seqs, payloads, effects, now_ms)

    def _split(
        self, ms: Sequence[int], seqs: Sequence[int], payloads: Sequence[bytes], effects: Sequence[bytes],
        now_ms: int,
    ) -> tuple[bytes, ...]:  # fmt: skip
        """A large append as several batches, so that reading one of its entries does not load all of them."""
        segment = self.segments.active
        buffers: list[bytes] = []
        start = 0
        count = len(payloads)
        while start < count:
            end = start
            size = 0
            while end < count and (end == start or size + len(payloads[end]) <= self.config.batch_bytes_max):
                size += len(payloads[end]) + ENTRY_TABLE
                end += 1
            buffers += encode_entries(
                ms[start:end], seqs[start:end], payloads[start:end],
                segment.end_offset + start, segment.end_ordinal + start, now_ms, self.leader_epoch,
                MORE if effects or end < count else 0,
            )  # fmt: skip
            start = end
        return tuple(buffers)

    def _index_split(self, segment: Segment, position: int, buffers: tuple[bytes, ...]) -> None:
        """Each DATA batch of a large append but the first begins a block."""
        assert segment.index is not None
        for prefix, rest in zip(buffers[::2], buffers[1::2], strict=True):
            header = parse_header(prefix + rest[:HEADER_SIZE])
            if header and header.kind == DATA and header.ordinal > segment.end_ordinal:
                segment.index.add(position, header.ordinal, header.base_offset, header.first_ms, header.first_seq)
            position += len(prefix) + len(rest)

    def _begin_block(self, segment: Segment, position: int, first_id: Id) -> None:
        """What is appended now begins a block; the tail begins anew with it, if it is empty or has grown too large."""
        assert segment.index is not None
        ordinal = segment.end_ordinal
        segment.index.add(position, ordinal, segment.end_offset, *first_id)
        self._index_due = position + self.config.index_interval_bytes
        tail = self._tail
        if not tail.payloads or tail.size > self.config.tail_bytes_max:
            self.caches.drop_tail(segment.number, tail)
            tail.restart(ordinal)
            self.caches.add_tail(segment.number, self)

    def _undo(self, error: OSError, segment: Segment) -> StorageError:
        """Take back what a failed append may have written."""
        problem = disk_error(error, segment.path, "append")
        problem.offset = segment.end_offset
        problem.position = segment.size
        try:
            if segment.file is not None:
                segment.file.truncate(segment.size)
        except OSError:
            self._poison = problem
        if not isinstance(problem, DiskFull):
            self._poison = problem
        return problem

    def drop_tail(self) -> None:
        """Forget the newest entries' bytes; they are read from disk from now on."""
        active = self.segments.active
        self.caches.drop_tail(active.number, self._tail)
        self._tail.restart(active.end_ordinal)
        self._index_due = 0

    def roll(self, now_ms: int) -> None:
        """Seal the active segment and begin another; nothing if it is empty.

        Raises:
            DiskFull: there is no room for another; the log is as it was.
        """
        active = self.segments.active
        if not active.size:
            return
        try:
            self.durability.before_roll()
        except DiskFailed as error:
            self._poison = error
            raise
        segment = Segment(
            self.filesystem, self.directory, active.end_offset, active.end_ordinal, active.last_id, self.caches.number()
        )
        segment.interval = self.config.index_interval_bytes
        segment.index = SparseIndex()
        segment.leader_epoch = active.leader_epoch
        try:
            self.caches.open(self.filesystem, segment, create=True)
        except OSError as error:
            raise disk_error(error, segment.path, "create the segment") from error
        self.drop_tail()
        self._seal(active)
        self.segments.add(segment)
        self._roll_at_ms = NEVER_MS
        self.durability.unsynced_sealed.append(active)
        self.durability.pending.append(DirectorySync(self.filesystem, self.directory))

    def _seal(self, segment: Segment) -> None:
        assert segment.index is not None
        path = f"{self.directory}/{format_name(segment.base_offset, INDEX)}"
        try:
            write_new(self.filesystem, path, segment.encode_index(segment.index))
        except OSError:
            pass  # no room: it is rebuilt from the log when it is needed
        segment.index = None
