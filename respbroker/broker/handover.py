"""FAILOVER: the leader pauses writes, waits until a follower has everything, and lets that one lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from respbroker.broker.follower_session import FollowerSession
from respbroker.errors import ReplyError
from respbroker.replication.membership import address
from respbroker.replication.messages import LEAD
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.broker.leading import Leading
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication

#: How long the other may take to lead once it has been asked to; then this node takes a new epoch and goes on.
ANSWER_SECONDS: Final = 5.0
#: How long a follower that was told to lead lets its leader hand over; then it asks the others without it.
WANTED_SECONDS: Final = 1.0


@attrs.define(eq=False)
class Handover:
    """From FAILOVER to the new leader's news, or to giving up. While it lasts writes wait, as under CLIENT PAUSE."""

    _node: Node
    _replication: Replication
    _leading: Leading
    _target: tuple[str, int] | None
    deadline: float  #: monotonic seconds
    _asked: FollowerSession | None = None

    @classmethod
    def to(
        cls, node: Node, replication: Replication, leading: Leading, target: tuple[str, int] | None, timeout_ms: int
    ) -> Handover:
        """Begin. Raises ReplyError: there is no such follower."""
        if target is not None and all((each.host, each.port) != target for each in leading.sessions.values()):
            raise ReplyError("FAILOVER target HOST and PORT is not a replica.")
        deadline = node.now + timeout_ms / 1000 if timeout_ms else float("inf")
        node.pause(min(deadline, node.now + 3600) + ANSWER_SECONDS, writes_only=True)
        return cls(node, replication, leading, target, deadline)

    @property
    def state(self) -> str:
        return "waiting-for-sync" if self._asked is None else "failover-in-progress"

    def work(self) -> bool:
        """At the end of a tick: go on; whether it is over."""
        node = self._node
        if self._replication.leading is not self._leading:  # the other leads
            node.unpause()
            return True
        if node.now >= self.deadline:
            self.abort("the time for it is over")
            return True
        if self._asked is None:
            try:
                self._ask()
            except StorageError as error:
                self.abort(str(error))
                return True
        return False

    def _ask(self) -> None:
        """Let a follower lead that has everything."""
        replication = self._replication
        for session in self._leading.sessions.values():
            wanted = self._target is None or (session.host, session.port) == self._target
            if wanted and self._may_lead(session):
                epoch = replication.next_epoch()
                replication.promise(epoch, session.node)
                session.say((LEAD, b"%d" % epoch))
                self._leading.speak(session)
                self._asked = session
                self.deadline = self._node.now + ANSWER_SECONDS
                return

    def _may_lead(self, session: FollowerSession) -> bool:
        """Whether a follower has everything, and knows who takes part; it leads by the vote of this node."""
        replication = self._replication
        membership = replication.state.membership
        return (
            session.level and session.acknowledged >= replication.position
            and session.knows == membership.version and session.node in membership.stay
        )  # fmt: skip

    def abort(self, reason: str) -> None:
        """Go on leading."""
        self._node.unpause()
        target = self._target if self._asked is None else (self._asked.host, self._asked.port)
        whom = "any of the replicas" if target is None else address(*target)
        self._node.housekeeping.report("warning", f"the failover to {whom} was given up: {reason}")
        if self._asked is not None:
            self._replication.renew(self._replication.state.promised)
