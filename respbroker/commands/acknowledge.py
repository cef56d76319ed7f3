"""XACK, XACKDEL and XNACK: a consumer is done with entries, or gives them up."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.commands.dead_letters import watch_fatal
from respbroker.commands.deletes import Deletion, delete_unless_referenced, parse_deletion, parse_ids
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.commands.topic_acks import run_on_topic
from respbroker.errors import NotAnInteger, ReplyError, SeveralPartitions, SyntaxRefused
from respbroker.model.stream_id import parse_id
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams import effects
from respbroker.streams.pending import COUNT_MAX
from respbroker.streams.recent_ids import window_of
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Stream

KEY: Final = Keys(1, 1, 1)
_SINGLE: Final = 4  # words of an XACK of one ID


def xack(ctx: Context, words: list[bytes]) -> Reply:
    stream = ctx.lookup(words[1])
    if stream is None:
        return replies.ZERO
    group = stream.groups.get(words[2])
    if group is None:
        return replies.ZERO
    window = stream.recent_ids or window_of(stream)
    if len(words) == 4:  # the hot path: one entry, known from a neighbour's acknowledgement
        ordinal = window.known.pop(words[3], None)
        if ordinal is not None:
            if stream.acknowledge_one(group, ordinal):
                ctx.dirty += 1
                return replies.ONE
            return replies.ZERO
    removed = stream.acknowledge(group, window.take(stream, words[3:]))
    ctx.dirty += removed
    return replies.integer(removed)


def xack_run(ctx: Context, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring XACKs of one group; see `RunHandler`."""
    head = requests[start][:3]
    if requests[start + 1][:3] != head:
        return 0
    try:
        stream = ctx.lookup(head[1])
    except SeveralPartitions as found:
        return run_on_topic(ctx, found.topic, requests, start, out)
    group = stream.groups.get(head[2]) if stream is not None else None
    if stream is None or group is None:
        return 0
    if len(requests[start]) > _SINGLE:
        return _acknowledge_many(ctx, stream, group, requests, start, out)
    command, key, group_name = head
    names = []
    try:
        for another, its_key, its_group, name in islice(requests, start, None):
            if its_key != key or its_group != group_name or another != command:
                break
            names.append(name)
    except ValueError:  # a request that has not one ID
        pass
    window = stream.recent_ids or window_of(stream)
    removed = stream.acknowledge_each(group, window.each(stream, names))
    ctx.dirty += sum(removed)
    out.extend([_REPLIES[one] for one in removed])
    return len(removed)


def _acknowledge_many(
    ctx: Context, stream: Stream, group: Group, requests: list[list[bytes]], start: int, out: list[Reply]
) -> int:
    """Requests with several IDs each, as consumers send them that read a hundred entries at a time."""
    window = stream.recent_ids or window_of(stream)
    head = requests[start][:3]
    served = 0
    try:
        for words in islice(requests, start, None):
            if words[:3] != head or len(words) < _SINGLE:
                break
            removed = stream.acknowledge(group, window.take(stream, words[3:]))
            ctx.dirty += removed
            out.append(replies.integer(removed))
            served += 1
    except (ReplyError, StorageError):  # that request will be told by itself
        pass
    return served


_REPLIES: Final = (replies.ZERO, replies.ONE)


def xackdel(ctx: Context, words: list[bytes]) -> Reply:
    """Acknowledge, then delete what was acknowledged, if the policy allows. -1: not pending in this group."""
    ctx.keyspace.ensure_no_value(ctx.client.db, words[1], ctx.now_ms)  # before a mistake in the words
    deletion = parse_deletion(words, 3)
    stream = ctx.lookup(words[1])
    group = stream.groups.get(words[2]) if stream is not None else None
    if stream is None or group is None:
        return replies.integer_array([-1] * len(deletion.ids))
    outcomes: list[int] = []
    doomed: dict[int, None] = {}
    for entry_id in [parse_id(word) for word in deletion.ids]:
        ordinal = stream.find_stored(entry_id)
        if ordinal is None or not stream.acknowledge_one(group, ordinal):
            outcomes.append(-1)
            continue
        ctx.dirty += 1
        deleted = delete_unless_referenced(stream, entry_id, ordinal, deletion.policy, doomed)
        outcomes.append(1 if deleted else 2)
    Deletion.carry_out(ctx, stream, doomed)
    return replies.integer_array(outcomes)


# -- giving entries up ----------------------------------------------------------------------------------


@attrs.frozen
class Nack:
    """A parsed XNACK. ``count`` gives the new delivery count from the old one."""

    mode: bytes
    ids: list[bytes]
    retry_count: int | None
    force: bool

    def deliveries_of(self, stream: Stream, group: Group, ordinal: int) -> int | None:
        """How often an entry was delivered; None if it is not to be released, for nobody holds it."""
        held = group.pending.get(ordinal)
        if held is None:
            return 0 if self.force and stream.is_live(ordinal) else None
        return None if held[0] is None else held[2]

    def count(self, deliveries: int) -> int:
        if self.retry_count is not None:
            return self.retry_count
        if self.mode == b"FATAL":
            return COUNT_MAX
        return max(deliveries - 1, 0) if self.mode == b"SILENT" else deliveries


def parse_nack(words: list[bytes]) -> Nack:
    mode = words[3].upper()
    if mode not in (b"SILENT", b"FAIL", b"FATAL"):
        raise ReplyError("mode must be SILENT, FAIL, or FATAL")
    ids: list[bytes] | None = None
    retry_count = None
    force = False
    options = Arguments(words, 4)
    while options.more:
        match options.option():
            case b"IDS":
                ids = parse_ids(options)
            case b"RETRYCOUNT":
                retry_count = _parse_retry_count(options.value())
            case b"FORCE":
                force = True
            case _:
                raise SyntaxRefused
    if ids is None:
        raise ReplyError("IDS option is required")
    return Nack(mode, ids, retry_count, force)


def _parse_retry_count(word: bytes) -> int:
    try:
        count = parse_int(word)
    except NotAnInteger:
        count = -1
    if count < 0:
        raise ReplyError("Invalid RETRYCOUNT option argument for XNACK")
    return count


def xnack(ctx: Context, words: list[bytes]) -> Reply:
    """Entries become nobody's, first in line for whoever claims, or dead letters; how many did."""
    request = parse_nack(words)
    stream = ctx.lookup(words[1])
    group = stream.groups.get(words[2]) if stream is not None else None
    if stream is None or group is None:
        return replies.ZERO
    dead = watch_fatal(ctx, stream, group) if request.mode == b"FATAL" else None
    released: dict[int, int] = {}  # ordinal to new delivery count, in the order of release
    for entry_id in map(parse_id, request.ids):
        ordinal = stream.find_stored(entry_id)
        if ordinal is None:
            continue
        deliveries = request.deliveries_of(stream, group, ordinal)
        if deliveries is None:
            continue
        if dead is not None:
            dead.give_up(ordinal)
        else:
            released[ordinal] = request.count(deliveries)
    if dead is not None:
        return replies.integer(dead.bury())
    if released:
        stream.commit([effects.RELEASED, group.name, [[ordinal, count] for ordinal, count in released.items()]])
        ctx.dirty += len(released)
        ctx.wake(stream.key)
    return replies.integer(len(released))


COMMANDS: Final = (
    CommandSpec(
        "XACK",
        arity=-4,
        flags=Flag.WRITE | Flag.FAST,
        handler=xack,
        summary="Returns the number of messages that were successfully acknowledged by the consumer group member "
        "of a stream.",
        syntax="key group id [id ...]",
        since="5.0.0",
        complexity="O(1) for each message ID processed.",
        keys=KEY,
        run=xack_run,
    ),
    CommandSpec(
        "XACKDEL",
        arity=-6,
        flags=Flag.WRITE | Flag.FAST,
        handler=xackdel,
        summary="Acknowledges and deletes one or multiple messages for a stream consumer group.",
        syntax="key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
        since="8.2.0",
        complexity="O(1) for each message ID processed.",
        keys=KEY,
    ),
    CommandSpec(
        "XNACK",
        arity=-7,
        flags=Flag.WRITE | Flag.FAST,
        handler=xnack,
        summary="Releases pending messages back to the consumer group, to be claimed by any consumer at once.",
        syntax="key group <SILENT | FAIL | FATAL> IDS numids id [id ...] [RETRYCOUNT count] [FORCE]",
        since="8.8.0",
        complexity="O(1) for each message ID processed.",
        keys=KEY,
    ),
)
