"""OBJECT: what there is to know of a key besides its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.table import CommandSpec, Flag, Handler, Keys
from respbroker.commands.tips import VARIES
from respbroker.errors import ReplyError
from respbroker.resp.replies import ONE, array, bulk, integer, null, simple
from respbroker.streams.catalog import KeyEntry

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply
    from respbroker.values.kinds import Value

LFU_IS_OFF: Final = (
    "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between "
    "policies at runtime LRU and LFU data will take some time to adjust."
)

HELP: Final = (
    b"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"ENCODING <key>",
    b"    Return the kind of internal representation used in order to store the value",
    b"    associated with a <key>.",
    b"FREQ <key>",
    b"    Return the access frequency index of the <key>. The returned integer is",
    b"    proportional to the logarithm of the recent access frequency of the key.",
    b"IDLETIME <key>",
    b"    Return the idle time of the <key>, that is the approximated number of",
    b"    seconds elapsed since the last access to the key.",
    b"REFCOUNT <key>",
    b"    Return the number of references of the value associated with the specified",
    b"    <key>.",
    b"HELP",
    b"    Print this help.",
)


def _find(ctx: Context, key: bytes) -> KeyEntry | Value | None:
    """The catalog's entry or the value; asking about a key does not count as using it."""
    if not ctx.keyspace.exists(ctx.client.db, key, ctx.now_ms):
        return None
    return ctx.keyspace.entry_or_value(ctx.client.db, key)


def encoding(ctx: Context, words: list[bytes]) -> Reply:
    entry = _find(ctx, words[2])
    if entry is None:
        return null(ctx.client.protocol)
    return bulk(b"stream" if isinstance(entry, KeyEntry) else entry.encoding)


def refcount(ctx: Context, words: list[bytes]) -> Reply:
    return null(ctx.client.protocol) if _find(ctx, words[2]) is None else ONE


def idletime(ctx: Context, words: list[bytes]) -> Reply:
    entry = _find(ctx, words[2])
    if entry is None:
        return null(ctx.client.protocol)
    return integer(max(0, ctx.now_ms - entry.used_ms) // 1000)


def freq(ctx: Context, words: list[bytes]) -> Reply:
    """Nothing is evicted here, so no frequencies are kept."""
    if _find(ctx, words[2]) is None:
        return null(ctx.client.protocol)
    raise ReplyError(LFU_IS_OFF)


def help_(ctx: Context, words: list[bytes]) -> Reply:
    return array([simple(line) for line in HELP])


def container(ctx: Context, words: list[bytes]) -> Reply:
    raise AssertionError("OBJECT is answered by its subcommands")


def _row(name: str, handler: Handler, since: str, summary: str) -> CommandSpec:
    return CommandSpec(
        name=name,
        arity=3,
        flags=Flag.READONLY,
        handler=handler,
        syntax="key",
        keys=Keys(2, 2),
        since=since,
        group="generic",
        categories=("keyspace",),
        summary=summary,
        tips=(VARIES,),
    )


COMMANDS: Final = (
    CommandSpec(
        name="OBJECT",
        arity=-2,
        flags=Flag.NONE,
        handler=container,
        since="2.2.3",
        group="generic",
        complexity="Depends on subcommand.",
        summary="A container for object introspection commands.",
        subcommands=(
            _row("ENCODING", encoding, "2.2.3", "Returns the internal encoding of a Redis object."),
            _row("FREQ", freq, "4.0.0", "Returns the logarithmic access frequency counter of a Redis object."),
            _row("IDLETIME", idletime, "2.2.3", "Returns the time since the last access to a Redis object."),
            _row("REFCOUNT", refcount, "2.2.3", "Returns the reference count of a value of a key."),
            CommandSpec(
                name="HELP",
                arity=2,
                flags=Flag.LOADING | Flag.STALE,
                handler=help_,
                since="6.2.0",
                group="generic",
                categories=("keyspace",),
                summary="Returns helpful text about the different subcommands.",
            ),
        ),
    ),
)
