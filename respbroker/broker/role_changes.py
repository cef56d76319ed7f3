"""Changes of role that wait for the beginning of a tick, and are tried again where the disk had no room for them.

A change is written down (DIR/replication) before anything else of it is done: one that the disk refuses leaves the role
what it was. They come in the order they were asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from storage import DiskFailed, DiskFull, StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication

RETRY_SECONDS: Final = 1.0

Change = Callable[[], None]


class RoleChanges:
    """Owns what is wished for."""

    def __init__(self, node: Node, replication: Replication) -> None:
        self._node = node
        self._replication = replication
        self._wishes: list[Change] = []
        self._next_at = 0.0  # nothing is tried before
        self.lacks_room = False  #: what was tried last did not find any on the disk

    def __bool__(self) -> bool:
        return bool(self._wishes)

    def wish(self, change: Change) -> None:
        """Change the role at the beginning of the next tick."""
        if change not in self._wishes:
            self._wishes.append(change)

    def work(self) -> None:
        """Do what is wished for."""
        while self._wishes and self._node.now >= self._next_at:
            change = self._wishes.pop(0)
            if not self._is_done(change):
                self._wishes.insert(0, change)

    def go_on(self, canvass: Change) -> None:
        """Let the node that wants to lead do so if enough agree."""
        if self._node.now >= self._next_at:
            self._is_done(canvass)

    def next_deadline(self, canvass_at: float) -> float:
        """Monotonic seconds until when nothing is to be tried."""
        return max(self._node.now if self._wishes else canvass_at, self._next_at)

    def _is_done(self, change: Change) -> bool:
        """Change the role; whether that is over, well or not."""
        self.lacks_room = False
        try:
            change()
        except StorageError as error:
            self.lacks_room = isinstance(error, DiskFull)
            self._node.housekeeping.notices.happened(f"cannot change the part this server plays: {error}")
            self._next_at = self._node.now + RETRY_SECONDS
            if isinstance(error, DiskFailed):  # a second try might seem to go well
                self._node.durability.fail(error)
                self._replication.end_canvass()
            return not self.lacks_room
        return True
