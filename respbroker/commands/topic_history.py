"""XREADGROUP with an ID on a topic of several partitions: what a consumer holds, in the order of IDs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.commands.dead_letters import watch_all
from respbroker.commands.topic_pending import PendingEntry, merged_pending
from respbroker.resp import replies
from respbroker.streams import effects
from respbroker.streams.assignments import joined
from respbroker.streams.pending import COUNT_MAX
from respbroker.streams.references import behind
from respbroker.streams.runs import consecutive

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.delivery import GroupRead
    from respbroker.commands.read_limits import Budget
    from respbroker.model.stream_id import StreamId
    from respbroker.sessions.client import Output
    from respbroker.streams.stream import Stream
    from respbroker.streams.topic_group import TopicGroup


def read_topic_history(
    ctx: Context, work: TopicGroup, request: GroupRead, after: StreamId, budget: Budget | None
) -> list[Output] | None:
    """What is pending with the consumer behind ``after``; live entries count as delivered once more.

    In ordered mode what it holds in partitions that are not its own any more is not told: it is another's to handle.
    """
    if budget is not None and not budget.left:
        return None
    topic, consumer = work.topic, request.consumer
    parts = [
        (stream, stream.groups[work.name])
        for index, stream in enumerate(topic.partitions)
        if not topic.is_ordered or work.owns(consumer, index)
    ]
    dead = watch_all(ctx, topic, work.name)
    gone = replies.null_array(ctx.client.protocol)
    told: list[tuple[PendingEntry, bytes | None]] = []  # with what is told of it where the entry is gone
    for each in merged_pending(parts, behind(after), consumer=consumer):
        if len(told) == request.count:
            break
        stream = topic.partitions[each.partition]
        letters = dead.get(each.partition)
        if letters is not None and letters.takes(each.ordinal, each.ordinal + 1, consumer, each.deliveries):
            continue
        wire = None
        if not stream.is_live(each.ordinal):
            wire = b"*2\r\n%b%b" % (replies.bulk(b"%d-%d" % each.entry_id), gone)
        if budget is not None:
            size = stream.sizes(each.ordinal, each.ordinal + 1)[0] if wire is None else len(wire)
            if not budget.take(size):
                break
        told.append((each, wire))
    for letters in dead.values():
        letters.bury()
    live = _by_partition([each for each, wire in told if wire is None])
    payloads = {
        partition: iter(topic.partitions[partition].payloads_each(consecutive([each.ordinal for each in entries])))
        for partition, entries in live.items()
    }
    reply = [wire if wire is not None else next(payloads[each.partition]) for each, wire in told]
    for partition, entries in live.items():
        _count(ctx, topic.partitions[partition], request, entries)
    return [b"*%d\r\n" % len(reply), *reply]


def _by_partition(entries: list[PendingEntry]) -> dict[int, list[PendingEntry]]:
    found: dict[int, list[PendingEntry]] = {}
    for each in entries:
        found.setdefault(each.partition, []).append(each)
    return found


def _count(ctx: Context, stream: Stream, request: GroupRead, entries: list[PendingEntry]) -> None:
    """They were delivered once more."""
    parts = [(e.ordinal, e.ordinal + 1, ctx.now_ms, min(e.deliveries + 1, COUNT_MAX)) for e in entries]
    stream.commit([effects.ASSIGNED, request.group, request.consumer, joined(parts), ctx.now_ms, False])
