"""A group at work on a topic of several partitions: its members, who of them owns what, and whose turn it is.

Nothing of this is on disk. What is, the pending entries of each partition, says enough after a restart: who holds
entries is waited for as if it had just gone, and owns the partitions where it holds them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from respbroker.streams import effects
from respbroker.streams.membership import Membership
from respbroker.streams.ownership import Ownership, assign

if TYPE_CHECKING:
    from respbroker.streams.group import Group
    from respbroker.streams.topic import Topic


class TopicGroup:
    """One group of one topic, as long as the topic's mode stays. In shared mode nobody is a member and everybody reads
    everywhere.
    """

    __slots__ = ("_readable", "_turns", "is_ordered", "membership", "name", "ownership", "topic")

    def __init__(self, topic: Topic, name: bytes, now: float) -> None:
        self.topic, self.name, self.is_ordered = topic, name, topic.is_ordered
        self.membership = Membership()
        self.ownership = Ownership()
        self._readable: dict[bytes, list[int]] = {}  # cache
        self._turns: dict[bytes, int] = {}  # the partition each consumer begins with; b"" for all in shared mode
        if self.is_ordered:
            for group in self._groups():
                for holder, _ in group.pending.counts() if group is not None else ():
                    self.membership.expect(holder, now)
            self.rebalance()

    def _groups(self) -> list[Group | None]:
        return [stream.groups.get(self.name) for stream in self.topic.partitions]

    @property
    def timeout(self) -> float:
        """The session timeout in seconds."""
        return self.topic.settings.group_session_timeout_ms / 1000

    @property
    def is_outgrown(self) -> bool:
        """Whether the topic has more partitions than were assigned."""
        return len(self.ownership.owners) != len(self.topic.partitions)

    @property
    def needs_watching(self) -> bool:
        """Whether something is to happen though nobody calls: a session ends, or a partition has drained."""
        return bool(self.ownership.moving) or self.membership.next_deadline(0) is not None

    def knows(self, consumer: bytes, connection: int) -> bool:
        """Whether a read by ``connection`` for ``consumer`` changes nothing here."""
        if self.is_ordered != self.topic.is_ordered:
            return False
        return not self.is_ordered or (self.membership.reads(consumer, connection) and not self.is_outgrown)

    # -- who owns what -------------------------------------------------------------------------------------

    def rebalance(self) -> bool:
        """Assign the partitions anew; whether that changed anything."""
        before = self.ownership
        owners = [*before.owners, *[None] * (len(self.topic.partitions) - len(before.owners))]
        holders = [self._holders(owner, group) for owner, group in zip(owners, self._groups(), strict=True)]
        self.ownership = assign(owners, self.membership.members, holders)
        self._readable.clear()
        return self.ownership != before

    def _holders(self, owner: bytes | None, group: Group | None) -> list[bytes]:
        """Who has entries pending in a partition; of a live owner it is enough to know whether it has."""
        if group is None or not len(group.pending):
            return []
        pending = group.pending
        if owner in self.membership:
            assert owner is not None
            return [owner] if pending.count_of(owner) else []
        named = [name for name, _ in pending.counts()]
        lowest = next((name for _, _, name, _, _ in pending.stretches() if name is not None), None)
        return named if lowest is None else [lowest, *named]

    def settle(self) -> bool:
        """Let partitions go that have drained; whether some did."""
        owners, partitions = self.ownership.owners, self.topic.partitions
        for partition in self.ownership.moving:
            group, owner = partitions[partition].groups.get(self.name), owners[partition]
            assert owner is not None
            if group is None or not group.pending.count_of(owner):
                return self.rebalance()
        return False

    def owns(self, consumer: bytes, partition: int) -> bool:
        return self.ownership.owners[partition] == consumer

    def readable(self, consumer: bytes) -> list[int]:
        """The partitions from which a consumer may be given entries, the one whose turn it is first."""
        if not self.is_ordered:
            partitions, turn = list(range(len(self.topic.partitions))), self._turns.get(b"", 0)
        else:
            known = self._readable.get(consumer)
            if known is None:
                moving = self.ownership.moving
                known = [each for each in self.ownership.owned_by(consumer) if each not in moving]
                self._readable[consumer] = known
            partitions, turn = known, self._turns.get(consumer, 0)
        if not turn:
            return partitions
        place = bisect_left(partitions, turn)
        return partitions[place:] + partitions[:place]

    def served(self, consumer: bytes, partition: int) -> None:
        """The consumer was given something, last from ``partition``: next time it begins behind that."""
        self._turns[consumer if self.is_ordered else b""] = partition + 1

    def expire(self, now: float) -> bool:
        """End the sessions whose time is over; whether there were some.

        What such a consumer held becomes nobody's, on disk too. Were it still its own, one that comes back by that name
        and gets a partition back would be given new entries without these.
        """
        lost = self.membership.expire(now, self.timeout)
        for consumer in lost:
            self._turns.pop(consumer, None)
            for stream in self.topic.partitions:
                group = stream.groups.get(self.name)
                if group is not None and group.pending.count_of(consumer):
                    held = [[ordinal, count] for ordinal, _, _, count in group.pending.iterate(consumer=consumer)]
                    stream.commit([effects.RELEASED, self.name, held])
        if lost:
            self.rebalance()
        return bool(lost)

    def forget(self, consumer: bytes) -> bool:
        """The consumer was deleted; whether that changed who owns what."""
        self._turns.pop(consumer, None)
        return self.membership.forget(consumer) and self.rebalance()
