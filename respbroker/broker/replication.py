"""The part a node plays in replication, leader or follower, and every change from one to the other.

A node that never met another one leads, and has nothing to do here. All changes of role happen in this file, at the
beginning of a tick, when nothing is staged; each is on the disk (DIR/replication) before anybody is told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from respbroker.broker.acks import Acks
from respbroker.broker.beginning import begin
from respbroker.broker.canvass import Canvass
from respbroker.broker.following import Following
from respbroker.broker.gate import Batch, Gate
from respbroker.broker.leading import Leading
from respbroker.broker.members import Members
from respbroker.broker.peer_owners import PeerOwners
from respbroker.broker.positions import Positions
from respbroker.broker.replica_waits import ReplicaWaits
from respbroker.broker.role_changes import RoleChanges
from respbroker.broker.stepping_down import let_go_of_waiters, send_away
from respbroker.errors import ReadOnlyReplica, ReplyError
from respbroker.replication.history import History
from respbroker.replication.membership import Member
from respbroker.replication.state import RANDOM_BYTES, ReplicationState
from respbroker.sessions.client import Client
from respbroker.streams.group_sessions import GroupSessions
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.replication_store import ReplicationStore

_REMEMBER_SECONDS: Final = 30.0  # how old the position may be that a restart begins from
AGREED_SECONDS: Final = 5.0  # who has agreed to a new leader waits so long for it before asking the old one again


class Replication(Members, Positions, Acks):
    """Owns the node's role. ``position`` is its place in the order of its epoch, ``high_watermark`` how far of it every
    in-sync replica has come, ``changed`` the position of the last change of each log since ``tracked_since``, an epoch
    and a position in it.
    """

    def __init__(self, node: Node, store: ReplicationStore) -> None:
        self._node = node
        Members.__init__(self, store, store.state or ReplicationState.new(node.random.randbytes(RANDOM_BYTES)))
        Positions.__init__(self, self.state.position)
        Acks.__init__(self)
        self.leading: Leading | None = None
        self.following: Following | None = None
        self.canvass: Canvass | None = None
        self.gate = Gate(node)
        self.waits = ReplicaWaits(node, self)
        #: Leads, but must not write before one that was in sync has confirmed it.
        self.unconfirmed = False
        self._changes = RoleChanges(node, self)
        self.peers = PeerOwners()
        self._remember_at = node.now + _REMEMBER_SECONDS

    def start(self) -> None:
        """The keyspace is open: take a part."""
        begin(self._node, self, self._store)

    # -- what the node asks ------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do here: the node leads and never had a follower."""
        return self.leading is None and self.following is None and self.canvass is None and not self._changes

    @property
    def is_changing(self) -> bool:
        """Whether a change of role waits for its turn, or for room on the disk."""
        return bool(self._changes)

    @property
    def change(self) -> str:
        """What a change of role waits for, for INFO; empty if none does."""
        if self._changes.lacks_room:
            return "waits for room on the disk"
        return "" if self.canvass is None or self.canvass.is_decided else self.canvass.question

    @property
    def follows(self) -> bool:
        """Whether the node is a follower: it changes nothing by itself."""
        return self.following is not None

    @property
    def refusal(self) -> ReplyError | None:
        """Why no write is taken; None if writes are."""
        return ReadOnlyReplica() if self.following is not None or self.unconfirmed else None

    @property
    def is_settled(self) -> bool:
        return super().is_settled and (self.following is None or self.following.level)

    def is_sent(self, number: int) -> bool:
        """Whether a log is being read for a follower: its segments are to stay as they are."""
        return self.leading is not None and any(number in each.behind for each in self.leading.sessions.values())

    def begin_tick(self) -> None:
        """Take what peers said, and change roles."""
        self._changes.work()
        if self.following is not None:
            self.following.work()
            if self._node.unfinished:  # what the leader changed serves those who wait
                self._node.finish_command()
        if self.canvass is not None:
            self._changes.go_on(self.canvass.work)
        if self._node.now >= self._remember_at:
            self._remember_at = self._node.now + _REMEMBER_SECONDS
            try:
                self.remember_position()
            except StorageError as error:
                self._node.housekeeping.report("error", str(error))

    def end_tick(self, batch: Batch, served: Sequence[Client], others: Batch) -> None:
        """Everything is appended: send it on, tell what has come, and let replies go that may."""
        if self.leading is not None:
            self.leading.advance()
        self.waits.look()
        self.gate.pass_on(batch, self._node.dispatcher.runs, served, others)
        if self.leading is not None:
            self.leading.ship(awaited=self.gate.holds_some or self.waits.holds_some or self._node.replicas.hands_over)
        elif self.following is not None:
            self.following.acknowledge(waits=self.gate.holds_some)

    def awaited_replicas(self) -> list[Client]:
        """Followers whose acknowledgements do nothing but let replies go; none if no reply waits for them, or only for
        that of what has just been sent.
        """
        if self.leading is None or not self.gate.holds_earlier:
            return []
        if self.waits.holds_some or self._node.replicas.is_busy:  # for these they do more
            return []
        return self.leading.in_step()

    def heard(self) -> None:
        """Such acknowledgements have been taken behind a tick."""
        if self.leading is not None:
            self.leading.raise_high_watermark()
            self.gate.let_go()

    def next_deadline(self) -> float:
        """Monotonic seconds until when nothing happens by itself."""
        parts = [part for part in (self.leading, self.following) if part is not None]
        deadline = min((part.next_deadline() for part in parts), default=float("inf"))
        canvass_at = float("inf") if self.canvass is None else self.canvass.next_deadline()
        return min(deadline, self._changes.next_deadline(canvass_at))

    def gone(self, client: Client) -> None:
        """A client is gone."""
        self.gate.forget(client)
        self.waits.forget(client)
        if client.replica and self.leading is not None:
            self.leading.gone(client)

    def stop(self) -> None:
        """A clean stop: remember how far the node has come."""
        try:
            self.remember_position()
            self.end_run()
        except StorageError as error:  # the next start will take it for one without a stop in order
            self._node.housekeeping.report("error", str(error))

    # -- positions ---------------------------------------------------------------------------------------------------

    def follow_to(self, position: int, high_watermark: int, touched: Iterable[int]) -> None:
        """The follower has everything up to a position of its leader's order."""
        assert self.state.history.last is not None
        epoch, was_complete = self.state.history.last.epoch, self.state.complete
        if self.state.level != epoch or not was_complete or self.may_lack:  # before anybody hears that it has that much
            self.has_all(complete=True, level=epoch)
        self.position = position
        self.high_watermark = high_watermark
        self.changed |= dict.fromkeys(touched, position)
        if self.unproven:
            self.begun_at, self.unproven = position, False
        self.gate.learn(position)
        if self.tracked_since is None:
            self.tracked_since = epoch, position
        if not was_complete:
            self._node.housekeeping.report("notice", "the copy of the leader's data is complete")
            self._node.settings_changed()

    # -- what a session with the leader changes ----------------------------------------------------------------------

    def begin_copy(self, dataset: str, history: History) -> None:
        """This node's data is another history: it goes, and the leader's comes."""
        had = len(self._node.keyspace.numbers()) - 1
        if had:
            self._node.housekeeping.report(
                "warning", f"{had} stream{'s go' if had > 1 else ' goes'}: a copy of the leader's data is taken instead"
            )
        self.may_lack_logs()
        self.gate.close_all()
        self._node.keyspace.wipe()
        self._node.group_sessions = GroupSessions()
        self.rebase(0)
        self.changed.clear()
        self.tracked_since = None
        self.has_nothing(dataset, history)
        self._node.settings_changed()

    def may_lack_logs(self) -> None:
        """The catalog may name logs that are not here: this node cannot lead, or be read, before it is level."""
        self.save(complete=False)
        self._node.settings_changed()

    def promise_to_leader(self, history: History) -> None:
        """The leader of this history is followed, while there is still something here that it does not have."""
        assert history.last is not None
        self.end_canvass()
        self.save(promised=history.last.epoch, promised_to=history.last.leader)

    def adopt(self, history: History) -> None:
        """Whatever the leader does not have is cut off: from here on its history is this node's."""
        assert history.last is not None
        self.end_canvass()
        if history != self.state.history:
            self.gate.recount()
            self.rebase(self.state.history.shared_end(history))
            self.save(
                history=history, promised=history.last.epoch, promised_to=history.last.leader,
                position=min(self.state.position, self.synced_position),
            )  # fmt: skip

    def sync_ended(self, ticket: int) -> None:
        """All syncs up to ``ticket`` are done."""
        super().sync_ended(ticket)
        if self.following is not None:
            self.following.was_synced()

    # -- roles -------------------------------------------------------------------------------------------------------

    def wish(self, change: Callable[[], None]) -> None:
        """Change the role at the beginning of the next tick."""
        self._changes.wish(change)

    def enable(self) -> None:
        """A first follower has come to a node that led alone."""
        if self.leading is None and self.following is None and not self.unconfirmed:
            self._node.durability.flush(midway=True)  # what this tick has done so far is not sent, but read by it
            self.lead(self.next_epoch())

    def lead(self, epoch: int) -> None:
        """This node leads from now on."""
        node, before = self._node, self.state
        if node.keyspace.following:  # before the next start takes this for a leader's directory
            node.keyspace.prepare_to_lead()
        self.has_all(
            leader=None,
            history=before.history.begin(epoch, before.node, self.position + 1),
            membership=before.membership.begin(epoch, Member(before.node, *self.announced)),
            promised=epoch,
            promised_to=before.node,
            position=min(self.synced_position, self.position),
            level=epoch,
            complete=True,
        )
        if self.following is not None:
            self.following.give_up()
            self.changed |= dict.fromkeys(self.following.touched, self.position + 1)
            if half_sent := self.following.half_sent:
                node.housekeeping.report(
                    "warning",
                    "this server was being sent what it lacked: more may be missing, and of an EXEC only a part may be"
                    f" here. It concerns {half_sent}",
                )
            self.following = None
        self.begin_epoch(epoch)
        self.gate.learn(self.position)
        self.unconfirmed = False
        node.settings.replicaof = None
        if self.leading is not None:
            self.leading.end()
        self.leading = Leading(node, self)
        self.leading.in_sync.expect([member.node for member in before.in_sync], node.now)
        node.keyspace.leader_epoch = epoch
        node.keyspace.on_append = self.leading.appended
        known = len(node.keyspace.findings)
        self.adopt_role()
        for finding in node.keyspace.findings[known:]:
            node.housekeeping.report("warning", finding)
        node.housekeeping.report("notice", f"this server leads, in epoch {epoch}")

    def follow(self, host: str, port: int, *, told: bool = False) -> None:
        """Follow another node, unless that is done already; ``told``: REPLICAOF said so."""
        if self.following is not None and self.follows_node(host, port):
            self.following.told |= told
            self.following.hurry()
            return
        self.follow_anew(host, port, told=told)

    def follow_anew(self, host: str, port: int, *, told: bool = False) -> None:
        """The same, though it may be done already."""
        node = self._node
        node.lingering.hurry()
        node.lingering.append_due()
        node.durability.flush(midway=True)
        self.save(leader=(host, port), in_sync=())
        before = self.following
        if before is not None:
            before.give_up()
        self.end_canvass()
        self.unconfirmed = False
        node.settings.replicaof = (host, port)
        if self.leading is not None:
            self.leading.advance()  # what was appended last counts as the rest that replicas may not have
            self.leading.end()
            self.leading = None
            node.keyspace.on_append = None
            self.gate.close_all()
        node.group_sessions = GroupSessions()
        if told:
            let_go_of_waiters(node)
        elif before is None:  # it led, or might have; who reads from a follower stays, whoever leads
            send_away(node)
        self.following = Following(node, self, host, port, told=told)
        if before is not None:
            self.following.touched, self.following.forgot = before.touched, before.forgot
        self.adopt_role()
        node.housekeeping.report("notice", f"this server follows {self.following.address}")

    def adopt_role(self) -> None:
        """Let the keyspace and the settings be as the role has it."""
        node = self._node
        node.keyspace.following = self.follows or self.unconfirmed  # who waits puts up with what it finds
        node.keyspace.on_key_changed = node.key_replicated if self.follows else None
        node.keyspace.frozen = self.follows or self.unconfirmed or bool(node.durability.refusal)
        node.settings_changed()

    # -- promotion ---------------------------------------------------------------------------------------------------

    def promote(self, *, epoch: int = 0, granted: Iterable[str] = ()) -> None:
        """REPLICAOF NO ONE: lead, as soon as enough of the others agree."""
        if (self.following is None and not self.unconfirmed) or 0 < epoch <= self.state.promised:
            return
        if obstacle := self.obstacle:
            self._node.housekeeping.report("error", f"this server cannot lead: {obstacle}")
            if self.following is not None:
                self.following.lead_at = None
            return
        if self.following is not None and not epoch and self.following.ask_to_lead():
            return
        if self.canvass is not None and not self.canvass.is_decided and not self.canvass.confirm:
            return  # else it was said by an operator or by sentinel: that is the confirmation
        self.stand(Canvass(self._node, self, epoch=epoch, granted=granted))

    def handed_over(self, epoch: int) -> None:
        """The leader asks this node to lead, for it has everything."""
        last = self.state.history.last
        leader = [last.leader] if last is not None else []
        self.wish(lambda: self.promote(epoch=epoch, granted=leader))

    def renew(self, promised: int) -> None:
        """A follower has agreed to an epoch above this leader's: take one above that, if those agree who must."""
        if self.leading is not None and (self.canvass is None or self.canvass.is_decided):
            epoch = max(promised + 1, self.next_epoch())
            self.wish(lambda: self._stand(epoch))

    def _stand(self, epoch: int) -> None:
        if self.leading is not None and epoch > self.state.promised:  # else another one was agreed to since
            self.stand(Canvass(self._node, self, epoch=epoch))

    def stand(self, canvass: Canvass) -> None:
        """Ask the others anew; what is asked so far is over."""
        self.end_canvass()
        self.canvass = canvass

    def end_canvass(self) -> None:
        """Ask nobody any more."""
        if self.canvass is not None:
            self.canvass.end()
            self.canvass = None

    def follows_node(self, host: str, port: int) -> bool:
        """Whether this node follows the one at an address."""
        return self.following is not None and (self.following.host, self.following.port) == (host, port)

    def promise(self, epoch: int, node: str) -> None:
        """Acknowledge to no older epoch from now on, and in this one to ``node`` alone."""
        assert epoch > self.state.promised or (epoch, node) == (self.state.promised, self.state.promised_to)
        self.save(promised=epoch, promised_to=node)
        if node != self.state.node and self.canvass is not None and not self.canvass.is_decided:
            self.end_canvass()  # votes for this node that come now would make it lead in an epoch below that
        if node != self.state.node and self.leading is not None:
            self.leading.agreed_to_another()
        if self.following is not None:
            self.following.lead_at = None
            self.following.give_up(pause=AGREED_SECONDS)
