"""Who has what: followers' progress, the in-sync set, the high watermark.

The leader's view of one leadership. Positions count bytes in the leader's order of ticks (see
docs/decisions/0017-a-node-replicates-as-a-whole.md); times are monotonic seconds handed in. The rules are Kafka's:

* the high watermark is the least that the leader and all in sync with it have, and it never goes back;
* who has not been caught up for ``lag_max`` seconds leaves the set; *caught up at* a time is who has
  acknowledged everything that was written before it, and only an acknowledgement can prove that;
* a follower joins when it has everything below the high watermark. The watermark waits for one that is about to, or
  one that is always a little slower than the others would never come in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

import attrs

NEVER: Final = float("-inf")
MARK_SECONDS: Final = 0.05  # marks are at least so far apart: as much too early a follower may be held to be late
MARKS_MAX: Final = 1024  # when there are more every second one goes, so that they reach back as far as ever


@attrs.define(eq=False)
class _Follower:
    """A node that follows, or was in sync and is away."""

    node: str
    connected: bool
    caught_up_at: float  # the latest time known such that everything written before it has been acknowledged
    acknowledged: int = 0  # it has everything up to here; 0 until this session has shown more
    synced: int = 0
    target: int | None = None  # what was written when it became level: it has to reach that to join; None if not level
    counted: bool = False  # the high watermark waits for it: it is in the set, or about to be

    @property
    def caught_up(self) -> bool:
        """Whether it has had everything that was there when it became level."""
        return self.target is not None and self.acknowledged >= self.target


class InSync:
    """The in-sync set of one leadership, and its high watermark.

    Positions given by a follower that lie beyond what was written are its fault: they raise ValueError, and nothing of
    them counts.
    """

    __slots__ = (
        "_followers", "_marks", "_minimum", "changed", "eligible", "high_watermark", "local", "nodes", "position",
        "waiting",
    )  # fmt: skip

    def __init__(self, position: int, high_watermark: int, now: float) -> None:
        """A leadership begins: nobody follows yet; of the leader's own log that much counts that was visible before."""
        assert 0 <= high_watermark <= position
        self.position = position  #: end of what the leader has written
        self.local = high_watermark  #: how much of its own log counts: see `local_reached`
        self.high_watermark = high_watermark  #: what all in sync have; never goes back
        self.nodes: frozenset[str] = frozenset()  #: node ids of the followers in sync, the leader left out
        self.eligible: frozenset[str] | None = None  #: who may be in sync; None: whoever comes. See `admit`
        self.waiting: set[str] = set()  #: followers that have come up, and are not eligible
        self.changed = False  #: whether `nodes` changed since the caller set this to False
        self._minimum = 1
        self._followers: dict[str, _Follower] = {}
        self._marks: list[tuple[int, float]] = [(position, now)]  # (end, time): what was written before time ends there

    # -- the leader's own log ----------------------------------------------------------------------------------

    def advance(self, position: int, now: float) -> None:
        """The leader wrote up to ``position``."""
        assert position >= self.position
        if position == self.position:
            return
        if now - self._marks[-1][1] >= MARK_SECONDS:
            self._marks.append((self.position, now))
            if len(self._marks) > MARKS_MAX:
                del self._marks[1::2]
        self.position = position

    def local_reached(self, position: int) -> None:
        """The leader's own log counts up to here: written, or synced where replies wait for that."""
        assert position <= self.position
        if position > self.local:
            self.local = position
            self._raise()

    @property
    def minimum(self) -> int:
        """``min.insync.replicas`` of the node: with fewer in sync, the high watermark stays where it is."""
        return self._minimum

    @minimum.setter
    def minimum(self, minimum: int) -> None:
        if minimum != self._minimum:
            self._minimum = minimum
            self._raise()

    def admit(self, eligible: Iterable[str]) -> None:
        """Only these may be in sync from now on. Others leave the set; those of them that are up join it."""
        self.eligible = frozenset(eligible)
        for follower in list(self._followers.values()):
            if follower.node not in self.eligible:
                if follower.counted:
                    self._drop(follower)
            elif follower.node not in self.nodes:
                self._join(follower)
        self.waiting -= self.eligible
        self._raise()

    # -- followers ---------------------------------------------------------------------------------------------

    def expect(self, nodes: Iterable[str], now: float) -> None:
        """They were in sync when this node led last; they still are until they have shown nothing for too long."""
        for node in nodes:
            if node not in self._followers and self._may_join(node):
                self._followers[node] = _Follower(node, connected=False, caught_up_at=now, counted=True)
                self._change(self.nodes | {node})

    def attach(self, node: str, now: float) -> None:
        """A session began. What the node acknowledged in an earlier one it may have lost since."""
        follower = self._followers.setdefault(node, _Follower(node, connected=True, caught_up_at=NEVER))
        follower.connected = True
        follower.acknowledged = follower.synced = 0
        follower.target = None
        follower.counted = node in self.nodes
        self.waiting.discard(node)
        self._raise()

    def resumed(self, node: str, position: int, now: float) -> None:
        """The session begins with everything up to ``position`` there already. Who lost bytes is in sync no more."""
        self._progress(self._followers[node], position, 0, now)
        self._raise()

    def acknowledged(self, node: str, position: int, synced: int, now: float, *, level: bool) -> None:
        """The follower has everything up to ``position``, in every log, and on disk what lies before ``synced``.

        ``level``: no log is behind for it, so what is written from now on is sent to it at once.
        """
        follower = self._followers[node]
        self._progress(follower, position, synced, now)
        if not level:
            follower.target = None
        elif follower.target is None:
            follower.target = self.position
        if node not in self.nodes:
            self._join(follower)
        self._raise()

    def has(self, nodes: Iterable[str], position: int) -> set[str]:
        """Those of some nodes that are connected and have everything up to ``position``."""
        known = (self._followers.get(node) for node in nodes)
        return {each.node for each in known if each is not None and each.connected and each.acknowledged >= position}

    def leave(self, node: str) -> None:
        """The follower says that it is about to stop: nothing waits for it any more."""
        self._drop(self._followers[node])
        self._raise()

    def detach(self, node: str, now: float) -> None:
        """The connection is lost. Who was in sync stays so until its time is over."""
        follower = self._followers[node]
        follower.connected = False
        self.waiting.discard(node)
        if node not in self.nodes:
            del self._followers[node]
            self._raise()

    def expire(self, now: float, lag_max: float) -> list[str]:
        """Take out of the set who has not been caught up for ``lag_max`` seconds; gives those that were in it."""
        late = [each for each in self._followers.values() if each.counted and each.caught_up_at + lag_max <= now]
        if not late:
            return []
        dropped = [each.node for each in late if each.node in self.nodes]
        for follower in late:
            self._drop(follower)
        self._raise()
        return dropped

    def next_deadline(self, lag_max: float) -> float | None:
        """When `expire` has something to do, if nothing is heard until then."""
        times = [each.caught_up_at for each in self._followers.values() if each.counted]
        return min(times) + lag_max if times else None

    # -- questions ---------------------------------------------------------------------------------------------

    def size(self) -> int:
        """How many replicas are in sync, the leader included."""
        return len(self.nodes) + 1

    def reached(self, position: int) -> int:
        """How many connected followers have everything up to ``position`` (WAIT)."""
        return sum(each.connected and each.acknowledged >= position for each in self._followers.values())

    def synced(self, position: int) -> int:
        """How many connected followers have it on disk (WAITAOF)."""
        return sum(each.connected and each.synced >= position for each in self._followers.values())

    # -- inside ------------------------------------------------------------------------------------------------

    def _progress(self, follower: _Follower, position: int, synced: int, now: float) -> None:
        if position > self.position:
            raise ValueError(f"node {follower.node} has position {position}, but nothing behind {self.position} exists")
        follower.acknowledged = max(follower.acknowledged, position)
        follower.synced = max(follower.synced, min(synced, position))
        follower.caught_up_at = max(follower.caught_up_at, self._caught_up_at(follower.acknowledged, now))
        if follower.node in self.nodes and follower.acknowledged < self.high_watermark:
            self._drop(follower)

    def _caught_up_at(self, position: int, now: float) -> float:
        """The latest time known such that everything written before it lies below ``position``."""
        if position == self.position:
            return now
        behind = bisect_right(self._marks, position, key=lambda mark: mark[0])
        return self._marks[behind - 1][1] if behind else NEVER

    def _may_join(self, node: str) -> bool:
        return self.eligible is None or node in self.eligible

    def _join(self, follower: _Follower) -> None:
        """Let a follower in that has what it takes."""
        node, caught_up = follower.node, follower.caught_up
        if not self._may_join(node):
            (self.waiting.add if caught_up else self.waiting.discard)(node)
            return
        follower.counted = caught_up
        if caught_up and follower.acknowledged >= self.high_watermark:
            self._change(self.nodes | {node})

    def _drop(self, follower: _Follower) -> None:
        follower.counted = False
        follower.target = None
        if follower.node in self.nodes:
            self._change(self.nodes - {follower.node})
        if not follower.connected:
            del self._followers[follower.node]

    def _change(self, nodes: frozenset[str]) -> None:
        self.nodes = nodes
        self.changed = True

    def _raise(self) -> None:
        """Move the high watermark to where it may be by now."""
        if len(self.nodes) + 1 < self._minimum:
            return
        least = self.local
        for each in self._followers.values():
            if each.counted and each.acknowledged < least:
                least = each.acknowledged
        if least > self.high_watermark:
            self.high_watermark = least

    def check(self) -> None:
        """Assert what must be true at any time."""
        assert self.high_watermark <= self.local <= self.position
        for node in self.nodes:
            follower = self._followers[node]
            assert follower.counted
            assert follower.acknowledged >= self.high_watermark or not follower.acknowledged
        assert all(each.connected or each.node in self.nodes for each in self._followers.values())
        assert all(self._may_join(each.node) for each in self._followers.values() if each.counted)
        assert self._marks == sorted(self._marks)
        assert len(self._marks) <= MARKS_MAX
