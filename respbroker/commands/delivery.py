"""XREADGROUP: what a consumer of a group asks for, of which streams, and how long it waits for it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import Arguments, ensure_timeout, parse_int, parse_timeout_ms
from respbroker.commands.entries import reply_of_range, reply_of_ranges
from respbroker.commands.framing import framed, head_of_one
from respbroker.commands.group_serving import NEW, hand_over, history_start, oldest_claimable, serve
from respbroker.commands.groups import see_consumer
from respbroker.commands.read_limits import RUN_BYTES_MAX, RUN_MAX, Budget, parse_limit
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.errors import InvalidStreamId, NoGroup, ReplyError, SyntaxRefused
from respbroker.model.stream_id import StreamId
from respbroker.resp import replies
from respbroker.sessions.client import Output, Reply
from respbroker.streams.references import unread_from
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Client
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Stream


@attrs.frozen
class GroupRead:
    """A parsed XREADGROUP. ``ids`` are as sent: only a stream that exists has its ID looked at."""

    group: bytes
    consumer: bytes
    keys: list[bytes]
    ids: list[bytes]
    count: int | None
    count_max: int | None
    size_max: int | None
    claim_ms: int | None
    no_ack: bool
    timeout_ms: int | None
    #: New entries of one stream, without CLAIM and limits: what consumers nearly always ask for.
    is_plain: bool

    def retry(self, ctx: Context) -> Reply:
        """Serve what there is; None where nothing is to be had."""
        if self.is_plain:
            return self._retry_plain(ctx)
        sources = [self._source(ctx, key, word) for key, word in zip(self.keys, self.ids)]  # noqa: B905  # of one length
        budget = self.budget()
        served: list[tuple[bytes, list[Output]]] = []
        for stream, group, after in sources:
            entries = serve(ctx, stream, group, self, after, budget)
            if entries is not None:
                served.append((stream.key, entries))
        return framed(served, ctx.client.protocol) if served else None

    def budget(self) -> Budget | None:
        """What one reply may hold, where that is limited over all streams."""
        if self.count_max is None and self.size_max is None:
            return None
        return Budget(self.count_max, self.size_max)

    def _retry_plain(self, ctx: Context) -> Reply:
        stream, group, _ = self._source(ctx, self.keys[0], NEW)
        see_consumer(ctx, stream, group, self.consumer)
        ranges = stream.live_ranges(unread_from(stream, group), stream.end_ordinal, self.count)
        if not ranges:
            return None
        reply = reply_of_ranges(stream, ranges, head_of_one(stream.key, ctx.client.protocol))
        hand_over(ctx, stream, group, self, ranges)
        return reply

    def continues(self, other: GroupRead) -> bool:
        """Whether two plain requests differ in nothing but the consumer, the number of entries and the time to wait."""
        return self.keys == other.keys and self.group == other.group and self.no_ack == other.no_ack

    @property
    def exhausts(self) -> object:
        """A group with nothing new on a key has nothing for its other readers there, unless they claim."""
        return self.group if self.claim_ms is None else None

    @property
    def outlasts_values(self) -> bool:
        return False

    def timed_out(self, client: Client) -> bytes:
        return replies.null_array(client.protocol)

    def retry_ms(self, ctx: Context) -> int | None:
        """With CLAIM: when the oldest pending entry comes of age; where nothing is pending, one min-idle-time on."""
        if self.claim_ms is None:
            return None
        oldest = ctx.now_ms
        for key in self.keys:
            stream = ctx.lookup(key)
            group = stream.groups.get(self.group) if stream is not None else None
            if stream is not None and group is not None:
                oldest = min(oldest, oldest_claimable(ctx, stream, group))
        return max(oldest + self.claim_ms, ctx.now_ms + 1)

    def _source(self, ctx: Context, key: bytes, word: bytes) -> tuple[Stream, Group, StreamId | None]:
        """The stream and group to read, and the ID behind which history begins (None: new entries)."""
        stream = ctx.lookup(key)
        group = stream.groups.get(self.group) if stream is not None else None
        if stream is None or group is None:
            raise NoGroup.of_reader(key, self.group)
        return stream, group, history_start(word)


def parse_group_read(words: list[bytes]) -> GroupRead:
    """The options stand in any order before STREAMS, and may repeat: the last one counts."""
    group = consumer = None
    count = count_max = size_max = claim_ms = timeout_ms = None
    no_ack = False
    options = Arguments(words, 1)
    while options.more:
        match options.option():
            case b"COUNT":
                count = max(parse_int(options.value()), 0)
            case b"STREAMS":
                break
            case b"BLOCK":
                timeout_ms = parse_timeout_ms(options.value())
            case b"GROUP":
                group, consumer = options.take(2)
            case b"NOACK":
                no_ack = True
            case b"CLAIM":
                claim_ms = _parse_min_idle(options.value())
            case b"MAXCOUNT":
                count_max = parse_limit(options.value(), "MAXCOUNT")
            case b"MAXSIZE":
                size_max = parse_limit(options.value(), "MAXSIZE")
            case _:
                raise SyntaxRefused
    if not options.more:
        raise SyntaxRefused
    sources, odd = divmod(options.left, 2)
    if odd:
        raise ReplyError("Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.")
    if group is None or consumer is None:
        raise ReplyError("Missing GROUP option for XREADGROUP")
    if count and count_max is not None and count_max < count:
        raise ReplyError("MAXCOUNT must be greater than or equal to COUNT")
    keys, ids = options.take(sources), options.rest()
    is_plain = ids == [NEW] and count_max is None and size_max is None and claim_ms is None
    return GroupRead(
        group, consumer, keys, ids, count or None, count_max, size_max, claim_ms, no_ack, timeout_ms, is_plain
    )


def _parse_min_idle(word: bytes) -> int:
    min_idle = parse_int(word, "min-idle-time is not an integer or out of range")
    if min_idle < 0:
        raise ReplyError("min-idle-time must be a positive integer")
    return min_idle


#: Consumers ask the same thing again and again. Parsing is pure, so what a request means can be remembered.
_PARSED: Final[dict[tuple[bytes, ...], GroupRead]] = {}
_FAR_MS: Final = 1 << 60  # longer timeouts may have to be refused
_PARSED_MAX: Final = 256
_PARSED_BYTES_MAX: Final = 1024


def parsed(words: list[bytes]) -> GroupRead:
    known = _PARSED.get(key := tuple(words))
    if known is None:
        known = parse_group_read(words)
        if sum(map(len, words)) <= _PARSED_BYTES_MAX:
            if len(_PARSED) >= _PARSED_MAX:
                _PARSED.clear()
            _PARSED[key] = known
    return known


def xreadgroup_run(ctx: Context, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring XREADGROUP of new entries for one group, as long as there are some; see `RunHandler`.

    Time stands still in a tick, so that two reads of a consumer behind each other leave behind what one read of both
    would: the same cursor, the same counter, the same pending entries. They become one effect.
    """
    words = requests[start]
    request = _known(words)
    stream = ctx.lookup(request.keys[0]) if request is not None else None
    if request is None or stream is None or stream.deletions.count:
        return 0
    group = stream.groups.get(request.group)
    if group is None or request.consumer not in group.consumers:
        return 0
    first = at = max(unread_from(stream, group), stream.first_ordinal)
    end = stream.end_ordinal
    head = head_of_one(stream.key, ctx.client.protocol)
    size = served = 0
    try:
        for each in islice(requests, start, start + RUN_MAX):
            if each != words:
                words, other = each, _known(each)
                if other is None or not other.continues(request) or other.consumer not in group.consumers:
                    break
                if other.consumer != request.consumer and first < at:
                    hand_over(ctx, stream, group, request, [(first, at)])
                    first = at
                request = other
            if at >= end or size > RUN_BYTES_MAX:
                break
            stop = end if request.count is None or end - at < request.count else at + request.count
            reply = reply_of_range(stream, at, stop, head)
            out.append(reply)
            size += len(reply) if isinstance(reply, bytes) else (stop - at) << 7  # about
            at = stop
            served += 1
    except StorageError:  # whoever asks for what is damaged is told by the handler
        pass
    if first < at:
        hand_over(ctx, stream, group, request, [(first, at)])
    return served


def _known(words: list[bytes]) -> GroupRead | None:
    """A plain request that was parsed before."""
    request = _PARSED.get(tuple(words))
    return request if request is not None and request.is_plain and (request.timeout_ms or 0) < _FAR_MS else None


def xreadgroup(ctx: Context, words: list[bytes]) -> Reply:
    try:
        request = parsed(words)
    except InvalidStreamId:
        for key in find_keys(words):  # a key that is no stream is refused before an ID that is none
            ctx.keyspace.ensure_no_value(ctx.client.db, key, ctx.now_ms)
        raise
    if request.timeout_ms is not None:
        ensure_timeout(request.timeout_ms, ctx.now_ms)
    reply = request.retry(ctx)
    if reply is not None:
        return reply
    if request.timeout_ms is None or ctx.in_exec:
        return replies.null_array(ctx.client.protocol)
    ctx.block(request, request.keys, request.timeout_ms)
    return None


def find_keys(words: list[bytes]) -> list[bytes]:
    """The keys of a request: the first half of what follows STREAMS; a group or consumer may have that name."""
    position = 1
    while position < len(words):
        option = words[position].upper()
        if option == b"STREAMS":
            names = words[position + 1 :]
            return names[: len(names) // 2]
        position += 3 if option == b"GROUP" else 1 if option == b"NOACK" else 2
    return []


COMMANDS: Final = (
    CommandSpec(
        "XREADGROUP",
        arity=-7,
        flags=Flag.WRITE | Flag.BLOCKING | Flag.MOVABLEKEYS,
        handler=xreadgroup,
        run=xreadgroup_run,
        summary="Returns new or historical messages from a stream for a consumer in a group. "
        "Blocks until a message is available otherwise.",
        syntax="GROUP group consumer [COUNT count] [MAXCOUNT maxcount] [MAXSIZE maxsize] [BLOCK milliseconds] "
        "[CLAIM min-idle-time] [NOACK] STREAMS key [key ...] id [id ...]",
        since="5.0.0",
        complexity="O(1) for a run of consecutive entries, O(M) with M entries claimed or read again.",
        keys=Keys(find=find_keys),
    ),
)
