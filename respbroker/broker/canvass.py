"""A node that wants to lead: it asks the other members, and tells them once it does.

Where ``min.insync.replicas`` is 2 or more, so many must agree that no older leader can find enough replicas for an
acknowledgement any more; each that agrees never acknowledges to an older epoch, and agrees only if the candidate has
everything that it has itself. So a leader has all that was ever acknowledged by ``acks all``. With 1 nobody is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from respbroker.broker.peer_owners import login, refused
from respbroker.broker.voting import lacks_logs, open_on
from respbroker.replication.campaign import Candidacy, Leads, Verdict
from respbroker.replication.election import Ballot, Reach
from respbroker.replication.membership import Member, Membership
from respbroker.replication.words import BadMessage
from respbroker.resp.replies import bulk_array
from respbroker.resp.reply_decoder import ErrorReply
from respbroker.sessions.peer import Peer
from respbroker.streams.journal import CATALOG
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication

RETRY_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 10.0  # for an answer
_I64_MAX: Final = 2**63 - 1


def reach(node: Node, replication: Replication) -> Reach:
    """Everything a node has."""
    keyspace, state = node.keyspace, replication.state
    last = state.history.last
    if not state.complete:
        return Reach.incomplete(last.epoch if last else 0)
    logs = ((number, keyspace.log_of(number)) for number in keyspace.numbers())
    ends = {number: log.end_offset for number, log in logs if log is not None}
    return Reach(state.level, ends.get(CATALOG, 0), ends)


def reach_of_candidate(node: Node, replication: Replication) -> Reach:
    """What a node has if it stands. One that leads without a break has all there is of its epoch, and writes on
    meanwhile: a follower may hear of that before it is asked.
    """
    if replication.leading is None:
        return reach(node, replication)
    return Reach(replication.state.level, _I64_MAX, {CATALOG: _I64_MAX})


@attrs.define(eq=False)
class _Asked:
    """One other server, which has a vote if it is a member. ``awaits`` are the answers on their way, oldest first."""

    member: Member
    votes: bool
    peer: Peer | None = None
    retry_at: float = 0.0
    dialled_at: float = 0.0
    awaits: list[str] = attrs.Factory(list)
    voted: bool = False
    told: bool = False


class Canvass:
    """From the wish to lead to the last member that knows. With ``confirm`` the node led before it stopped: one that
    was in sync must agree at least, and if none answers it goes on asking.
    """

    def __init__(
        self, node: Node, replication: Replication, *, epoch: int = 0, granted: Iterable[str] = (),
        confirm: bool = False, pause: float = 0.0,
    ) -> None:  # fmt: skip
        self._node = node
        self._replication = replication
        state = replication.state
        self.epoch = epoch or replication.next_epoch()
        self.confirm = confirm
        lists = state.membership.lists if state.membership.members else (frozenset({state.node}),)
        self.ballot = Ballot(lists, node.settings.min_insync_replicas, state.node, self.epoch)
        self._asked = {
            each.node: _Asked(each, each.node in self.ballot.members, retry_at=node.now + pause)
            for each in state.others
        }
        for name in granted:
            self.ballot.granted(name)
        self._in_sync = {member.node for member in state.in_sync}
        self.is_decided = False
        self._membership = state.membership  # the newest that is known
        self._outbid_by = 0  # the highest epoch, not below this one, that somebody has promised
        self._outbid_at = float("inf")
        self._candidacy: Candidacy | None = None
        replication.promise(self.epoch, state.node)
        self._tell_the_operator()

    def _tell_the_operator(self) -> None:
        """What is asked of whom, if anything is."""
        report, ballot = self._node.housekeeping.report, self.ballot
        others = ", ".join(asked.member.address for asked in self._asked.values() if asked.votes)
        if not ballot.may_stand and ballot.minimum > 1:
            report("warning", "this server is no member any more, and cannot lead: tell it whom to follow")
        elif self.confirm:
            report(
                "warning",
                f"this server led when it stopped: it asks {others} whether it still does, and takes no write until one"
                " agrees. REPLICAOF NO ONE makes it lead without",
            )
        elif not ballot.is_won:
            report("notice", f"this server asks {others} to lead in epoch {self.epoch}: {ballot.missing} must agree")

    @property
    def question(self) -> str:
        """What is asked of the others."""
        if self.confirm:
            return "asks whether it still leads"
        return f"asks to lead in epoch {self.epoch}: {self.ballot.missing} must agree"

    # -- deciding --------------------------------------------------------------------------------------------------

    def work(self) -> None:
        """At the beginning of a tick: decide if it can be decided, and go on asking and telling."""
        replication = self._replication
        self.ballot.minimum = (
            self._node.settings.min_insync_replicas
        )  # an operator may lower it now that it cannot be won
        if not self.is_decided and self._is_won():
            replication.lead(self.epoch)
            self.is_decided = True
        if self.is_decided:
            self._pass_over_forgotten()
            if all(asked.told for asked in self._asked.values()):
                replication.end_canvass()
                return
        if not self.is_decided and self._outbid_by:
            if self._node.now >= self._outbid_at:
                self._ask_anew()
                return
        elif not self.is_decided and self.ballot.is_lost and not self.confirm:
            self._give_up()
            return
        if self._lacks_logs:
            open_on(self._node)
        for asked in self._asked.values():
            self._work_on(asked)

    @property
    def _lacks_logs(self) -> bool:
        """Whether this node has to open more logs before it can say what it has."""
        is_said = self.is_decided or self._candidacy is not None or self._replication.leading is not None
        return not is_said and lacks_logs(self._node, self._replication)

    def _pass_over_forgotten(self) -> None:
        """Who was taken out since is not told."""
        for name, asked in self._asked.items():
            if not asked.told and self._replication.state.membership.find(name) is None:
                asked.told = True
                if asked.peer is not None:
                    asked.peer.closing = True
                    self._is_lost(asked)

    def _is_won(self) -> bool:
        """Whether enough agree; after a restart one of those that were in sync must be among them."""
        if not self.ballot.is_won:
            return False
        confirmed = not self.confirm or not self._in_sync
        return confirmed or any(asked.voted for name, asked in self._asked.items() if name in self._in_sync)

    def _give_up(self) -> None:
        node = self._node
        if self.ballot.may_stand:  # else nobody was asked, and the operator was told why
            reasons = "; ".join(self.ballot.refusals.values())
            node.housekeeping.report(
                "warning", f"this server was not made leader: too few agree to epoch {self.epoch}: {reasons}"
            )
        if self._replication.unconfirmed:  # it was told to lead, and waits again for who knows that it still does
            self._replication.stand(Canvass(node, self._replication, confirm=True, pause=RETRY_SECONDS))
        else:
            self._replication.end_canvass()
        if self._replication.following is not None:  # its leader takes an epoch above that which was agreed to
            self._replication.following.hurry()

    def end(self) -> None:
        """Nobody is asked any more."""
        for asked in self._asked.values():
            if asked.peer is not None:
                asked.peer.closing = True
                asked.peer = None

    # -- asking ----------------------------------------------------------------------------------------------------

    def _work_on(self, asked: _Asked) -> None:
        node = self._node
        if asked.peer is not None:
            if asked.peer.connected:
                self._speak(asked, asked.peer)
            if asked.awaits and node.now - asked.dialled_at > PATIENCE_SECONDS:
                asked.peer.closing = True
                self._is_lost(asked)
            return
        wanted = not asked.told if self.is_decided else asked.votes and not asked.voted
        if wanted and node.now >= asked.retry_at and asked.member.host:
            asked.peer = Peer(asked.member.host, asked.member.port)
            asked.dialled_at = node.now
            self._replication.peers.dial(asked.peer, self)

    def connected(self, peer: Peer) -> None:
        """The connection stands: log in, then ask or tell."""
        asked = self._of(peer)
        if asked is None:
            return
        if words := login(self._node.settings):
            peer.out += words
            asked.awaits.append("auth")
        self._speak(asked, peer)

    def _speak(self, asked: _Asked, peer: Peer) -> None:
        state = self._replication.state
        host, port = self._replication.announced
        if self.is_decided and not asked.told and "leads" not in asked.awaits:
            news = Leads(state.dataset, state.node, host, port, state.history)
            peer.out.append(bulk_array(news.words()))
            asked.awaits.append("leads")
        elif not self.is_decided and not asked.voted and "vote" not in asked.awaits:
            if self._lacks_logs:
                return
            if self._candidacy is None:
                try:
                    reach = reach_of_candidate(self._node, self._replication)
                except StorageError as damage:
                    self._refused(asked, "vote", f"it is not asked, for nobody knows what is here: {damage}")
                    return
                self._candidacy = Candidacy(
                    state.dataset, self.epoch, state.node, host, port, reach.epoch, state.membership.known,
                    dict(reach.ends),
                )  # fmt: skip
            peer.out.append(bulk_array(self._candidacy.words()))
            asked.awaits.append("vote")

    def received(self, peer: Peer, answers: Sequence[Any]) -> None:
        """A member has answered."""
        asked = self._of(peer)
        for answer in answers:
            if asked is None or not asked.awaits:
                return
            kind = asked.awaits.pop(0)
            if isinstance(answer, ErrorReply):
                self._refused(asked, kind, refused(answer))
            elif kind == "vote":
                self._voted(asked, answer)
            elif kind == "leads":
                asked.told = True

    def _voted(self, asked: _Asked, answer: Any) -> None:
        try:
            verdict = Verdict.parse(answer, asked.member.host)
        except BadMessage:
            self._refused(asked, "vote", "its answer cannot be read")
            return
        if verdict.membership is not None:
            self._refused(asked, "vote", verdict.reason)
            self._learned(verdict.membership, verdict.promised)
        elif verdict.granted:
            if (voter := self._asked.get(verdict.node)) is not None:
                voter.voted = True
                self.ballot.granted(verdict.node)
        elif not asked.voted:
            self._refused(asked, "vote", verdict.reason)
            if verdict.promised >= self.epoch:
                self._is_outbid(verdict.promised, self._node.random.random())
        if verdict.node != asked.member.node:  # at the address of one that is gone
            self._refused(asked, "vote", "another server is found there now")

    def _learned(self, membership: Membership, promised: int) -> None:
        """The members are others than was known here: they are to be asked, in an epoch above that of their list."""
        if membership.known > self._membership.known:
            self._membership = membership
            competes = promised >= self.epoch
            self._is_outbid(max(promised, membership.epoch), self._node.random.random() if competes else 0.0)

    def _is_outbid(self, epoch: int, pause: float) -> None:
        """Another node stands in this epoch, or did: ask for a later one, a random moment on, lest two do so for ever.
        Until then it may be won with the votes of others.
        """
        if not self.is_decided:
            self._outbid_at = min(self._outbid_at, self._node.now + pause)
            self._outbid_by = max(self._outbid_by, epoch, self.epoch)

    def _ask_anew(self) -> None:
        node, replication = self._node, self._replication
        epoch = self._outbid_by + 1
        if self._membership.known > replication.state.membership.known:
            replication.promise(epoch, replication.state.node)  # before it knows a list of an epoch below that
            replication.members_told(self._membership)
        replication.stand(Canvass(node, replication, epoch=epoch, confirm=self.confirm))

    def _refused(self, asked: _Asked, kind: str, reason: str) -> None:
        where = asked.member.address
        self._node.housekeeping.notices.happened(f"{where} does not agree that this server leads: ", reason)
        if kind == "vote":
            self.ballot.refused(asked.member.node, f"{where}: {reason}")
        if asked.peer is not None:
            asked.peer.closing = True
            self._is_lost(asked)

    def lost(self, peer: Peer, reason: str) -> None:
        """The connection has ended, or could not be made."""
        asked = self._of(peer)
        if asked is not None:
            about = "is not told that" if self.is_decided else "does not say whether"
            self._node.housekeeping.notices.happened(f"a replica {about} this server leads: {reason}")
            self._is_lost(asked)

    def _is_lost(self, asked: _Asked) -> None:
        asked.peer = None
        asked.awaits.clear()
        asked.retry_at = self._node.now + RETRY_SECONDS

    def _of(self, peer: Peer) -> _Asked | None:
        return next((asked for asked in self._asked.values() if asked.peer is peer), None)

    def next_deadline(self) -> float:
        """Monotonic seconds until when nothing happens by itself."""
        if self._lacks_logs:
            return self._node.now
        waiting = [
            asked for asked in self._asked.values()
            if not (asked.told if self.is_decided else asked.voted or not asked.votes)
        ]  # fmt: skip
        times = [asked.retry_at if asked.peer is None else asked.dialled_at + PATIENCE_SECONDS for asked in waiting]
        if not self.is_decided:
            times.append(self._node.now if self._is_won() else self._outbid_at)
        return min(times, default=float("inf"))
