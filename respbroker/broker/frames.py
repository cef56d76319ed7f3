"""What a leader sends, taken in by its follower, and the acknowledgement of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from respbroker.broker.log_copies import LogCopies
from respbroker.model.phrases import few
from respbroker.replication.history import EPOCH_MAX, History, shown
from respbroker.replication.membership import Membership
from respbroker.replication.messages import (
    ASKS,
    ATOMIC,
    CHUNK,
    COPIED,
    COPY,
    DAMAGED,
    IN_SYNC,
    LEAD,
    LEVEL,
    MEMBERS,
    MESSAGE,
    SNAPSHOT,
    TICK,
    Append,
    Knows,
    Progress,
    Tick,
    parse_membership,
    parse_numbers,
)
from respbroker.replication.words import COUNT_MAX, ID_PART_MAX, BadMessage
from respbroker.resp.replies import bulk_array
from respbroker.sessions.peer import Peer
from respbroker.streams.replica import RawPart

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.replication import Replication

_COPY_MOST: Final = (COUNT_MAX, COUNT_MAX, COUNT_MAX, ID_PART_MAX, ID_PART_MAX, EPOCH_MAX)


class Frames:
    """The half of `respbroker.broker.following.Following` that comes behind the handshake."""

    host: str
    peer: Peer | None

    if TYPE_CHECKING:

        @property
        def address(self) -> str: ...
        @property
        def is_up(self) -> bool: ...

    def __init__(self, node: Node, replication: Replication) -> None:
        self._node = node
        self._replication = replication
        #: Everything was sent that the leader has; not so while the logs are brought to where it is.
        self.level = False
        #: The leader said that this node is in the in-sync set.
        self.in_sync = False
        #: ``position`` is exactly what this node has; not after a start, when it may have more.
        self.exact = False
        self.touched: set[int] = set()  #: logs appended to since `position` last moved
        self.forgot = False  #: entries that were told of, since it was level: see `Following._forget_to_have_again`
        self.link_since = node.now  #: the leader's batches arrive, or do not
        self.received_bytes = 0  #: of batches, in this session
        self._is_asked = False  # to acknowledge
        self._has_synced = False  # more than the leader was told of
        self._told: Progress | None = None  # as the leader knows it
        self._copies = LogCopies(node)
        self._theirs = History(())  #: the leader's
        self._adopts = False  #: it is this node's as soon as nothing is here that the leader lacks
        #: Logs that hold what the leader lacks and could not be cut there: they are copied anew.
        self._parted: set[int] = set()

    @property
    def half_sent(self) -> str:
        """The streams that it was being sent since it last had everything, for people; empty if there are none."""
        keyspace = self._node.keyspace
        keys = map(keyspace.key_of, sorted(self.touched))
        return few([keyspace.catalog.title(*key) for key in keys if key is not None])

    def _begin(self) -> None:
        """All that the leader lacks is cut off, or is of logs that will be copied anew: frames come."""
        self.link_since = self._node.now
        self._adopts = bool(self._parted)
        if self._adopts:  # what was read of these must not be told, nor what will be
            self.touched |= self._parted
            self._replication.gate.close_all()
            self._replication.promise_to_leader(self._theirs)
        else:
            self._replication.adopt(self._theirs)

    def take_frame(self, words: list[Any]) -> None:
        """Do what a frame says.

        Raises:
            BadMessage: it cannot be understood.
            StorageError: it cannot be done; the session is to be given up.
        """
        if not words or not all(word.__class__ is bytes for word in words):
            raise BadMessage("a frame that is not made of words")
        kind = words[0]
        if kind == TICK:
            self._tick(Tick.parse(words))
        elif kind == CHUNK and len(words) == 4:
            (number,) = parse_numbers(words[1:2], COUNT_MAX)
            self._chunk(Append(number, words[2] == b"1", words[3]))
        elif kind == COPY and len(words) == 7:
            self._copies.begin(*parse_numbers(words[1:], *_COPY_MOST))
        elif kind == COPIED and len(words) == 4:
            number, offset = parse_numbers(words[1:3], COUNT_MAX, COUNT_MAX, least=-1)
            self._finish_copy(number, offset, words[3])
        elif kind == SNAPSHOT and len(words) == 4:
            number, offset = parse_numbers(words[1:3], COUNT_MAX, COUNT_MAX, least=-1)
            self._snapshot(number, offset, words[3])
        elif kind == DAMAGED and len(words) == 3:
            why = " ".join(words[2].decode("utf-8", "backslashreplace").split())
            self._node.housekeeping.report("error", f"the leader {self.address} cannot send all that is lacking: {why}")
        elif kind == LEAD and len(words) == 2:
            self._replication.handed_over(*parse_numbers(words[1:], EPOCH_MAX))
        elif kind == MEMBERS:
            self._members(parse_membership(words[1:], self.host))
        elif kind == MESSAGE and len(words) == 4:
            self._message(*words[1:])
        else:
            raise BadMessage(f"a frame that is not known: {shown(kind)}")

    def _members(self, membership: Membership) -> None:
        """Write down who takes part, and say so: the leader may be waiting for that."""
        if membership.epoch > self._replication.state.promised:
            raise BadMessage("its members are of an epoch in which it does not lead")
        self._replication.members_told(membership)
        if self.peer is not None:
            self.peer.out.append(bulk_array(Knows(*membership.version).words()))

    def _message(self, sharded: bytes, channel: bytes, message: bytes) -> None:
        """Tell those who listen here what was published at the leader."""
        channels, push = self._node.channels, self._node.push
        publish = channels.publish_to_shard if sharded == b"1" else channels.publish
        publish(channel, message, push)
        self.received_bytes += len(channel) + len(message)

    def _tick(self, tick: Tick) -> None:
        replication = self._replication
        if tick.appends:
            self._append(tick.appends, atomic=bool(tick.flags & ATOMIC))
        self.in_sync = bool(tick.flags & IN_SYNC)
        self.level = bool(tick.flags & LEVEL)
        if self.level:
            if self._adopts:
                replication.adopt(self._theirs)
                self._adopts = False
                self._parted.clear()
            if self.forgot:  # who read meanwhile may have been told of more before
                self.forgot = False
                replication.gate.close_all()
            replication.follow_to(tick.position, tick.high_watermark, self.touched)
            self.exact = True
            self.touched.clear()
        self._is_asked = self._is_asked or bool(tick.flags & ASKS)

    def _chunk(self, append: Append) -> None:
        self.level = self.exact = False
        if self._copies.has(append.number):
            self._copies.extend(append)
            self.touched.add(append.number)
            self.received_bytes += len(append.raw)
        else:
            self._append([append], atomic=False)
        self._is_asked = True

    def _finish_copy(self, number: int, offset: int, state: bytes) -> None:
        self._copies.finish(number, offset, state)
        self.touched.add(number)
        if number in self._parted:
            self._parted.discard(number)
            self._replication.gate.close_all()

    def _append(self, appends: Sequence[Append], *, atomic: bool) -> None:
        node = self._node
        parts = [RawPart(append.number, append.raw, append.roll) for append in appends]
        if atomic:
            node.durability.bound_journal()
        changed = node.keyspace.replicate(parts, node.now_ms, atomic=atomic)
        self.exact = False
        self.received_bytes += sum(len(append.raw) for append in appends)
        self.touched.update(append.number for append in appends)
        node.replicated(changed)

    def _snapshot(self, number: int, offset: int, state: bytes) -> None:
        """The state behind a log that was sent from its beginning: opening its stream need not replay all of it."""
        keyspace = self._node.keyspace
        log = None if number in keyspace.open_streams else keyspace.log_of(number)
        if log is not None and log.start_offset <= offset <= log.end_offset:
            log.write_snapshot(state, offset)
            keyspace.on_unsynced(log)

    def acknowledge(self, *, waits: bool) -> None:
        """At the end of a tick: tell the leader what has been taken, if it asked for that, or there is need to.
        ``waits``: replies are held here.
        """
        if self.peer is None or not self.is_up:
            return
        is_asked, has_synced, told = self._is_asked, self._has_synced, self._told
        self._is_asked = self._has_synced = False
        if is_asked or has_synced or (waits and not (told is not None and told.waits)):
            replication = self._replication
            position = replication.local_position if self.level else 0
            progress = Progress(self.received_bytes, position, replication.synced_position if self.level else 0, waits)
            if is_asked or progress != told:
                self._told = progress
                self.peer.out.append(bulk_array(progress.words()))

    def was_synced(self) -> None:
        """More is on the disk than the leader was told of."""
        self._has_synced = self.is_up
