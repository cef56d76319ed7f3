"""Compaction of the node's streams, one round at a time; see `respbroker.streams.cleaning` for the steps of one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import attrs

from respbroker.broker.job import Job
from respbroker.streams.catalog import INTERNAL
from respbroker.streams.cleaning import (
    RewriteRequest,
    SurveyRequest,
    SurveyResult,
    dirty_ratio,
    gone_before,
    is_due,
    still_pending,
)
from respbroker.streams.deletions import Deletions
from storage import CompactionConfig, Dead, RewriteJob, Selection, StorageError, groups

if TYPE_CHECKING:
    from respbroker.broker.housekeeping import Housekeeping
    from respbroker.broker.node import Node
    from respbroker.streams.stream import Stream
    from storage.segment import Segment

LOOK_SECONDS: Final = 10.0  # how often it is looked which streams are due
OPENED_AT_ONCE: Final = 10  # closed streams opened for a look, between the requests of clients
RETRY_SECONDS: Final = 60.0  # after a failure


@attrs.define(eq=False)
class _Round:
    """One round of one stream, as far as it has got."""

    stream: Stream
    request: SurveyRequest
    began_at: float
    #: A job is in its thread.
    is_away: bool = True
    result: SurveyResult | None = None
    #: The decision is durable when the log is synced up to here.
    offset: int = 0
    #: It is known to the replicas when the high watermark has come so far; -1 until the tick of the decision is over.
    position: int = -1
    gone: Deletions = attrs.field(factory=Deletions)
    hollow: Deletions = attrs.field(factory=Deletions)
    jobs: Iterator[RewriteJob] | None = None
    freed: int = 0


class Compactor:
    """Owns the round that is under way. Called at the end of ticks."""

    def __init__(self, node: Node, housekeeping: Housekeeping) -> None:
        self._node = node
        self._housekeeping = housekeeping
        self._round: _Round | None = None
        self._look_at = 0.0
        self._not_before: dict[int, float] = {}  # streams whose last round failed
        self._rewritten: dict[int, int] = {}  # on a follower: up to which ordinal each stream's files are
        self._opened: set[int] = set()  # streams opened for a look; a closed one does not change

    @property
    def waits_for_sync(self) -> bool:
        """Whether nothing can go on until what is written has been synced."""
        each = self._round
        return each is not None and bool(each.offset) and each.jobs is None

    def run(self) -> None:
        """Go on where something can go on."""
        each = self._round
        if each is None:
            if self._node.now >= self._look_at:
                self._begin()
            return
        if each.is_away:
            return
        if not self._is_live(each.stream):
            self._round = None
        elif not each.offset:
            self._decide(each)
        elif each.jobs is None and self._is_for_good(each):
            each.jobs = iter(self._rewrites(each))
            self._rewrite(each)

    def _is_live(self, stream: Stream) -> bool:
        return stream.log in self._node.keyspace.live_logs and stream.settings.is_compacted

    def _is_for_good(self, each: _Round) -> bool:
        """Whether the decision is on the disk, and known to every in-sync replica: no failover takes it back."""
        if each.stream.log.durability.synced.offset < each.offset:
            return False
        replication = self._node.replication
        if each.position < 0:
            each.position = replication.position
        return replication.high_watermark >= each.position and (not replication.follows or replication.is_settled)

    # -- the steps of a round ------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Survey the stream that is most in need of it."""
        node = self._node
        self._look_at = node.now + LOOK_SECONDS
        if node.write_refusal or node.replication.unconfirmed:
            return
        self._open_closed()
        due = [
            stream
            for stream in node.keyspace.opened()
            if self._is_due(stream)
            and self._not_before.get(stream.number, 0.0) <= node.now
            and not node.replication.is_sent(stream.number)
        ]
        if not due:
            return
        stream = max(due, key=dirty_ratio)
        each = self._round = _Round(stream, SurveyRequest.of(stream, node.now_ms), node.now)

        def surveyed(result: SurveyResult | None) -> None:
            each.result, each.is_away = result, False
            if result is None:  # a segment was dropped meanwhile, or all of the stream
                self._round = None
            self._housekeeping.next_at = node.now

        self._submit(each, "survey", each.request, surveyed)

    def _is_due(self, stream: Stream) -> bool:
        """On a follower the leader has decided what is gone, and what is sealed is still to be rewritten."""
        if not self._node.replication.follows:
            return is_due(stream, self._node.now_ms)
        decided = stream.compacted.end_ordinal
        if not stream.settings.is_compacted or decided <= self._rewritten.get(stream.number, 0):
            return False
        return bool(stream.log.settled())

    def _open_closed(self) -> None:
        """Open some compacted streams that nobody has used since the start; there may be more at the next look."""
        keyspace, opened = self._node.keyspace, 0
        if not keyspace.settled:
            return
        for db, key, entry in keyspace.compacted():
            for index, leaf in enumerate(entry.leaves):
                if leaf.stream is not None or leaf.number in self._opened:
                    continue
                if opened == OPENED_AT_ONCE:
                    self._look_at = self._node.now
                    return
                opened += 1
                self._opened.add(leaf.number)
                try:
                    keyspace.open_leaf(db, key, entry, index)
                except StorageError as error:
                    self._housekeeping.report("error", str(error))

    def _decide(self, each: _Round) -> None:
        """Say what is gone, and see that it is written: only what the disk has may be acted upon."""
        node, stream, result = self._node, each.stream, each.result
        assert result is not None
        if node.write_refusal:
            self._round = None
            return
        found = result.found
        if node.replication.follows:
            self._rewritten[stream.number] = stream.compacted.end_ordinal
        else:
            stream.compact(result.superseded, found.end_ordinal, found.next_tombstone_ms, each.request.now_ms)
            node.durability.flush(midway=True)
        if node.write_refusal:
            self._round = None
            return
        each.offset = stream.log.end_offset
        each.gone = gone_before(stream, each.request.sealed.summaries[-1].end_ordinal)
        each.hollow = still_pending(stream, each.gone)

    def _rewrites(self, each: _Round) -> list[RewriteJob]:
        """What is worth being rewritten, of the segments that were surveyed and are still there."""
        assert each.result is not None
        log, found = each.stream.log, each.result.found
        settled = {segment.base_offset: segment for segment in log.settled()}
        segments: list[Segment] = []
        dead: list[Dead] = []
        for summary, counted in zip(each.request.sealed.summaries, found.segments, strict=True):
            segment = settled.get(summary.base_offset)
            if segment is None or segment.end_offset != summary.end_offset or self._housekeeping.is_merged(segment):
                continue
            if summary.first_ordinal >= found.end_ordinal:
                break
            neighbour = segments[-1] if segments else None
            joins = (
                neighbour is not None
                and neighbour.end_offset == segment.base_offset
                and log.may_join(neighbour, segment)
            )
            segments.append(segment)
            dead.append(attrs.evolve(counted, joins=joins, small_batches=log.has_small_batches(segment)))
        selection = Selection(each.gone, each.hollow)
        ratio = CompactionConfig().min_dead_ratio
        return [
            log.clean([segments[place] for place in group], selection)
            for group in groups(dead, log.config.segment_bytes, ratio)
        ]

    def _rewrite(self, each: _Round) -> None:
        """Rewrite the next group, or end the round."""
        assert each.jobs is not None
        job = next(each.jobs, None)
        if job is None:
            self._end(each)
            return

        def rewritten(result: Any) -> None:
            job.result, each.is_away = result, False
            if not self._is_live(each.stream):
                self._round = None
                return
            self._swap(each, each.stream.log.swap_in_steps(job))

        each.is_away = True
        self._submit(each, "rewrite", RewriteRequest.of(job, each.gone, each.hollow), rewritten)

    def _swap(self, each: _Round, steps: Generator[Callable[[], None], None, int]) -> None:
        """Put what was rewritten in its place; what waits for the disk is done in a thread."""
        if not self._is_live(each.stream):
            self._round = None
            return
        try:
            step = next(steps)
        except StopIteration as end:
            each.freed += end.value
            self._rewrite(each)
        except StorageError as error:
            self._failed(each, error)
        else:
            name = f"swap in {each.stream.log.directory}"
            each.is_away = True
            self._housekeeping.submit(
                Job(name, step, lambda _: self._swap(each, steps), lambda error: self._failed(each, error))
            )

    def _end(self, each: _Round) -> None:
        assert each.result is not None
        found, stream = each.result.found, each.stream
        name = stream.key.decode("utf-8", "backslashreplace")
        if stream.db == INTERNAL:
            name = f"the values of database {name}"
        seconds = self._node.now - each.began_at
        self._housekeeping.report(
            "info",
            f"compacted {name} in {seconds:.1f} s: {found.keys_count} keys in {found.read_bytes} bytes,"
            f" {each.freed} bytes given back",
        )
        self._round = None
        self._look_at = self._node.now  # another one may be due, or this one had more keys than fit

    # -- jobs ----------------------------------------------------------------------------------------------------

    def _submit(self, each: _Round, what: str, request: Any, done: Any) -> None:
        filesystem = self._node.keyspace.filesystem

        def run() -> Any:
            return request.perform(filesystem, lambda size: None)

        job = Job(f"{what} {request.sealed.directory}", run, done, lambda error: self._failed(each, error), request)
        self._housekeeping.submit(job)

    def _failed(self, each: _Round, error: Exception) -> None:
        """Nothing is lost: what was decided stays, and is rewritten by a later round."""
        self._not_before[each.stream.number] = self._node.now + RETRY_SECONDS
        self._round = None
        self._housekeeping.report("error", f"compaction stopped: {error}")
