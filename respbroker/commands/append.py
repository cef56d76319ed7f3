"""XADD and XTRIM: entries in, and out at the front."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import Arguments
from respbroker.commands.context import Context
from respbroker.commands.idempotency import Idempotency, take_idempotency
from respbroker.commands.lingering import count_ready, ensure_may_append, ensure_no_linger
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.commands.tips import VARIES
from respbroker.commands.topic_append import append_one_to_topic, append_run_to_topic, choose_id, choose_partition
from respbroker.commands.topic_trim import carry_out_trim, xtrim_of_topic
from respbroker.commands.trim_options import TrimOptions, parse_trim
from respbroker.errors import IdIsZero, IdNotGreater, IdsExhausted, InvalidStreamId, ReplyError, WrongArity
from respbroker.model.stream_id import U64_MAX, parse_id
from respbroker.resp import replies
from respbroker.resp.codec import count_entries, encode_entries, encode_entry, encode_id, encode_ids
from respbroker.sessions.client import Reply
from respbroker.streams.schemas import ensure_fits
from respbroker.streams.topic import Topic
from respbroker.streams.trimming import Trim

if TYPE_CHECKING:
    from respbroker.streams.stream import Id, Stream

_LAST_ID: Final = (U64_MAX, U64_MAX)
_PLAIN, _TRIMMED = 3, 6  # words before the fields, without and with ``MAXLEN ~ n``


@attrs.frozen
class AppendRequest:
    """A parsed XADD. ``ms`` and ``seq`` are None where the server is to choose them."""

    key: bytes
    ms: int | None
    seq: int | None
    fields: list[bytes]
    nomkstream: bool
    trim: Trim | None
    idempotency: Idempotency | None


def xadd(ctx: Context, words: list[bytes]) -> Reply:
    """Append an entry; by far most calls are ``XADD key [MAXLEN ~ n] * field value ...`` and take the short way."""
    skip = _short(words)
    if not skip:
        return _append(ctx, _parse_append(ctx, words))
    trim = _trim_of(*words[3:5], ctx.settings.stream_node_max_entries) if skip == _TRIMMED else None
    if (len(words) - skip) % 2:
        raise WrongArity("xadd")
    key = words[1]
    stream = ctx.lookup(key) or ctx.lookup_or_create(key)
    if stream.guarded:
        ensure_may_append(ctx, stream, words, skip)
    entry_id = next_id(stream, ctx.now_ms)
    id_bulk = encode_id(*entry_id)
    stream.append(entry_id, encode_entry(id_bulk, words, skip))
    if ctx.quiet:
        ctx.dirty += 1
    else:
        ctx.changed(key, "xadd")
    if trim is not None and trim.apply(stream, ctx.settings.stream_node_max_entries):
        ctx.changed(key, "xtrim")
    return id_bulk


def _short(words: list[bytes]) -> int:
    """Where the fields begin in ``XADD key [MAXLEN ~|= n] * field value ...``; 0 if the words are others."""
    if words[2] == b"*":
        return _PLAIN
    if words[2] == b"MAXLEN" and len(words) > _TRIMMED + 1 and words[5] == b"*" and words[3] in (b"~", b"="):
        return _TRIMMED
    return 0


@lru_cache(maxsize=64)
def _trim_of(operator: bytes, maxlen: bytes, node_entries: int) -> Trim | None:
    """What ``MAXLEN operator maxlen`` asks for: the same in every request of a producer."""
    options = TrimOptions()
    options.take(b"MAXLEN", Arguments([operator, maxlen], 0))
    return options.finish(node_entries)


def xadd_run(ctx: Context, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring ``XADD key [MAXLEN ~|= n] * field value ...``, or with IDs of their own; see `RunHandler`.

    Who waits for a stream or watches it is told once, behind all that is appended to it; what is trimmed on the way
    needs nobody there at all, for it would be gone before. Notifications want to be told of each.
    """
    words = requests[start]
    skip = _short(words)
    if ctx.notifications or (skip == _TRIMMED and not ctx.quiet):
        return 0
    if not skip:
        return _append_with_ids(ctx, requests, start, out)
    entry = ctx.keyspace.databases[ctx.client.db].keys.get(words[1])
    if entry is not None and entry.parts:
        topic = ctx.find(words[1])
        if skip != _PLAIN or not isinstance(topic, Topic):
            return 0
        return append_run_to_topic(ctx, topic, requests, start, out)
    if requests[start + 1][1:skip] == words[1:skip]:
        return _append_run(ctx, requests, start, skip, out)
    return _scatter(ctx, requests, start, out) if skip == _PLAIN and ctx.quiet else 0


def _append_run(ctx: Context, requests: list[list[bytes]], start: int, skip: int, out: list[Reply]) -> int:
    """Requests that differ in nothing but the fields."""
    alike = requests[start][:skip]
    count = count_entries(requests, start, skip)
    node_entries = ctx.settings.stream_node_max_entries
    trim = _trim_of(*alike[3:5], node_entries) if skip == _TRIMMED else None
    stream = ctx.lookup(alike[1])
    if stream is None or stream.topic is not None:
        return 0
    if stream.guarded:
        count = count_ready(ctx, stream, requests[start : start + count], skip)
    if count < 2:
        return 0
    ms, seq = next_id(stream, ctx.now_ms)
    if seq + count > U64_MAX:
        return 0
    bulks = encode_ids(ms, seq, count)
    payloads = encode_entries(bulks, requests, start, skip)
    ctx.dirty += count
    out.extend(bulks)
    if trim is None:
        stream.extend(ms, seq, payloads)
        if not ctx.quiet:
            ctx.changed(alike[1], "")
            ctx.dirty -= 1  # counted already
        return count
    done = 0
    while done < count:  # as many at once as can be appended before the next trim
        room = trim.room(stream, node_entries)
        stream.extend(ms, seq + done, payloads[done : done + room])
        done += room
        if trim.apply(stream, node_entries):
            ctx.dirty += 1
    return count


def _append_with_ids(ctx: Context, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """``XADD key ms-seq field value ...`` to one stream, as whoever copies a stream sends them."""
    name, key = requests[start][:2]
    stream = ctx.lookup(key)
    if stream is None or stream.topic is not None or stream.guarded:
        return 0
    count = 0
    for words in islice(requests, start, None):
        if len(words) <= _PLAIN or not len(words) & 1 or words[1] != key or words[0] != name:
            break
        try:
            entry_id = parse_id(words[2])
        except InvalidStreamId:
            break  # an option, or one that is to be refused
        if entry_id <= stream.last_id:
            break
        bulk = encode_id(*entry_id)
        stream.append(entry_id, encode_entry(bulk, words, _PLAIN))
        out.append(bulk)
        count += 1
    if count and not ctx.quiet:
        ctx.changed(key, "")
        ctx.dirty -= 1  # counted below
    ctx.dirty += count
    return count


def _scatter(ctx: Context, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """``XADD key * field value ...`` to one open stream after the other, as producers with many keys send them."""
    keys = ctx.keyspace.databases[ctx.client.db].keys
    now_ms = ctx.now_ms
    fresh = encode_id(now_ms, 0)
    name, previous = requests[start][0], b""
    bulks: list[bytes] = []
    for words in islice(requests, start, None):
        key = words[1] if len(words) > _PLAIN + 1 and len(words) & 1 else previous
        if key == previous or words[2] != b"*" or words[0] != name:
            break
        entry = keys.get(key)
        if entry is None or entry.expires_ms:
            break
        stream = entry.stream
        if stream is None or stream.last_id == _LAST_ID or stream.topic is not None or stream.guarded:
            break
        if now_ms > stream.last_id[0]:
            entry_id, bulk = (now_ms, 0), fresh
        else:
            entry_id = next_id(stream, now_ms)
            bulk = encode_id(*entry_id)
        entry.used_ms = now_ms
        stream.append(entry_id, encode_entry(bulk, words, _PLAIN))
        bulks.append(bulk)
        previous = key
    ctx.dirty += len(bulks)
    out.extend(bulks)
    return len(bulks)


def _parse_append(ctx: Context, words: list[bytes]) -> AppendRequest:
    arguments = Arguments(words, 2)
    trim = TrimOptions()
    idempotency: Idempotency | None = None
    nomkstream = False
    ms: int | None = None
    seq: int | None = None
    while arguments.more:
        word = arguments.value()
        if word == b"*":
            break
        option = word.upper()
        if option == b"NOMKSTREAM":
            nomkstream = True
        elif option in (b"IDMP", b"IDMPAUTO") and arguments.more:
            idempotency = take_idempotency(option, arguments, idempotency)
        elif not trim.take(option, arguments):
            ms, seq = _parse_new_id(word)
            break
    node_entries = ctx.settings.stream_node_max_entries
    trimming = trim.finish(node_entries)
    fields = arguments.rest()
    if not fields or len(fields) % 2:
        raise WrongArity("xadd")
    if ms == 0 and seq == 0:
        raise IdIsZero
    if idempotency is not None:
        if ms is not None:
            raise ReplyError("syntax error, IDMP/IDMPAUTO can be used only with auto-generated IDs")
        idempotency = idempotency.of_fields(fields)
    return AppendRequest(words[1], ms, seq, fields, nomkstream, trimming, idempotency)


def _parse_new_id(word: bytes) -> tuple[int, int | None]:
    """``ms-seq``, ``ms`` (its sequence is 0), or ``ms-*`` (None: to be chosen)."""
    if word.endswith(b"-*"):
        return parse_id(word[:-2]).ms, None
    return parse_id(word)


def _append(ctx: Context, request: AppendRequest) -> Reply:
    stream = ctx.lookup(request.key)
    if stream is None:
        if request.nomkstream:
            return replies.null(ctx.client.protocol)
        stream = ctx.lookup_or_create(request.key)
    if stream.guarded:
        ensure_no_linger(ctx, stream)
    return _append_to(ctx, stream, request)


def xadd_to_topic(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    """XADD to a topic of several partitions."""
    if words[2] == b"*" and len(words) % 2 and not topic.guarded:
        return append_one_to_topic(ctx, topic, words)
    request = _parse_append(ctx, words)
    if topic.guarded:
        ensure_no_linger(ctx, topic)
    return _append_to(ctx, topic.partitions[choose_partition(ctx, topic, request)], request, topic)


def _append_to(ctx: Context, stream: Stream, request: AppendRequest, trimmed: Topic | None = None) -> Reply:
    """Append to a stream and trim it, or the topic of which it is a partition."""
    if request.idempotency is not None:
        known = request.idempotency.find(stream, ctx.now_ms)
        if known is not None:
            return encode_id(*known)
    if stream.guarded:
        ensure_fits(stream.settings, request.fields, 0)
    entry_id = _choose_id(stream, request.ms, request.seq, ctx.now_ms)
    id_bulk = encode_id(*entry_id)
    stream.append(entry_id, encode_entry(id_bulk, request.fields, 0))
    if request.idempotency is not None:
        request.idempotency.record(stream, entry_id, ctx.now_ms)
    ctx.changed(stream.key, "xadd")
    if request.trim is not None:
        if trimmed is not None:
            carry_out_trim(ctx, trimmed, request.trim)
        elif request.trim.apply(stream, ctx.settings.stream_node_max_entries):
            ctx.changed(stream.key, "xtrim")
    return id_bulk


def _choose_id(stream: Stream, ms: int | None, seq: int | None, now_ms: int) -> Id:
    """The new entry's ID.

    Raises:
        IdsExhausted: no ID is left behind the last one.
        IdNotGreater: the ID asked for is not above the last one.
    """
    if stream.topic is not None:
        return choose_id(stream.topic, stream.partition, ms, seq, now_ms)
    last_ms, last_seq = last = stream.last_id
    if last == _LAST_ID:
        raise IdsExhausted
    if ms is None:
        return next_id(stream, now_ms)
    if seq is None:
        if ms != last_ms:
            seq = 0
        elif last_seq < U64_MAX:
            seq = last_seq + 1
        else:
            raise IdNotGreater
    if (ms, seq) <= last:
        raise IdNotGreater
    return ms, seq


def next_id(stream: Stream, now_ms: int) -> Id:
    """The ID for ``*``: the clock's time, or the last ID's successor while the clock is not ahead of it."""
    if stream.topic is not None:
        return stream.topic.next_id(stream.partition, now_ms)
    last_ms, last_seq = stream.last_id
    if now_ms > last_ms:
        return now_ms, 0
    if last_seq < U64_MAX:
        return last_ms, last_seq + 1
    if last_ms == U64_MAX:
        raise IdsExhausted
    return last_ms + 1, 0


def xtrim(ctx: Context, words: list[bytes]) -> Reply:
    node_entries = ctx.settings.stream_node_max_entries
    trim = parse_trim(words, node_entries)
    stream = ctx.lookup(words[1])
    if stream is None:
        return replies.ZERO
    trimmed = trim.apply(stream, node_entries)
    if trimmed:
        ctx.changed(words[1], "xtrim")
    return replies.integer(trimmed)


COMMANDS: Final = (
    CommandSpec(
        "XADD",
        -5,
        Flag.WRITE | Flag.DENYOOM | Flag.FAST,
        xadd,
        "Appends an entry to a stream; an unknown key becomes one.",
        "key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [IDMPAUTO producer-id | IDMP producer-id idempotent-id] "
        "[<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
        since="5.0.0",
        complexity="O(1) to append, O(1) to trim",
        keys=Keys(),
        tips=(VARIES,),
        on_topic=xadd_to_topic,
        run=xadd_run,
    ),
    CommandSpec(
        "XTRIM",
        -4,
        Flag.WRITE,
        xtrim,
        "Removes entries from a stream's front.",
        "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]",
        since="5.0.0",
        complexity="O(1); O(n) with DELREF or ACKED, for n entries looked at",
        keys=Keys(),
        tips=(VARIES,),
        on_topic=xtrim_of_topic,
    ),
)
