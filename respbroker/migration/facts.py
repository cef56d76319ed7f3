"""What there is to know of a stream besides its entries, as values: counters, groups, consumers, expiry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from respbroker.migration.turns import Request, Steps, Turn, fields_of, said
from respbroker.model.stream_id import StreamId, parse_id
from respbroker.resp.reply_decoder import ErrorReply
from respbroker.tools.connection import Failed
from respbroker.tools.output import shown

#: Commands that not every version has, and that make a difference here.
ASKED_FOR: Final = (b"pexpiretime", b"xnack", b"xtopic", b"xcfgset")
#: Times are often read as "so long ago", at a moment that is known only about: closer than this they are the same.
SAME_MS: Final = 1000


@attrs.frozen
class GroupFacts:
    """A group. ``entries_read`` is None where the server does not know it, or is too old to count.

    ``consumers`` are names with how many entries each holds. One without a name is left out: on some servers it holds
    what nobody holds.
    """

    name: bytes
    cursor: StreamId
    entries_read: int | None
    pending: int
    consumers: tuple[tuple[bytes, int], ...] = ()


@attrs.frozen
class StreamFacts:
    """A stream. Counters and IDMP settings are None where the server is too old to have them."""

    length: int
    last_id: StreamId
    first_id: StreamId | None  #: of the entries that are there; None if there are none
    entries_added: int | None
    max_deleted_id: StreamId | None
    idmp: tuple[int, int] | None  #: duration in seconds, and how many IDs of each producer
    expires_ms: int | None
    entry_bytes: int  #: of the first or the last entry, whichever is larger
    groups: tuple[GroupFacts, ...] = ()

    def is_as(self, other: StreamFacts) -> bool:
        """Whether nothing has changed. A time of expiry that is told as "in so long" is known only about."""
        if attrs.evolve(self, expires_ms=None) != attrs.evolve(other, expires_ms=None):
            return False
        return is_same_expiry(self.expires_ms, other.expires_ms)

    def group(self, name: bytes) -> GroupFacts | None:
        return next((group for group in self.groups if group.name == name), None)


@attrs.frozen
class Side:
    """What a server can do, by the commands of `ASKED_FOR` that it knows."""

    commands: frozenset[bytes]

    @property
    def knows_expiry_times(self) -> bool:
        """Since Redis 7.0, as the counters of streams and groups."""
        return b"pexpiretime" in self.commands


Both = tuple[StreamFacts | None, StreamFacts | None]


def facts_of_both(key: bytes, source: Side | None, target: Side | None) -> Steps[Both]:
    """What both sides know of a key; None where it is not there, and of a side that is not asked.

    Raises:
        Failed: it is there and no stream.
    """
    answer = yield Turn(_questions(key, source), _questions(key, target))
    found = [_parsed(key, replies) if replies else None for replies in (answer.source, answer.target)]
    asked: list[list[Request]] = [
        [(b"XINFO", b"CONSUMERS", key, group.name) for group in facts.groups] if facts else [] for facts in found
    ]
    if not any(asked):
        return found[0], found[1]
    answer = yield Turn(asked[0], asked[1])
    with_consumers = [
        facts and _with_consumers(facts, replies)
        for facts, replies in zip(found, (answer.source, answer.target), strict=True)
    ]
    return with_consumers[0], with_consumers[1]


def _questions(key: bytes, side: Side | None) -> list[Request]:
    if side is None:
        return []
    expiry = b"PEXPIRETIME" if side.knows_expiry_times else b"PTTL"
    return [(b"XINFO", b"STREAM", key), (b"XINFO", b"GROUPS", key), (b"TIME",), (expiry, key)]


def _parsed(key: bytes, replies: Sequence[Any]) -> StreamFacts | None:
    for reply in replies:
        if isinstance(reply, ErrorReply):
            if said(reply) == "no such key":
                return None
            raise Failed(f"{shown(key)}: the server refuses: {said(reply)}")
    stream, groups, time, expiry = replies
    told = fields_of(stream)
    first = told[b"first-entry"]
    return StreamFacts(
        told[b"length"],
        parse_id(told[b"last-generated-id"]),
        None if not first else parse_id(first[0]),
        told.get(b"entries-added"),
        parse_id(told[b"max-deleted-entry-id"]) if b"max-deleted-entry-id" in told else None,
        (told[b"idmp-duration"], told[b"idmp-maxsize"]) if b"idmp-duration" in told else None,
        _expiry(expiry, milliseconds(time)),
        max([sum(map(len, entry[1])) for entry in (first, told[b"last-entry"]) if entry], default=0),
        tuple(sorted((_group(fields_of(group)) for group in groups), key=lambda group: group.name)),
    )


def _expiry(reply: int, now_ms: int) -> int | None:
    """From PEXPIRETIME, or from PTTL, whose numbers are much smaller than any time of today."""
    if reply < 0:
        return None
    return reply if reply > now_ms // 2 else now_ms + reply


def is_same_expiry(this_ms: int | None, other_ms: int | None) -> bool:
    if this_ms is None or other_ms is None:
        return this_ms is other_ms
    return abs(this_ms - other_ms) <= SAME_MS


def milliseconds(time: Sequence[bytes]) -> int:
    """The reply of TIME."""
    return int(time[0]) * 1000 + int(time[1]) // 1000


def _group(told: dict[bytes, Any]) -> GroupFacts:
    return GroupFacts(told[b"name"], parse_id(told[b"last-delivered-id"]), told.get(b"entries-read"), told[b"pending"])


def _with_consumers(facts: StreamFacts, replies: Sequence[Any]) -> StreamFacts:
    """A group that has gone in between is left out."""
    groups = []
    for group, reply in zip(facts.groups, replies, strict=True):
        if not isinstance(reply, ErrorReply):
            told = map(fields_of, reply)
            consumers = sorted((each[b"name"], each[b"pending"]) for each in told if each[b"name"])
            groups.append(attrs.evolve(group, consumers=tuple(consumers)))
    return attrs.evolve(facts, groups=tuple(groups))
