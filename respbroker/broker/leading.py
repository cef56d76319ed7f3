"""A leader and its followers: what each tick appended goes out to all of them, and what they have comes back.

Followers that lag behind are sent what they lack from disk; see `follower_session.py`. Nothing here waits: a follower
that takes nothing costs the leader the few bytes that are on the way to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from respbroker.broker.follower_session import GATHER_SECONDS, FollowerSession, Written
from respbroker.broker.member_changes import MemberChanges
from respbroker.errors import ReplyError
from respbroker.replication.in_sync import InSync
from respbroker.replication.membership import Member, address
from respbroker.replication.messages import (
    ALL,
    ASKS,
    ATOMIC,
    FRESH,
    IN_SYNC,
    LEVEL,
    MEMBERS,
    SOME,
    Hello,
    Knows,
    Listed,
    Progress,
    Tick,
    Welcome,
    membership_words,
)
from respbroker.sessions.client import Client
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication

SAVE_SECONDS: Final = 1.0  # between tries to write down the in-sync set on a disk that refuses
HEARTBEAT_SECONDS: Final = 0.5  # a follower hears from its leader at least this often
#: Where nobody waits for them, followers are asked for acknowledgements so rarely: each is a turn of the loop.
ASK_SECONDS: Final = 0.1
EAGER_SECONDS: Final = 1.0  # since somebody had to wait for one that was not asked for: they are asked for at once
POSITION_MAX: Final = (1 << 63) - 1
SILENT_SECONDS: Final = 60.0  # of a follower, which acknowledges each of these: then its connection is given up


class Leading:
    """The leader's side. Owns the sessions of followers and the in-sync set."""

    def __init__(self, node: Node, replication: Replication) -> None:
        self._node = node
        self._replication = replication
        self.sessions: dict[int, FollowerSession] = {}
        self.in_sync = InSync(replication.position, replication.high_watermark, node.now)
        self.in_sync.minimum = node.settings.min_insync_replicas
        self._appended: list[Written] = []  # in the flush that runs
        self._tick: list[Written] = []  # in this tick
        self._atomic = False
        self._messages: list[tuple[bytes, bytes, bytes]] = []  # published since frames were last taken
        self._speaking: dict[int, Client] = {}
        self.hurries = False  #: the node is about to stop: frames wait for nothing any more
        self._eager_until = 0.0
        self._counted_until = POSITION_MAX
        self.changes = MemberChanges(node, replication, self)
        self._save_at = 0.0  # not before this is it tried again to remember the in-sync set

    # -- what the tick appends -----------------------------------------------------------------------------------

    def appended(self, number: int, buffers: Sequence[bytes], roll: bool) -> None:
        """A log of the keyspace was appended to."""
        self._appended.append(Written.of(number, buffers, roll))

    def confirm(self, *, atomic: bool) -> None:
        """What was appended stays."""
        self._tick += self._appended
        self._atomic = self._atomic or atomic
        self.take_back()

    def take_back(self) -> None:
        """What was appended since it was last confirmed is taken back."""
        self._appended = []

    def advance(self) -> None:
        """At the end of a tick: what was appended counts."""
        tick = self._tick
        if tick:
            self._replication.moved(sum(each.size for each in tick), [each.number for each in tick])
            self.in_sync.advance(self._replication.position, self._node.now)
        self.count()

    def ship(self, *, awaited: bool) -> None:
        """Behind that: send each follower what was appended, what it lacks, or a sign of life. ``awaited``: somebody
        waits for what they acknowledge.
        """
        node = self._node
        tick, flags = self._tick, ATOMIC if self._atomic else 0
        self._tick, self._atomic = [], False
        awaited = awaited or any(session.awaits_news for session in self.sessions.values())
        for session in list(self.sessions.values()):
            if not (session.listed or session.has_listed):
                session.miss(tick)
                continue
            if node.now - session.heard_at > SILENT_SECONDS:
                node.housekeeping.report("warning", f"replica {session.address} has said nothing for a minute")
                node.close(session.client, at_once=True)
                continue
            try:
                if session.listed:
                    self._ship_to(session, tick, flags, awaited=awaited)
                else:
                    session.miss(tick)
                    session.judge(node.keyspace)
                    if session.listed:
                        self.speak(session)
            except StorageError as error:
                told = node.keyspace.told(error)
                node.housekeeping.notices.happened(f"cannot send {session.address} what it lacks: {told}")
                node.close(session.client, at_once=True)

    def _ship_to(self, session: FollowerSession, tick: list[Written], flags: int, *, awaited: bool) -> None:
        node, replication = self._node, self._replication
        before = len(session.client.out)
        if tick:
            session.take(tick)
        was_level = session.level
        if session.behind:
            session.read_on(node.keyspace)
        if not session.behind and not was_level:
            session.level = True
        news = self._news(session)
        is_in_sync = news[1]
        due = node.now - session.frame_at >= HEARTBEAT_SECONDS
        for why in session.damaged.values() if due else ():
            node.housekeeping.report("error", f"cannot send {session.address} all that it lacks: {why}")
        if not session.introduced:
            session.introduced = True
            self._tell_members(session)
        overdue = self._is_overdue(session, awaited=awaited)
        is_told = session.level != was_level or due or overdue or session.is_owed(news)
        if is_told or session.is_to_send(
            node.now, hurries=awaited or bool(flags & ATOMIC or self._messages) or self.hurries
        ):
            flags |= (IN_SYNC if is_in_sync else 0) | (LEVEL if session.level else 0)
            awaited = awaited or node.now < self._eager_until or session.is_filling
            if awaited or overdue or due or not (is_in_sync and was_level):
                flags |= ASKS
                session.asked, session.asked_at = replication.position, node.now
            session.shown = replication.position
            session.say_tick(Tick(replication.position, replication.high_watermark, flags, ()))
            session.told, session.frame_at = news, node.now
        if len(session.client.out) > before:
            self._speaking[session.client.id] = session.client

    def _news(self, session: FollowerSession) -> tuple[int, bool]:
        """What a follower is to know by now; see `FollowerSession.told`."""
        return self._replication.high_watermark, session.node in self.in_sync.nodes

    def _is_overdue(self, session: FollowerSession, *, awaited: bool) -> bool:
        """Whether a follower is to say now that it has what earlier ticks brought, which did not ask for that."""
        if not session.level or session.asked >= session.shown:
            return False
        if awaited:
            self._eager_until = self._node.now + EAGER_SECONDS
        return awaited or self._node.now >= session.asked_at + self._ask_seconds

    @property
    def _ask_seconds(self) -> float:
        return min(ASK_SECONDS, self._node.settings.replica_lag_time_max_ms / 10_000)

    def in_step(self) -> list[Client]:
        """Followers that are level and know that they are in sync: what they acknowledge changes nothing of that."""
        return [session.client for session in self.sessions.values() if session.level and session.told[1]]

    def take_frames(self) -> list[Client]:
        """Followers with frames to send. Messages come behind what was written before them."""
        if self._messages:
            for session in self.sessions.values():
                if session.listed:
                    session.pass_on(self._messages)
                    self.speak(session)
            self._messages = []
        speaking, self._speaking = self._speaking, {}
        return list(speaking.values())

    def speak(self, session: FollowerSession) -> None:
        """A frame was put in the session beside those of `ship`."""
        self._speaking[session.client.id] = session.client

    def published(self, channel: bytes, message: bytes, *, sharded: bool) -> None:
        """Have the followers tell those who listen there."""
        if self.sessions:
            self._messages.append((b"%d" % sharded, channel, message))

    def members_changed(self) -> None:
        """Tell every follower who takes part."""
        for session in self.sessions.values():
            if session.listed:
                self._tell_members(session)

    def _tell_members(self, session: FollowerSession) -> None:
        state = self._replication.state
        own = Member(state.node, *self._replication.announced)
        words = [MEMBERS, *membership_words(state.membership.locate(own), state.node)]
        session.say(words)
        self.speak(session)

    def end(self) -> None:
        """This node leads no more, or in another epoch: followers are to come again."""
        for session in list(self.sessions.values()):
            self._node.close(session.client, at_once=True)
        self.sessions.clear()

    # -- what followers say ----------------------------------------------------------------------------------------

    def welcome(self, client: Client, hello: Hello, host: str) -> Welcome:
        """A follower presents itself."""
        node, replication = self._node, self._replication
        if client.id in self.sessions:
            raise ReplyError("REPLICATE HELLO comes once in a connection")
        for other in list(self.sessions.values()):
            if other.node == hello.node and other.client is not client:  # it has come back on another connection
                if (other.host, other.port) != (host, hello.port):
                    twins = f"{other.address} and {address(host, hello.port)}"
                    node.housekeeping.notices.happened(f"{twins} come as one node: is one's directory a copy?")
                self.gone(other.client)
                node.close(other.client, at_once=True)
        replication.change_members(replication.state.membership.locate(Member(hello.node, host, hello.port)))
        client.replica = True
        session = FollowerSession(client, hello.node, host, hello.port, heard_at=node.now)
        self.sessions[client.id] = session
        wanted, numbers = self._wanted(hello)
        self.in_sync.attach(hello.node, node.now)
        if wanted != ALL:  # else its logs will tell what it has
            self.in_sync.resumed(hello.node, hello.position if wanted == SOME else 0, node.now)
        session.lists_all = wanted != SOME
        state = replication.state
        return Welcome(state.dataset, state.node, state.history, replication.position, wanted, numbers)

    def _wanted(self, hello: Hello) -> tuple[bytes, tuple[int, ...]]:
        """Which logs the follower is to list."""
        replication, state = self._replication, self._replication.state
        if hello.dataset != state.dataset:
            return FRESH, ()
        history = hello.history
        common = state.history.common(history)
        last = history.last.epoch if history.last else 0
        shared_until = state.history.end_of(common)
        is_prefix = last == common and (
            shared_until is None or (hello.exact and hello.position <= shared_until)
        )  # all it has is what this node has as well
        since = replication.tracked_since
        if (
            is_prefix
            and since is not None
            and since[0] <= last
            and since[1] <= hello.position  # in a later epoch too: it may never have been level in that
            and hello.position <= replication.position
        ):
            return SOME, tuple(n for n, position in replication.changed.items() if position > hello.position)
        return ALL, ()

    def listed(self, client: Client, logs: list[Listed]) -> None:
        """The follower says what it has; it is told what to do with that when all of it has been looked at."""
        session = self.sessions.get(client.id)
        if session is None or session.has_listed:
            raise ReplyError("REPLICATE LOGS comes once, after REPLICATE HELLO")
        session.take_listing(logs, self._node.keyspace.directory_numbers() if session.lists_all else ())

    def acknowledged(self, client: Client, progress: Progress) -> None:
        """The follower tells how far it has come."""
        session = self.sessions.get(client.id)
        if session is None or not session.listed:
            raise ReplyError("REPLICATE ACK comes after REPLICATE LOGS")
        try:
            self.in_sync.acknowledged(
                session.node, progress.position, progress.synced, self._node.now, level=session.level
            )
        except ValueError as fault:
            raise ReplyError(str(fault)) from None
        session.received = progress.received
        session.acknowledged = progress.position
        session.awaits_news = progress.waits
        session.heard_at = self._node.now

    def knows(self, client: Client, knows: Knows) -> None:
        """A follower has written down who takes part."""
        session = self.sessions.get(client.id)
        if session is not None:
            session.knows = knows.epoch, knows.number

    def left(self, client: Client) -> None:
        """A follower is about to stop."""
        session = self.sessions.get(client.id)
        if session is not None:
            self.in_sync.leave(session.node)
            self.count()
            self.gone(client)
            self._node.close(client, at_once=True)

    def gone(self, client: Client) -> None:
        """The connection of a follower has ended."""
        session = self.sessions.pop(client.id, None)
        if session is not None:
            self.in_sync.detach(session.node, self._node.now)
            self._speaking.pop(client.id, None)

    def agreed_to_another(self) -> None:
        """This node has voted for another leader: that one has what is here, and not what will be. So no more of this
        log counts, as long as there is no room to write down whom it follows.
        """
        self._counted_until = self._replication.position

    @property
    def _own_position(self) -> int:
        """How far this node's own log counts."""
        return min(self._replication.local_position, self._counted_until)

    # -- the in-sync set -------------------------------------------------------------------------------------------

    def count(self) -> None:
        """Work out the in-sync set and the high watermark."""
        node, replication, in_sync = self._node, self._replication, self.in_sync
        in_sync.minimum = node.settings.min_insync_replicas
        in_sync.local_reached(self._own_position)
        lag_max = node.settings.replica_lag_time_max_ms / 1000
        for name in in_sync.expire(node.now, lag_max):
            node.housekeeping.report(
                "warning",
                f"replica {replication.name_of(name)} is not in sync any more: it lags {lag_max:g} s behind",
            )
        if node.now >= self._save_at:
            try:
                self.changes.work()
                if in_sync.changed:
                    replication.in_sync_changed(in_sync.nodes)
                    in_sync.changed = False
            except StorageError as error:
                self._save_at = float("inf") if node.durability.failed else node.now + SAVE_SECONDS
                node.housekeeping.report("error", str(error))
        self.raise_high_watermark()

    def raise_high_watermark(self) -> None:
        """To what all in sync have. While the set has changed and is not on the disk, nothing is answered that rests on
        it.
        """
        if not self.in_sync.changed:
            self._replication.high_watermark = self.in_sync.high_watermark

    def _due_at(self, session: FollowerSession) -> float:
        """When a follower is to be told something at the latest."""
        if session.is_owed(self._news(session)):
            return self._node.now
        if session.gathers:
            return session.frame_at + GATHER_SECONDS
        heartbeat = session.frame_at + HEARTBEAT_SECONDS
        if session.level and session.asked < session.shown:
            return min(heartbeat, session.asked_at + self._ask_seconds)
        return heartbeat

    def next_deadline(self) -> float:
        """Monotonic seconds until when nothing happens by itself."""
        if self._own_position > self.in_sync.local:  # what was synced since the last tick
            return self._node.now
        if any(session.has_listed and not session.listed for session in self.sessions.values()):
            return self._node.now
        deadline = min(
            (self._due_at(session) for session in self.sessions.values() if session.listed), default=float("inf")
        )
        expiry = self.in_sync.next_deadline(self._node.settings.replica_lag_time_max_ms / 1000)
        return deadline if expiry is None else min(deadline, expiry)
