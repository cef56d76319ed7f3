"""XINFO: what is known of a stream, its groups and their consumers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypeVar

from respbroker.commands.arguments import parse_int
from respbroker.commands.entries import known_ids
from respbroker.commands.groups import SubcommandSyntax
from respbroker.commands.help import help_reply, never_run
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.commands.tips import VARIES
from respbroker.errors import NoGroup, NoSuchKey
from respbroker.resp import replies
from respbroker.resp.replies import Wire
from respbroker.sessions.client import Reply
from respbroker.streams.references import lag

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.consumer import Consumer
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Id, Stream

KEY: Final = Keys(2, 2, 1)
FULL_COUNT_DEFAULT: Final = 10
ZERO_ID: Final = b"0-0"

Field = tuple[str, object]
T = TypeVar("T")


def _stream(ctx: Context, words: list[bytes]) -> Stream:
    stream = ctx.lookup_to_read(words[2])
    if stream is None:
        raise NoSuchKey
    return stream


def _id(entry_id: Id) -> bytes:
    return b"%d-%d" % entry_id


# -- XINFO STREAM ------------------------------------------------------------------------------------------


def parse_full(words: list[bytes]) -> int | None:
    """How many entries XINFO STREAM FULL lists (0: all); None where FULL is not asked for.

    Raises:
        SubcommandSyntax: anything else follows the key.
    """
    if len(words) == 3:
        return None
    full = words[3].upper() == b"FULL"
    if full and len(words) == 4:
        return FULL_COUNT_DEFAULT
    if full and len(words) == 6 and words[4].upper() == b"COUNT":
        count = parse_int(words[5])
        return count if count >= 0 else FULL_COUNT_DEFAULT
    raise SubcommandSyntax("XINFO", words[1])


def xinfo_stream(ctx: Context, words: list[bytes]) -> Reply:
    stream = _stream(ctx, words)
    full = parse_full(words)
    protocol = ctx.client.protocol
    fields = _common_fields(ctx, stream)
    if full is None:
        fields += [
            ("groups", len(stream.groups)),
            ("first-entry", _entry(stream, stream.first_live())),
            ("last-entry", _entry(stream, stream.last_live())),
        ]
    else:
        count = full or None
        ranges = stream.live_ranges(stream.first_ordinal, stream.end_ordinal, count)
        fields += [
            ("entries", Wire(replies.array(stream.payloads_each(ranges)))),
            ("groups", [dict(_full_group(stream, group, count)) for group in _sorted(stream.groups)]),
        ]
    return replies.encode(dict(fields), protocol)


def _common_fields(ctx: Context, stream: Stream) -> list[Field]:
    first = stream.first_live()
    nodes = nodes_count(stream, ctx.settings.stream_node_max_entries)
    stream.idmp.expire(ctx.now_ms)
    return [
        ("length", stream.length),
        ("radix-tree-keys", nodes),
        ("radix-tree-nodes", nodes + 1),
        ("last-generated-id", _id(stream.last_id)),
        ("max-deleted-entry-id", _id(stream.max_deleted_id)),
        ("entries-added", stream.entries_added),
        ("recorded-first-entry-id", ZERO_ID if first is None else _id(stream.id_at(first))),
        ("idmp-duration", stream.idmp.duration),
        ("idmp-maxsize", stream.idmp.maxsize),
        ("pids-tracked", stream.idmp.pids_tracked),
        ("iids-tracked", stream.idmp.iids_tracked),
        ("iids-added", stream.idmp.iids_added),
        ("iids-duplicates", stream.idmp.iids_duplicates),
    ]


def nodes_count(stream: Stream, node_entries: int) -> int:
    """There is no radix tree here; what comes nearest are the nodes that ``~`` trims by."""
    if not stream.length:
        return 0
    return -(-stream.length // node_entries) if node_entries else 1


def _entry(stream: Stream, ordinal: int | None) -> Wire | None:
    return None if ordinal is None else Wire(stream.payloads_each([(ordinal, ordinal + 1)])[0])


def _full_group(stream: Stream, group: Group, count: int | None) -> list[Field]:
    pending = [
        b"*4\r\n%b%b:%d\r\n:%d\r\n" % (replies.bulk(_id(entry_id)), replies.bulk(owner or b""), time_ms, deliveries)
        for entry_id, owner, time_ms, deliveries in _pending(stream, group, count)
    ]
    return [
        ("name", group.name),
        ("last-delivered-id", _id(group.last_delivered_id)),
        ("entries-read", group.entries_read),
        ("lag", lag(stream, group)),
        ("pel-count", len(group.pending)),
        ("nacked-count", group.pending.unowned_count),
        ("pending", Wire(replies.array(pending))),
        ("consumers", [dict(_full_consumer(stream, group, each, count)) for each in _sorted(group.consumers)]),
    ]


def _full_consumer(stream: Stream, group: Group, consumer: Consumer, count: int | None) -> list[Field]:
    pending = [
        b"*3\r\n%b:%d\r\n:%d\r\n" % (replies.bulk(_id(entry_id)), time_ms, deliveries)
        for entry_id, _, time_ms, deliveries in _pending(stream, group, count, consumer.name)
    ]
    return [
        ("name", consumer.name),
        ("seen-time", consumer.seen_ms),
        ("active-time", consumer.active_ms),
        ("pel-count", group.pending.count_of(consumer.name)),
        ("pending", Wire(replies.array(pending))),
    ]


def _pending(
    stream: Stream, group: Group, count: int | None, consumer: bytes | None = None
) -> Iterable[tuple[Id, bytes | None, int, int]]:
    left = count
    for first, end, owner, time_ms, deliveries in group.pending.stretches(0, None, consumer):
        if left is not None:
            end = min(end, first + left)
            left -= end - first
        for entry_id in known_ids(stream, first, end):
            yield entry_id, owner, time_ms, deliveries
        if left == 0:
            return


def _sorted(named: dict[bytes, T]) -> list[T]:
    """In order of names, as Redis lists them."""
    return [named[name] for name in sorted(named)]


# -- XINFO GROUPS and CONSUMERS ----------------------------------------------------------------------------


def xinfo_groups(ctx: Context, words: list[bytes]) -> Reply:
    stream = _stream(ctx, words)
    groups = [
        {
            "name": group.name,
            "consumers": len(group.consumers),
            "pending": len(group.pending),
            "last-delivered-id": _id(group.last_delivered_id),
            "entries-read": group.entries_read,
            "lag": lag(stream, group),
        }
        for group in _sorted(stream.groups)
    ]
    return replies.encode(groups, ctx.client.protocol)


def xinfo_consumers(ctx: Context, words: list[bytes]) -> Reply:
    stream = _stream(ctx, words)
    group = stream.groups.get(words[3])
    if group is None:
        raise NoGroup.named(words[2], words[3])
    consumers = [
        {
            "name": consumer.name,
            "pending": group.pending.count_of(consumer.name),
            "idle": max(ctx.now_ms - consumer.seen_ms, 0),
            "inactive": max(ctx.now_ms - consumer.active_ms, 0) if consumer.active_ms >= 0 else -1,
        }
        for consumer in _sorted(group.consumers)
    ]
    return replies.encode(consumers, ctx.client.protocol)


HELP: Final = """\
CONSUMERS <key> <groupname>
    Show consumers of <groupname>.
GROUPS <key>
    Show the stream consumer groups.
STREAM <key> [FULL [COUNT <count>]
    Show information about the stream."""

COMMANDS: Final = (
    CommandSpec(
        "XINFO",
        arity=-2,
        flags=Flag.NONE,
        handler=never_run,
        summary="A container for stream introspection commands.",
        since="5.0.0",
        complexity="Depends on subcommand.",
        subcommands=(
            CommandSpec(
                "CONSUMERS",
                arity=4,
                flags=Flag.READONLY,
                handler=xinfo_consumers,
                summary="Returns a list of the consumers in a consumer group.",
                syntax="key group",
                since="5.0.0",
                keys=KEY,
                tips=(VARIES,),
            ),
            CommandSpec(
                "GROUPS",
                arity=3,
                flags=Flag.READONLY,
                handler=xinfo_groups,
                summary="Returns a list of the consumer groups of a stream.",
                syntax="key",
                since="5.0.0",
                keys=KEY,
            ),
            CommandSpec(
                "HELP",
                arity=2,
                flags=Flag.LOADING | Flag.STALE,
                handler=help_reply("XINFO", HELP),
                summary="Returns helpful text about the different subcommands.",
                since="5.0.0",
            ),
            CommandSpec(
                "STREAM",
                arity=-3,
                flags=Flag.READONLY,
                handler=xinfo_stream,
                summary="Returns information about a stream.",
                syntax="key [FULL [COUNT count]]",
                since="5.0.0",
                keys=KEY,
            ),
        ),
    ),
)
