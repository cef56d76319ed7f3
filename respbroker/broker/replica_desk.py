"""What commands, and through them other servers and operators, ask of replication (`respbroker.commands.replicas`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from respbroker.broker.canvass import reach
from respbroker.broker.forgetting import Forgetting
from respbroker.broker.handover import WANTED_SECONDS, Handover
from respbroker.broker.member_facts import member_facts
from respbroker.broker.voting import Voting
from respbroker.commands.replicas import LeaderFacts, ReplicaFacts
from respbroker.errors import NotLeader, ReplyError
from respbroker.replication.campaign import Candidacy, Leads, Verdict
from respbroker.replication.election import Reach, vote
from respbroker.replication.messages import Hello, Knows, Listed, Progress, Welcome
from respbroker.sessions.client import Client, Reply

if TYPE_CHECKING:
    from respbroker.broker.leading import Leading
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication


#: Epochs rise by one; who names one so far ahead is no member, and would use them up.
EPOCHS_AHEAD_MAX: Final = 1000


def ensure_near(epoch: int, known: int) -> None:
    """Refuse an epoch that no member can have come to."""
    if epoch > known + EPOCHS_AHEAD_MAX:
        raise ReplyError(f"epoch {epoch} is out of reach: {known} is the highest that is known here")


#: Who was to lead and lacked something is handed over to within this time, by one that had it.
SUCCESSION_SECONDS: Final = 10.0


class ReplicaDesk:
    """Owns nothing but a handover under way, and who waits for a vote or for a member to go; all else is
    `Replication`'s.
    """

    def __init__(self, node: Node, replication: Replication) -> None:
        self._node = node
        self._replication = replication
        self._handover: Handover | None = None
        self._forgetting = Forgetting(node, replication)
        self._voting = Voting(node, replication, self._judge)
        self._successor = "", 0.0  # who is to lead as soon as it has everything, and until when that is wanted

    # -- for ROLE and INFO -----------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        return self._replication.position

    @property
    def leader(self) -> LeaderFacts | None:
        following = self._replication.following
        if following is None:
            return None
        now = self._node.now
        is_up = following.is_up
        return LeaderFacts(
            following.host,
            following.port,
            following.stage.word,
            is_up,
            is_up and not following.level,
            following.received_bytes,
            int(now - following.heard_at) if is_up else -1,
            int(now - following.link_since),
        )

    @property
    def followers(self) -> Sequence[ReplicaFacts]:
        leading, now = self._replication.leading, self._node.now
        if leading is None:
            return ()
        return [
            ReplicaFacts(
                session.host,
                session.port,
                "online" if session.level else "send_bulk" if session.listed else "wait_bgsave",
                session.acknowledged,
                int(now - session.heard_at),
            )
            for session in leading.sessions.values()
        ]

    @property
    def failover_state(self) -> str:
        return "no-failover" if self._handover is None else self._handover.state

    def published(self, channel: bytes, message: bytes, *, sharded: bool) -> None:
        if self._replication.leading is not None:
            self._replication.leading.published(channel, message, sharded=sharded)

    def facts(self) -> dict[str, object]:
        replication = self._replication
        state, leading, following = replication.state, replication.leading, replication.following
        last = state.history.last
        facts: dict[str, object] = {
            "master_replid": state.dataset,
            "leader_epoch": last.epoch if last else 0,
            "high_watermark": replication.high_watermark,
        }
        if leading is not None:
            facts["in_sync_replicas"] = leading.in_sync.size()
        if following is not None:
            is_safe = state.complete and following.in_sync and not following.stopped
            facts["slave_priority"] = self._node.settings.replica_priority if is_safe else 0
            facts["slave_in_sync"] = int(following.in_sync)
        if change := replication.change:
            facts["role_change"] = change
        return facts | member_facts(replication)

    # -- for other servers -----------------------------------------------------------------------------------------

    def hello(self, client: Client, hello: Hello) -> Welcome:
        replication = self._replication
        if hello.node == replication.state.node:
            raise ReplyError("this is the same server, or one with a copy of its directory")
        if replication.follows_node(self._host_of(hello.host), hello.port):
            raise ReplyError("neither leads: this server follows the one that asks. REPLICAOF NO ONE makes one lead")
        replication.enable()
        if replication.leading is None:
            raise self._not_leader()
        last = replication.state.history.last
        assert last is not None
        theirs = hello.history.last
        same_data = hello.dataset == replication.state.dataset
        promised = max(hello.promised, theirs.epoch if theirs else 0)
        is_to_another = promised == last.epoch and hello.promised_to not in ("", replication.state.node)
        if same_data and (promised > last.epoch or is_to_another):
            ensure_near(promised, last.epoch)
            replication.renew(promised)
            raise NotLeader("a newer epoch than this server's is known: try again")
        return replication.leading.welcome(client, hello, self._host_of(hello.host))

    def _not_leader(self) -> NotLeader:
        following = self._replication.following
        if following is not None:
            return NotLeader(f"{following.address} is followed here")
        return NotLeader("this server waits for a confirmation that it still leads, or for room on its disk")

    def _leading(self) -> Leading:
        replication = self._replication
        if replication.leading is not None:
            return replication.leading
        if replication.follows or replication.unconfirmed:
            raise self._not_leader()
        raise ReplyError("no other server has ever followed this one")

    def listed(self, client: Client, logs: list[Listed]) -> None:
        self._leading().listed(client, logs)

    def acknowledged(self, client: Client, progress: Progress) -> None:
        self._leading().acknowledged(client, progress)

    def knows(self, client: Client, knows: Knows) -> None:
        self._leading().knows(client, knows)

    def _host_of(self, said: str) -> str:
        """Where a peer is that speaks of itself: the address it calls from, if it named none."""
        return said or self._node.client.address.rpartition(":")[0]

    def vote(self, candidacy: Candidacy) -> Reply:
        return self._voting.ask(candidacy)

    def _judge(self, candidacy: Candidacy) -> Verdict:
        replication, state = self._replication, self._replication.state
        if candidacy.dataset != state.dataset:
            return Verdict(False, "this server has other data", 0, state.node)
        ours = reach(self._node, replication)
        theirs = Reach(candidacy.last_epoch, candidacy.ends.get(0, 0), candidacy.ends)
        last = state.history.last
        promised = max(state.promised, last.epoch if last else 0)
        ensure_near(candidacy.epoch, promised)
        if state.membership.known > candidacy.known:  # it would count the votes by an older list
            return Verdict(False, "the members have changed since", promised, state.node, state.membership)
        granted, reason = vote(promised, ours, candidacy.epoch, theirs)
        if granted and replication.may_lack and last is not None:
            has_all = {last.leader, *(member.node for member in state.in_sync)}  # as far as this server knew
            granted = candidacy.node in has_all or candidacy.last_epoch > last.epoch
            reason = "this server may have lost what it acknowledged, and does not know whether that one has it"
        if granted:
            replication.promise(candidacy.epoch, candidacy.node)
            if replication.leading is not None or replication.unconfirmed:
                host = self._host_of(candidacy.host)
                replication.wish(lambda: replication.follow(host, candidacy.port))
        elif last is not None and last.leader == candidacy.node and candidacy.epoch > promised:
            replication.wish(replication.promote)  # it led, and has lost what is here
        elif theirs.epoch <= ours.epoch and candidacy.epoch > promised and self._is_orphan:
            self._successor = candidacy.node, self._node.now + SUCCESSION_SECONDS
            replication.wish(lambda: replication.promote(epoch=candidacy.epoch + 1))
        return Verdict(granted, reason, max(promised, candidacy.epoch) if granted else promised, state.node)

    @property
    def _is_orphan(self) -> bool:
        """Whether this node follows a leader that is not there."""
        following = self._replication.following
        return following is not None and not following.is_heard

    def hear_of(self, leads: Leads) -> None:
        replication, state = self._replication, self._replication.state
        if leads.dataset != state.dataset:
            raise ReplyError("this server has other data")
        theirs, ours = leads.history.last, state.history.last
        newest = max(ours.epoch if ours else 0, 0 if state.promised_to == state.node else state.promised)
        if theirs is None or theirs.epoch < newest:
            raise ReplyError(f"epoch {newest} is known or promised here")
        if theirs.epoch == (ours.epoch if ours else 0) and replication.leading is not None and leads.node < state.node:
            raise ReplyError("this server leads in the same epoch, and stays: its node id is the higher one")
        host = self._host_of(leads.host)
        if leads.node != state.node and not (ours == theirs and replication.follows_node(host, leads.port)):
            replication.wish(lambda: replication.follow(host, leads.port))

    # -- for operators ---------------------------------------------------------------------------------------------

    def follow(self, host: str, port: int) -> None:
        replication = self._replication
        replication.wish(lambda: replication.follow(host, port, told=True))

    def promote(self) -> None:
        self._replication.wish(self._replication.promote)

    def hand_over(self, target: tuple[str, int] | None, timeout_ms: int) -> None:
        if self._handover is not None:
            raise ReplyError("FAILOVER already in progress.")
        leading = self._replication.leading
        if self._replication.following is not None:
            raise ReplyError("FAILOVER is not valid when server is a replica.")
        if leading is None or not leading.sessions:
            raise ReplyError("FAILOVER requires connected replicas.")
        self._handover = Handover.to(self._node, self._replication, leading, target, timeout_ms)

    def asked_to_hand_over(self, client: Client) -> None:
        leading = self._replication.leading
        session = None if leading is None else leading.sessions.get(client.id)
        if session is not None and self._handover is None:
            self.hand_over((session.host, session.port), int(WANTED_SECONDS * 1000))

    def left(self, client: Client) -> None:
        self._leading().left(client)

    def stay(self) -> None:
        if self._handover is None:
            raise ReplyError("No failover in progress.")
        self._handover.abort("FAILOVER ABORT")
        self._handover = None

    def forget(self, who: str | tuple[str, int]) -> Reply:
        return self._forgetting.begin(self._leading(), who)

    @property
    def hands_over(self) -> bool:
        """Whether a handover is under way, and waits for a follower to have everything."""
        return self._handover is not None

    @property
    def is_busy(self) -> bool:
        """Whether there is something that `work` looks at what followers have for."""
        return self._handover is not None or self._forgetting.awaits_some

    def work(self) -> None:
        """At the end of a tick: let a handover go on, or have one begin."""
        successor, until = self._successor
        leading = self._replication.leading
        if successor and self._node.now >= until:
            self._successor = "", 0.0
        elif successor and leading is not None and self._handover is None:
            for session in leading.sessions.values():
                if session.node == successor and session.level:
                    self._successor = "", 0.0
                    self.hand_over((session.host, session.port), int(WANTED_SECONDS * 1000))
                    break
        if self._handover is not None and self._handover.work():
            self._handover = None
        self._forgetting.look()
        self._voting.look()

    def next_deadline(self) -> float:
        """Monotonic seconds until when nothing happens by itself."""
        if self._voting.is_looking:
            return self._node.now
        return float("inf") if self._handover is None else self._handover.deadline

    def wait(self, replicas: int, timeout_ms: int, *, aof: bool, local: int) -> Reply:
        return self._replication.waits.begin(self._node.client, replicas, timeout_ms, aof=aof, local=local)
