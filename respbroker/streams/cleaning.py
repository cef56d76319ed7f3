"""Compacting a stream: when it is due, what another thread or process is asked for, and what that finds.

A round has three steps. *Survey*: go through the sealed segments for entries whose key has a later one. *Decide*: one
effect says that they are gone, as if they had been deleted; from then on nobody sees them. *Rewrite*, once that effect
is on the disk for good: segments are written anew without them and swapped in.

Survey and rewrite read only what never changes, so they may run anywhere: a request is made of plain values, and
`perform` needs nothing but a file system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from pyroaring import BitMap64

from respbroker.model.topic_settings import TopicSettings
from respbroker.resp.entry_keys import EntryKeys
from respbroker.streams.deletions import Deletions
from storage import (
    CompactionConfig,
    DiskFailed,
    FileSystem,
    Pace,
    RewriteJob,
    Sealed,
    Selection,
    Summary,
    Survey,
    rewrite,
    survey,
)

if TYPE_CHECKING:
    from respbroker.streams.stream import Stream


def config_of(settings: TopicSettings) -> CompactionConfig:
    """The settings that are about compaction."""
    return CompactionConfig(
        min_cleanable_dirty_ratio=settings.min_cleanable_dirty_ratio, delete_retention_ms=settings.delete_retention_ms
    )


def dirty_ratio(stream: Stream) -> float:
    """Which part of the sealed bytes no compaction has been through."""
    clean = stream.compacted.end_ordinal
    dirty = sealed = 0.0
    for segment in stream.log.settled():
        entries = segment.end_ordinal - segment.first_ordinal
        behind = segment.end_ordinal - max(segment.first_ordinal, clean)
        sealed += segment.size
        if behind > 0:
            dirty += segment.size * behind / entries
    return dirty / sealed if sealed else 0.0


def is_due(stream: Stream, now_ms: int) -> bool:
    """Whether a round is worth it: much is dirty, or a tombstone's time has come."""
    settings = stream.settings
    if not settings.is_compacted or not settings.key_field or not stream.log.settled():
        return False
    ratio = dirty_ratio(stream)
    if ratio and ratio >= settings.min_cleanable_dirty_ratio:
        return True
    last, retention_ms = stream.compacted, settings.delete_retention_ms
    if last.next_tombstone_ms is None or now_ms - last.next_tombstone_ms <= retention_ms:
        return False
    return now_ms - last.time_ms > retention_ms // 4  # all clean entries are looked through for it


@attrs.frozen
class SurveyResult:
    """What is superseded, as `Deletions.dump` gives it, and the rest."""

    superseded: bytes
    found: Survey


@attrs.frozen
class SurveyRequest:
    """Find out which entries a compaction removes."""

    sealed: Sealed
    first_dirty: int
    gone: bytes
    field: bytes
    config: CompactionConfig
    now_ms: int

    @classmethod
    def of(cls, stream: Stream, now_ms: int) -> SurveyRequest:
        """For a stream with nothing staged."""
        settings, log = stream.settings, stream.log
        sealed = Sealed.of(log.settled(), log.config.merge_target_bytes)
        gone = gone_before(stream, sealed.summaries[-1].end_ordinal).dump()
        config = config_of(settings)
        return cls(sealed, stream.compacted.end_ordinal, gone, settings.key_field_bytes, config, now_ms)

    def perform(self, filesystem: FileSystem, pace: Pace) -> SurveyResult | None:
        """None if a segment was dropped meanwhile. Raises CorruptLog."""
        superseded = BitMap64()
        gone = BitMap64.deserialize(self.gone) if self.gone else BitMap64()
        try:
            found = survey(
                filesystem, self.sealed, self.first_dirty, gone, superseded, EntryKeys(self.field), self.config,
                self.now_ms, pace,
            )  # fmt: skip
        except FileNotFoundError:
            return None
        superseded.run_optimize()
        return SurveyResult(superseded.serialize() if superseded else b"", found)


@attrs.frozen
class RewriteRequest:
    """Write neighbouring segments as one, without the entries that are gone; hollow are those still pending."""

    sealed: Sealed
    gone: bytes
    hollow: bytes
    effects_from: int

    @classmethod
    def of(cls, job: RewriteJob, gone: Deletions, hollow: Deletions) -> RewriteRequest:
        """For a job of `storage.Log.clean`."""
        assert job.selection is not None
        return cls(job.sealed, gone.dump(), hollow.dump(), job.selection.effects_from)

    def perform(self, filesystem: FileSystem, pace: Pace) -> Summary | None:
        """None if a segment was dropped meanwhile. Raises what `storage.rewrite` raises."""
        gone = BitMap64.deserialize(self.gone) if self.gone else BitMap64()
        hollow = BitMap64.deserialize(self.hollow) if self.hollow else frozenset[int]()
        try:
            return rewrite(filesystem, self.sealed, Selection(gone, hollow, self.effects_from), pace)
        except DiskFailed as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise


def gone_before(stream: Stream, end: int) -> Deletions:
    """What of the stored entries below ``end`` is gone: trimmed or deleted."""
    gone = stream.deletions.among([(stream.first_ordinal, end)])
    gone.add_range(stream.log.first_ordinal, min(stream.first_ordinal, end))
    return gone


def still_pending(stream: Stream, gone: Deletions) -> Deletions:
    """Those of them that some group waits for: their IDs must stay known."""
    groups = stream.groups.values()
    return gone.among((first, end) for group in groups for first, end, *_ in group.pending.stretches())
