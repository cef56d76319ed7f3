"""Reading sealed segments to find out what a compaction keeps; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from storage.batch import CONTROL
from storage.compaction import Compaction, CompactionConfig, Dead, KeysOf, Marks
from storage.errors import CorruptLog
from storage.filesystem import FileSystem
from storage.index import Summary
from storage.merge import Ordinals, ordinals_of
from storage.rewrite import Pace, Sealed, at_once
from storage.scan import take_all

#: Entries that one round goes through at most: the marks of what is dead become one effect.
DIRTY_MAX = 1 << 25
_PACE_SIZE = 1 << 20


@attrs.frozen
class Survey:
    """What a round found."""

    #: Entries below have been through a compaction.
    end_ordinal: int
    #: Append time of the earliest tombstone that stays below.
    next_tombstone_ms: int | None
    keys_count: int
    read_bytes: int
    #: Of each of the segments, how much is dead: what was gone before and what is found to be so.
    segments: tuple[Dead, ...]


def survey(
    filesystem: FileSystem,
    sealed: Sealed,
    first_dirty: int,
    gone: Ordinals,
    dead: Marks,
    keys_of: KeysOf,
    config: CompactionConfig,
    now_ms: int,
    pace: Pace = at_once,
) -> Survey:
    """Go through the dirty entries, from ``first_dirty`` on, then through the clean ones.

    ``gone`` are the entries that are deleted; what the compaction removes is added to ``dead``.

    Raises:
        CorruptLog: a segment is damaged.
    """
    return _Surveying(filesystem, sealed, first_dirty, gone, dead, keys_of, config, now_ms, pace).run()


@attrs.frozen
class _Batch:
    """The live entries of a batch."""

    ordinals: Sequence[int]
    keys: Sequence[bytes | None]
    tombstones: Sequence[int]
    append_ms: int


class _Surveying:
    """One run of `survey`."""

    def __init__(
        self, filesystem: FileSystem, sealed: Sealed, first_dirty: int, gone: Ordinals, dead: Marks,
        keys_of: KeysOf, config: CompactionConfig, now_ms: int, pace: Pace,
    ) -> None:  # fmt: skip
        self._filesystem = filesystem
        self._sealed = sealed
        self._first_dirty = first_dirty
        self._gone = gone
        self._dead = dead
        self._keys_of = keys_of
        self._pace = pace
        self._compaction = Compaction(dead, config.keys_max, now_ms - config.delete_retention_ms)
        self._read_bytes = 0
        #: By segment: entries stored, and those of them that were gone before.
        self._rows: dict[int, list[int]] = {}

    def run(self) -> Survey:
        end_ordinal = self._add_dirty()
        compaction = self._compaction
        compaction.end_dirty()
        for summary in self._sealed.summaries:
            if summary.first_ordinal < self._first_dirty:
                for batch in self._batches(summary, 0, self._first_dirty):
                    compaction.add_clean(batch.ordinals, batch.keys, batch.tombstones, batch.append_ms)
        segments = tuple(self._count(summary) for summary in self._sealed.summaries)
        return Survey(end_ordinal, compaction.next_tombstone_ms, compaction.keys_count, self._read_bytes, segments)

    def _add_dirty(self) -> int:
        """Up to which ordinal it got."""
        compaction = self._compaction
        end = self._first_dirty
        for summary in self._sealed.summaries:
            if summary.end_ordinal <= self._first_dirty:
                continue
            for batch in self._batches(summary, self._first_dirty, summary.end_ordinal):
                if batch.ordinals:
                    compaction.add_dirty(batch.ordinals, batch.keys, batch.tombstones, batch.append_ms)
                    end = batch.ordinals[-1] + 1
                if compaction.is_full or end - self._first_dirty >= DIRTY_MAX:
                    return end
            end = summary.end_ordinal
        return end

    def _batches(self, summary: Summary, first: int, end: int) -> Iterator[_Batch]:
        """The batches of a segment, with their live entries of ``first ≤ ordinal < end``."""
        path = self._sealed.path(summary)
        rows = self._rows.setdefault(summary.base_offset, [0, 0])
        position = paced = 0
        for position, header, table in take_all(self._filesystem.open(path), summary.log_size):
            if position - paced >= _PACE_SIZE:
                self._pace(position - paced)
                paced = position
            if header.kind == CONTROL or header.end_ordinal <= first or header.ordinal >= end:
                continue
            ordinals = ordinals_of(header, table)
            keys, tombstones = self._keys_of(table.payload, table.ends)
            batch = _Batch(ordinals, keys, list(tombstones), header.append_ms)
            if self._gone or header.ordinal < first or header.end_ordinal > end:
                rows[0] += len(ordinals)
                batch = self._live(batch, first, end, rows)
            else:
                rows[0] += len(ordinals)
            yield batch
        self._read_bytes += position
        if position != summary.log_size:
            raise CorruptLog("batch is damaged", file=path, position=position)

    def _live(self, batch: _Batch, first: int, end: int, rows: list[int]) -> _Batch:
        """The same without what is gone, or outside of the range."""
        ordinals, gone = batch.ordinals, self._gone
        within = [place for place, ordinal in enumerate(ordinals) if first <= ordinal < end]
        kept = [place for place in within if ordinals[place] not in gone]
        rows[1] += len(within) - len(kept)
        rows[0] -= len(ordinals) - len(within)
        tombstones = set(batch.tombstones)
        return _Batch(
            [ordinals[place] for place in kept],
            [batch.keys[place] for place in kept],
            [new for new, place in enumerate(kept) if place in tombstones],
            batch.append_ms,
        )

    def _count(self, summary: Summary) -> Dead:
        stored, gone = self._rows.get(summary.base_offset, (0, 0))
        dead = gone + self._dead.range_cardinality(summary.first_ordinal, summary.end_ordinal)
        return Dead(summary.log_size, summary.log_size * dead // stored if stored else 0)
