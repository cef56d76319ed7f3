"""XADD to a topic of several partitions: to the partition of the entry's key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.lingering import count_ready
from respbroker.errors import IdNotGreater, ReplyError
from respbroker.resp.codec import count_entries, encode_entry, encode_id, spread_entries, values_of
from respbroker.sessions.client import Reply
from respbroker.streams.topic import STRIDE, next_sequence

if TYPE_CHECKING:
    from respbroker.commands.append import AppendRequest
    from respbroker.commands.context import Context
    from respbroker.streams.stream import Id
    from respbroker.streams.topic import Topic

_PLAIN: Final = 3  # words before the fields
_SEQ_MAX: Final = 10**18  # above it IDs are given out one by one


def key_of(fields: list[bytes], key_field: bytes) -> bytes | None:
    """The value of the first field of that name; None if the entry has none."""
    if fields[0] == key_field:
        return fields[1]
    names = fields[::2]
    return fields[2 * names.index(key_field) + 1] if key_field in names else None


def choose_partition(ctx: Context, topic: Topic, request: AppendRequest) -> int:
    """By the key; without one by the ID where it was given, by what it is recognised by if it may be sent again, else
    sticky.

    Raises:
        ReplyError: an ID was given that is not one of the key's partition.
    """
    field = topic.key_field
    key = key_of(request.fields, field) if field else None
    index = None if key is None else topic.index_of_key(key)
    if request.seq is not None:
        told = request.seq % STRIDE
        if index is not None and told != index:
            raise ReplyError(
                f"The ID specified in XADD is not one of partition {index}, where its key belongs: "
                f"its sequence must be {index} modulo {STRIDE}"
            )
        if told >= len(topic.partitions):
            raise ReplyError(f"The ID specified in XADD belongs to partition {told}, which the topic does not have")
        return told
    if index is not None:
        return index
    if request.idempotency is not None:
        return topic.index_of_key(request.idempotency.idempotent_id or b"")
    return topic.sticky(ctx.ticks_count)


def choose_id(topic: Topic, index: int, ms: int | None, seq: int | None, now_ms: int) -> Id:
    """The ID of a new entry in partition ``index``, above every ID of the topic.

    Raises:
        IdsExhausted, IdNotGreater: as for a stream.
        ReplyError: the sequence given does not tell the partition.
    """
    if ms is None:
        return topic.next_id(index, now_ms)
    last_ms, last_seq = topic.last_id
    if seq is None:
        seq = index if ms != last_ms else next_sequence(last_seq, index)
    elif seq % STRIDE != index:
        raise ReplyError(
            f"The ID specified in XADD is not one of this partition: its sequence must be {index} modulo {STRIDE}"
        )
    if (ms, seq) <= topic.last_id:
        raise IdNotGreater
    topic.take_id((ms, seq))
    return ms, seq


def append_one_to_topic(ctx: Context, topic: Topic, words: list[bytes]) -> bytes:
    """``XADD topic * field value ...``, the short way."""
    field = topic.key_field
    key = key_of(words[_PLAIN:], field) if field else None
    index = topic.sticky(ctx.ticks_count) if key is None else topic.index_of_key(key)
    entry_id = topic.next_id(index, ctx.now_ms)
    bulk = encode_id(*entry_id)
    stream = topic.partitions[index]
    stream.append(entry_id, encode_entry(bulk, words, _PLAIN))
    if ctx.quiet:
        ctx.dirty += 1
    else:
        ctx.changed(stream.key, "xadd")
    return bulk


def append_run_to_topic(ctx: Context, topic: Topic, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring ``XADD topic * field value ...``; see `respbroker.commands.table.RunHandler`.

    The same as one after the other, but each partition gets what is for it at once.
    """
    count = count_entries(requests, start, _PLAIN)
    if topic.guarded:
        count = count_ready(ctx, topic, requests[start : start + count], _PLAIN)
    ms, seq = topic.last_id
    if ctx.now_ms > ms:
        ms, seq = ctx.now_ms, -1
    if count < 2 or seq + count * STRIDE > _SEQ_MAX:
        return 0
    partitions = topic.partitions
    seqs: list[list[int]] = [[] for _ in partitions]
    payloads: list[list[bytes]] = [[] for _ in partitions]
    bulks: list[bytes] = []
    indexes = _indexes(topic, requests, start, count, ctx.ticks_count)
    seq = spread_entries(requests, start, _PLAIN, indexes, ms, seq, seqs, payloads, bulks)
    topic.take_id((ms, seq))
    for index, entries in enumerate(payloads):
        if entries:
            stream = partitions[index]
            stream.extend_by_columns(ms, seqs[index], entries)
            if not ctx.quiet:
                ctx.changed(stream.key, "")
                ctx.dirty -= 1  # counted below
    ctx.dirty += count
    out.extend(bulks)
    return count


def _indexes(topic: Topic, requests: list[list[bytes]], start: int, count: int, tick: int) -> list[int]:
    """The partition of each of the requests."""
    field = topic.key_field
    if not field:
        return [topic.sticky(tick)] * count
    keys = values_of(requests, start, count, _PLAIN, field)
    try:
        return topic.indexes_of_keys(keys)  # type: ignore[arg-type]  # mostly there is no None in it
    except TypeError:
        sticky = topic.sticky(tick)
        return [sticky if key is None else topic.index_of_key(key) for key in keys]
