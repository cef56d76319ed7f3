"""SET, GET and the other commands of strings: one value at a key, numbers among them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import I64_MAX, I64_MIN, parse_int
from respbroker.commands.keys import drop, present
from respbroker.commands.set_options import OF_GETEX, OF_SET, TIMES, SetOptions, expiry_time
from respbroker.commands.table import Handler, Keys
from respbroker.commands.tips import ALL_SUCCEED, TO_SHARDS_OF_KEYS
from respbroker.commands.values import GROW, GROW_FAST, READ_FAST, WRITE_FAST, Rows, changed_twice, read
from respbroker.errors import Overflow, ReplyError, WrongArity, WrongType
from respbroker.resp.replies import OK, ONE, ZERO, array, bulk, bulk_or_null, integer, null

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

_PLAIN: Final = 3  # words of a SET without options
TOO_LONG: Final = "string exceeds maximum allowed size (proto-max-bulk-len)"


# -- setting ---------------------------------------------------------------------------------------------------


def set_(ctx: Context, words: list[bytes]) -> Reply:
    _, key, text = words[:3]
    if len(words) == _PLAIN:  # nearly always
        _store(ctx, key, text, 0)
        return OK
    options = SetOptions.parse(words, 3, OF_SET)
    expires_ms: int | None = options.expires_ms("set", ctx.now_ms)
    before = read(ctx, ctx.text, key) if options.get else None
    if options.condition and present(ctx, key) != (options.condition == b"XX"):
        return bulk_or_null(before, ctx.client.protocol)
    _store(ctx, key, text, None if options.expiry == b"KEEPTTL" else expires_ms, told=options.expiry in TIMES)
    return bulk_or_null(before, ctx.client.protocol) if options.get else OK


def set_run(ctx: Context, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring ``SET key value`` of which nobody is to be told; see `RunHandler`."""
    if not ctx.quiet:
        return 0
    name, db, now_ms = requests[start][0], ctx.client.db, ctx.now_ms
    values, streams = ctx.keyspace.values[db], ctx.keyspace.databases[db].keys
    texts, count = values.keys, 0
    for words in islice(requests, start, None):
        if len(words) != _PLAIN or words[0] != name:
            break
        key = words[1]
        if key not in texts and (key in streams or b"/" in key):  # perhaps a partition
            break
        values.set_text(key, words[2], 0, now_ms)
        count += 1
    ctx.dirty += count
    out.extend([OK] * count)
    return count


def _store(ctx: Context, key: bytes, text: bytes, expires_ms: int | None, *, told: bool = False) -> None:
    """Replace what is at the key, whatever it is, and tell it; with the new expiry if that is to be ``told`` too."""
    present(ctx, key)  # what has expired goes as expired, not as replaced
    ctx.set_text(key, text, expires_ms=expires_ms)
    if told:
        changed_twice(ctx, key, "set", "expire")
    else:
        ctx.changed(key, "set")


def setnx(ctx: Context, words: list[bytes]) -> Reply:
    _, key, text = words
    if present(ctx, key):
        return ZERO
    _store(ctx, key, text, 0)
    return ONE


def _setter(name: str, unit_ms: int) -> Handler:
    """SETEX and PSETEX."""

    def handler(ctx: Context, words: list[bytes]) -> Reply:
        _, key, time, text = words
        _store(ctx, key, text, expiry_time(name, time, unit_ms, ctx.now_ms), told=True)
        return OK

    return handler


def getset(ctx: Context, words: list[bytes]) -> Reply:
    _, key, text = words
    before = read(ctx, ctx.text, key)
    _store(ctx, key, text, 0)
    return bulk_or_null(before, ctx.client.protocol)


def mset(ctx: Context, words: list[bytes]) -> Reply:
    _store_pairs(ctx, _pairs(words))
    return OK


def msetnx(ctx: Context, words: list[bytes]) -> Reply:
    pairs = _pairs(words)
    if any(present(ctx, key) for key, _ in pairs):
        return ZERO
    _store_pairs(ctx, pairs)
    return ONE


def _pairs(words: list[bytes]) -> list[tuple[bytes, bytes]]:
    if not len(words) % 2:
        raise WrongArity(words[0].decode("latin-1"))
    return list(zip(words[1::2], words[2::2], strict=True))


def _store_pairs(ctx: Context, pairs: list[tuple[bytes, bytes]]) -> None:
    for key, _ in pairs:  # a name that means a partition is refused before anything is set
        ctx.keyspace.ensure_no_partition(ctx.client.db, key)
    for key, text in pairs:
        _store(ctx, key, text, 0)


# -- getting ---------------------------------------------------------------------------------------------------


def get(ctx: Context, words: list[bytes]) -> Reply:
    return bulk_or_null(read(ctx, ctx.text, words[1]), ctx.client.protocol)


def mget(ctx: Context, words: list[bytes]) -> Reply:
    return array([bulk_or_null(_text_or_nothing(ctx, key), ctx.client.protocol) for key in words[1:]])


def _text_or_nothing(ctx: Context, key: bytes) -> bytes | None:
    try:
        return read(ctx, ctx.text, key)
    except WrongType:
        return None


def strlen(ctx: Context, words: list[bytes]) -> Reply:
    return integer(len(read(ctx, ctx.text, words[1]) or b""))


def getdel(ctx: Context, words: list[bytes]) -> Reply:
    text = read(ctx, ctx.text, words[1])
    if text is not None:
        drop(ctx, words[1])
    return bulk_or_null(text, ctx.client.protocol)


def getex(ctx: Context, words: list[bytes]) -> Reply:
    key = words[1]
    options = SetOptions.parse(words, 2, OF_GETEX)
    text = read(ctx, ctx.text, key)
    if text is None:
        return null(ctx.client.protocol)
    expires_ms = options.expires_ms("getex", ctx.now_ms)
    if options.expiry in TIMES and expires_ms <= ctx.now_ms:
        drop(ctx, key)
    elif options.expiry in TIMES:
        ctx.keyspace.set_expiry(ctx.client.db, key, expires_ms)
        ctx.changed(key, "expire")
    elif options.expiry and ctx.keyspace.expiry(ctx.client.db, key):
        ctx.keyspace.set_expiry(ctx.client.db, key, 0)
        ctx.changed(key, "persist")
    return bulk(text)


# -- changing --------------------------------------------------------------------------------------------------


def _counter(sign: int, *, by: bool) -> Handler:
    """INCR, DECR, INCRBY and DECRBY."""

    def handler(ctx: Context, words: list[bytes]) -> Reply:
        amount = parse_int(words[2]) if by else 1
        if sign < 0 and amount == I64_MIN:
            raise ReplyError("decrement would overflow")
        return _add(ctx, words[1], sign * amount)

    return handler


def _add(ctx: Context, key: bytes, amount: int) -> Reply:
    text = ctx.text(key)
    number = (0 if text is None else parse_int(text)) + amount
    if not I64_MIN <= number <= I64_MAX:
        raise Overflow
    ctx.set_text(key, b"%d" % number, expires_ms=None)
    ctx.changed(key, "incrby")
    return integer(number)


def append(ctx: Context, words: list[bytes]) -> Reply:
    _, key, more = words
    text = (ctx.text(key) or b"") + more
    if len(text) > ctx.settings.proto_max_bulk_len:
        raise ReplyError(TOO_LONG)
    ctx.set_text(key, text, expires_ms=None)
    ctx.changed(key, "append")
    return integer(len(text))


# -- rows ------------------------------------------------------------------------------------------------------

_row: Final = Rows("string", "string").row
_PAIRS: Final = "key value [key value ...]"

COMMANDS: Final = (
    _row(
        "SET",
        -3,
        GROW,
        set_,
        "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
        "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
        "PXAT unix-time-milliseconds | KEEPTTL]",
        "1.0.0",
        run=set_run,
    ),
    _row(
        "SETNX",
        3,
        GROW_FAST,
        setnx,
        "Set the string value of a key only when the key doesn't exist.",
        "key value",
        "1.0.0",
    ),
    _row(
        "SETEX",
        4,
        GROW,
        _setter("setex", 1000),
        "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
        "key seconds value",
    ),
    _row(
        "PSETEX",
        4,
        GROW,
        _setter("psetex", 1),
        "Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist.",
        "key milliseconds value",
        "2.6.0",
    ),
    _row(
        "GETSET",
        3,
        GROW_FAST,
        getset,
        "Returns the previous string value of a key after setting it to a new value.",
        "key value",
        "1.0.0",
    ),
    _row(
        "MSET",
        -3,
        GROW,
        mset,
        "Atomically creates or modifies the string values of one or more keys.",
        _PAIRS,
        "1.0.1",
        "O(N) where N is the number of keys to set.",
        Keys(1, -1, 2),
        (TO_SHARDS_OF_KEYS, ALL_SUCCEED),
    ),
    _row(
        "MSETNX",
        -3,
        GROW,
        msetnx,
        "Atomically modifies the string values of one or more keys only when all keys don't exist.",
        _PAIRS,
        "1.0.1",
        "O(N) where N is the number of keys to set.",
        Keys(1, -1, 2),
    ),
    _row("GET", 2, READ_FAST, get, "Returns the string value of a key.", since="1.0.0"),
    _row(
        "MGET",
        -2,
        READ_FAST,
        mget,
        "Atomically returns the string values of one or more keys.",
        "key [key ...]",
        "1.0.0",
        "O(N) where N is the number of keys to retrieve.",
        Keys(1, -1),
        (TO_SHARDS_OF_KEYS,),
    ),
    _row("STRLEN", 2, READ_FAST, strlen, "Returns the length of a string value.", since="2.2.0"),
    _row(
        "GETDEL",
        2,
        WRITE_FAST,
        getdel,
        "Returns the string value of a key after deleting the key.",
        since="6.2.0",
    ),
    _row(
        "GETEX",
        -2,
        WRITE_FAST,
        getex,
        "Returns the string value of a key after setting its expiration time.",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
        "6.2.0",
    ),
    *(
        _row(
            name,
            2,
            GROW_FAST,
            _counter(sign, by=False),
            f"{verb} the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
            since="1.0.0",
        )
        for name, sign, verb in (("INCR", 1, "Increments"), ("DECR", -1, "Decrements"))
    ),
    _row(
        "INCRBY",
        3,
        GROW_FAST,
        _counter(1, by=True),
        "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
        "key increment",
        "1.0.0",
    ),
    _row(
        "DECRBY",
        3,
        GROW_FAST,
        _counter(-1, by=True),
        "Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist.",
        "key decrement",
        "1.0.0",
    ),
    _row(
        "APPEND",
        3,
        GROW_FAST,
        append,
        "Appends a string to the value of a key. Creates the key if it doesn't exist.",
        "key value",
    ),
)
