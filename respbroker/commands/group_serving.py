"""Serving one stream of an XREADGROUP: new entries, and old ones claimed on the way.

A read of new entries is a slice of the log, one effect, and no work for single entries. With CLAIM, entries that
have been pending for long come first, and every entry says for how long and how often it was given away before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.commands.entries import array_of_ranges
from respbroker.commands.read_limits import Budget
from respbroker.sessions.client import Output
from respbroker.streams import effects
from respbroker.streams.assignments import joined
from respbroker.streams.pending import COUNT_MAX
from respbroker.streams.references import read_counter, unread_from
from respbroker.streams.runs import consecutive

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.delivery import GroupRead
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Range, Stream


def deliver(
    ctx: Context, stream: Stream, group: Group, request: GroupRead, budget: Budget | None
) -> list[Output] | None:
    """Give out new entries: all that is wanted, as slices of the log."""
    first = unread_from(stream, group)
    end = stream.end_ordinal
    if first >= end:
        return None
    ranges = stream.live_ranges(first, end, request.count)
    if budget is not None:
        ranges = budget.cut(stream, ranges)
    if not ranges:
        return None
    hand_over(ctx, stream, group, request, ranges)
    return array_of_ranges(stream, ranges)


def hand_over(ctx: Context, stream: Stream, group: Group, request: GroupRead, ranges: list[Range]) -> int:
    """Move the group's cursor behind ``ranges`` of new entries, which become pending unless NOACK; their number."""
    taken = 0
    for low, high in ranges:
        taken += high - low
    next_ordinal = ranges[-1][1]
    last_id = stream.highest_id if next_ordinal == stream.end_ordinal else stream.id_at(next_ordinal - 1)
    counter = read_counter(stream, group, ranges[0][0], last_id, taken)
    ms, seq = last_id
    if request.no_ack:
        stream.commit([effects.GROUP_ID_SET, group.name, ms, seq, next_ordinal, counter])
    else:
        stream.commit(
            [effects.DELIVERED, group.name, request.consumer, ranges, ctx.now_ms, ms, seq, next_ordinal, counter]
        )
    ctx.dirty += taken
    return taken


def claim_and_deliver(
    ctx: Context, stream: Stream, group: Group, request: GroupRead, budget: Budget | None
) -> list[Output] | None:
    """With CLAIM: entries nobody owns, then those pending for long enough, then new ones; COUNT covers all."""
    assert request.claim_ms is not None
    now_ms = ctx.now_ms
    claimed: list[tuple[int, int, int]] = []  # ordinal, idle time, earlier deliveries
    for ordinal, owner, time_ms, deliveries in group.pending.oldest_first(now_ms - request.claim_ms):
        if len(claimed) == request.count or (budget is not None and not budget.left):
            break
        if not stream.is_live(ordinal):
            continue
        if budget is not None and not budget.take(stream.sizes(ordinal, ordinal + 1)[0]):
            break
        claimed.append((ordinal, -1 if owner is None else max(now_ms - time_ms, 0), deliveries))
    entries: list[Output] = []
    if claimed:
        parts = [(o, o + 1, now_ms, min(deliveries + 1, COUNT_MAX)) for o, _, deliveries in claimed]
        stream.commit([effects.ASSIGNED, group.name, request.consumer, joined(parts), now_ms])
        ctx.dirty += len(claimed)
        payloads = stream.payloads_each(consecutive([ordinal for ordinal, _, _ in claimed]))
        for payload, (_, idle, deliveries) in zip(payloads, claimed, strict=True):
            entries.append(b"*4%b:%d\r\n:%d\r\n" % (payload[2:], idle, deliveries))
    left = None if request.count is None else request.count - len(claimed)
    ranges = stream.live_ranges(unread_from(stream, group), stream.end_ordinal, left)
    if budget is not None:
        ranges = budget.cut(stream, ranges)
    if ranges:
        hand_over(ctx, stream, group, request, ranges)
        entries += [b"*4%b:0\r\n:0\r\n" % payload[2:] for payload in stream.payloads_each(ranges)]
    return [b"*%d\r\n" % len(entries), *entries] if entries else None
