"""Which consumer owns which partition of an ordered group: balanced, sticky, nothing taken from a busy owner. Pure.

A partition with entries pending at its owner does not change hands while the owner is live, or two consumers could
work on one key at once. Where balance wants it elsewhere it is *draining*: its owner is given nothing new from it until
nothing is pending there, and then it moves. Without that a consumer that is never idle would never hand over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush

import attrs

Owners = Sequence[bytes | None]


@attrs.frozen
class Ownership:
    """Who owns each partition (None: nobody is live), and to whom the draining ones go."""

    owners: tuple[bytes | None, ...] = ()
    moving: dict[int, bytes] = attrs.field(factory=dict)

    def owned_by(self, consumer: bytes) -> list[int]:
        """The partitions of a consumer, rising; the draining ones too."""
        return [partition for partition, owner in enumerate(self.owners) if owner == consumer]


def assign(owners: Owners, members: Iterable[bytes], holders: Sequence[Sequence[bytes]]) -> Ownership:
    """The ownership that follows ``owners`` while ``members`` are live.

    ``holders`` names, for each partition, the consumers that have entries pending there. Where nobody live owns a
    partition, the first of them that is live does: after a restart nothing else is known.
    Of all ways to end with sizes that differ by at most one, this one moves the fewest partitions.
    """
    live = dict.fromkeys(sorted(members))
    if not live:
        return Ownership((None,) * len(holders))
    current = [_first_live(live, owner, holding) for owner, holding in zip(owners, holders, strict=True)]
    owned: dict[bytes, list[int]] = {member: [] for member in live}
    for partition, owner in enumerate(current):
        if owner is not None:
            owned[owner].append(partition)
    quotas = _quotas(owned, len(current), holders)
    idle, busy = _leaving(owned, quotas, holders)
    orphans = [partition for partition, owner in enumerate(current) if owner is None]
    receivers = _receivers({m: owned[m] for m in live if len(owned[m]) < quotas[m]}, quotas, orphans + idle + busy)
    moving = {partition: receivers.pop(partition) for partition in busy}
    return Ownership(tuple(receivers.get(p, owner) for p, owner in enumerate(current)), moving)


def _first_live(live: Collection[bytes], owner: bytes | None, holding: Sequence[bytes]) -> bytes | None:
    if owner in live:
        return owner
    return next((consumer for consumer in holding if consumer in live), None)


def _quotas(owned: dict[bytes, list[int]], partitions: int, holders: Sequence[Sequence[bytes]]) -> dict[bytes, int]:
    """How many partitions each member is to have, one more for some where they do not divide evenly.

    It goes to those who have so many now, first to those who are busy in most of them: they would have to drain one.
    Whoever gets it keeps it, whatever moves, so that the next answer is the same.
    """
    least, larger = divmod(partitions, len(owned))

    def claim(member: bytes) -> tuple[int, int, bytes]:
        mine = owned[member]
        busy = sum(member in holders[partition] for partition in mine)
        return -min(len(mine), least + 1), -min(busy, least + 1), member

    return {member: least + (place < larger) for place, member in enumerate(sorted(owned, key=claim))}


def _leaving(
    owned: dict[bytes, list[int]], quotas: dict[bytes, int], holders: Sequence[Sequence[bytes]]
) -> tuple[list[int], list[int]]:
    """What goes beyond the quotas: partitions where nothing is pending at the owner if there are enough, then others.

    Among those it is always the lowest numbers, so that what is draining goes on draining.
    """
    idle: list[int] = []
    busy: list[int] = []
    for member, partitions in owned.items():
        surplus = len(partitions) - quotas[member]
        if surplus > 0:
            held = [partition for partition in partitions if member in holders[partition]]
            free = [partition for partition in partitions if member not in holders[partition]]
            idle += free[:surplus]
            busy += held[: max(surplus - len(free), 0)]
    return idle, busy


def _receivers(owned: dict[bytes, list[int]], quotas: dict[bytes, int], partitions: list[int]) -> dict[int, bytes]:
    """Who gets each of ``partitions``: always whoever has least by then. There is room for exactly so many."""
    room = [(len(held), member) for member, held in owned.items()]
    heapify(room)
    receivers: dict[int, bytes] = {}
    for partition in partitions:
        size, member = heappop(room)
        receivers[partition] = member
        if size + 1 < quotas[member]:
            heappush(room, (size + 1, member))
    return receivers
