"""EXISTS, TYPE, TOUCH, DEL, UNLINK, RENAME, RENAMENX, COPY, MOVE: keys as wholes, whatever they hold.

Only COPY opens a stream; all others ask and change the catalog, or the values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import Arguments
from respbroker.commands.databases import parse_db
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.commands.tips import SUM, TO_SHARDS_OF_KEYS
from respbroker.errors import NoSuchKey, ReplyError, SyntaxRefused
from respbroker.resp.replies import OK, ONE, ZERO, integer, simple

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

NONE: Final = simple(b"none")

SAME_KEY: Final = "source and destination objects are the same"


def present(ctx: Context, key: bytes, db: int | None = None) -> bool:
    """Whether there is a key, in the client's database or in ``db``; an expired one goes."""
    return ctx.keyspace.exists(ctx.client.db if db is None else db, key, ctx.now_ms)


# -- asking ----------------------------------------------------------------------------------------------------


def exists(ctx: Context, words: list[bytes]) -> Reply:
    return integer(sum(_looked_up(ctx, key) for key in words[1:]))


def _looked_up(ctx: Context, key: bytes) -> bool:
    """`present`, counted as a hit or a miss."""
    found = present(ctx, key)
    ctx.count_lookup(found)
    return found


def type_(ctx: Context, words: list[bytes]) -> Reply:
    return simple(ctx.keyspace.kind_of(ctx.client.db, words[1])) if _looked_up(ctx, words[1]) else NONE


def touch(ctx: Context, words: list[bytes]) -> Reply:
    touched = [key for key in words[1:] if _looked_up(ctx, key)]
    for key in touched:
        entry = ctx.keyspace.entry_or_value(ctx.client.db, key)
        assert entry is not None
        entry.used_ms = ctx.now_ms
    return integer(len(touched))


# -- dropping --------------------------------------------------------------------------------------------------


def delete(ctx: Context, words: list[bytes]) -> Reply:
    """DEL and UNLINK are one: the key is gone at once, its files when the catalog that says so is on disk."""
    for key in words[1:]:
        ctx.keyspace.ensure_whole(ctx.client.db, key, ctx.now_ms)
    return integer(sum(drop(ctx, key) for key in words[1:]))


def drop(ctx: Context, key: bytes) -> bool:
    """Delete a key and tell it; whether it was there."""
    if not present(ctx, key):
        return False
    parts = ctx.keyspace.parts_count(ctx.client.db, key)
    ctx.keyspace.delete(ctx.client.db, key)
    ctx.came_or_went(key, "del", parts)
    return True


# -- moving and copying ----------------------------------------------------------------------------------------


def rename(ctx: Context, words: list[bytes]) -> Reply:
    _, key, new_key = words
    if not present(ctx, key):
        raise NoSuchKey
    ctx.keyspace.ensure_whole(ctx.client.db, key, ctx.now_ms)
    if key != new_key:
        present(ctx, new_key)  # an expired target goes as expired, not as replaced
        _rename(ctx, key, new_key)
    return OK


def renamenx(ctx: Context, words: list[bytes]) -> Reply:
    _, key, new_key = words
    if not present(ctx, key):
        raise NoSuchKey
    ctx.keyspace.ensure_whole(ctx.client.db, key, ctx.now_ms)
    if present(ctx, new_key):  # the key itself included
        return ZERO
    _rename(ctx, key, new_key)
    return ONE


def _rename(ctx: Context, key: bytes, new_key: bytes) -> None:
    db = ctx.client.db
    moved, replaced = ctx.keyspace.parts_count(db, key), ctx.keyspace.parts_count(db, new_key)
    ctx.keyspace.rename(db, key, db, new_key)
    ctx.came_or_went(key, "rename_from", moved)
    ctx.came_or_went(new_key, "rename_to", max(moved, replaced))
    ctx.dirty -= 1  # two keys, one change


def move(ctx: Context, words: list[bytes]) -> Reply:
    key, source_db = words[1], ctx.client.db
    target_db = parse_db(ctx, words[2])
    if target_db == source_db:
        raise ReplyError(SAME_KEY)
    if not present(ctx, key) or present(ctx, key, target_db):
        return ZERO
    ctx.keyspace.ensure_whole(source_db, key, ctx.now_ms)
    parts = ctx.keyspace.parts_count(source_db, key)
    ctx.keyspace.rename(source_db, key, target_db, key)
    ctx.came_or_went(key, "move_from", parts)
    ctx.came_or_went(key, "move_to", parts, target_db)
    ctx.dirty -= 1  # two keys, one change
    return ONE


@attrs.frozen
class Copy:
    """What COPY is asked for: from ``key`` of the client's database to ``new_key`` of database ``db``."""

    key: bytes
    new_key: bytes
    db: int
    replace: bool

    @classmethod
    def parse(cls, ctx: Context, words: list[bytes]) -> Copy:
        db, replace = ctx.client.db, False
        options = Arguments(words, 3)
        while options.more:
            match options.option():
                case b"DB":
                    db = parse_db(ctx, options.value())
                case b"REPLACE":
                    replace = True
                case _:
                    raise SyntaxRefused
        if (db, words[2]) == (ctx.client.db, words[1]):
            raise ReplyError(SAME_KEY)
        return cls(words[1], words[2], db, replace)


def copy(ctx: Context, words: list[bytes]) -> Reply:
    request = Copy.parse(ctx, words)
    if not present(ctx, request.key):
        return ZERO
    if present(ctx, request.new_key, request.db) and not request.replace:
        return ZERO
    replaced = ctx.keyspace.parts_count(request.db, request.new_key)
    ctx.keyspace.copy(ctx.client.db, request.key, request.db, request.new_key)
    parts = max(replaced, ctx.keyspace.parts_count(request.db, request.new_key))
    ctx.came_or_went(request.new_key, "copy_to", parts, request.db)
    return ONE


COMMANDS: Final = (
    CommandSpec(
        name="EXISTS",
        arity=-2,
        flags=Flag.READONLY | Flag.FAST,
        handler=exists,
        syntax="key [key ...]",
        keys=Keys(1, -1),
        group="generic",
        categories=("keyspace",),
        complexity="O(N) where N is the number of keys to check.",
        summary="Determines whether one or more keys exist.",
        tips=(TO_SHARDS_OF_KEYS, SUM),
    ),
    CommandSpec(
        name="TYPE",
        arity=2,
        flags=Flag.READONLY | Flag.FAST,
        handler=type_,
        syntax="key",
        keys=Keys(),
        group="generic",
        categories=("keyspace",),
        summary="Determines the type of value stored at a key.",
    ),
    CommandSpec(
        name="TOUCH",
        arity=-2,
        flags=Flag.READONLY | Flag.FAST,
        handler=touch,
        syntax="key [key ...]",
        keys=Keys(1, -1),
        since="3.2.1",
        group="generic",
        categories=("keyspace",),
        complexity="O(N) where N is the number of keys that will be touched.",
        summary="Returns the number of existing keys out of those specified after updating the time they were last "
        "accessed.",
        tips=(TO_SHARDS_OF_KEYS, SUM),
    ),
    CommandSpec(
        name="DEL",
        arity=-2,
        flags=Flag.WRITE,
        handler=delete,
        syntax="key [key ...]",
        keys=Keys(1, -1),
        group="generic",
        categories=("keyspace",),
        complexity="O(N) where N is the number of keys that will be removed.",
        summary="Deletes one or more keys.",
        tips=(TO_SHARDS_OF_KEYS, SUM),
    ),
    CommandSpec(
        name="UNLINK",
        arity=-2,
        flags=Flag.WRITE | Flag.FAST,
        handler=delete,
        syntax="key [key ...]",
        keys=Keys(1, -1),
        since="4.0.0",
        group="generic",
        categories=("keyspace",),
        complexity="O(N) where N is the number of keys that will be removed.",
        summary="Asynchronously deletes one or more keys.",
        tips=(TO_SHARDS_OF_KEYS, SUM),
    ),
    CommandSpec(
        name="RENAME",
        arity=3,
        flags=Flag.WRITE,
        handler=rename,
        syntax="key newkey",
        keys=Keys(1, 2),
        group="generic",
        categories=("keyspace",),
        summary="Renames a key and overwrites the destination.",
    ),
    CommandSpec(
        name="RENAMENX",
        arity=3,
        flags=Flag.WRITE | Flag.FAST,
        handler=renamenx,
        syntax="key newkey",
        keys=Keys(1, 2),
        group="generic",
        categories=("keyspace",),
        summary="Renames a key only when the target key name doesn't exist.",
    ),
    CommandSpec(
        name="COPY",
        arity=-3,
        flags=Flag.WRITE | Flag.DENYOOM,
        handler=copy,
        syntax="source destination [DB destination-db] [REPLACE]",
        keys=Keys(1, 2),
        since="6.2.0",
        group="generic",
        categories=("keyspace",),
        complexity="O(N) where N is the number of entries.",
        summary="Copies the value of a key to a new key.",
    ),
    CommandSpec(
        name="MOVE",
        arity=3,
        flags=Flag.WRITE | Flag.FAST,
        handler=move,
        syntax="key db",
        keys=Keys(),
        group="generic",
        categories=("keyspace",),
        summary="Moves a key to another database.",
    ),
)
