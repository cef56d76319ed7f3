"""XLEN, XRANGE, XREVRANGE and XREAD: entries out, as slices of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import Arguments, parse_int, parse_timeout_ms
from respbroker.commands.delivery import find_keys
from respbroker.commands.entries import (
    CHUNK_BYTES,
    array_of_ranges,
    array_of_ranges_backwards,
    joined,
    reply_of_ranges,
)
from respbroker.commands.framing import framed, head_of_one
from respbroker.commands.read_limits import RUN_BYTES_MAX, RUN_MAX, Budget, parse_limit
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.commands.topic_reads import last_entry_id, read_any, xlen_of_topic, xrange_of_topic, xrevrange_of_topic
from respbroker.errors import ReplyError, SeveralPartitions, SyntaxRefused
from respbroker.model.stream_id import MAX, ZERO, parse_id, parse_range_end, parse_range_start
from respbroker.resp import codec, replies
from respbroker.sessions.client import Client, Output, Reply
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.stream import Id, Range, Stream


def xlen(ctx: Context, words: list[bytes]) -> Reply:
    stream = ctx.lookup_to_read(words[1])
    return replies.ZERO if stream is None else replies.integer(stream.length)


# -- the usual requests, one or many ---------------------------------------------------------------------------


def xrange_run(ctx: Context, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring XRANGE in their usual form; see `RunHandler`."""
    return _run(ctx, requests, start, out, codec.usual_range, has_head=False)


def xread_run(ctx: Context, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring XREAD in their usual form, of which none has to wait."""
    return _run(ctx, requests, start, out, codec.usual_read, has_head=True)


def _run(
    ctx: Context,
    requests: list[list[bytes]],
    start: int,
    out: list[Reply],
    usual: Callable[[list[bytes]], tuple[bytes, Id, int] | None],
    *,
    has_head: bool,
) -> int:
    first = usual(requests[start])
    if first is None:
        return 0
    command, key = requests[start][0], first[0]

    def wanted() -> Iterator[tuple[Id, int]]:
        yield first[1:]
        for words in islice(requests, start + 1, start + RUN_MAX):
            if words[0] != command or (another := usual(words)) is None or another[0] != key:
                return
            yield another[1:]

    size = served = 0
    try:
        stream = ctx.lookup(key)
        if stream is None:
            return 0
        head = head_of_one(key, ctx.client.protocol) if has_head else b""
        for pieces, number in stream.payloads_from(wanted(), CHUNK_BYTES):
            reply = joined(head, number, pieces)
            out.append(reply)
            served += 1
            size += len(reply) if isinstance(reply, bytes) else number << 7  # about
            if size > RUN_BYTES_MAX:
                break
    except (ReplyError, StorageError):  # a topic, or damage: the handler will meet it too
        pass
    ctx.statistics.keyspace_hits += served
    return served


# -- any requests --------------------------------------------------------------------------------------------


def xrange(ctx: Context, words: list[bytes]) -> Reply:
    out: list[Reply] = []
    if xrange_run(ctx, [words], 0, out):
        return out[0]
    return _range(ctx, words, words[2], words[3], backwards=False)


def xrevrange(ctx: Context, words: list[bytes]) -> Reply:
    return _range(ctx, words, words[3], words[2], backwards=True)


def _range(ctx: Context, words: list[bytes], start: bytes, end: bytes, *, backwards: bool) -> Reply:
    first_id = parse_id(start) if start[:1].isdigit() else parse_range_start(start)
    last_id = MAX if end == b"+" else parse_range_end(end)
    count: int | None = None
    for place in range(4, len(words), 2):
        if words[place].upper() != b"COUNT" or place + 1 == len(words):
            raise SyntaxRefused
        count = parse_int(words[place + 1])
    stream = ctx.lookup_to_read(words[1])
    if stream is None:
        return replies.EMPTY_ARRAY
    if count is not None and count <= 0:
        return replies.null_array(ctx.client.protocol)
    first = stream.ordinal_of(first_id)
    stop = stream.end_ordinal if last_id >= stream.last_id else _first_behind(stream, last_id)
    if backwards:
        return array_of_ranges_backwards(stream, stream.last_live_ranges(first, stop, count))
    return reply_of_ranges(stream, stream.live_ranges(first, stop, count))


def _first_behind(stream: Stream, entry_id: Id) -> int:
    """The ordinal of the first entry whose ID is above ``entry_id``."""
    if entry_id >= stream.last_id:
        return stream.end_ordinal
    ms, seq = entry_id
    return stream.ordinal_of((ms, seq + 1))  # a sequence one too high compares as it should


@attrs.frozen
class ReadRequest:
    """A parsed XREAD; ``after`` holds the ID behind which each stream is read (``$`` and ``+`` are resolved).

    ``newest`` are the keys that were asked for with ``+``: one entry is wanted, whatever COUNT says.
    """

    keys: list[bytes]
    after: list[Id]
    newest: frozenset[int]
    count: int | None
    count_max: int | None
    size_max: int | None

    def retry(self, ctx: Context) -> Reply:
        """What there is behind the IDs; None where nothing is."""
        try:
            return self._retry(ctx)
        except SeveralPartitions:
            return read_any(ctx, self)

    def _retry(self, ctx: Context) -> Reply:
        budget = Budget(self.count_max, self.size_max)
        served: list[tuple[bytes, list[Output]]] = []
        for index, (key, after) in enumerate(zip(self.keys, self.after, strict=True)):
            stream, ranges = _behind(ctx, key, after, 1 if index in self.newest else self.count)
            if stream is not None and budget.bounded:
                ranges = budget.cut(stream, ranges)
            if stream is not None and ranges:
                served.append((key, array_of_ranges(stream, ranges)))
        return framed(served, ctx.client.protocol) if served else None

    @property
    def exhausts(self) -> object:
        return None

    @property
    def outlasts_values(self) -> bool:
        return True

    def timed_out(self, client: Client) -> bytes:
        return replies.null_array(client.protocol)

    def retry_ms(self, ctx: Context) -> int | None:
        return None


def _behind(ctx: Context, key: bytes, after: Id, count: int | None) -> tuple[Stream | None, list[Range]]:
    """A stream, and the ranges of its first ``count`` entries behind an ID."""
    stream = ctx.lookup_to_read(key)
    if stream is None or after >= stream.last_id:
        return stream, []
    ms, seq = after
    return stream, stream.live_ranges(stream.ordinal_of((ms, seq + 1)), stream.end_ordinal, count)


def xread(ctx: Context, words: list[bytes]) -> Reply:
    out: list[Reply] = []
    if xread_run(ctx, [words], 0, out):
        return out[0]
    return _xread(ctx, words)


def _xread(ctx: Context, words: list[bytes]) -> Reply:
    """XREAD with any options."""
    count = count_max = size_max = timeout_ms = None
    options = Arguments(words, 1)
    while options.more:
        match options.option():
            case b"COUNT":
                count = max(parse_int(options.value()), 0)
            case b"STREAMS":
                break
            case b"BLOCK":
                timeout_ms = parse_timeout_ms(options.value(), ctx.now_ms)
            case b"MAXCOUNT":
                count_max = parse_limit(options.value(), "MAXCOUNT")
            case b"MAXSIZE":
                size_max = parse_limit(options.value(), "MAXSIZE")
            case b"GROUP" | b"NOACK" | b"CLAIM" as option:
                raise ReplyError(
                    f"The {option.decode()} option is only supported by XREADGROUP. You called XREAD instead."
                )
            case _:
                raise SyntaxRefused
    if not options.more:
        raise SyntaxRefused
    streams_count, odd = divmod(options.left, 2)
    if odd:
        raise ReplyError(
            "Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified."
        )
    if count and count_max is not None and count_max < count:
        raise ReplyError("MAXCOUNT must be greater than or equal to COUNT")
    keys, ids = options.take(streams_count), options.rest()
    after = [_resolve(ctx, key, word) for key, word in zip(keys, ids, strict=True)]
    newest = frozenset(index for index, word in enumerate(ids) if word == b"+")
    request = ReadRequest(keys, after, newest, count or None, count_max, size_max)
    reply = request.retry(ctx)
    if reply is not None:
        return reply
    if timeout_ms is None or ctx.in_exec:
        return replies.null_array(ctx.client.protocol)
    ctx.block(request, keys, timeout_ms)
    return None


def _resolve(ctx: Context, key: bytes, word: bytes) -> Id:
    """The ID behind which to read. A key that is no stream is refused before an ID that is none."""
    ctx.keyspace.ensure_no_value(ctx.client.db, key, ctx.now_ms)
    if word[:1].isdigit():
        return parse_id(word)
    if word in (b"$", b"+"):
        found = ctx.find(key)
        if found is None:
            return ZERO
        last = last_entry_id(found) if word == b"+" else None
        if last is None:
            return found.last_id
        ms, seq = last
        return (ms, seq - 1) if seq else (ms - 1, MAX.seq)
    if word == b">":
        raise ReplyError(
            "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
        )
    return parse_id(word)


COMMANDS: Final = (
    CommandSpec(
        "XLEN",
        2,
        Flag.READONLY | Flag.FAST,
        xlen,
        "Tells how many entries a stream has.",
        "key",
        since="5.0.0",
        keys=Keys(),
        on_topic=xlen_of_topic,
    ),
    CommandSpec(
        "XRANGE",
        -4,
        Flag.READONLY,
        xrange,
        "Returns the entries with IDs in a range.",
        "key start end [COUNT count]",
        since="5.0.0",
        complexity="O(log n) to find the start, and the size of what is returned",
        keys=Keys(),
        on_topic=xrange_of_topic,
        run=xrange_run,
    ),
    CommandSpec(
        "XREVRANGE",
        -4,
        Flag.READONLY,
        xrevrange,
        "Returns the entries with IDs in a range, the last one first.",
        "key end start [COUNT count]",
        since="5.0.0",
        complexity="O(log n) to find the end, and the size of what is returned",
        keys=Keys(),
        on_topic=xrevrange_of_topic,
    ),
    CommandSpec(
        "XREAD",
        -4,
        Flag.READONLY | Flag.BLOCKING | Flag.MOVABLEKEYS,
        xread,
        "Returns entries of several streams behind given IDs, and waits for some if asked to.",
        "[COUNT count] [MAXCOUNT maxcount] [MAXSIZE maxsize] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
        since="5.0.0",
        complexity="O(log n) for each stream, and the size of what is returned",
        keys=Keys(find=find_keys),
        run=xread_run,
    ),
)
