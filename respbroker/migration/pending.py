"""Pending entries: read in pieces, compared, and made equal by XCLAIM, XACK and XNACK."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from respbroker.migration.facts import SAME_MS
from respbroker.migration.turns import Request
from respbroker.model.stream_id import StreamId, parse_id
from respbroker.resp.reply_decoder import ErrorReply

COUNT: Final = 1000


@attrs.frozen
class Held:
    """How an entry is pending. Nobody holds it (``consumer`` is None) where it was given back by XNACK."""

    consumer: bytes | None
    time_ms: int
    deliveries: int

    def is_as(self, other: Held) -> bool:
        if (self.consumer, self.deliveries) != (other.consumer, other.deliveries):
            return False
        return self.consumer is None or abs(self.time_ms - other.time_ms) <= SAME_MS


Pending = dict[StreamId, Held]


def read(key: bytes, group: bytes, start: StreamId, end: StreamId) -> Request:
    return (b"XPENDING", key, group, bytes(start), bytes(end), COUNT)


def parse(reply: Any, now_ms: int) -> Pending:
    """What XPENDING answered; nothing where the group has gone meanwhile."""
    if isinstance(reply, ErrorReply):
        return {}
    return {
        parse_id(entry_id): _held(consumer, now_ms - idle_ms if idle_ms >= 0 else 0, deliveries)
        for entry_id, consumer, idle_ms, deliveries in reply
    }


def _held(consumer: bytes, time_ms: int, deliveries: int) -> Held:
    if not consumer and time_ms < SAME_MS:
        return Held(None, 0, deliveries)
    return Held(consumer, time_ms, deliveries)


def differences(source: Pending, target: Pending) -> tuple[Pending, list[StreamId]]:
    """What is to be claimed in the target so that it is as in the source, and what acknowledged."""
    claims = {
        entry_id: held
        for entry_id, held in source.items()
        if entry_id not in target or not held.is_as(target[entry_id])
    }
    return claims, [entry_id for entry_id in target if entry_id not in source]


def claims(key: bytes, group: bytes, pending: Mapping[StreamId, Held], knows_nack: bool) -> list[Request]:
    """Requests that make entries pending exactly so; one for all that are alike.

    A server without XNACK gives what nobody holds to a consumer without a name, as idle since 1970: whoever looks for
    idle entries finds it.
    """
    alike: dict[Held, list[bytes]] = {}
    for entry_id, held in pending.items():
        alike.setdefault(held, []).append(bytes(entry_id))
    return [_claim(key, group, held, ids, knows_nack) for held, ids in alike.items()]


def _claim(key: bytes, group: bytes, held: Held, ids: Sequence[bytes], knows_nack: bool) -> Request:
    if held.consumer is None and knows_nack:
        head: Request = (b"XNACK", key, group, b"FAIL", b"IDS", len(ids))
        return (*head, *ids, b"RETRYCOUNT", held.deliveries, b"FORCE")
    head = (b"XCLAIM", key, group, held.consumer or b"", 0)
    return (*head, *ids, b"TIME", held.time_ms, b"RETRYCOUNT", held.deliveries, b"FORCE", b"JUSTID")


def taken(replies: Iterable[Any]) -> int:
    """How many entries the replies to `claims` say were taken."""
    return sum(len(reply) if isinstance(reply, list) else reply for reply in replies)
