"""EXPIRE and its family: when a key goes by itself.

The catalog keeps one number per key, the Unix time in milliseconds; all forms are other ways to say it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import I64_MAX, I64_MIN, parse_int
from respbroker.commands.table import CommandSpec, Flag, Handler, Keys
from respbroker.commands.tips import VARIES
from respbroker.errors import ReplyError, quoted
from respbroker.resp.replies import ONE, ZERO, integer

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

NO_KEY: Final = -2
NO_EXPIRY: Final = -1

_CONDITIONS: Final = (b"NX", b"XX", b"GT", b"LT")


@attrs.frozen
class Form:
    """One of the four ways to set or to ask: in seconds or milliseconds, from now or from 1970."""

    name: str
    unit_ms: int
    relative: bool


# -- setting ---------------------------------------------------------------------------------------------------


def _setter(form: Form) -> Handler:
    def handler(ctx: Context, words: list[bytes]) -> Reply:
        conditions = _parse_conditions(words[3:])
        expires_ms = _parse_time(form, words[2], ctx.now_ms)
        db, key = ctx.client.db, words[1]
        if not ctx.keyspace.exists(db, key, ctx.now_ms):
            return ZERO
        ctx.keyspace.ensure_whole(db, key, ctx.now_ms)
        if not _allowed(conditions, ctx.keyspace.expiry(db, key), expires_ms):
            return ZERO
        _set(ctx, key, expires_ms)
        return ONE

    return handler


def _parse_conditions(words: list[bytes]) -> set[bytes]:
    conditions = {word.upper() for word in words}
    for word in words:
        if word.upper() not in _CONDITIONS:
            raise ReplyError(f"Unsupported option {quoted(word, 1 << 30)}")
    if b"NX" in conditions and len(conditions) > 1:
        raise ReplyError("NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= conditions:
        raise ReplyError("GT and LT options at the same time are not compatible")
    return conditions


def _parse_time(form: Form, word: bytes, now_ms: int) -> int:
    """Unix milliseconds; may lie in the past, even before 1970."""
    expires_ms = parse_int(word) * form.unit_ms
    start_ms = now_ms if form.relative else 0
    if not I64_MIN <= expires_ms <= I64_MAX - start_ms:
        raise ReplyError(f"invalid expire time in '{form.name.lower()}' command")
    return expires_ms + start_ms


def _allowed(conditions: set[bytes], present_ms: int, expires_ms: int) -> bool:
    """Whether the conditions hold. A key without expiry (``present_ms`` 0) counts as one that expires never."""
    if b"NX" in conditions and present_ms:
        return False
    if b"XX" in conditions and not present_ms:
        return False
    if b"GT" in conditions and (not present_ms or expires_ms <= present_ms):
        return False
    return not (b"LT" in conditions and present_ms and expires_ms >= present_ms)


def _set(ctx: Context, key: bytes, expires_ms: int) -> None:
    """A time that has passed deletes the key here and now, as a deletion."""
    if expires_ms <= ctx.now_ms:
        parts = ctx.keyspace.parts_count(ctx.client.db, key)
        ctx.keyspace.delete(ctx.client.db, key)
        ctx.came_or_went(key, "del", parts)
    else:
        ctx.keyspace.set_expiry(ctx.client.db, key, expires_ms)
        ctx.changed(key, "expire")


def persist(ctx: Context, words: list[bytes]) -> Reply:
    db, key = ctx.client.db, words[1]
    if not ctx.keyspace.exists(db, key, ctx.now_ms):
        return ZERO
    ctx.keyspace.ensure_whole(db, key, ctx.now_ms)
    if not ctx.keyspace.expiry(db, key):
        return ZERO
    ctx.keyspace.set_expiry(db, key, 0)
    ctx.changed(key, "persist")
    return ONE


# -- asking ----------------------------------------------------------------------------------------------------


def _getter(form: Form) -> Callable[[Context, list[bytes]], Reply]:
    def handler(ctx: Context, words: list[bytes]) -> Reply:
        db, key = ctx.client.db, words[1]
        found = ctx.keyspace.exists(db, key, ctx.now_ms)
        ctx.count_lookup(found)
        if not found:
            return integer(NO_KEY)
        expires_ms = ctx.keyspace.expiry(db, key)
        if not expires_ms:
            return integer(NO_EXPIRY)
        asked_ms = expires_ms - ctx.now_ms if form.relative else expires_ms
        return integer((asked_ms + form.unit_ms // 2) // form.unit_ms)  # rounded to the nearest

    return handler


# -- rows ------------------------------------------------------------------------------------------------------


def _set_row(form: Form, value: str, since: str, summary: str) -> CommandSpec:
    return CommandSpec(
        name=form.name,
        arity=-3,
        flags=Flag.WRITE | Flag.FAST,
        handler=_setter(form),
        syntax=f"key {value} [NX | XX | GT | LT]",
        keys=Keys(),
        since=since,
        group="generic",
        categories=("keyspace",),
        summary=summary,
    )


def _get_row(form: Form, since: str, summary: str, tips: tuple[str, ...] = ()) -> CommandSpec:
    return CommandSpec(
        name=form.name,
        arity=2,
        flags=Flag.READONLY | Flag.FAST,
        handler=_getter(form),
        syntax="key",
        keys=Keys(),
        since=since,
        group="generic",
        categories=("keyspace",),
        summary=summary,
        tips=tips,
    )


_SECONDS: Final = 1000
_MILLISECONDS: Final = 1

COMMANDS: Final = (
    _set_row(
        Form("EXPIRE", _SECONDS, relative=True), "seconds", "1.0.0", "Sets the expiration time of a key in seconds."
    ),
    _set_row(
        Form("PEXPIRE", _MILLISECONDS, relative=True),
        "milliseconds",
        "2.6.0",
        "Sets the expiration time of a key in milliseconds.",
    ),
    _set_row(
        Form("EXPIREAT", _SECONDS, relative=False),
        "unix-time-seconds",
        "1.2.0",
        "Sets the expiration time of a key to a Unix timestamp.",
    ),
    _set_row(
        Form("PEXPIREAT", _MILLISECONDS, relative=False),
        "unix-time-milliseconds",
        "2.6.0",
        "Sets the expiration time of a key to a Unix milliseconds timestamp.",
    ),
    _get_row(
        Form("TTL", _SECONDS, relative=True),
        "1.0.0",
        "Returns the expiration time in seconds of a key.",
        tips=(VARIES,),
    ),
    _get_row(
        Form("PTTL", _MILLISECONDS, relative=True),
        "2.6.0",
        "Returns the expiration time in milliseconds of a key.",
        tips=(VARIES,),
    ),
    _get_row(
        Form("EXPIRETIME", _SECONDS, relative=False),
        "7.0.0",
        "Returns the expiration time of a key as a Unix timestamp.",
    ),
    _get_row(
        Form("PEXPIRETIME", _MILLISECONDS, relative=False),
        "7.0.0",
        "Returns the expiration time of a key as a Unix milliseconds timestamp.",
    ),
    CommandSpec(
        name="PERSIST",
        arity=2,
        flags=Flag.WRITE | Flag.FAST,
        handler=persist,
        syntax="key",
        keys=Keys(),
        since="2.2.0",
        group="generic",
        categories=("keyspace",),
        summary="Removes the expiration time of a key.",
    ),
)
