"""XDEL, XDELEX and XSETID: taking entries out of a stream, and setting its counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.errors import NoSuchKey, NotAnInteger, ReplyError, SyntaxRefused
from respbroker.model.stream_id import ZERO, StreamId, parse_id
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams import effects
from respbroker.streams.references import FUTURE, POLICIES, Policy, drop_references

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.stream import Id, Stream
    from respbroker.streams.topic import Topic

KEY: Final = Keys(1, 1, 1)


# -- XDEL -------------------------------------------------------------------------------------------------


def xdel(ctx: Context, words: list[bytes]) -> Reply:
    stream = ctx.lookup(words[1])
    if stream is None:
        return replies.ZERO
    found = map(stream.find_live, [parse_id(word) for word in words[2:]])
    doomed = dict.fromkeys(ordinal for ordinal in found if ordinal is not None)
    Deletion.carry_out(ctx, stream, doomed)
    return replies.integer(len(doomed))


# -- XDELEX, and what XACKDEL shares with it --------------------------------------------------------------


@attrs.frozen
class Deletion:
    """The policy and the IDs of XDELEX and XACKDEL; IDs are as sent, for a missing key answers before they are read."""

    policy: Policy
    ids: list[bytes]

    @staticmethod
    def carry_out(ctx: Context, stream: Stream, doomed: dict[int, None]) -> None:
        """Delete live entries, all at once."""
        if doomed:
            stream.delete(list(doomed))
            ctx.changed(stream.key, "xdel")
            ctx.dirty += len(doomed) - 1


def parse_deletion(words: list[bytes], start: int) -> Deletion:
    """``[KEEPREF | DELREF | ACKED] IDS numids id [id ...]`` in any order: one policy at most, the last IDS counts."""
    policy: Policy | None = None
    ids: list[bytes] | None = None
    options = Arguments(words, start)
    while options.more:
        option = options.option()
        if option == b"IDS" and options.more:
            ids = parse_ids(options)
        elif option in POLICIES and policy is None:
            policy = POLICIES[option]
        else:
            raise SyntaxRefused
    if ids is None:
        raise ReplyError("IDS option is required")
    return Deletion(policy or Policy.KEEPREF, ids)


def parse_ids(options: Arguments) -> list[bytes]:
    """``numids id [id ...]``."""
    try:
        count = parse_int(options.value())
    except NotAnInteger:
        count = 0
    if count <= 0:
        raise ReplyError("Number of IDs must be a positive integer")
    if count > options.left:
        raise ReplyError("The `numids` parameter must match the number of arguments")
    return options.take(count)


def xdelex(ctx: Context, words: list[bytes]) -> Reply:
    """For each ID: 1 deleted, -1 no such entry, 2 spared because a group still refers to it."""
    ctx.keyspace.ensure_no_value(ctx.client.db, words[1], ctx.now_ms)  # before a mistake in the words
    deletion = parse_deletion(words, 2)
    stream = ctx.lookup(words[1])
    if stream is None:
        return replies.integer_array([-1] * len(deletion.ids))
    outcomes: list[int] = []
    doomed: dict[int, None] = {}
    for entry_id in [parse_id(word) for word in deletion.ids]:
        ordinal = stream.find_stored(entry_id)
        there = ordinal is not None and stream.is_live(ordinal) and ordinal not in doomed
        if not delete_unless_referenced(stream, entry_id, ordinal, deletion.policy, doomed):
            outcomes.append(2)
        else:
            outcomes.append(1 if there else -1)
    Deletion.carry_out(ctx, stream, doomed)
    return replies.integer_array(outcomes)


def delete_unless_referenced(
    stream: Stream, entry_id: Id, ordinal: int | None, policy: Policy, doomed: dict[int, None]
) -> bool:
    """Do to references what ``policy`` says and doom the entry, if it is there; False if ACKED spares it.

    An ID that names no entry counts as not read yet by the groups that have not come to it, as in Redis.
    """
    if policy is Policy.ACKED:
        for group in stream.groups.values():
            if group.last_delivered_id < entry_id or (ordinal is not None and ordinal in group.pending):
                return False
    if ordinal is None:
        return True
    if policy is Policy.DELREF:
        drop_references(stream, [ordinal])
    if stream.is_live(ordinal):
        doomed[ordinal] = None
    return True


# -- the same for a topic: each ID tells its partition --------------------------------------------------------


def xdel_of_topic(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    doomed: dict[Stream, dict[int, None]] = {}
    for entry_id in [parse_id(word) for word in words[2:]]:
        stream = topic.partition_of(entry_id)
        ordinal = None if stream is None else stream.find_live(entry_id)
        if stream is not None and ordinal is not None:
            doomed.setdefault(stream, {})[ordinal] = None
    return replies.integer(_delete(ctx, doomed))


def xdelex_of_topic(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    """Replies stand in the order of the IDs, whatever partitions they are of."""
    deletion = parse_deletion(words, 2)
    outcomes: list[int] = []
    doomed: dict[Stream, dict[int, None]] = {}
    for entry_id in [parse_id(word) for word in deletion.ids]:
        stream = topic.partition_of(entry_id)
        if stream is None:
            outcomes.append(-1)
            continue
        of_stream = doomed.setdefault(stream, {})
        ordinal = stream.find_stored(entry_id)
        there = ordinal is not None and stream.is_live(ordinal) and ordinal not in of_stream
        if not delete_unless_referenced(stream, entry_id, ordinal, deletion.policy, of_stream):
            outcomes.append(2)
        else:
            outcomes.append(1 if there else -1)
    _delete(ctx, doomed)
    return replies.integer_array(outcomes)


def _delete(ctx: Context, doomed: dict[Stream, dict[int, None]]) -> int:
    """Delete live entries of several partitions, all or, should the server die, none; how many."""
    if len(doomed) > 1:
        ctx.keyspace.atomic = True
    for stream, ordinals in doomed.items():
        Deletion.carry_out(ctx, stream, ordinals)
    return sum(map(len, doomed.values()))


# -- XSETID -------------------------------------------------------------------------------------------------


def xsetid(ctx: Context, words: list[bytes]) -> Reply:
    """Set the last ID, and with options the counters, of an existing stream."""
    entry_id = parse_id(words[2])
    entries_added: int | None = None
    max_deleted = ZERO
    options = Arguments(words, 3)
    while options.more:
        match options.option():
            case b"ENTRIESADDED":
                entries_added = parse_int(options.value())
                if entries_added < 0:
                    raise ReplyError("entries_added must be positive")
            case b"MAXDELETEDID":
                max_deleted = parse_id(options.value())
                if entry_id < max_deleted:
                    raise ReplyError("The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
            case _:
                raise SyntaxRefused
    stream = ctx.lookup(words[1])
    if stream is None:
        raise NoSuchKey
    _check_new_id(stream, entry_id, entries_added)
    added = stream.entries_added if entries_added is None else entries_added
    deleted = stream.max_deleted_id if max_deleted == ZERO else max_deleted
    if entry_id < stream.highest_id:
        stream = ctx.keyspace.go_back(stream, entry_id)
    stream.commit([effects.ID_SET, *entry_id, added, *deleted, stream.end_ordinal])
    if stream.topic is not None:
        stream.topic.take_id(max(stream.topic.last_id, entry_id))
    for group in stream.groups.values():
        if group.last_delivered_id > entry_id and group.next_ordinal != FUTURE:
            cursor = [*group.last_delivered_id, FUTURE, group.entries_read]
            stream.commit([effects.GROUP_ID_SET, group.name, *cursor])
    ctx.notified(stream.key, "xsetid")
    return replies.OK


def _check_new_id(stream: Stream, entry_id: StreamId, entries_added: int | None) -> None:
    if entry_id < stream.max_deleted_id:
        raise ReplyError("The ID specified in XSETID is smaller than current max_deleted_entry_id")
    last = stream.last_live()
    if last is None:
        return
    if entry_id < stream.id_at(last):
        raise ReplyError("The ID specified in XSETID is smaller than the target stream top item")
    if entries_added is not None and entries_added < stream.length:
        raise ReplyError("The entries_added specified in XSETID is smaller than the target stream length")


COMMANDS: Final = (
    CommandSpec(
        "XDEL",
        arity=-3,
        flags=Flag.WRITE | Flag.FAST,
        handler=xdel,
        summary="Returns the number of messages after removing them from a stream.",
        syntax="key id [id ...]",
        since="5.0.0",
        complexity="O(log N) for each entry, with N entries in the stream.",
        keys=KEY,
        on_topic=xdel_of_topic,
    ),
    CommandSpec(
        "XDELEX",
        arity=-5,
        flags=Flag.WRITE | Flag.FAST,
        handler=xdelex,
        summary="Deletes one or multiple entries from the stream.",
        syntax="key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
        since="8.2.0",
        complexity="O(log N) for each entry, with N entries in the stream.",
        keys=KEY,
        on_topic=xdelex_of_topic,
    ),
    CommandSpec(
        "XSETID",
        arity=-3,
        flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
        handler=xsetid,
        summary="An internal command for replicating stream values.",
        syntax="key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
        since="5.0.0",
        complexity="O(1)",
        keys=KEY,
    ),
)
