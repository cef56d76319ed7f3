"""Segments that are merged or cleaned, and putting what was written anew in their place."""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import pairwise

import attrs

from storage.caches import Caches
from storage.config import LogConfig
from storage.durability import Durability
from storage.files import disk_error
from storage.filesystem import FileSystem
from storage.merge import Selection
from storage.rewrite import RewriteJob
from storage.segment import Segment
from storage.segments import Segments
from storage.snapshot import Snapshots


class LogSwaps:
    """The part of `storage.log.Log` that has segments rewritten."""

    __slots__ = ()

    filesystem: FileSystem
    directory: str
    config: LogConfig
    caches: Caches
    segments: Segments
    snapshots: Snapshots
    durability: Durability
    _remove_files: Callable[[Segment], None]

    def settled(self) -> list[Segment]:
        """Sealed segments that are synced beyond any doubt: those that may be rewritten."""
        return [segment for segment in self.segments.sealed if segment.base_offset < self.durability.durable_base]

    def merge_candidates(self) -> list[Segment]:
        """Settled segments of small batches, for `merge`."""
        return [segment for segment in self.settled() if self.has_small_batches(segment)]

    def has_small_batches(self, segment: Segment) -> bool:
        """Whether merging would make much fewer ones of them."""
        return not segment.merged and segment.size < segment.batch_count * self.config.merge_target_bytes // 2

    def merge(self, segment: Segment) -> RewriteJob:
        """A job whose ``run()`` may be called in another thread; then comes `swap`."""
        return RewriteJob(self.filesystem, [segment], self.config.merge_target_bytes)

    def clean(self, segments: list[Segment], selection: Selection) -> RewriteJob:
        """The same for settled neighbours, which become one segment without what was selected to go.

        What is selected must be known to be gone by effects, or a snapshot, that are on the disk for good. Effects
        that all snapshots have are left out with it.
        """
        assert all(self.may_join(*pair) for pair in pairwise(segments))
        from_offset = self.snapshots.effects_from
        if segments[-1].end_offset <= from_offset:
            selection = attrs.evolve(selection, effects_from=from_offset)
        return RewriteJob(self.filesystem, segments, self.config.merge_target_bytes, selection)

    def may_join(self, segment: Segment, following: Segment) -> bool:
        """Whether a cleaning may make one of them: effects of both can be left out, or of neither, and retention is not
        put off by much, for a segment goes with its last entry."""
        from_offset, retention_ms = self.snapshots.effects_from, self.config.retention_ms
        if retention_ms is not None:
            step_ms = retention_ms // 8 + 1
            if segment.last_append_ms // step_ms != following.last_append_ms // step_ms:
                return False
        first, second = (each.bare or each.end_offset <= from_offset for each in (segment, following))
        return first == second

    def swap(self, job: RewriteJob) -> int:
        """Put a finished job's segment in place of the old ones; bytes freed (0 if one was dropped meanwhile)."""
        steps = self.swap_in_steps(job)
        while True:
            try:
                next(steps)()
            except StopIteration as end:
                return int(end.value)
            except OSError as error:
                raise disk_error(error, job.path, "swap in the rewritten segment") from error

    def swap_in_steps(self, job: RewriteJob) -> Generator[Callable[[], None], None, int]:
        """The same in steps. What it yields waits for the disk, and may be called in another thread before the next.

        Raises:
            DiskFull, DiskFailed: the next opening finishes it, or takes it back.
        """
        try:
            if job.selection is None:
                return self._swap_merged(job)
            return (yield from self._swap_cleaned(job))
        except OSError as error:
            raise disk_error(error, job.path, "swap in the rewritten segment") from error

    def _swap_merged(self, job: RewriteJob) -> int:
        if not self._may_swap(job):
            return 0
        new = self._rewritten(job)
        job.install()
        self._replace(job, new)
        return job.segments[0].size - new.size

    def _swap_cleaned(self, job: RewriteJob) -> Generator[Callable[[], None], None, int]:
        """Meanwhile the index of the segment is kept in memory, for its file is on the way out or in."""
        if not self._may_swap(job):
            return 0
        old = job.segments
        old[0].index = old[0].load_index(self.caches)
        yield job.clear
        if not self._may_swap(job):
            return 0
        new = self._rewritten(job)
        new.index = job.new_index()
        job.rename_log()
        self._replace(job, new)
        yield job.settle
        if new in self.segments.sealed:
            job.rename_index()
            new.index = None
        else:
            job.discard()
        for segment in old[1:]:
            self._remove_files(segment)
        return sum(segment.size for segment in old) - new.size

    def _may_swap(self, job: RewriteJob) -> bool:
        """Whether there is something to swap in, and for what; else it is removed."""
        sealed = self.segments.sealed
        if job.result is not None and all(segment in sealed for segment in job.segments):
            return True
        job.discard()
        return False

    def _rewritten(self, job: RewriteJob) -> Segment:
        first, last = job.segments[0], job.segments[-1]
        new = Segment(
            self.filesystem, self.directory, first.base_offset, first.first_ordinal, last.last_id, self.caches.number()
        )
        new.interval = first.interval
        assert job.result is not None
        new.adopt(job.result)
        return new

    def _replace(self, job: RewriteJob, new: Segment) -> None:
        for segment in job.segments:
            self.caches.forget(segment)
        self.segments.replace(job.segments[0], new, len(job.segments))
