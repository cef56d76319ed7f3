"""XGROUP: making, moving and dropping groups and their consumers; and how other commands find a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.commands.help import help_reply, never_run
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.errors import BusyGroup, NoGroup, ReplyError
from respbroker.model.stream_id import MAX, ZERO, parse_id
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams import effects
from respbroker.streams.references import cursor_ordinal

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Id, Stream

KEY: Final = Keys(2, 2, 1)


class KeyRequired(ReplyError):
    text = (
        "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM "
        "option to create an empty stream automatically."
    )


class SubcommandSyntax(ReplyError):
    """Redis' answer to a subcommand whose options it cannot read."""

    def __init__(self, command: str, subcommand: bytes) -> None:
        name = subcommand[:128].decode("latin-1")
        super().__init__(f"unknown subcommand or wrong number of arguments for '{name}'. Try {command} HELP.")


# -- finding groups, for other commands too ------------------------------------------------------------------


def existing_group(ctx: Context, words: list[bytes]) -> tuple[Stream, Group]:
    """The group ``words[2]`` of the stream ``words[1]``.

    Raises:
        NoGroup: there is no such key or group.
    """
    stream = ctx.lookup(words[1])
    group = stream.groups.get(words[2]) if stream is not None else None
    if stream is None or group is None:
        raise NoGroup.of_key(words[1], words[2])
    return stream, group


def see_consumer(ctx: Context, stream: Stream, group: Group, name: bytes) -> None:
    """The consumer asked for entries: it exists from now on, and was seen."""
    consumer = group.consumers.get(name)
    if consumer is None:
        stream.commit([effects.CONSUMER_CREATED, group.name, name, ctx.now_ms])
        ctx.notified(stream.key, "xgroup-createconsumer")
    else:
        consumer.seen_ms = ctx.now_ms  # not worth a record: the next delivery writes it


def _stream(ctx: Context, words: list[bytes]) -> Stream:
    stream = ctx.lookup(words[2])
    if stream is None:
        raise KeyRequired
    return stream


def _group(ctx: Context, words: list[bytes]) -> tuple[Stream, Group]:
    stream = _stream(ctx, words)
    group = stream.groups.get(words[3])
    if group is None:
        raise NoGroup.named(words[2], words[3])
    return stream, group


# -- the subcommands -----------------------------------------------------------------------------------------


@attrs.frozen
class GroupOptions:
    """What may follow the ID in XGROUP CREATE and SETID."""

    make_stream: bool
    entries_read: int | None


def parse_group_options(words: list[bytes], *, may_make: bool) -> GroupOptions:
    make_stream, entries_read = False, None
    options = Arguments(words, 5)
    while options.more:
        option = options.option()
        if option == b"MKSTREAM" and may_make:
            make_stream = True
        elif option == b"ENTRIESREAD" and options.more:
            number = parse_int(options.value())
            if number < -1:
                raise ReplyError("value for ENTRIESREAD must be positive or -1")
            entries_read = None if number == -1 else number
        else:
            raise SubcommandSyntax("XGROUP", words[1])
    return GroupOptions(make_stream, entries_read)


#: IDs that SETID takes and CREATE does not, as in Redis.
ENDS: Final[dict[bytes, Id]] = {b"-": ZERO, b"+": MAX}


def _cursor(stream: Stream | None, word: bytes) -> Id:
    """``$`` is the last ID of the stream, or 0-0 where there is none yet."""
    if word == b"$":
        return (0, 0) if stream is None else stream.last_id
    return parse_id(word)


def _counter(stream: Stream, entries_read: int | None) -> int | None:
    return None if entries_read is None else min(entries_read, stream.entries_added)


def create(ctx: Context, words: list[bytes]) -> Reply:
    options = parse_group_options(words, may_make=True)
    stream = ctx.lookup(words[2]) if options.make_stream else _stream(ctx, words)
    if len(words) > 8:
        raise SubcommandSyntax("XGROUP", words[1])
    cursor = _cursor(stream, words[4])
    made = stream is None
    if stream is None:
        stream = ctx.lookup_or_create(words[2])
    if words[3] in stream.groups:
        raise BusyGroup
    counter = _counter(stream, options.entries_read)
    stream.commit([effects.GROUP_CREATED, words[3], *cursor, cursor_ordinal(stream, cursor), counter])
    if made:
        ctx.changed(stream.key, "xgroup-create")
    else:
        ctx.notified(stream.key, "xgroup-create")
    return replies.OK


def set_id(ctx: Context, words: list[bytes]) -> Reply:
    options = parse_group_options(words, may_make=False)
    stream, group = _group(ctx, words)
    if len(words) not in (5, 7):
        raise SubcommandSyntax("XGROUP", words[1])
    cursor = ENDS.get(words[4]) or _cursor(stream, words[4])
    counter = _counter(stream, options.entries_read)
    stream.commit([effects.GROUP_ID_SET, group.name, *cursor, cursor_ordinal(stream, cursor), counter])
    ctx.notified(stream.key, "xgroup-setid")
    return replies.OK


def destroy(ctx: Context, words: list[bytes]) -> Reply:
    stream = _stream(ctx, words)
    if words[3] not in stream.groups:
        return replies.ZERO
    stream.commit([effects.GROUP_DESTROYED, words[3]])
    ctx.notified(stream.key, "xgroup-destroy", wake=True)
    return replies.ONE


def create_consumer(ctx: Context, words: list[bytes]) -> Reply:
    stream, group = _group(ctx, words)
    if words[4] in group.consumers:
        return replies.ZERO
    see_consumer(ctx, stream, group, words[4])
    return replies.ONE


def delete_consumer(ctx: Context, words: list[bytes]) -> Reply:
    """How many entries were pending with the consumer; they are nobody's concern any more."""
    stream, group = _group(ctx, words)
    if words[4] not in group.consumers:
        return replies.ZERO
    held = group.pending.count_of(words[4])
    stream.commit([effects.CONSUMER_DELETED, group.name, words[4]])
    ctx.notified(stream.key, "xgroup-delconsumer")
    return replies.integer(held)


HELP: Final = """\
CREATE <key> <groupname> <id|$> [option]
    Create a new consumer group. Options are:
    * MKSTREAM
      Create the empty stream if it does not exist.
    * ENTRIESREAD entries_read
      Set the group's entries_read counter (internal use).
CREATECONSUMER <key> <groupname> <consumer>
    Create a new consumer in the specified group.
DELCONSUMER <key> <groupname> <consumer>
    Remove the specified consumer.
DESTROY <key> <groupname>
    Remove the specified group.
SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]
    Set the current group ID and entries_read counter."""

COMMANDS: Final = (
    CommandSpec(
        "XGROUP",
        arity=-2,
        flags=Flag.NONE,
        handler=never_run,
        summary="A container for consumer groups commands.",
        since="5.0.0",
        complexity="Depends on subcommand.",
        subcommands=(
            CommandSpec(
                "CREATE",
                arity=-5,
                flags=Flag.WRITE | Flag.DENYOOM,
                handler=create,
                summary="Creates a consumer group.",
                syntax="key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
                since="5.0.0",
                keys=KEY,
            ),
            CommandSpec(
                "CREATECONSUMER",
                arity=5,
                flags=Flag.WRITE | Flag.DENYOOM,
                handler=create_consumer,
                summary="Creates a consumer in a consumer group.",
                syntax="key group consumer",
                since="6.2.0",
                keys=KEY,
            ),
            CommandSpec(
                "DELCONSUMER",
                arity=5,
                flags=Flag.WRITE,
                handler=delete_consumer,
                summary="Deletes a consumer from a consumer group.",
                syntax="key group consumer",
                since="5.0.0",
                keys=KEY,
            ),
            CommandSpec(
                "DESTROY",
                arity=4,
                flags=Flag.WRITE,
                handler=destroy,
                summary="Destroys a consumer group.",
                syntax="key group",
                since="5.0.0",
                complexity="O(N) where N is the number of entries in the group's pending entries list (PEL).",
                keys=KEY,
            ),
            CommandSpec(
                "HELP",
                arity=2,
                flags=Flag.LOADING | Flag.STALE,
                handler=help_reply("XGROUP", HELP),
                summary="Returns helpful text about the different subcommands.",
                since="5.0.0",
            ),
            CommandSpec(
                "SETID",
                arity=-5,
                flags=Flag.WRITE,
                handler=set_id,
                summary="Sets the last-delivered ID of a consumer group.",
                syntax="key group <id | $> [ENTRIESREAD entries-read]",
                since="5.0.0",
                keys=KEY,
            ),
        ),
    ),
)
