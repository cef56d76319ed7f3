"""DBSIZE, SWAPDB, FLUSHDB, FLUSHALL, and the numbers that name databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import parse_int
from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import ALL_SUCCEED, SUM, TO_ALL_SHARDS
from respbroker.errors import InvalidDbIndex, ReplyError, SyntaxRefused
from respbroker.resp.replies import OK, integer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

I32_MIN: Final = -(2**31)
I32_MAX: Final = 2**31 - 1


def parse_db(ctx: Context, word: bytes) -> int:
    """The number of a database that there is.

    Raises:
        NotAnInteger, ReplyError, InvalidDbIndex: not a number, not a 32-bit one, no such database.
    """
    db = parse_int(word)
    if not I32_MIN <= db <= I32_MAX:
        raise ReplyError(f"value is out of range, value must between {I32_MIN} and {I32_MAX}")
    return _checked(ctx, db)


def _checked(ctx: Context, db: int) -> int:
    if not 0 <= db < len(ctx.keyspace.visible):
        raise InvalidDbIndex
    return db


def dbsize(ctx: Context, words: list[bytes]) -> Reply:
    return integer(ctx.keyspace.keys_count(ctx.client.db))


def swapdb(ctx: Context, words: list[bytes]) -> Reply:
    numbers = [_parse_swapped(word, which) for word, which in zip(words[1:], ("first", "second"), strict=True)]
    one, other = (_checked(ctx, number) for number in numbers)
    if one != other:
        names = [*ctx.keyspace.all_names(one), *ctx.keyspace.all_names(other)]
        ctx.keyspace.swap(one, other)
        for db in (one, other):
            _changed_silently(ctx, db, names)
    ctx.dirty += 1
    return OK


def _parse_swapped(word: bytes, which: str) -> int:
    refusal = f"invalid {which} DB index"
    number = parse_int(word, refusal)
    if not I32_MIN <= number <= I32_MAX:
        raise ReplyError(refusal)
    return number


def flushdb(ctx: Context, words: list[bytes]) -> Reply:
    _parse_mode(words)
    _flush(ctx, ctx.client.db)
    return OK


def flushall(ctx: Context, words: list[bytes]) -> Reply:
    _parse_mode(words)
    _flush(ctx, None)
    return OK


def _parse_mode(words: list[bytes]) -> None:
    """ASYNC or SYNC: the keys are gone at once, and their files a little later, in both."""
    if len(words) > 2 or (len(words) == 2 and words[1].upper() not in (b"ASYNC", b"SYNC")):
        raise SyntaxRefused


def _flush(ctx: Context, db: int | None) -> None:
    """Drop every key of one database, or of all."""
    databases = ctx.keyspace.visible if db is None else [ctx.keyspace.databases[db]]
    ctx.dirty += sum(ctx.keyspace.keys_count(database.index) for database in databases)
    gone = [] if ctx.quiet else [(each.index, ctx.keyspace.all_names(each.index)) for each in databases]
    ctx.keyspace.flush_databases(db)
    for index, names in gone:
        _changed_silently(ctx, index, names)


def _changed_silently(ctx: Context, db: int, names: Iterable[bytes]) -> None:
    """Break watches and wake readers of keys that came or went with others; nobody is notified of each, and the
    caller counts."""
    if ctx.quiet:
        return
    dirty = ctx.dirty
    for name in names:
        ctx.changed(name, "", db)
    ctx.dirty = dirty


COMMANDS: Final = (
    CommandSpec(
        name="DBSIZE",
        arity=1,
        flags=Flag.READONLY | Flag.FAST,
        handler=dbsize,
        group="server",
        categories=("keyspace",),
        summary="Returns the number of keys in the database.",
        tips=(TO_ALL_SHARDS, SUM),
    ),
    CommandSpec(
        name="SWAPDB",
        arity=3,
        flags=Flag.WRITE | Flag.FAST,
        handler=swapdb,
        syntax="index1 index2",
        since="4.0.0",
        group="server",
        categories=("keyspace", "dangerous"),
        complexity="O(N) where N is the number of keys in both databases.",
        summary="Swaps two Redis databases.",
    ),
    CommandSpec(
        name="FLUSHDB",
        arity=-1,
        flags=Flag.WRITE,
        handler=flushdb,
        syntax="[ASYNC | SYNC]",
        group="server",
        categories=("keyspace", "dangerous"),
        complexity="O(N) where N is the number of keys in the selected database",
        summary="Remove all keys from the current database.",
        tips=(TO_ALL_SHARDS, ALL_SUCCEED),
    ),
    CommandSpec(
        name="FLUSHALL",
        arity=-1,
        flags=Flag.WRITE,
        handler=flushall,
        syntax="[ASYNC | SYNC]",
        group="server",
        categories=("keyspace", "dangerous"),
        complexity="O(N) where N is the total number of keys in all databases",
        summary="Removes all keys from all databases.",
        tips=(TO_ALL_SHARDS, ALL_SUCCEED),
    ),
)
