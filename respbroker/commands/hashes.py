"""HSET, HGET and the other commands of hashes: fields of one key, each with its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import I64_MAX, I64_MIN, parse_int
from respbroker.commands.tips import UNORDERED
from respbroker.commands.values import GROW_FAST, READ, READ_FAST, WRITE_FAST, Rows, changed_twice, read
from respbroker.errors import Overflow, WrongArity
from respbroker.resp.replies import OK, ONE, ZERO, array, bulk, bulk_array, bulk_or_null, integer, map_
from respbroker.values.kinds import HASH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply


def _read(ctx: Context, key: bytes) -> Mapping[bytes, bytes]:
    return read(ctx, ctx.hash, key) or {}


# -- setting ---------------------------------------------------------------------------------------------------


def hset(ctx: Context, words: list[bytes]) -> Reply:
    return integer(_set(ctx, words))


def hmset(ctx: Context, words: list[bytes]) -> Reply:
    _set(ctx, words)
    return OK


def _set(ctx: Context, words: list[bytes]) -> int:
    """Set the fields; how many of them are new."""
    if len(words) % 2:
        raise WrongArity(words[0].decode("latin-1"))
    key = words[1]
    before = len(ctx.hash(key) or ())
    for field, value in zip(words[2::2], words[3::2], strict=True):
        ctx.put_member(key, HASH, field, value)
    ctx.changed(key, "hset")
    ctx.dirty += len(words) // 2 - 2  # every field counts
    return len(ctx.hash(key) or ()) - before


def hsetnx(ctx: Context, words: list[bytes]) -> Reply:
    _, key, field, value = words
    if field in (ctx.hash(key) or {}):
        return ZERO
    ctx.put_member(key, HASH, field, value)
    ctx.changed(key, "hset")
    return ONE


def hincrby(ctx: Context, words: list[bytes]) -> Reply:
    _, key, field, amount = words
    added = parse_int(amount)
    number = parse_int((ctx.hash(key) or {}).get(field, b"0"), "hash value is not an integer") + added
    if not I64_MIN <= number <= I64_MAX:
        raise Overflow
    ctx.put_member(key, HASH, field, b"%d" % number)
    ctx.changed(key, "hincrby")
    return integer(number)


def hdel(ctx: Context, words: list[bytes]) -> Reply:
    key = words[1]
    fields = ctx.hash(key) or {}
    removed = [field for field in dict.fromkeys(words[2:]) if field in fields]
    for field in removed:
        ctx.remove_member(key, field)
    if removed:
        if ctx.hash(key) is None:
            changed_twice(ctx, key, "hdel", "del")
        else:
            ctx.changed(key, "hdel")
        ctx.dirty += len(removed) - 1
    return integer(len(removed))


# -- getting ---------------------------------------------------------------------------------------------------


def hget(ctx: Context, words: list[bytes]) -> Reply:
    return bulk_or_null(_read(ctx, words[1]).get(words[2]), ctx.client.protocol)


def hmget(ctx: Context, words: list[bytes]) -> Reply:
    fields = _read(ctx, words[1])
    return array([bulk_or_null(fields.get(field), ctx.client.protocol) for field in words[2:]])


def hgetall(ctx: Context, words: list[bytes]) -> Reply:
    pairs = [(bulk(field), bulk(value)) for field, value in _read(ctx, words[1]).items()]
    return map_(pairs, ctx.client.protocol)


def hkeys(ctx: Context, words: list[bytes]) -> Reply:
    return bulk_array(list(_read(ctx, words[1])))


def hvals(ctx: Context, words: list[bytes]) -> Reply:
    return bulk_array(list(_read(ctx, words[1]).values()))


def hlen(ctx: Context, words: list[bytes]) -> Reply:
    return integer(len(_read(ctx, words[1])))


def hexists(ctx: Context, words: list[bytes]) -> Reply:
    return ONE if words[2] in _read(ctx, words[1]) else ZERO


# -- rows ------------------------------------------------------------------------------------------------------

_row: Final = Rows("hash", "hash").row
_OF_ALL: Final = "O(N) where N is the size of the hash."
_PAIRS: Final = "key field value [field value ...]"

COMMANDS: Final = (
    _row(
        "HSET",
        -4,
        GROW_FAST,
        hset,
        "Creates or modifies the value of a field in a hash.",
        _PAIRS,
        complexity="O(N) to add N field/value pairs.",
    ),
    _row(
        "HMSET",
        -4,
        GROW_FAST,
        hmset,
        "Sets the values of multiple fields.",
        _PAIRS,
        complexity="O(N) where N is the number of fields being set.",
    ),
    _row(
        "HSETNX",
        4,
        GROW_FAST,
        hsetnx,
        "Sets the value of a field in a hash only when the field doesn't exist.",
        "key field value",
    ),
    _row(
        "HINCRBY",
        4,
        GROW_FAST,
        hincrby,
        "Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't "
        "exist.",
        "key field increment",
    ),
    _row(
        "HDEL",
        -3,
        WRITE_FAST,
        hdel,
        "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.",
        "key field [field ...]",
        complexity="O(N) where N is the number of fields to be removed.",
    ),
    _row("HGET", 3, READ_FAST, hget, "Returns the value of a field in a hash.", "key field"),
    _row(
        "HMGET",
        -3,
        READ_FAST,
        hmget,
        "Returns the values of all fields in a hash.",
        "key field [field ...]",
        complexity="O(N) where N is the number of fields being requested.",
    ),
    _row(
        "HGETALL",
        2,
        READ,
        hgetall,
        "Returns all fields and values in a hash.",
        complexity=_OF_ALL,
        tips=(UNORDERED,),
    ),
    _row("HKEYS", 2, READ, hkeys, "Returns all fields in a hash.", complexity=_OF_ALL, tips=(UNORDERED,)),
    _row("HVALS", 2, READ, hvals, "Returns all values in a hash.", complexity=_OF_ALL, tips=(UNORDERED,)),
    _row("HLEN", 2, READ_FAST, hlen, "Returns the number of fields in a hash."),
    _row("HEXISTS", 3, READ_FAST, hexists, "Determines whether a field exists in a hash.", "key field"),
)
