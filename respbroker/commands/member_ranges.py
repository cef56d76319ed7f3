"""Stretches of a sorted set: by rank, by score, by the bytes of members of one score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.errors import ReplyError, SyntaxRefused
from respbroker.resp.floats import parse_bound

if TYPE_CHECKING:
    from respbroker.values.kinds import SortedSet

RANK: Final = b""
BY_SCORE: Final = b"BYSCORE"
BY_MEMBER: Final = b"BYLEX"


class Stretch(Protocol):
    """What ZRANGE asks for between two ends."""

    def ranks(self, members: SortedSet, *, reverse: bool) -> tuple[int, int]:
        """The first rank and the one behind the last, counted from the lowest member on."""


@attrs.frozen
class Ranks:
    """From ``first`` to ``last``, both included; below zero they count from the end."""

    first: int
    last: int

    def ranks(self, members: SortedSet, *, reverse: bool) -> tuple[int, int]:
        count = len(members)
        first = max(0, self.first + count if self.first < 0 else self.first)
        behind = min(count, (self.last + count if self.last < 0 else self.last) + 1)
        return (count - behind, count - first) if reverse else (first, behind)


@attrs.frozen
class Scores:
    """From the score ``low`` to the score ``high``, both included; none where ``low`` is above."""

    low: float
    high: float

    def ranks(self, members: SortedSet, *, reverse: bool) -> tuple[int, int]:
        return members.rank_of_score(self.low), members.rank_of_score(self.high, behind=True)

    @classmethod
    def parse(cls, low: bytes, high: bytes) -> Scores:
        """Both ends; ``(`` before one leaves the score itself out."""
        lowest, low_open = _score_end(low)
        highest, high_open = _score_end(high)
        if (low_open and lowest == math.inf) or (high_open and highest == -math.inf):
            return cls(math.inf, -math.inf)
        return cls(
            math.nextafter(lowest, math.inf) if low_open else lowest,
            math.nextafter(highest, -math.inf) if high_open else highest,
        )


def _score_end(word: bytes) -> tuple[float, bool]:
    is_open = word[:1] == b"("
    score = parse_bound(word[1:] if is_open else word)
    if score is None:
        raise ReplyError("min or max is not a float")
    return score, is_open


@attrs.frozen
class Members:
    """From one member to another, where all have the same score; None: the end of the set."""

    low: bytes | None
    low_open: bool
    high: bytes | None
    high_open: bool
    is_empty: bool = False  #: it begins behind all members, or ends before them

    def ranks(self, members: SortedSet, *, reverse: bool) -> tuple[int, int]:
        if self.is_empty or not len(members):
            return 0, 0
        ordered = members.ordered
        first, behind = 0, len(members)
        if self.low is not None:
            end = (ordered[0][0], self.low)
            first = ordered.bisect_right(end) if self.low_open else ordered.bisect_left(end)
        if self.high is not None:
            end = (ordered[0][0], self.high)
            behind = ordered.bisect_left(end) if self.high_open else ordered.bisect_right(end)
        return first, behind

    @classmethod
    def parse(cls, low: bytes, high: bytes) -> Members:
        for word in (low, high):
            if word not in (b"-", b"+") and word[:1] not in (b"(", b"["):
                raise ReplyError("min or max not valid string range item")
        return cls(
            None if low == b"-" else low[1:],
            low[:1] == b"(",
            None if high == b"+" else high[1:],
            high[:1] == b"(",
            is_empty=low == b"+" or high == b"-",
        )


@attrs.define
class RangeOptions:
    """What stands behind the two ends in ZRANGE and ZRANGEBYSCORE."""

    kind: bytes = RANK
    reverse: bool = False
    with_scores: bool = False
    offset: int = 0
    limit: int = -1  #: below zero: as many as there are

    @classmethod
    def parse(cls, words: list[bytes], kind: bytes | None) -> RangeOptions:
        """The options from word 4 on; ``kind`` is set where the command's name says it."""
        found = cls(kind or RANK)
        options = Arguments(words, 4)
        while options.more:
            match options.option():
                case b"WITHSCORES":
                    found.with_scores = True
                case b"LIMIT":
                    found.offset, found.limit = (parse_int(word) for word in options.take(2))
                case b"REV" if kind is None and not found.reverse:
                    found.reverse = True
                case (b"BYSCORE" | b"BYLEX") as option if kind is None and found.kind == RANK:
                    found.kind = option
                case _:
                    raise SyntaxRefused
        if found.limit != -1 and found.kind == RANK:
            raise ReplyError("syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
        if found.with_scores and found.kind == BY_MEMBER:
            raise ReplyError("syntax error, WITHSCORES not supported in combination with BYLEX")
        return found

    def stretch(self, start: bytes, stop: bytes) -> Stretch:
        """What the two ends mean; the higher one comes first where the order is reversed, but for ranks."""
        if self.kind == RANK:
            return Ranks(parse_int(start), parse_int(stop))
        low, high = (stop, start) if self.reverse else (start, stop)
        return Scores.parse(low, high) if self.kind == BY_SCORE else Members.parse(low, high)

    def select(self, members: SortedSet, stretch: Stretch) -> list[tuple[float, bytes]]:
        """Scores with their members, in the order asked for."""
        first, behind = stretch.ranks(members, reverse=self.reverse)
        if self.kind != RANK:
            if self.offset < 0:
                return []
            if self.reverse:
                behind -= self.offset
                first = max(first, behind - self.limit) if self.limit >= 0 else first
            else:
                first += self.offset
                behind = min(behind, first + self.limit) if self.limit >= 0 else behind
        found = members.ordered[first:behind] if first < behind else []
        return found[::-1] if self.reverse else list(found)
