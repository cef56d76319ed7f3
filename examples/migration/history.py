"""What the old server holds before the application begins: orders of long ago, and what consumers left undone."""

from __future__ import annotations

from typing import Any, Final

import attrs
import redis

from examples.migration.application import GROUP, STREAM, entries_of

REPORTS: Final = "reports"  #: a group at rest: two consumers that were switched off with work in hand
_BATCH: Final = 2000
#: One of so many orders was left undone by each group. All of billing's are with "bob", who is dead.
_UNDONE_OF: Final = 100


@attrs.frozen
class History:
    """``orders`` were added, the numbers from 0; ``undone`` of them are still pending in `GROUP`."""

    orders: int
    undone: frozenset[int]
    reports: Any  #: what XPENDING tells of `REPORTS`


def write(client: redis.Redis, orders: int) -> History:
    """So many orders; all but a few handled by billing, by the group of reports the first half."""
    for first in range(0, orders, _BATCH):
        pipeline = client.pipeline(transaction=False)
        for order in range(first, min(first + _BATCH, orders)):
            pipeline.xadd(STREAM, {"order": order, "of": "long ago"})
        pipeline.execute()
    client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    client.xgroup_create(STREAM, REPORTS, id="0")
    undone = frozenset(_read(client, GROUP, ["bob"], orders))
    _read(client, REPORTS, ["carol", "dave"], orders // 2)
    return History(orders, undone, client.xpending(STREAM, REPORTS))


def _read(client: redis.Redis, group: str, consumers: list[str], orders: int) -> list[int]:
    """Let the consumers read so many orders in turn and acknowledge most of them; those that are left."""
    left = []
    for number, first in enumerate(range(0, orders, _BATCH)):
        reply = client.xreadgroup(
            group, consumers[number % len(consumers)], {STREAM: ">"}, count=min(_BATCH, orders - first)
        )
        ids = [entry_id for entry_id, _ in entries_of(reply)]
        client.xack(STREAM, group, *[entry_id for order, entry_id in enumerate(ids, first) if order % _UNDONE_OF])
        left += [order for order in range(first, first + len(ids)) if not order % _UNDONE_OF]
    return left


def all_orders(client: redis.Redis) -> list[int]:
    """The numbers of all orders in the stream, read in pieces."""
    orders: list[int] = []
    start = "-"
    while page := client.xrange(STREAM, min=start, count=10_000):
        orders += [int(fields["order"]) for _, fields in page]
        start = f"({page[-1][0]}"
    return orders
