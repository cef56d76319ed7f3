"""KEYS, SCAN, RANDOMKEY: finding out which keys there are, without opening a stream."""

from __future__ import annotations

import re
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import NOT_MERGED, TO_ALL_SHARDS, TO_SOME, UNORDERED, VARIES
from respbroker.errors import ReplyError, SyntaxRefused
from respbroker.model.glob import compile_glob, is_everything
from respbroker.resp.replies import array, bulk, bulk_array, null
from respbroker.streams.key_order import page_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

COUNT_DEFAULT: Final = 10
DRAWS_MAX: Final = 100
U64_MAX: Final = 2**64 - 1

_CURSOR: Final = re.compile(rb"[ \t-\r]*\+?[0-9]+", re.DOTALL)  # what strtoull takes of it, and nothing behind


def keys(ctx: Context, words: list[bytes]) -> Reply:
    db = ctx.client.db
    names = [*ctx.keyspace.databases[db].keys, *ctx.keyspace.values[db].keys]
    return bulk_array(_present(ctx, _matching(names, words[1])))


@attrs.frozen
class Scan:
    """What SCAN is asked for; ``pattern`` is ``*`` and ``kind`` empty where nothing is left out."""

    cursor: int
    count: int = COUNT_DEFAULT
    pattern: bytes = b"*"
    kind: bytes = b""

    @classmethod
    def parse(cls, words: list[bytes]) -> Scan:
        options = Arguments(words, 2)
        scan: dict[str, int | bytes] = {"cursor": parse_cursor(words[1])}
        while options.more:
            match options.option():
                case b"COUNT":
                    scan["count"] = _parse_count(options.value())
                case b"MATCH":
                    scan["pattern"] = options.value()
                case b"TYPE":
                    scan["kind"] = options.value().lower() or b"?"
                case b"NOVALUES":
                    raise ReplyError("NOVALUES option can only be used in HSCAN")
                case _:
                    raise SyntaxRefused
        return cls(**scan)  # type: ignore[arg-type]  # each value was made for its field above


def parse_cursor(word: bytes) -> int:
    """An unsigned 64-bit number as C's strtoull reads it."""
    if _CURSOR.fullmatch(word) is None or len(word) > 40 or (cursor := int(word)) > U64_MAX:
        raise ReplyError("invalid cursor")
    return cursor


def _parse_count(word: bytes) -> int:
    count = parse_int(word)
    if count < 1:
        raise SyntaxRefused
    return count


def scan(ctx: Context, words: list[bytes]) -> Reply:
    request = Scan.parse(words)
    database, values = ctx.keyspace.databases[ctx.client.db], ctx.keyspace.values[ctx.client.db]
    cursor, page = page_of(database, values, request.cursor, request.count)
    if request.kind:
        page = [key for key in page if ctx.keyspace.kind_of(ctx.client.db, key) == request.kind]
    return array([bulk(b"%d" % cursor), bulk_array(_present(ctx, _matching(page, request.pattern)))])


def randomkey(ctx: Context, words: list[bytes]) -> Reply:
    """Draws again while it finds expired keys, which a follower only hides: so not for ever."""
    streams, values = ctx.keyspace.databases[ctx.client.db].keys, ctx.keyspace.values[ctx.client.db].keys
    for _ in range(DRAWS_MAX):
        if not (streams or values):
            break
        position = ctx.random.randrange(len(streams) + len(values))
        key = next(islice(chain(streams, values), position, None))
        if ctx.keyspace.exists(ctx.client.db, key, ctx.now_ms):
            return bulk(key)
    return null(ctx.client.protocol)


def _matching(names: Iterable[bytes], pattern: bytes) -> Iterable[bytes]:
    return names if is_everything(pattern) else filter(compile_glob(pattern), names)


def _present(ctx: Context, names: Iterable[bytes]) -> list[bytes]:
    """The keys of ``names`` without expired ones, which go."""
    exists, db, now_ms = ctx.keyspace.exists, ctx.client.db, ctx.now_ms
    return [name for name in names if exists(db, name, now_ms)]


COMMANDS: Final = (
    CommandSpec(
        name="KEYS",
        arity=2,
        flags=Flag.READONLY,
        handler=keys,
        syntax="pattern",
        group="generic",
        categories=("keyspace", "dangerous"),
        complexity="O(N) with N being the number of keys in the database, under the assumption that the key names in "
        "the database and the given pattern have limited length.",
        summary="Returns all key names that match a pattern.",
        tips=(TO_ALL_SHARDS, UNORDERED),
    ),
    CommandSpec(
        name="SCAN",
        arity=-2,
        flags=Flag.READONLY,
        handler=scan,
        syntax="cursor [MATCH pattern] [COUNT count] [TYPE type]",
        since="2.8.0",
        group="generic",
        categories=("keyspace",),
        complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor "
        "to return back to 0. N is the number of elements inside the collection.",
        summary="Iterates over the key names in the database.",
        tips=(VARIES, TO_SOME, NOT_MERGED),
    ),
    CommandSpec(
        name="RANDOMKEY",
        arity=1,
        flags=Flag.READONLY,
        handler=randomkey,
        group="generic",
        categories=("keyspace",),
        summary="Returns a random key name from the database.",
        tips=(TO_ALL_SHARDS, NOT_MERGED, VARIES),
    ),
)
