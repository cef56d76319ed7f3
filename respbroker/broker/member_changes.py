"""The leader takes servers in, and takes out those that are gone: one at a time, each when enough others know of it.

The rule and its reasons are those of `respbroker.replication.membership`. A follower that is no member yet is proposed
when it has everything; one at the address of a member that is away takes that one's place, for its disk was replaced.
Others leave by REPLICATE FORGET.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.errors import NoReplicas, ReplyError
from respbroker.replication.membership import Member, Membership

if TYPE_CHECKING:
    from respbroker.broker.leading import Leading
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication

TELL_SECONDS: Final = 3.0  # so long a change may take before the operator is told what it waits for


class MemberChanges:
    """Owns the change under way in one leadership, and whom it is to take out next."""

    def __init__(self, node: Node, replication: Replication, leading: Leading) -> None:
        self._node = node
        self._replication = replication
        self._leading = leading
        self._leaving: list[str] = []  # node ids, in the order that they were named
        self._begins()

    def _begins(self) -> None:
        """A change is under way, if any is: from now on only those count who stay."""
        #: Who agrees has everything up to here.
        self._since = self._replication.position
        self._tell_at = self._node.now + TELL_SECONDS
        membership = self._membership
        self._leading.in_sync.admit(membership.stay - {self._replication.state.node})

    @property
    def _membership(self) -> Membership:
        return self._replication.state.membership

    # -- at the end of a tick ------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Let a change take effect that enough know of, and begin the next.

        Raises:
            StorageError: it could not be written down, and nothing is changed.
        """
        waiting = self._membership.proposed is not None or self._leading.in_sync.waiting or self._leaving
        if not waiting or self._is_in_doubt:
            return
        while self._step():
            pass

    @property
    def _is_in_doubt(self) -> bool:
        """Whether this node has agreed to another leader, or asks the members whether it may lead in a later epoch:
        then lists stay as they are, for votes are counted by them.
        """
        state, canvass = self._replication.state, self._replication.canvass
        return state.promised_to != state.node or (canvass is not None and not canvass.is_decided)

    def _step(self) -> bool:
        """Do what can be done next; whether anything was."""
        membership = self._membership
        if membership.proposed is None:
            following = self._next()
            if following is not None:
                self._change(following)
            return following is not None
        if membership.may_withdraw and (self._is_unwanted or self._has_come_back()):
            self._change(membership.withdraw())
            return True
        if not membership.missing(self._agreeing, self._minimum):
            self._agree()
            return True
        if self._node.now >= self._tell_at:
            self._tell_at = float("inf")
            self._node.housekeeping.report("warning", self.waits_for)
        return False

    def _change(self, membership: Membership) -> None:
        self._replication.change_members(membership)
        self._begins()

    def _agree(self) -> None:
        goes, comes = self._membership.goes, self._membership.comes
        membership = self._membership.agree()
        if goes is not None and any(each.node == goes.node for each in self._leading.sessions.values()):
            membership = membership.locate(goes)  # it is there again, and has to catch up first
        self._change(membership)
        words = f"{comes.address} is a member" if comes else "the members are others"
        if goes is not None:
            words = f"{comes.address} takes the place of a member" if comes else f"{goes.address} is no member any more"
        self._node.housekeeping.report("notice", f"{words}: {len(self._membership.members)} are, this one included")

    @property
    def _minimum(self) -> int:
        return self._node.settings.min_insync_replicas

    @property
    def _agreeing(self) -> set[str]:
        """Those who stay, and have the change and all that was written before it."""
        in_sync, membership, own = self._leading.in_sync, self._membership, self._replication.state.node
        knowing = {each.node for each in self._leading.sessions.values() if each.knows == membership.version}
        agreeing = in_sync.has(knowing & membership.stay, self._since)
        return agreeing | ({own} if in_sync.local >= self._since else set())

    def _has_come_back(self) -> bool:
        """Whether the one that is to go is there again, and has everything: then it stays."""
        goes = self._membership.goes
        if goes is None or goes.node not in self._leading.in_sync.waiting:
            return False
        self._node.housekeeping.report("notice", f"{goes.address} has come back, and stays a member")
        if goes.node in self._leaving:
            self._leaving.remove(goes.node)
        return True

    @property
    def _is_unwanted(self) -> bool:
        """Whether the one that is to come is to be forgotten instead."""
        comes = self._membership.comes
        return comes is not None and comes.node in self._leaving

    def _next(self) -> Membership | None:
        """The next change."""
        membership, sessions = self._membership, self._leading.sessions.values()
        connected = {each.node for each in sessions}
        while self._leaving:
            node = self._leaving[0]
            if membership.find(node) is not None and node not in connected:
                is_member = node in membership.stay
                return membership.propose_leaving(node) if is_member else membership.forget_learner(node)
            del self._leaving[0]  # it is out, or is there again
        for session in sessions:
            if session.node in self._leading.in_sync.waiting and session.node not in membership.stay:
                member = Member(session.node, session.host, session.port)
                return membership.propose_joining(member, membership.stay - connected - {self._replication.state.node})
        return None

    # -- for operators -------------------------------------------------------------------------------------------------

    @property
    def waits_for(self) -> str:
        """What the change under way waits for, in words; empty if none is."""
        membership = self._membership
        goes, comes = membership.goes, membership.comes
        if comes is not None:
            place = "" if goes is None else ", in the place of the one that was there"
            what = f"replica {comes.address} does not count yet{place}"
        elif goes is not None:
            what = f"{goes.address} still counts as a member"
        else:
            return ""
        agreeing = self._agreeing
        others = [each.address for each in membership.members if each.node in membership.stay - agreeing]
        more = membership.missing(agreeing, self._minimum)
        whom = f"{more} of {', '.join(others)} must agree" if others else f"{more} more must agree, and there is none"
        return f"{what}: {whom}. min.insync.replicas 1 on this server lets it pass without them"

    def forget(self, node: str) -> None:
        """Take a member out, as soon as those agree who must.

        Raises:
            ReplyError: it cannot be taken out.
        """
        membership = self._membership
        member = membership.find(node)
        assert member is not None
        if any(each.node == node for each in self._leading.sessions.values()):
            raise ReplyError(f"{member.address} follows this server, and would join again: stop it first")
        if node in membership.stay:
            self._ensure_agreement(membership, node)
        if node not in self._leaving:
            self._leaving.append(node)

    def _ensure_agreement(self, membership: Membership, node: str) -> None:
        """Refuse what nobody could agree to, or not now."""
        after = membership if membership.proposed is not None else membership.propose_leaving(node)
        if after.missing(after.stay, self._minimum):
            left = len(membership.stay) - 1
            raise ReplyError(f"{left} would be left, less than min.insync.replicas asks for: lower that first")
        if more := after.missing({*self._leading.in_sync.nodes, self._replication.state.node}, self._minimum):
            raise NoReplicas(f"{more} more of the members that stay must be in sync, to agree to it")

    def is_leaving(self, node: str) -> bool:
        """Whether a member is about to be taken out."""
        return node in self._leaving
