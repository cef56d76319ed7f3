"""XCLAIM and XAUTOCLAIM on a topic of several partitions.

In ordered mode a consumer can claim only in the partitions it owns: an entry that went to somebody else would be
handled beside those of its key that follow.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.claims import (
    SCAN_FACTOR,
    AutoClaim,
    Claim,
    assign,
    forget,
    parse_autoclaim,
    parse_claim,
    select,
)
from respbroker.commands.dead_letters import watch_all
from respbroker.commands.groups import see_consumer
from respbroker.commands.topic_groups import Part, existing_parts, part_of, settle
from respbroker.commands.topic_pending import PendingEntry, merged_pending
from respbroker.resp import replies
from respbroker.sessions.client import Output, Reply
from respbroker.streams import effects
from respbroker.streams.pending import COUNT_MAX
from respbroker.streams.references import cursor_ordinal
from respbroker.streams.runs import consecutive

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.dead_letters import DeadLetters
    from respbroker.commands.table import TopicHandler
    from respbroker.model.stream_id import StreamId
    from respbroker.streams.stream import Id
    from respbroker.streams.topic import Topic


def xclaim(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    parts = existing_parts(topic, words[2])
    request = parse_claim(words, ctx.now_ms)
    if request.last_id is not None:
        _move_cursor(ctx, topic, words[2], request.last_id)
    see_consumer(ctx, *parts[0], words[3])
    claimable = _claimable(ctx, topic, parts, words[3])
    entries: dict[Id, bytes] = {}
    for stream, group in claimable:
        its_request = _for_partition(topic, request, stream.partition)
        if not its_request.ids:
            continue
        claimed, gone = select(ctx, stream, group, its_request)
        forget(stream, group, gone)
        assign(ctx, stream, group, words[3], [(o, o + 1, request.time_ms, count) for o, count in claimed])
        payloads = stream.payloads_each(consecutive([ordinal for ordinal, _ in claimed]))
        for (ordinal, _), payload in zip(claimed, payloads, strict=True):
            entries[stream.id_at(ordinal)] = payload
    settle(ctx, topic, words[2])
    return _in_order_of(request, entries)


def _for_partition(topic: Topic, request: Claim, partition: int) -> Claim:
    """The request with only the IDs that are in one partition."""
    stream = topic.partitions[partition]
    return attrs.evolve(request, ids=[each for each in request.ids if topic.partition_of(each) is stream])


def _in_order_of(request: Claim, entries: dict[Id, bytes]) -> list[Output]:
    """The entries as XCLAIM answers them: in the order in which they were named."""
    named = [each for each in request.ids if each in entries]
    if request.just_id:
        return [replies.bulk_array([b"%d-%d" % each for each in named])]
    return [b"*%d\r\n" % len(named), *(entries[each] for each in named)]


def _move_cursor(ctx: Context, topic: Topic, name: bytes, last_id: StreamId) -> None:
    """LASTID: the group has been given its partition up to there."""
    part = part_of(topic, name, last_id)
    if part is not None and last_id > part[1].last_delivered_id:
        stream, group = part
        stream.commit([effects.GROUP_ID_SET, name, *last_id, cursor_ordinal(stream, last_id), group.entries_read])
        ctx.dirty += 1


def _claimable(ctx: Context, topic: Topic, parts: list[Part], consumer: bytes) -> list[Part]:
    """The partitions of which the consumer may claim entries."""
    if not topic.is_ordered:
        return parts
    work = ctx.group_sessions.group(topic, parts[0][1].name, ctx.now)
    return [part for part in parts if work.owns(consumer, part[0].partition)]


def xautoclaim(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    """The cursor is an ID, as on a stream: the pending entries of all partitions are gone through in their order."""
    request = parse_autoclaim(words)
    parts = existing_parts(topic, words[2])
    see_consumer(ctx, *parts[0], words[3])
    dead = {} if request.just_id else watch_all(ctx, topic, words[2])
    claimed, gone, following = _scan(ctx, topic, _claimable(ctx, topic, parts, words[3]), request, dead)
    for letters in dead.values():
        letters.bury()
    raised = 0 if request.just_id else 1
    payloads: dict[int, deque[bytes]] = {}
    for stream, group in parts:
        forget(stream, group, [each.ordinal for each in gone if each.partition == stream.partition])
        its_claimed = [each for each in claimed if each.partition == stream.partition]
        if its_claimed:
            taken = [(e.ordinal, e.ordinal + 1, ctx.now_ms, min(e.deliveries + raised, COUNT_MAX)) for e in its_claimed]
            assign(ctx, stream, group, words[3], taken)
            ranges = consecutive([each.ordinal for each in its_claimed])
            payloads[stream.partition] = deque(stream.payloads_each(ranges))
    settle(ctx, topic, words[2])
    if request.just_id:
        entries: list[Output] = [replies.bulk_array(list(map(_text, claimed)))]
    else:
        entries = [b"*%d\r\n" % len(claimed), *(payloads[each.partition].popleft() for each in claimed)]
    next_id = b"0-0" if following is None else _text(following)
    return [b"*3\r\n" + replies.bulk(next_id), *entries, replies.bulk_array(list(map(_text, gone)))]


def _text(entry: PendingEntry) -> bytes:
    return b"%d-%d" % entry.entry_id


def _scan(
    ctx: Context, topic: Topic, parts: list[Part], request: AutoClaim, dead: dict[int, DeadLetters]
) -> tuple[list[PendingEntry], list[PendingEntry], PendingEntry | None]:
    """What is to be claimed, what is pending but gone, and with which entry to go on (None: the end)."""
    claimed: list[PendingEntry] = []
    gone: list[PendingEntry] = []
    attempts = request.count * SCAN_FACTOR
    for each in merged_pending(parts, request.start):
        if len(claimed) + len(gone) == request.count or not attempts:
            return claimed, gone, each
        attempts -= 1
        if not topic.partitions[each.partition].is_live(each.ordinal):
            gone.append(each)
        elif each.owner is None or ctx.now_ms - each.time_ms >= request.min_idle:
            letters = dead.get(each.partition)
            if letters is None or not letters.takes(each.ordinal, each.ordinal + 1, each.owner, each.deliveries):
                claimed.append(each)
    return claimed, gone, None


ON_TOPIC: Final[dict[str, TopicHandler]] = {"XCLAIM": xclaim, "XAUTOCLAIM": xautoclaim}
