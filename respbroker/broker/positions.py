"""How far a node has come in the order of its epoch: appended, synced, and known to every in-sync replica."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from respbroker.broker.node import Node


class Positions:
    """The half of `respbroker.broker.replication.Replication` that counts; the fields are explained there."""

    _node: Node

    if TYPE_CHECKING:

        @property
        def is_idle(self) -> bool: ...

    def __init__(self, position: int) -> None:
        self.position = self.synced_position = self.high_watermark = position
        self.changed: dict[int, int] = {}
        self.begun_at = 0
        #: This node has been restarted and was not level since, nor has led: it may have what no other has.
        self.unproven = False
        self.tracked_since: tuple[int, int] | None = None
        self._sync_marks: dict[int, int] = {}  # ticket of a sync to the position that it covers

    @property
    def local_position(self) -> int:
        """How far this node's own log counts: synced, where replies wait for syncs."""
        durability = self._node.durability
        if not (durability.needs_sync or durability.syncs_outstanding) and self._node.keyspace.settled:
            self.synced_position = self.position  # a position may rise by nothing that has to be synced
        return self.synced_position if self._node.settings.appendfsync == "always" else self.position

    def begin_epoch(self, epoch: int) -> None:
        """This node leads: what it has is behind the watermark when the replicas have all of it."""
        self.position += 1
        self.begun_at = self.position
        self.unproven = False
        if self.tracked_since is None:
            self.tracked_since = epoch, self.position

    def last_change(self, number: int) -> int:
        """The position of a log's last change, as far as that is known; what is older is no later than it says."""
        return self.changed.get(number, self.begun_at)

    @property
    def is_settled(self) -> bool:
        """Whether nothing that was appended here can be taken back by a failover any more."""
        return self.position <= self.high_watermark

    def moved(self, size: int, numbers: Iterable[int]) -> None:
        """The leader has appended ``size`` bytes to these logs."""
        self.position += size
        self.changed |= dict.fromkeys(numbers, self.position)

    def rebase(self, end: int | None) -> None:
        """This node's order goes on with another leadership, which began at ``end`` with what it had in common with it:
        whatever was counted behind that was there when it began, or is cut off. None: all of it.

        A leader that was restarted begins at a position that it had remembered, with more than was counted up to there.
        So who had counted as much as that does not have what was there at the beginning: only a leader that says so
        takes it to ``end``.
        """
        if end is None:
            return
        if self.tracked_since is not None:
            self.tracked_since = self.tracked_since[0], min(self.tracked_since[1], end)
        before = max(end - 1, 0)
        self.position = min(self.position, before)
        self.high_watermark = min(self.high_watermark, before)
        self.synced_position = min(self.synced_position, before)
        self.begun_at = min(self.begun_at, before)
        self.changed = {number: min(position, before) for number, position in self.changed.items()}
        self._sync_marks = {ticket: min(position, before) for ticket, position in self._sync_marks.items()}

    def sync_begins(self, ticket: int) -> None:
        """What was appended so far is about to be synced."""
        if not self.is_idle:
            self._sync_marks[ticket] = self.position

    def sync_ended(self, ticket: int) -> None:
        """All syncs up to ``ticket`` are done."""
        for each in [each for each in self._sync_marks if each <= ticket]:
            self.synced_position = max(self.synced_position, self._sync_marks.pop(each))
