"""XPENDING: what is pending, as a summary or entry by entry."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import parse_int
from respbroker.commands.entries import known_ids
from respbroker.commands.groups import existing_group
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.commands.tips import VARIES
from respbroker.errors import SyntaxRefused
from respbroker.model.stream_id import MAX, StreamId, parse_range_end, parse_range_start
from respbroker.resp import replies
from respbroker.resp.ids import bulk_ids
from respbroker.sessions.client import Reply
from respbroker.streams.references import behind, known_from

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Stream


GAP_MAX: Final = 16  # IDs that are fetched for nothing cost less than one more search
Row = tuple[int, int, bytes]  # entries [first, stop) whose elements end alike


@attrs.define
class PendingRange:
    """The extended form of XPENDING."""

    min_idle: int
    start: StreamId
    end: StreamId  #: inclusive
    count: int
    consumer: bytes | None


def parse_pending(words: list[bytes]) -> PendingRange | None:
    """None for the summary."""
    if len(words) == 3:
        return None
    if not 6 <= len(words) <= 9:
        raise SyntaxRefused
    place, min_idle = 3, 0
    if words[3].upper() == b"IDLE":
        min_idle = parse_int(words[4])
        if len(words) < 8:
            raise SyntaxRefused
        place = 5
    count = max(parse_int(words[place + 2]), 0)
    start, end = parse_range_start(words[place]), parse_range_end(words[place + 1])
    consumer = words[place + 3] if len(words) > place + 3 else None
    return PendingRange(min_idle, start, end, count, consumer)


def xpending(ctx: Context, words: list[bytes]) -> Reply:
    request = parse_pending(words)
    stream, group = existing_group(ctx, words)
    if request is None:
        return _summary(stream, group, ctx.client.protocol)
    return _details(stream, group, request, ctx.now_ms)


def _summary(stream: Stream, group: Group, protocol: int) -> bytes:
    pending = group.pending
    lowest, highest = pending.lowest(), pending.highest()
    if lowest is None or highest is None:
        null = replies.null(protocol)
        return b"*4\r\n:0\r\n" + null + null + replies.null_array(protocol)
    held = [replies.bulk_array([name, b"%d" % count]) for name, count in pending.counts()]
    return b"*4\r\n%b%b%b%b" % (
        replies.integer(len(pending)),
        replies.bulk(b"%d-%d" % stream.id_at(lowest)),
        replies.bulk(b"%d-%d" % stream.id_at(highest)),
        replies.array(held),
    )


def _details(stream: Stream, group: Group, request: PendingRange, now_ms: int) -> bytes:
    """ID, consumer, idle time and deliveries of each; what is nobody's has the consumer "" and the idle time -1."""
    start = known_from(stream, request.start)
    end = None if request.end == MAX else known_from(stream, behind(request.end))
    if (end is not None and end <= start) or not request.count:
        return replies.EMPTY_ARRAY
    rows: list[Row] = []
    left = request.count
    for first, stop, owner, time_ms, deliveries in group.pending.stretches(start, end, request.consumer):
        idle = max(now_ms - time_ms, 0)
        if idle < request.min_idle:
            continue
        stop = min(stop, first + left)
        tail = b"%b:%d\r\n:%d\r\n" % (replies.bulk(owner or b""), -1 if owner is None else idle, deliveries)
        rows.append((first, stop, tail))
        left -= stop - first
        if not left:
            break
    return b"*%d\r\n%b" % (request.count - left, b"".join(_wires(stream, rows)))


def _wires(stream: Stream, rows: list[Row]) -> Iterator[bytes]:
    """The elements of rows. IDs of rows that lie near each other are fetched at once."""
    base = end = 0
    ms = seqs = b""
    for place, (first, stop, tail) in enumerate(rows):
        if stop > end:
            base, end = first, stop
            if first < stream.log.first_ordinal:  # what lies between such rows is not known any more
                known = known_ids(stream, first, stop)
                ms, seqs = (array("Q", column).tobytes() for column in zip(*known, strict=True))
            else:
                for near, near_stop, _ in islice(rows, place + 1, None):
                    if near > end + GAP_MAX:
                        break
                    end = near_stop
                ms, seqs = stream.packed_ids(base, end)
        low, high = 8 * (first - base), 8 * (stop - base)
        yield bulk_ids(ms[low:high], seqs[low:high], b"*4\r\n", tail)


COMMANDS: Final = (
    CommandSpec(
        "XPENDING",
        arity=-3,
        flags=Flag.READONLY,
        handler=xpending,
        summary="Returns the information and entries from a stream consumer group's pending entries list.",
        syntax="key group [[IDLE min-idle-time] start end count [consumer]]",
        since="5.0.0",
        complexity="O(N) with N the number of elements returned; the summary is O(C) with C consumers.",
        keys=Keys(1, 1, 1),
        tips=(VARIES,),
    ),
)
