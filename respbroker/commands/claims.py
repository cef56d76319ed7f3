"""XCLAIM and XAUTOCLAIM: taking over what is pending with others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands import dead_letters
from respbroker.commands.arguments import I64_MAX, Arguments, parse_bounded, parse_int
from respbroker.commands.entries import array_of_entries, array_of_ids
from respbroker.commands.groups import existing_group, see_consumer
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.commands.tips import VARIES
from respbroker.errors import InvalidStreamId, NotAnInteger, ReplyError, SyntaxRefused, quoted
from respbroker.model.stream_id import StreamId, parse_id, parse_range_start
from respbroker.resp import replies
from respbroker.sessions.client import Output, Reply
from respbroker.streams import effects
from respbroker.streams.assignments import Part, joined
from respbroker.streams.pending import COUNT_MAX
from respbroker.streams.references import cursor_ordinal, known_from
from respbroker.streams.runs import consecutive

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.dead_letters import DeadLetters
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Stream

KEY: Final = Keys(1, 1, 1)
SCAN_FACTOR: Final = 10  # XAUTOCLAIM looks at no more than ten times COUNT entries
COUNT_DEFAULT: Final = 100
COUNT_LIMIT: Final = I64_MAX // 16  # Redis' bound; it once allocated this much at 16 bytes each


# -- XCLAIM -----------------------------------------------------------------------------------------------


@attrs.frozen
class Claim:
    """A parsed XCLAIM."""

    min_idle: int
    ids: list[StreamId]
    time_ms: int  #: the delivery time that claimed entries get
    retry_count: int | None
    force: bool
    just_id: bool
    last_id: StreamId | None

    def count(self, deliveries: int) -> int:
        """The delivery count of an entry that had been delivered ``deliveries`` times."""
        if self.retry_count is not None:
            return self.retry_count
        return deliveries if self.just_id else min(deliveries + 1, COUNT_MAX)


def parse_claim(words: list[bytes], now_ms: int) -> Claim:
    """IDs stand up to the first word that is none; options follow."""
    min_idle = _number(words[4], "Invalid min-idle-time argument for XCLAIM")
    options = Arguments(words, 5)
    ids = _leading_ids(options)
    time_ms = retry_count = -1
    force = just_id = False
    last_id = None
    while options.more:
        option = options.option()
        if option == b"FORCE":
            force = True
        elif option == b"JUSTID":
            just_id = True
        elif option == b"IDLE" and options.more:
            time_ms = now_ms - _number(options.value(), "Invalid IDLE option argument for XCLAIM")
        elif option == b"TIME" and options.more:
            time_ms = _number(options.value(), "Invalid TIME option argument for XCLAIM")
        elif option == b"RETRYCOUNT" and options.more:
            retry_count = _number(options.value(), "Invalid RETRYCOUNT option argument for XCLAIM")
        elif option == b"LASTID" and options.more:
            last_id = parse_id(options.value())
        else:
            raise ReplyError(f"Unrecognized XCLAIM option '{quoted(words[options.position - 1], 1 << 30)}'")
    if not 0 <= time_ms <= now_ms:
        time_ms = now_ms
    return Claim(max(min_idle, 0), ids, time_ms, retry_count if retry_count >= 0 else None, force, just_id, last_id)


def _number(word: bytes, refusal: str) -> int:
    try:
        return parse_int(word)
    except NotAnInteger:
        raise ReplyError(refusal) from None


def _leading_ids(options: Arguments) -> list[StreamId]:
    ids: list[StreamId] = []
    while options.more:
        try:
            ids.append(parse_id(options.words[options.position]))
        except InvalidStreamId:
            break
        options.position += 1
    return ids


def xclaim(ctx: Context, words: list[bytes]) -> Reply:
    stream, group = existing_group(ctx, words)
    request = parse_claim(words, ctx.now_ms)
    if request.last_id is not None and request.last_id > group.last_delivered_id:
        cursor = [*request.last_id, cursor_ordinal(stream, request.last_id), group.entries_read]
        stream.commit([effects.GROUP_ID_SET, group.name, *cursor])
        ctx.dirty += 1
    see_consumer(ctx, stream, group, words[3])
    claimed, gone = select(ctx, stream, group, request)
    forget(stream, group, gone)
    assign(ctx, stream, group, words[3], [(o, o + 1, request.time_ms, count) for o, count in claimed])
    ordinals = [ordinal for ordinal, _ in claimed]
    return array_of_ids(stream, ordinals) if request.just_id else array_of_entries(stream, ordinals)


def select(ctx: Context, stream: Stream, group: Group, request: Claim) -> tuple[list[tuple[int, int]], list[int]]:
    """What is to be claimed, as ordinals with their new delivery counts, and what is pending but gone.

    What has been delivered too often becomes dead letters.
    """
    claimed: list[tuple[int, int]] = []
    gone: list[int] = []
    dead = None if request.just_id else dead_letters.watch(ctx, stream, group)
    counts: dict[int, int] = {}  # an ID may be named twice: the second finds what the first left
    for entry_id in request.ids:
        ordinal = stream.find_stored(entry_id)
        if ordinal is None:
            continue
        held = group.pending.get(ordinal)
        if not stream.is_live(ordinal):
            if held is not None:
                gone.append(ordinal)
            continue
        owner, time_ms, deliveries = held or (None, 0, 1)
        if ordinal in counts:
            owner, time_ms, deliveries = b"", request.time_ms, counts[ordinal]
        elif held is None and not request.force:
            continue
        if owner is not None and ctx.now_ms - time_ms < request.min_idle:
            continue
        count = request.count(deliveries)
        if dead is not None and held is not None and dead.takes(ordinal, ordinal + 1, owner, deliveries, count):
            continue
        counts[ordinal] = count
        claimed.append((ordinal, count))
    if dead is not None:
        dead.bury()
    return claimed, gone


# -- XAUTOCLAIM -------------------------------------------------------------------------------------------


@attrs.frozen
class AutoClaim:
    """A parsed XAUTOCLAIM."""

    min_idle: int
    start: StreamId
    count: int
    just_id: bool


def parse_autoclaim(words: list[bytes]) -> AutoClaim:
    min_idle = _number(words[4], "Invalid min-idle-time argument for XAUTOCLAIM")
    start = parse_range_start(words[5])
    count, just_id = COUNT_DEFAULT, False
    options = Arguments(words, 6)
    while options.more:
        match options.option():
            case b"COUNT":
                try:
                    count = parse_bounded(options.value(), 1, COUNT_LIMIT, "COUNT must be > 0")
                except NotAnInteger:
                    raise ReplyError("COUNT must be > 0") from None
            case b"JUSTID":
                just_id = True
            case _:
                raise SyntaxRefused
    return AutoClaim(max(min_idle, 0), start, count, just_id)


def xautoclaim(ctx: Context, words: list[bytes]) -> Reply:
    request = parse_autoclaim(words)
    stream, group = existing_group(ctx, words)
    see_consumer(ctx, stream, group, words[3])
    dead = None if request.just_id else dead_letters.watch(ctx, stream, group)
    claimed, gone, following = _scan(ctx, stream, group, request, dead)
    next_id = b"0-0" if following is None else b"%d-%d" % stream.id_at(following)
    deleted = replies.bulk_array([b"%d-%d" % stream.id_at(ordinal) for ordinal in gone])
    forget(stream, group, gone)
    if dead is not None:
        dead.bury()
    raised = 0 if request.just_id else 1
    parts = [(o, o + 1, ctx.now_ms, min(deliveries + raised, COUNT_MAX)) for o, deliveries in claimed]
    assign(ctx, stream, group, words[3], parts)
    ordinals = [ordinal for ordinal, _ in claimed]
    entries: list[Output] = array_of_ids(stream, ordinals) if request.just_id else array_of_entries(stream, ordinals)
    return [b"*3\r\n" + replies.bulk(next_id), *entries, deleted]


def _scan(
    ctx: Context, stream: Stream, group: Group, request: AutoClaim, dead: DeadLetters | None
) -> tuple[list[tuple[int, int]], list[int], int | None]:
    """What is to be claimed with its delivery counts, what is pending but gone, and where to go on (None: the end)."""
    claimed: list[tuple[int, int]] = []
    gone: list[int] = []
    wanted, attempts = request.count, request.count * SCAN_FACTOR
    for ordinal, owner, time_ms, deliveries in group.pending.iterate(known_from(stream, request.start)):
        if not wanted or not attempts:
            return claimed, gone, ordinal
        attempts -= 1
        if not stream.is_live(ordinal):
            gone.append(ordinal)
        elif owner is not None and ctx.now_ms - time_ms < request.min_idle:
            continue
        elif dead is None or not dead.takes(ordinal, ordinal + 1, owner, deliveries):
            claimed.append((ordinal, deliveries))
        else:
            continue
        wanted -= 1
    return claimed, gone, None


# -- what both do -----------------------------------------------------------------------------------------


def forget(stream: Stream, group: Group, gone: list[int]) -> None:
    """Entries that no longer exist leave the pending list."""
    if gone:
        ranges = [list(span) for span in consecutive(sorted(gone))]
        stream.commit([effects.FORGOTTEN, group.name, ranges])


def assign(ctx: Context, stream: Stream, group: Group, consumer: bytes, parts: list[Part]) -> None:
    if parts:
        stream.commit([effects.ASSIGNED, group.name, consumer, joined(parts), ctx.now_ms])
        ctx.dirty += len(parts)


COMMANDS: Final = (
    CommandSpec(
        "XCLAIM",
        arity=-6,
        flags=Flag.WRITE | Flag.FAST,
        handler=xclaim,
        summary="Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered "
        "a consumer group member.",
        syntax="key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] "
        "[RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
        since="5.0.0",
        complexity="O(log N) for each ID, with N the number of messages in the PEL.",
        keys=KEY,
        tips=(VARIES,),
    ),
    CommandSpec(
        "XAUTOCLAIM",
        arity=-6,
        flags=Flag.WRITE | Flag.FAST,
        handler=xautoclaim,
        summary="Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered "
        "to as consumer group member.",
        syntax="key group consumer min-idle-time start [COUNT count] [JUSTID]",
        since="6.2.0",
        complexity="O(1) if COUNT is small.",
        keys=KEY,
        tips=(VARIES,),
    ),
)
