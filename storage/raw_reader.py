"""A cursor over the batches of a log as they are, for whoever appends them to another."""

from __future__ import annotations

from typing import NamedTuple

from crc32c import crc32c

from storage.batch import CRC_START, HEADER, HEADER_SIZE, MAGIC, MORE, SPARSE
from storage.caches import Caches
from storage.errors import CorruptLog, NotABatchBorder, Outdated
from storage.scan import walk
from storage.segment import Segment
from storage.segments import Segments


class RawChunk(NamedTuple):
    """Whole appends out of one segment."""

    raw: bytes
    base_offset: int
    end_offset: int
    begins_segment: bool


class RawReader:
    """A place in a log, between two appends. It stays good while the log grows and rolls, and while segments behind it
    are dropped, merged or cleaned. It is done for when the one it is in is, when the log is cut, and when it comes to
    one that was cleaned since it was made: `Log.replay_floor` says who may read on then."""

    __slots__ = ("_cuts", "_floor", "_offset", "_position", "_segment", "_segments")

    def __init__(self, segments: Segments, segment: Segment, position: int, offset: int, floor: int) -> None:
        """Use `storage.raw.LogRaw.raw_reader`."""
        self._segments = segments
        self._cuts = segments.cuts
        #: Whoever reads knows that records below were left out.
        self._floor = floor
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

        Raises:
            Outdated: the segment is not what it was. If `Log.replay_floor` has passed the offset, only who reads the
                log as a whole may go on.
            CorruptLog: a batch is damaged; the place is named.
            DiskFailed: the disk cannot read them.
        """
        segment = self._current()
        position = self._position
        rest = segment.size - position
        if not rest:
            return None
        size = min(max(bytes_max, HEADER_SIZE), rest)
        while True:
            raw = segment.pread(self._segments.caches, size, position)
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
        segments, segment = self._segments, self._segment
        if segments.cuts != self._cuts:
            raise self._outdated()
        if segment is segments.active:
            return segment
        if self._position == segment.size:
            following = segments.floor(self._offset)
            if following.base_offset != self._offset or (following.cleaned and following.end_offset > self._floor):
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
        unpack, view = HEADER.unpack_from, memoryview(raw)
        whole, end_offset = 0, self._offset
        whole_offset = end_offset
        at = flags = 0
        last = len(raw) - HEADER_SIZE
        while at <= last:
            magic, size, crc, _, base_offset, _, _, _, _, _, _, _, span, _, new_flags, _ = unpack(raw, at)
            follows = base_offset == end_offset or (flags & MORE and new_flags & SPARSE and base_offset < end_offset)
            stop = at + size
            if magic != MAGIC or size < HEADER_SIZE or not follows:
                raise self._damaged(at, end_offset)
            if stop > len(raw):
                break
            if crc32c(view[at + CRC_START : stop]) != crc:
                raise self._damaged(at, end_offset)
            at = stop
            end_offset = max(end_offset, base_offset + span)
            flags = new_flags
            if not flags & MORE:
                whole, whole_offset = at, end_offset
                if at >= bytes_max:
                    break
        return whole, whole_offset

    def _damaged(self, at: int, offset: int) -> CorruptLog:
        return CorruptLog("batch is damaged", file=self._segment.path, offset=offset, position=self._position + at)


def position_of(caches: Caches, segment: Segment, offset: int) -> int:
    """Where the append that begins at an offset of the segment is.

    Raises:
        NotABatchBorder: none begins there, as the segment is now.
        CorruptLog: it cannot be found.
    """
    if offset == segment.base_offset:
        return 0
    if offset == segment.end_offset:
        return segment.size
    index = segment.load_index(caches)
    block = index.block_of_offset(offset)
    if block and index.offsets[block] == offset:
        block -= 1  # the batch before tells whether this one was written with it
    position = index.positions[block]
    flags = 0
    for found in walk(segment.open_file(caches), position, segment.size):
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
