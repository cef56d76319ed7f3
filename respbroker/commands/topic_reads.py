"""XLEN, XRANGE, XREVRANGE and XREAD of a topic of several partitions: one sequence of entries, in the order of IDs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.commands.arguments import parse_int
from respbroker.commands.entries import array_of_merged
from respbroker.commands.framing import framed
from respbroker.commands.read_limits import Budget
from respbroker.model.stream_id import MAX, parse_range_end, parse_range_start
from respbroker.resp import replies
from respbroker.streams.merged import Merged
from respbroker.streams.references import behind
from respbroker.streams.topic import Topic

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.reads import ReadRequest
    from respbroker.sessions.client import Output, Reply
    from respbroker.streams.stream import Id, Stream


def xlen_of_topic(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    ctx.count_lookup(True)
    return replies.integer(topic.length)


def xrange_of_topic(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    return _range(ctx, topic, words, words[2], words[3], backwards=False)


def xrevrange_of_topic(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    return _range(ctx, topic, words, words[3], words[2], backwards=True)


def _range(ctx: Context, topic: Topic, words: list[bytes], start: bytes, end: bytes, *, backwards: bool) -> Reply:
    """The words are right: the handler has read them before it found the topic."""
    ctx.count_lookup(True)
    count = parse_int(words[-1]) if len(words) > 4 else None  # the last COUNT counts
    if count is not None and count <= 0:
        return replies.null_array(ctx.client.protocol)
    first_id, last_id = parse_range_start(start), parse_range_end(end)
    return array_of_merged(Merged(topic.partitions, first_id, last_id, count, backwards=backwards))


# -- XREAD -----------------------------------------------------------------------------------------------------


def read_any(ctx: Context, request: ReadRequest) -> Reply:
    """What there is behind the IDs, be the keys streams or topics; None where nothing is."""
    budget = Budget(request.count_max, request.size_max)
    served: list[tuple[bytes, list[Output]]] = []
    for index, (key, after) in enumerate(zip(request.keys, request.after, strict=True)):
        found = ctx.find(key)
        ctx.count_lookup(found is not None)
        if found is None or after >= found.last_id:
            continue
        partitions = found.partitions if isinstance(found, Topic) else [found]
        entries = _entries_behind(partitions, after, 1 if index in request.newest else request.count, budget)
        if entries:
            served.append((key, entries))
    return framed(served, ctx.client.protocol) if served else None


def _entries_behind(partitions: list[Stream], after: Id, count: int | None, budget: Budget) -> list[Output]:
    """The array of the first ``count`` entries behind an ID, as many as fit; empty if there are none."""
    if budget.bounded and budget.left >= 0:
        count = budget.left if count is None else min(count, budget.left)
        if not count:
            return []
    merged = Merged(partitions, behind(after), MAX, count)
    if budget.bounded and merged.count:
        merged = Merged(partitions, behind(after), MAX, _fitting(merged, budget))
    return array_of_merged(merged) if merged.count else []


def _fitting(merged: Merged[Stream], budget: Budget) -> int:
    """How many entries still fit into the reply; they are counted."""
    fitting = 0
    for stream, first, end in merged.runs():
        cut = budget.cut(stream, [(first, end)])
        taken = sum(high - low for low, high in cut)
        fitting += taken
        if taken < end - first:
            break
    return fitting


def last_entry_id(found: Stream | Topic) -> Id | None:
    """The ID of the last live entry."""
    partitions = found.partitions if isinstance(found, Topic) else [found]
    ids = (stream.id_at(last) for stream in partitions if (last := stream.last_live()) is not None)
    return max(ids, default=None)
