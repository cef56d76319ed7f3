"""XTOPIC: topics with several partitions and settings of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.commands.help import help_reply, never_run
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.commands.tips import VARIES
from respbroker.commands.topic_members import describe_groups
from respbroker.commands.topic_positions import POSITION
from respbroker.errors import BusyKey, NoSuchKey, ReplyError, SyntaxRefused, WrongArity
from respbroker.model.config_file import encode
from respbroker.model.topic_settings import DEFAULTS, PARTITIONS_MAX, TOPIC_SETTINGS, TopicSettings
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams.cleaning import dirty_ratio
from respbroker.streams.schemas import schema_of

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.catalog import KeyEntry
    from respbroker.streams.stream import Id, Stream

KEY: Final = Keys(2, 2, 1)
KEYS_MAY_MOVE: Final = b"OK, but keys may move: new entries of a key can be in another partition than its old ones"


@attrs.frozen
class TopicOptions:
    """What may follow the name in XTOPIC CREATE and ALTER; None and () where nothing was said."""

    partitions: int | None = None
    config: tuple[bytes, ...] = ()


def parse_topic_options(words: list[bytes], servers: int) -> TopicOptions:
    """``[PARTITIONS n] [REPLICAS r] [CONFIG setting value ...]``; CONFIG takes all that follows it."""
    partitions: int | None = None
    config: tuple[bytes, ...] = ()
    options = Arguments(words, 3)
    while options.more:
        match options.option():
            case b"PARTITIONS":
                partitions = parse_int(options.value(), "PARTITIONS is not an integer or out of range")
                if not 1 <= partitions <= PARTITIONS_MAX:
                    raise ReplyError(f"PARTITIONS must be between 1 and {PARTITIONS_MAX}")
            case b"REPLICAS":
                replicas = parse_int(options.value(), "REPLICAS is not an integer or out of range")
                if not 1 <= replicas <= servers:
                    raise ReplyError(f"REPLICAS must be between 1 and {servers}: every server has all topics")
            case b"CONFIG":
                config = tuple(options.rest())
                if not config or len(config) % 2:
                    raise WrongArity(f"xtopic|{words[1].decode('latin-1')}")
                break
            case _:
                raise SyntaxRefused
    return TopicOptions(partitions, config)


def _entry(ctx: Context, key: bytes) -> KeyEntry:
    """The catalog's entry of an existing topic."""
    keyspace, db = ctx.keyspace, ctx.client.db
    keyspace.ensure_whole(db, key, ctx.now_ms)
    if not keyspace.exists_whole(db, key, ctx.now_ms):
        raise NoSuchKey
    keyspace.ensure_no_value(db, key, ctx.now_ms)
    return keyspace.databases[db].keys[key]


def _changed(key: bytes, settings: TopicSettings, config: tuple[bytes, ...]) -> TopicSettings:
    """The settings of topic ``key`` with other values for some. Raises ReplyError."""
    before, settings = settings, settings.changed(config)
    name, slash, digits = encode(settings.dead_letter_topic).rpartition(b"/")
    if (name if slash and digits.isdigit() else encode(settings.dead_letter_topic)) == key:
        raise ReplyError("topic setting 'dead.letter.topic': a topic cannot be its own")
    if settings.schema and (settings.schema, settings.schema_field) != (before.schema, before.schema_field):
        schema_of(settings)
    return settings


# -- the subcommands -----------------------------------------------------------------------------------------


def create(ctx: Context, words: list[bytes]) -> Reply:
    options = parse_topic_options(words, 1 + len(ctx.replicas.followers))
    key = words[2]
    settings = _changed(key, DEFAULTS, options.config) if options.config else DEFAULTS
    if ctx.keyspace.exists(ctx.client.db, key, ctx.now_ms):
        raise BusyKey
    ctx.keyspace.create_topic(ctx.client.db, key, options.partitions or 1, settings)
    ctx.apply_setting("topic")
    ctx.came_or_went(key, "xtopic-create", ctx.keyspace.parts_count(ctx.client.db, key))
    return replies.OK


def alter(ctx: Context, words: list[bytes]) -> Reply:
    """OK; where entries of a key go to another partition from now on, the reply says so."""
    options = parse_topic_options(words, 1 + len(ctx.replicas.followers))
    key = words[2]
    entry = _entry(ctx, key)
    settings = _changed(key, entry.settings or DEFAULTS, options.config) if options.config else None
    count = len(entry.leaves)
    if options.partitions is not None and options.partitions < count:
        raise ReplyError(f"a topic's partitions only grow: it has {count}")
    if options.partitions is None and settings is None:
        raise WrongArity("xtopic|alter")
    moves = options.partitions is not None and options.partitions > count
    if settings is not None:
        ctx.keyspace.alter_topic(ctx.client.db, key, settings)
        ctx.apply_setting("topic")
    if moves:
        assert options.partitions is not None
        ctx.keyspace.grow_topic(ctx.client.db, key, options.partitions)
    ctx.came_or_went(key, "xtopic-alter", ctx.keyspace.parts_count(ctx.client.db, key) if moves else 0)
    if moves and (entry.settings or DEFAULTS).key_field:
        return replies.simple(KEYS_MAY_MOVE)
    return replies.OK


def delete(ctx: Context, words: list[bytes]) -> Reply:
    ctx.keyspace.ensure_whole(ctx.client.db, words[2], ctx.now_ms)
    if not ctx.keyspace.exists_whole(ctx.client.db, words[2], ctx.now_ms):
        return replies.ZERO
    ctx.keyspace.ensure_no_value(ctx.client.db, words[2], ctx.now_ms)
    parts = ctx.keyspace.parts_count(ctx.client.db, words[2])
    ctx.keyspace.delete(ctx.client.db, words[2])
    ctx.came_or_went(words[2], "del", parts)
    return replies.ONE


def list_(ctx: Context, words: list[bytes]) -> Reply:
    """Topics that XTOPIC made or changed; plain streams are listed by SCAN."""
    keyspace, db = ctx.keyspace, ctx.client.db
    names = sorted(key for key, entry in keyspace.databases[db].keys.items() if entry.settings is not None)
    topics = []
    for name in names:
        if keyspace.exists_whole(db, name, ctx.now_ms):
            entry = keyspace.databases[db].keys[name]
            config = _config(entry.settings, only_set=True)
            topics.append({"name": name, "partitions": len(entry.leaves), "config": config})
    return replies.encode(topics, ctx.client.protocol)


def info(ctx: Context, words: list[bytes]) -> Reply:
    entry = _entry(ctx, words[2])
    found = ctx.keyspace.open_key(ctx.client.db, words[2], entry)
    streams = ctx.keyspace.streams_of(found)
    fields = {
        "name": words[2],
        "partitions": len(streams),
        "replicas": 1 + len(ctx.replicas.followers),
        "entries": sum(stream.length for stream in streams),
        "bytes": sum(stream.log.size for stream in streams),
        "last-generated-id": _id(found.last_id),
        "dead-letters": sum(stream.dead_letters for stream in streams),
        "unread-lost": sum(stream.unread_lost for stream in streams),
        "config": _config(entry.settings or DEFAULTS, only_set=False),
        "partition-list": [_partition(index, stream) for index, stream in enumerate(streams)],
        "groups": describe_groups(streams),
    }
    return replies.encode(fields, ctx.client.protocol)


def _partition(index: int, stream: Stream) -> dict[str, object]:
    log = stream.log
    first, last = stream.first_live(), stream.last_live()
    return {
        "partition": index,
        "leader": "myself",
        "log-start-offset": log.start_offset,
        "log-end-offset": log.end_offset,
        "entries": stream.length,
        "bytes": log.size,
        "segments": len(log.segments.all),
        "dirty-ratio": b"%.3f" % dirty_ratio(stream),
        "first-id": None if first is None else _id(stream.id_at(first)),
        "last-id": None if last is None else _id(stream.id_at(last)),
    }


def _config(settings: TopicSettings | None, *, only_set: bool) -> dict[str, bytes]:
    settings = settings or DEFAULTS
    said = settings.dump()
    return {name: encode(settings.text_of(row)) for name, row in TOPIC_SETTINGS.items() if not only_set or name in said}


def _id(entry_id: Id) -> bytes:
    return b"%d-%d" % entry_id


def _help() -> str:
    lines = [
        "CREATE <name> [PARTITIONS <n>] [REPLICAS 1] [CONFIG <setting> <value> ...]",
        "    Make a topic. One partition is an ordinary stream.",
        "ALTER <name> [PARTITIONS <n>] [CONFIG <setting> <value> ...]",
        "    Change settings (the value 'default' takes one back), or add partitions.",
        "DELETE <name>",
        "    Delete a topic with all its partitions.",
        "LIST",
        "    Tell the topics, their partitions and what was set.",
        "INFO <name>",
        "    Tell settings, where each partition begins and ends, and who owns what in each group.",
        "POSITION <key> <id> [BY <n>]",
        "    Tell how many entries are up to and behind an ID (`$`: the last), or the one <n> entries further on.",
        "Settings are:",
    ]
    for row in TOPIC_SETTINGS.values():
        values = row.kind.describe().replace("`", "")
        lines += [f"  {row.name} <{values}>", f"    {row.summary.replace('`', '')}"]
    return "\n".join(lines)


COMMANDS: Final = (
    CommandSpec(
        "XTOPIC",
        arity=-2,
        flags=Flag.NONE,
        handler=never_run,
        summary="A container for commands about topics.",
        since="8.10.0",
        complexity="Depends on subcommand.",
        subcommands=(
            CommandSpec(
                "ALTER",
                arity=-5,
                flags=Flag.WRITE | Flag.DENYOOM,
                handler=alter,
                summary="Changes a topic's settings, or gives it more partitions.",
                syntax="name [PARTITIONS partitions] [CONFIG setting-and-value [setting-and-value ...]]",
                since="8.10.0",
                keys=KEY,
            ),
            CommandSpec(
                "CREATE",
                arity=-3,
                flags=Flag.WRITE | Flag.DENYOOM,
                handler=create,
                summary="Creates a topic.",
                syntax="name [PARTITIONS partitions] [REPLICAS replicas] "
                "[CONFIG setting-and-value [setting-and-value ...]]",
                since="8.10.0",
                complexity="O(N) where N is the number of partitions.",
                keys=KEY,
            ),
            CommandSpec(
                "DELETE",
                arity=3,
                flags=Flag.WRITE,
                handler=delete,
                summary="Deletes a topic with all its partitions.",
                syntax="name",
                since="8.10.0",
                keys=KEY,
            ),
            CommandSpec(
                "HELP",
                arity=2,
                flags=Flag.LOADING | Flag.STALE,
                handler=help_reply("XTOPIC", _help()),
                summary="Returns helpful text about the different subcommands and the settings.",
                since="8.10.0",
            ),
            CommandSpec(
                "INFO",
                arity=3,
                flags=Flag.READONLY,
                handler=info,
                summary="Returns information about a topic and its partitions.",
                syntax="name",
                since="8.10.0",
                complexity="O(N) where N is the number of partitions.",
                keys=KEY,
                tips=(VARIES,),
            ),
            CommandSpec(
                "LIST",
                arity=2,
                flags=Flag.READONLY,
                handler=list_,
                summary="Lists the topics that were made or changed by XTOPIC.",
                since="8.10.0",
                complexity="O(N) where N is the number of keys.",
                tips=(VARIES,),
            ),
            POSITION,
        ),
    ),
)
