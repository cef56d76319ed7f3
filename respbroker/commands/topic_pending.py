"""XPENDING on a topic of several partitions; and the pending entries of partitions merged in the order of IDs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import TYPE_CHECKING, Final, NamedTuple

from respbroker.commands.entries import known_ids
from respbroker.commands.pendings import PendingRange, parse_pending
from respbroker.commands.topic_groups import Part, existing_parts
from respbroker.model.stream_id import MAX, ZERO
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams.references import behind, known_from

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.table import TopicHandler
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Id, Stream
    from respbroker.streams.topic import Topic

CHUNK_FIRST: Final = 8  # IDs of a partition fetched at first; most who ask want few
CHUNK_MAX: Final = 1024


class PendingEntry(NamedTuple):
    """One pending entry. It sorts by its ID, which is unique in a topic."""

    entry_id: Id
    partition: int
    ordinal: int
    owner: bytes | None
    time_ms: int
    deliveries: int


def merged_pending(
    parts: Iterable[Part], start: Id, end: Id = MAX, consumer: bytes | None = None
) -> Iterator[PendingEntry]:
    """What is pending from ``start`` to ``end``, inclusive, in the order of IDs; nothing may change meanwhile."""
    return merge(*(_pending_of(stream, group, start, end, consumer) for stream, group in parts))


def _pending_of(stream: Stream, group: Group, start: Id, end: Id, consumer: bytes | None) -> Iterator[PendingEntry]:
    low = known_from(stream, start) if start > ZERO else 0
    high = None if end == MAX else known_from(stream, behind(end))
    if not len(group.pending) or (high is not None and high <= low):
        return
    step = CHUNK_FIRST
    for first, stop, owner, time_ms, deliveries in group.pending.stretches(low, high, consumer):
        while first < stop:
            chunk = range(first, min(stop, first + step))
            for entry_id, ordinal in zip(known_ids(stream, chunk.start, chunk.stop), chunk, strict=True):
                yield PendingEntry(entry_id, stream.partition, ordinal, owner, time_ms, deliveries)
            first, step = chunk.stop, min(2 * step, CHUNK_MAX)


def xpending(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    request = parse_pending(words)
    parts = existing_parts(topic, words[2])
    if request is None:
        return _summary(parts, ctx.client.protocol)
    return _details(parts, request, ctx.now_ms)


def _summary(parts: list[Part], protocol: int) -> bytes:
    holding = [(stream, group.pending) for stream, group in parts if len(group.pending)]
    if not holding:
        null = replies.null(protocol)
        return b"*4\r\n:0\r\n" + null + null + replies.null_array(protocol)
    counts: Counter[bytes] = Counter()
    for _, pending in holding:
        counts.update(dict(pending.counts()))
    lowest = min(stream.id_at(pending.lowest() or 0) for stream, pending in holding)
    highest = max(stream.id_at(pending.highest() or 0) for stream, pending in holding)
    return b"*4\r\n%b%b%b%b" % (
        replies.integer(sum(len(pending) for _, pending in holding)),
        replies.bulk(b"%d-%d" % lowest),
        replies.bulk(b"%d-%d" % highest),
        replies.array([replies.bulk_array([name, b"%d" % counts[name]]) for name in sorted(counts)]),
    )


def _details(parts: list[Part], request: PendingRange, now_ms: int) -> bytes:
    rows: list[bytes] = []
    if request.count:
        for each in merged_pending(parts, request.start, request.end, request.consumer):
            idle = max(now_ms - each.time_ms, 0)
            if idle < request.min_idle:
                continue
            told_idle = -1 if each.owner is None else idle
            owner = replies.bulk(each.owner or b"")
            head = replies.bulk(b"%d-%d" % each.entry_id)
            rows.append(b"*4\r\n%b%b:%d\r\n:%d\r\n" % (head, owner, told_idle, each.deliveries))
            if len(rows) == request.count:
                break
    return replies.array(rows)


ON_TOPIC: Final[dict[str, TopicHandler]] = {"XPENDING": xpending}
