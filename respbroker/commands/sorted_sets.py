"""ZADD, ZRANGE and the other commands of sorted sets: members of one key, each with its score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.arguments import parse_int
from respbroker.commands.member_ranges import BY_SCORE, RangeOptions, Scores
from respbroker.commands.table import Handler
from respbroker.commands.values import GROW_FAST, READ, READ_FAST, WRITE_FAST, Rows, changed_twice, read
from respbroker.errors import NotAFloat, ReplyError, SyntaxRefused
from respbroker.resp.floats import parse_float
from respbroker.resp.replies import EMPTY_ARRAY, ZERO, array, bulk, double, integer, null
from respbroker.values.kinds import SORTED_SET, encode_score

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply
    from respbroker.values.kinds import SortedSet

NOT_POSITIVE: Final = "value is out of range, must be positive"


# -- adding ----------------------------------------------------------------------------------------------------


@attrs.frozen
class AddRequest:
    """A parsed ZADD: which members are to get which scores, and under which conditions."""

    key: bytes
    options: frozenset[bytes]
    pairs: list[tuple[float, bytes]]

    KNOWN = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})

    @classmethod
    def parse(cls, words: list[bytes]) -> AddRequest:
        start = 2
        while start < len(words) and words[start].upper() in cls.KNOWN:
            start += 1
        options = frozenset(word.upper() for word in words[2:start])
        scores, members = words[start::2], words[start + 1 :: 2]
        if not scores or len(scores) != len(members):
            raise SyntaxRefused
        if {b"NX", b"XX"} <= options:
            raise ReplyError("XX and NX options at the same time are not compatible")
        if len(options & {b"GT", b"LT", b"NX"}) > 1:
            raise ReplyError("GT, LT, and/or NX options at the same time are not compatible")
        if b"INCR" in options and len(scores) > 1:
            raise ReplyError("INCR option supports a single increment-element pair")
        return cls(words[1], options, list(zip(map(_score, scores), members, strict=True)))

    def score_for(self, asked: float, present: float | None) -> float | None:
        """The score a member is to have; None if it is to stay as it is, and be told so."""
        if present is None:
            return None if b"XX" in self.options else asked
        if b"NX" in self.options:
            return None
        score = asked
        if b"INCR" in self.options:
            score += present
            if math.isnan(score):
                raise ReplyError("resulting score is not a number (NaN)")
        if (b"GT" in self.options and score <= present) or (b"LT" in self.options and score >= present):
            return None
        return score


def _score(word: bytes) -> float:
    score = parse_float(word)
    if score is None:
        raise NotAFloat
    return score + 0.0  # -0 is 0


def _told(ctx: Context, score: float | None) -> bytes:
    return null(ctx.client.protocol) if score is None else double(score, ctx.client.protocol)


def zadd(ctx: Context, words: list[bytes]) -> Reply:
    request = AddRequest.parse(words)
    key = request.key
    members = ctx.sorted_set(key)
    added = updated = 0
    score: float | None = None
    for asked, member in request.pairs:
        present = members.score(member) if members is not None else None
        score = request.score_for(asked, present)
        if score is None or score == present:
            continue
        ctx.put_member(key, SORTED_SET, member, encode_score(score))
        members = members or ctx.sorted_set(key)
        added += present is None
        updated += present is not None
    increments = b"INCR" in request.options
    if added or updated:
        ctx.changed(key, "zincr" if increments else "zadd")
        ctx.dirty += added + updated - 1
    if increments:
        return _told(ctx, score)
    return integer(added + updated if b"CH" in request.options else added)


# -- removing --------------------------------------------------------------------------------------------------


def zrem(ctx: Context, words: list[bytes]) -> Reply:
    key = words[1]
    members = ctx.sorted_set(key)
    if members is None:
        return ZERO
    removed = [member for member in dict.fromkeys(words[2:]) if members.score(member) is not None]
    _remove(ctx, key, removed, "zrem")
    return integer(len(removed))


def zpopmin(ctx: Context, words: list[bytes]) -> Reply:
    key = words[1]
    if len(words) > 3:
        raise SyntaxRefused
    count = 1 if len(words) == 2 else parse_int(words[2], NOT_POSITIVE)
    if count < 0:
        raise ReplyError(NOT_POSITIVE)
    members = ctx.sorted_set(key)
    if members is None:
        return EMPTY_ARRAY
    popped = list(members.ordered[:count])
    _remove(ctx, key, [member for _, member in popped], "zpopmin")
    return _with_scores(ctx, popped, in_pairs=len(words) > 2)


def _remove(ctx: Context, key: bytes, members: list[bytes], event: str) -> None:
    """Take members out and tell it; the last one takes the key with it."""
    for member in members:
        ctx.remove_member(key, member)
    if not members:
        return
    if ctx.sorted_set(key) is None:
        changed_twice(ctx, key, event, "del")
    else:
        ctx.changed(key, event)
    ctx.dirty += len(members) - 1


# -- asking ----------------------------------------------------------------------------------------------------


def _read(ctx: Context, key: bytes) -> SortedSet | None:
    return read(ctx, ctx.sorted_set, key)


def zcard(ctx: Context, words: list[bytes]) -> Reply:
    return integer(len(_read(ctx, words[1]) or ()))


def zscore(ctx: Context, words: list[bytes]) -> Reply:
    members = _read(ctx, words[1])
    score = None if members is None else members.score(words[2])
    return _told(ctx, score)


def zcount(ctx: Context, words: list[bytes]) -> Reply:
    scores = Scores.parse(*words[2:])
    members = _read(ctx, words[1])
    return ZERO if members is None else integer(members.count(scores.low, scores.high))


def _ranger(kind: bytes | None) -> Handler:
    """ZRANGE, and ZRANGEBYSCORE, whose name says the ``kind`` of range."""

    def handler(ctx: Context, words: list[bytes]) -> Reply:
        options = RangeOptions.parse(words, kind)
        stretch = options.stretch(*words[2:4])
        members = _read(ctx, words[1])
        found = [] if members is None else options.select(members, stretch)
        if options.with_scores:
            return _with_scores(ctx, found, in_pairs=True)
        return array([bulk(member) for _, member in found])

    return handler


def _with_scores(ctx: Context, found: list[tuple[float, bytes]], *, in_pairs: bool) -> bytes:
    """Members with their scores: in a row, or in RESP3 ``in_pairs``."""
    protocol = ctx.client.protocol
    wires = [(bulk(member), double(score, protocol)) for score, member in found]
    if in_pairs and protocol == 3:
        return array([array(pair) for pair in wires])
    return array([wire for pair in wires for wire in pair])


# -- rows ------------------------------------------------------------------------------------------------------

_row: Final = Rows("sorted-set", "sortedset").row
_OF_RANGE: Final = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements "

COMMANDS: Final = (
    _row(
        "ZADD",
        -4,
        GROW_FAST,
        zadd,
        "Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist.",
        "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
        "1.2.0",
        "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    ),
    _row(
        "ZREM",
        -3,
        WRITE_FAST,
        zrem,
        "Removes one or more members from a sorted set. Deletes the sorted set if all members were removed.",
        "key member [member ...]",
        "1.2.0",
        "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
    ),
    _row(
        "ZPOPMIN",
        -2,
        WRITE_FAST,
        zpopmin,
        "Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the last "
        "member was popped.",
        "key [count]",
        "5.0.0",
        "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
    ),
    _row("ZCARD", 2, READ_FAST, zcard, "Returns the number of members in a sorted set.", since="1.2.0"),
    _row("ZSCORE", 3, READ_FAST, zscore, "Returns the score of a member in a sorted set.", "key member", "1.2.0"),
    _row(
        "ZCOUNT",
        4,
        READ_FAST,
        zcount,
        "Returns the count of members in a sorted set that have scores within a range.",
        "key min max",
        complexity="O(log(N)) with N being the number of elements in the sorted set.",
    ),
    _row(
        "ZRANGE",
        -4,
        READ,
        _ranger(None),
        "Returns members in a sorted set within a range of indexes.",
        "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
        "1.2.0",
        _OF_RANGE + "returned.",
    ),
    _row(
        "ZRANGEBYSCORE",
        -4,
        READ,
        _ranger(BY_SCORE),
        "Returns members in a sorted set within a range of scores.",
        "key min max [WITHSCORES] [LIMIT offset count]",
        "1.0.5",
        _OF_RANGE + "being returned.",
    ),
)
