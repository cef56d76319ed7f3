"""XREADGROUP with an ID: what a consumer holds, read again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

from respbroker.commands import dead_letters
from respbroker.commands.entries import known_ids
from respbroker.resp import replies
from respbroker.streams import effects
from respbroker.streams.assignments import Part, joined
from respbroker.streams.pending import COUNT_MAX
from respbroker.streams.references import behind, known_from

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.delivery import GroupRead
    from respbroker.commands.read_limits import Budget
    from respbroker.model.stream_id import StreamId
    from respbroker.sessions.client import Output
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Stream


def read_history(
    ctx: Context, stream: Stream, group: Group, request: GroupRead, after: StreamId, budget: Budget | None
) -> list[Output] | None:
    """What is pending with the consumer behind ``after``; live entries count as delivered once more."""
    if budget is not None and not budget.left:
        return None
    gone = replies.null_array(ctx.client.protocol)
    entries: list[Output] = []
    parts: list[Part] = []
    told, left = 0, request.count
    dead = dead_letters.watch(ctx, stream, group)
    for first, end, live, deliveries in _held(stream, group, request.consumer, known_from(stream, behind(after))):
        if dead is not None and dead.takes(first, end, request.consumer, deliveries):
            if dead.is_enough and told:  # an empty reply says that nothing is pending
                break
            continue
        end = end if left is None else min(end, first + left)
        if live:
            end = (
                end if budget is None else sum((high - low for low, high in budget.cut(stream, [(first, end)])), first)
            )
            entries += stream.payloads([(first, end)]) if end > first else []
            parts.append((first, end, ctx.now_ms, min(deliveries + 1, COUNT_MAX)))
        else:
            wires = [b"*2\r\n%b%b" % (replies.bulk(b"%d-%d" % each), gone) for each in known_ids(stream, first, end)]
            fitting = wires if budget is None else list(takewhile(lambda wire: budget.take(len(wire)), wires))
            entries += fitting
            end = first + len(fitting)
        told += end - first
        left = None if left is None else left - (end - first)
        if left == 0 or (budget is not None and not budget.left):
            break
    if dead is not None:
        dead.bury()
    parts = [part for part in parts if part[0] < part[1]]
    if parts:
        stream.commit([effects.ASSIGNED, group.name, request.consumer, joined(parts), ctx.now_ms, False])
    return [b"*%d\r\n" % told, *entries]


def _held(stream: Stream, group: Group, consumer: bytes, start: int) -> Iterator[tuple[int, int, bool, int]]:
    """What is pending with ``consumer`` from ``start`` on: stretches that are live or gone, with their deliveries."""
    for first, end, _, _, deliveries in group.pending.stretches(start, None, consumer):
        place = first
        for low, high in stream.live_ranges(first, end):
            if place < low:
                yield place, low, False, deliveries
            yield low, high, True, deliveries
            place = high
        if place < end:
            yield place, end, False, deliveries
