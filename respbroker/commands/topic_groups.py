"""XGROUP on a topic of several partitions: its groups are in every partition; and how others find one at work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.groups import (
    ENDS,
    SubcommandSyntax,
    parse_group_options,
    see_consumer,
)
from respbroker.errors import BusyGroup, NoGroup, ReplyError, quoted
from respbroker.model.stream_id import parse_id
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams import effects
from respbroker.streams.references import cursor_ordinal

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.table import TopicHandler
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Id, Stream
    from respbroker.streams.topic import Topic

Part = tuple["Stream", "Group"]  # a partition, and the group in it


# -- finding groups, for other commands too ------------------------------------------------------------------


def parts_of(topic: Topic, name: bytes) -> list[Part] | None:
    """Every partition with its part of the group; None unless the group is in all of them."""
    parts = [(stream, group) for stream in topic.partitions if (group := stream.groups.get(name)) is not None]
    return parts if len(parts) == len(topic.partitions) else None


def existing_parts(topic: Topic, name: bytes) -> list[Part]:
    """The same. Raises NoGroup."""
    parts = parts_of(topic, name)
    if parts is None:
        raise NoGroup.of_key(topic.name, name)
    return parts


def part_of(topic: Topic, name: bytes, entry_id: Id) -> Part | None:
    """The partition in which an entry is, if it is anywhere, with its part of the group, if there is one."""
    stream = topic.partition_of(entry_id)
    group = stream.groups.get(name) if stream is not None else None
    return None if stream is None or group is None else (stream, group)


def settle(ctx: Context, topic: Topic, name: bytes) -> None:
    """Something is pending no more: perhaps a partition has drained, and goes to somebody who waits."""
    group = topic.groups.get(name)
    if group is not None and group.ownership.moving and group.settle():
        ctx.wake(topic.name)


# -- the subcommands -----------------------------------------------------------------------------------------


def _refuse_counter(topic: Topic) -> ReplyError:
    name = quoted(topic.name)
    return ReplyError(f"ENTRIESREAD counts the entries of one partition: name one, as in '{name}/0'")


def _cursors(topic: Topic, word: bytes) -> list[Id]:
    """Where the group is to stand in each partition; ``$`` is behind all there is."""
    if word == b"$":
        return [stream.last_id for stream in topic.partitions]
    return [parse_id(word)] * len(topic.partitions)


def create(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    options = parse_group_options(words, may_make=True)
    if len(words) > 8:
        raise SubcommandSyntax("XGROUP", words[1])
    if options.entries_read is not None:
        raise _refuse_counter(topic)
    cursors = _cursors(topic, words[4])
    if any(words[3] in stream.groups for stream in topic.partitions):
        raise BusyGroup
    for stream, cursor in zip(topic.partitions, cursors, strict=True):
        stream.commit([effects.GROUP_CREATED, words[3], *cursor, cursor_ordinal(stream, cursor), None])
    ctx.keyspace.atomic = True
    ctx.notified(topic.name, "xgroup-create")
    return replies.OK


def set_id(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    options = parse_group_options(words, may_make=False)
    parts = _named_parts(topic, words)
    if len(words) not in (5, 7):
        raise SubcommandSyntax("XGROUP", words[1])
    if options.entries_read is not None:
        raise _refuse_counter(topic)
    end = ENDS.get(words[4])
    cursors = _cursors(topic, words[4]) if end is None else [end] * len(parts)
    for (stream, group), cursor in zip(parts, cursors, strict=True):
        stream.commit([effects.GROUP_ID_SET, group.name, *cursor, cursor_ordinal(stream, cursor), None])
    ctx.keyspace.atomic = True
    ctx.notified(topic.name, "xgroup-setid")
    return replies.OK


def destroy(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    streams = [stream for stream in topic.partitions if words[3] in stream.groups]
    if not streams:
        return replies.ZERO
    for stream in streams:
        stream.commit([effects.GROUP_DESTROYED, words[3]])
    topic.groups.pop(words[3], None)
    ctx.keyspace.atomic = True
    ctx.notified(topic.name, "xgroup-destroy", wake=True)
    return replies.ONE


def create_consumer(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    """It is noted in the first partition, and in the others when it is given entries of them."""
    parts = _named_parts(topic, words)
    if any(words[4] in group.consumers for _, group in parts):
        return replies.ZERO
    see_consumer(ctx, *parts[0], words[4])
    return replies.ONE


def delete_consumer(ctx: Context, topic: Topic, words: list[bytes]) -> Reply:
    """How many entries were pending with the consumer; its partitions go to others at once."""
    parts = [(stream, group) for stream, group in _named_parts(topic, words) if words[4] in group.consumers]
    if not parts:
        return replies.ZERO
    held = sum(group.pending.count_of(words[4]) for _, group in parts)
    for stream, group in parts:
        stream.commit([effects.CONSUMER_DELETED, group.name, words[4]])
    ctx.keyspace.atomic = True
    work = topic.groups.get(words[3])
    changed = work is not None and work.forget(words[4])
    ctx.notified(topic.name, "xgroup-delconsumer", wake=changed)
    return replies.integer(held)


def _named_parts(topic: Topic, words: list[bytes]) -> list[Part]:
    parts = parts_of(topic, words[3])
    if parts is None:
        raise NoGroup.named(words[2], words[3])
    return parts


ON_TOPIC: Final[dict[str, TopicHandler]] = {
    "XGROUP CREATE": create,
    "XGROUP SETID": set_id,
    "XGROUP DESTROY": destroy,
    "XGROUP CREATECONSUMER": create_consumer,
    "XGROUP DELCONSUMER": delete_consumer,
}
