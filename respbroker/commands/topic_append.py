"""XADD to a topic of several partitions: to the partition of the entry's key."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from respbroker.errors import IdNotGreater, ReplyError
from respbroker.resp.codec import encode_entry, encode_id
from respbroker.sessions.client import Reply
from respbroker.streams.schemas import fits
from respbroker.streams.topic import STRIDE, next_sequence

if TYPE_CHECKING:
    from respbroker.commands.append import AppendRequest
    from respbroker.commands.context import Context
    from respbroker.streams.stream import Id
    from respbroker.streams.topic import Topic

_PLAIN: Final = 3  # words before the fields


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
    field = topic.settings.key_field_bytes
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


def append_run_to_topic(ctx: Context, topic: Topic, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring ``XADD topic * field value ...``; see `respbroker.commands.table.RunHandler`."""
    head = requests[start][:_PLAIN]
    field = topic.settings.key_field_bytes
    partitions, now_ms = topic.partitions, ctx.now_ms
    sticky = topic.sticky(ctx.ticks_count)
    done = 0
    guarded = topic.settings.guards_appends
    for words in islice(requests, start, None):
        size = len(words)
        if size < _PLAIN + 2 or not size & 1 or words[:_PLAIN] != head:
            break
        if guarded and not fits(topic.settings, words, _PLAIN):
            break
        if not field:
            index = sticky
        elif words[3] == field:
            index = topic.index_of_key(words[4])
        else:
            key = key_of(words[3:], field)
            index = sticky if key is None else topic.index_of_key(key)
        entry_id = topic.next_id(index, now_ms)
        bulk = encode_id(*entry_id)
        partitions[index].append(entry_id, encode_entry(bulk, words, _PLAIN))
        out.append(bulk)
        done += 1
    ctx.dirty += done
    if not ctx.quiet:
        for stream in partitions:
            if stream.is_dirty:
                ctx.changed(stream.key, "")
                ctx.dirty -= 1  # counted already
    return done
