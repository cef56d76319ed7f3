"""A follower and its leader: the connection, what the leader sends, and what is said back.

The leader's batches are appended as they are; whatever they change is changed in the keyspace as the leader changed it.
A follower that cannot append, or does not understand, gives up the connection and begins again a second later.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from respbroker.broker.follower_session import TICK_LISTED
from respbroker.broker.frames import Frames
from respbroker.broker.handover import WANTED_SECONDS
from respbroker.broker.peer_owners import login, refused
from respbroker.replication.election import may_follow
from respbroker.replication.history import shown
from respbroker.replication.membership import address
from respbroker.replication.messages import (
    AGAIN,
    ALL,
    ANEW,
    CUT,
    DROP,
    FRESH,
    HANDOVER_WORDS,
    LEAVE_WORDS,
    SOME,
    Hello,
    Listed,
    Welcome,
    listing_words,
    parse_verdicts,
)
from respbroker.replication.words import BadMessage, read_address
from respbroker.resp.replies import bulk_array
from respbroker.resp.reply_decoder import ErrorReply
from respbroker.sessions.peer import Peer
from respbroker.streams.journal import CATALOG
from storage import DiskFailed, LogPoisoned, StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication

RETRY_SECONDS: Final = 1.0
SILENCE_SECONDS: Final = 10.0  # of the leader, which sends a sign of life twice a second; then it counts as gone
JUDGING_SECONDS: Final = 60.0  # the same while it looks at what this node has listed


class Stage(enum.Enum):
    """How far the connection to the leader has come; ``word`` is what ROLE calls it."""

    WAITING = 0  #: for the next try
    DIALLING = 1
    AUTH = 2
    HELLO = 3
    LISTING = 4
    FRAMES = 5

    @property
    def word(self) -> str:
        return ("connect", "connecting", "connecting", "handshake", "sync", "connected")[self.value]


class Following(Frames):
    """The follower's side. Owns the connection to the leader and the place in the leader's order."""

    def __init__(self, node: Node, replication: Replication, host: str, port: int, *, told: bool = False) -> None:
        super().__init__(node, replication)
        self.host, self.port = self._told_address = host, port  # till that one says whom it follows itself
        self.peer: Peer | None = None
        self.stage = Stage.WAITING
        #: An operator has just said whom to follow: what is here may go for it. Not so for a leader that comes back
        #: with other data, for its disk was replaced, or somebody else has its address.
        self.told = told
        self.lead_at: float | None = None  #: it was asked to hand over; without it then
        self.stopped = False  #: the disk failed: nothing is asked of the leader any more
        self.heard_at = node.now
        self._retry_at = node.now
        self._inbox: deque[Any] = deque()
        self._to_list: deque[int] | None = None  # logs that the leader has asked for; None if all are listed
        self._lists_all = False
        self._asked: list[Listed] = []

    @property
    def address(self) -> str:
        """Where the leader is, for people."""
        return address(self.host, self.port)

    @property
    def is_up(self) -> bool:
        """Whether the leader's batches arrive."""
        return self.stage is Stage.FRAMES

    @property
    def is_heard(self) -> bool:
        """Whether the leader is there: it has just said something."""
        return self.is_up and self._node.now - self.heard_at <= WANTED_SECONDS

    # -- the connection --------------------------------------------------------------------------------------------

    def work(self) -> None:
        """At the beginning of a tick: take what the leader said; connect again when it is time to."""
        node = self._node
        if self.lead_at is not None and node.now >= self.lead_at and not self._replication.is_changing:
            self._replication.wish(self._replication.promote)
        if self.peer is None:
            if node.now >= self._retry_at and not self.stopped:
                self._dial()
            return
        while self._inbox and self.peer is not None:
            self._guard(self._take, self._inbox.popleft())
        if self._to_list is not None:
            self._guard(self._list_on)
        if self.peer is not None and node.now - self.heard_at > self._patience:
            self.give_up(f"it has said nothing for {self._patience:g} seconds")

    @property
    def _patience(self) -> float:
        return JUDGING_SECONDS if self.stage is Stage.LISTING else SILENCE_SECONDS

    def _dial(self) -> None:
        self.peer = Peer(self.host, self.port)
        self.stage = Stage.DIALLING
        self.heard_at = self._node.now
        self._replication.peers.dial(self.peer, self)

    def connected(self, peer: Peer) -> None:
        """The connection stands: log in and say hello."""
        self.heard_at = self._node.now
        if words := login(self._node.settings):
            peer.out += words
            self.stage = Stage.AUTH
        else:
            self._say_hello(peer)

    def _say_hello(self, peer: Peer) -> None:
        replication, state = self._replication, self._replication.state
        host, port = replication.announced
        hello = Hello(
            state.dataset, state.node, state.history, replication.position, self.exact, state.promised,
            state.promised_to, host,
            port,
        )  # fmt: skip
        peer.out.append(bulk_array(hello.words()))
        self.stage = Stage.HELLO

    def received(self, peer: Peer, replies: Sequence[Any]) -> None:
        """The leader said something; it is taken in the next tick."""
        self.heard_at = self._node.now
        self._inbox.extend(replies)

    def lost(self, peer: Peer, reason: str) -> None:
        """The connection has ended."""
        self._over(reason)

    def give_up(self, reason: str = "", pause: float = RETRY_SECONDS) -> None:
        """End the connection, and make no other for so many seconds; no reason: all is well."""
        if self.peer is not None:
            self.peer.closing = True
            self._over(reason)
        self._retry_at = self._node.now + pause

    def hurry(self) -> None:
        """Connect again at once, if there is no connection."""
        self._retry_at = self._node.now

    def ask_to_lead(self) -> bool:
        """This node was told to lead: have its leader hand over. False: that one is not there, or took too long."""
        now = self._node.now
        if self.lead_at is None:
            if self.peer is None or not self.in_sync or not self.is_heard:
                return False
            self.peer.out.append(bulk_array(HANDOVER_WORDS))
            self.lead_at = now + WANTED_SECONDS
        elif now >= self.lead_at:
            self.lead_at = None
        return self.lead_at is not None

    def _over(self, reason: str) -> None:
        node = self._node
        if self.stage is Stage.FRAMES:
            self.link_since = node.now
        if self.lead_at is not None:
            self.lead_at = node.now
        if reason:
            node.housekeeping.notices.happened(f"without the leader {self.address}: {reason}")
        self.peer = None
        if self.stage is Stage.DIALLING:
            self._ask_first_again()
        self.stage = Stage.WAITING
        self.level = False
        self._retry_at = node.now + RETRY_SECONDS
        self._inbox.clear()
        self._to_list = None
        self.received_bytes = 0
        self._is_asked = self._has_synced = False
        self._told = None
        self._copies.forget()

    # -- what the leader says --------------------------------------------------------------------------------------

    def _take(self, said: Any) -> None:
        if isinstance(said, ErrorReply):
            self._refused(said)
        elif self.stage is Stage.AUTH and self.peer is not None:
            self._say_hello(self.peer)
        elif not isinstance(said, list):
            raise BadMessage("it is no respbroker")
        elif self.stage is Stage.HELLO:
            self._welcomed(Welcome.parse(said))
        elif self.stage is Stage.LISTING:
            self._judged(said)
        else:
            self.take_frame(said)

    def _guard(self, step: Callable[..., None], *arguments: Any) -> None:
        """Go on with the session; give it up where that cannot be."""
        try:
            step(*arguments)
        except BadMessage as problem:
            self.give_up(str(problem))
        except (DiskFailed, LogPoisoned) as problem:
            self.stopped = True
            self._node.durability.fail(problem)
            self.give_up(f"this server's disk failed: {problem}")
        except StorageError as problem:
            self.in_sync = False  # sentinel is not to choose it
            self.give_up(f"cannot append what it sent: {self._node.keyspace.told(problem)}")

    def _refused(self, refusal: ErrorReply) -> None:
        if refusal.code == "NOTLEADER" and (elsewhere := read_address(refusal.text.split(" ", 1)[0])):
            self.give_up(f"it follows {address(*elsewhere)}")
            self.host, self.port = elsewhere
            return
        self.give_up(refused(refusal))
        if refusal.code != "NOTLEADER":
            self._ask_first_again()

    def _ask_first_again(self) -> None:
        """Whom this node was sent to is not there, or does not lead either."""
        self.host, self.port = self._told_address

    def _welcomed(self, welcome: Welcome) -> None:
        """The leader is known: forget what it cannot have, and list the rest."""
        replication, keyspace = self._replication, self._node.keyspace
        state = replication.state
        theirs = welcome.history
        if theirs.last is None:
            raise BadMessage("it leads in no epoch")
        if welcome.wanted != FRESH and not may_follow(  # epochs of other data are not those of what was agreed to
            state.promised, state.promised_to, theirs.last.epoch, theirs.last.leader
        ):
            raise BadMessage(f"it leads in an epoch older than {state.promised}, which this node has agreed to")
        self._theirs = theirs
        if welcome.wanted == FRESH:
            if not self.told and state.complete and self._node.keyspace.numbers() != [CATALOG]:
                raise BadMessage(
                    "its data is not that of which this server has a copy, so nothing is taken from it. Was its disk"
                    " replaced? REPLICAOF once more drops the copy, REPLICAOF NO ONE makes this server lead"
                )
            replication.begin_copy(welcome.dataset, theirs)
            self._parted.clear()
            if replication.state.node != state.node:  # another one from now on, which has to present itself
                self.give_up(pause=0.0)
                return
        elif welcome.wanted not in (SOME, ALL):
            raise BadMessage(f"it asks for {shown(welcome.wanted)}")
        self._lists_all = welcome.wanted == ALL
        asked = keyspace.directory_numbers() if self._lists_all else {*welcome.numbers, *self._parted}
        self._to_list, self._asked = deque(sorted(asked)), []
        self.stage = Stage.LISTING

    def _list_on(self) -> None:
        """Look at some of the logs that the leader has asked for; behind the last it is told of all of them."""
        assert self.peer is not None
        assert self._to_list is not None
        common = self._replication.state.history.common(self._theirs)
        for _ in range(min(TICK_LISTED, len(self._to_list))):
            listed = self._listed(self._to_list.popleft(), common)
            if listed is not None:
                self._asked.append(listed)
        self.heard_at = self._node.now  # it waits for this
        if not self._to_list:
            self._to_list = None
            self.peer.out.append(bulk_array(listing_words(self._asked)))

    def _listed(self, number: int, common: int) -> Listed | None:
        """What is here of a log; None if there is none, and nobody has asked for it."""
        log = self._node.keyspace.log_of(number)
        if log is None:
            return None if self._lists_all else Listed(number, 0, 0)
        if number in self._parted:
            return Listed(number, -1, 0)
        if log.last_epoch > common:
            return Listed(number, log.epoch_end(common), common)
        return Listed(number, log.end_offset, log.last_epoch)

    def _judged(self, said: list[Any]) -> None:
        """What is to go before the leader's batches can follow."""
        node, keyspace = self._node, self._node.keyspace
        cuts: dict[int, int] = {}
        again: dict[int, int] = {}
        drops: list[int] = []
        for log in self._asked:
            ours = keyspace.log_of(log.number)
            if ours is not None and 0 <= log.end_offset < ours.end_offset:
                cuts[log.number] = log.end_offset
        for kind, number, offset in parse_verdicts(said):
            if kind == CUT:
                cuts[number] = min(offset, cuts.get(number, offset))
            elif kind == AGAIN:
                again[number] = offset
            elif kind == ANEW:
                cuts.pop(number, None)
                self._parted.add(number)
            elif kind == DROP:
                drops.append(number)
                cuts.pop(number, None)
                self._parted.discard(number)
            else:
                raise BadMessage(f"it wants {shown(kind)} done to a log")
        if cuts or drops:
            self._replication.gate.close_all()
        if cuts:
            dropped = self._records_behind(cuts)
            node.housekeeping.report(
                "warning",
                f"cut off {dropped} records, in {len(cuts)} of the logs, that the leader {self.address} lacks",
            )
            if CATALOG in cuts:  # it may name logs again that were dropped
                self._replication.may_lack_logs()
            uncut = keyspace.cut(cuts)
            self._parted.update(uncut)
            if uncut:
                raise BadMessage(f"{len(uncut)} logs are to be copied anew, in the next session")
        for number in drops:
            if keyspace.key_of(number) is None:  # else the leader's catalog will drop it
                keyspace.remove_log(number)
        if again and self._parted:
            self._parted.update(again)  # whose history is the leader's is not known to be yet
            raise BadMessage(f"{len(again)} more logs are to be copied anew, in the next session")
        self.told = False
        self.stage = Stage.FRAMES
        self._begin()
        if again:
            self._forget_to_have_again(again)

    def _forget_to_have_again(self, cuts: dict[int, int]) -> None:
        """Cut off what the leader has in batches with other borders, and will send.

        It may have been acknowledged. So from before it goes until all is here again this node neither leads nor agrees
        to who may lack it too, and tells nothing of these logs.
        """
        node, keyspace = self._node, self._node.keyspace
        self._replication.lacks_some()
        if CATALOG in cuts:
            self._replication.may_lack_logs()
        self.touched |= cuts.keys()
        self.forgot = True
        self._replication.gate.close_all()
        node.housekeeping.report(
            "notice", f"forgets {self._records_behind(cuts)} records, in {len(cuts)} of the logs, that come again"
        )
        if uncut := keyspace.cut(cuts):
            self._parted.update(uncut)
            raise BadMessage(f"{len(uncut)} logs are to be copied anew, in the next session")

    def _records_behind(self, cuts: dict[int, int]) -> int:
        logs = ((self._node.keyspace.log_of(number), offset) for number, offset in cuts.items())
        return sum(log.end_offset - offset for log, offset in logs if log is not None)

    def next_deadline(self) -> float:
        """Monotonic seconds until when nothing happens by itself."""
        if self._has_synced or self._to_list is not None:  # since the last tick, or there is more to list
            return self._node.now
        if self.stopped:
            return float("inf")
        if self.lead_at is not None and not self._replication.is_changing:
            return self.lead_at
        return self._retry_at if self.peer is None else self.heard_at + self._patience

    def leave(self) -> None:
        """The node stops: nothing is to wait for it."""
        if self.peer is not None and self.is_up:
            self.peer.out.append(bulk_array(LEAVE_WORDS))
