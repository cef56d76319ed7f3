"""Leader epochs: which the last one is, and where each ends. What two logs ask each other to find where they differ."""

from __future__ import annotations

from storage.batch import HEADER_SIZE, parse_header
from storage.caches import Caches
from storage.errors import CorruptLog
from storage.scan import walk
from storage.segment import Segment
from storage.segments import Segments


class LogEpochs:
    """The part of `storage.log.Log` that knows epochs. They never fall from one batch to the next."""

    __slots__ = ()

    caches: Caches
    segments: Segments

    @property
    def last_epoch(self) -> int:
        """The epoch of the last batch; 0 if there never was one, or none was written in an epoch."""
        return self.segments.active.leader_epoch

    def epoch_end(self, epoch: int) -> int:
        """The offset behind the last record written in ``epoch`` or one before it; `start_offset` if there is none.

        If there is none, what came before the log may be of a later epoch: `Log.origin` knows.

        An append began there, so the log can be cut at it, also where segments were merged since: no batch holds
        records of two epochs.

        Raises:
            CorruptLog: the segment in which it must be is damaged.
        """
        segments = self.segments
        if epoch >= segments.active.leader_epoch:
            return segments.active.end_offset
        for segment in segments.all:
            if segment.leader_epoch > epoch and segment.size:
                return self._epoch_end_in(segment, epoch)
        return segments.active.base_offset

    def _epoch_end_in(self, segment: Segment, epoch: int) -> int:
        """Where the first batch of a later epoch begins; there is one."""
        index = segment.load_index(self.caches)
        low, high = 0, len(index)  # the first block that begins with such a batch: it, or the block before it
        while low < high:
            middle = (low + high) // 2
            if self._epoch_at(segment, index.positions[middle]) > epoch:
                high = middle
            else:
                low = middle + 1
        position = index.positions[low - 1] if low else 0
        for found in walk(segment.open_file(self.caches), position, segment.size):
            if found.header.leader_epoch > epoch:
                return found.header.base_offset
            position = found.position + found.header.size
        raise CorruptLog("batch is damaged", file=segment.path, position=position)

    def _epoch_at(self, segment: Segment, position: int) -> int:
        header = parse_header(segment.pread(self.caches, min(HEADER_SIZE + 4, segment.size - position), position))
        if header is None:
            raise CorruptLog("batch is damaged", file=segment.path, position=position)
        return header.leader_epoch
