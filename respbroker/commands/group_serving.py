"""Serving one stream of an XREADGROUP: new entries, and old ones claimed on the way.

A read of new entries is a slice of the log, one effect, and no work for single entries. With CLAIM, entries that
have been pending for long come first, and every entry says for how long and how often it was given away before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands import dead_letters
from respbroker.commands.entries import array_of_ranges
from respbroker.commands.groups import see_consumer
from respbroker.commands.history import read_history
from respbroker.commands.read_limits import Budget
from respbroker.errors import ReplyError
from respbroker.model.stream_id import MAX, StreamId, parse_id
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

NEW: Final = b">"


def history_start(word: bytes) -> StreamId | None:
    """Behind which ID a consumer reads its history again; None if it asks for new entries.

    Raises:
        ReplyError: ``$`` and ``+`` are IDs for others.
    """
    if word == NEW:
        return None
    if word in (b"$", b"+"):
        sign = word.decode()
        raise ReplyError(
            f"The {sign} ID is meaningless in the context of XREADGROUP: you want to read the history of this "
            "consumer by specifying a proper ID, or use the > ID to get new messages. "
            f"The {sign} ID would just return an empty result set."
        )
    after = parse_id(word)
    return None if after == MAX else after


def serve(
    ctx: Context, stream: Stream, group: Group, request: GroupRead, after: StreamId | None, budget: Budget | None
) -> list[Output] | None:
    """What one stream has for the consumer: its history behind ``after``, or else entries that are new to it."""
    see_consumer(ctx, stream, group, request.consumer)
    if after is not None:
        return read_history(ctx, stream, group, request, after, budget)
    if request.claim_ms is not None:
        return claim_and_deliver(ctx, stream, group, request, budget)
    return deliver(ctx, stream, group, request, budget)


def oldest_claimable(ctx: Context, stream: Stream, group: Group) -> int:
    """When the entry that will be claimed next was delivered; now, if nothing is pending."""
    pending = group.pending.oldest_first(ctx.now_ms)
    return min(ctx.now_ms, next((time for o, _, time, _ in pending if stream.is_live(o)), ctx.now_ms))


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
    dead = dead_letters.watch(ctx, stream, group)
    claimed: list[tuple[int, int, int]] = []  # ordinal, idle time, earlier deliveries
    for ordinal, owner, time_ms, deliveries in group.pending.oldest_first(now_ms - request.claim_ms):
        if len(claimed) == request.count or (budget is not None and not budget.left):
            break
        if dead is not None and dead.takes(ordinal, ordinal + 1, owner, deliveries):
            if dead.is_enough:
                break
            continue
        if not stream.is_live(ordinal):
            continue
        if budget is not None and not budget.take(stream.sizes(ordinal, ordinal + 1)[0]):
            break
        claimed.append((ordinal, -1 if owner is None else max(now_ms - time_ms, 0), deliveries))
    if dead is not None:
        dead.bury()
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
