"""What models of elections have in common: servers that act at random, as a seed says, and what clients were told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

from respbroker.replication.election import Ballot
from respbroker.replication.in_sync import InSync


def shared(one: list, other: list) -> int:
    """How many records two logs have in common from the start."""
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)


class Server:
    """One that follows in a ``session``, leads with ``sync``, or asks for votes with a ``ballot``."""

    promised: int
    promised_to: str
    session: Any
    sync: InSync | None
    ballot: Ballot | None
    followers: dict[str, Any]

    def promise(self, epoch: int, whom: str) -> None:
        """It has no part in anything else any more; what it acknowledged before is still under way."""
        self.promised, self.promised_to = epoch, whom
        self.session = self.sync = self.ballot = None
        self.followers = {}


class World:
    """``elected`` has, by epoch and name, what a leader began with; ``acknowledged`` what clients were told it had."""

    servers: list[Any]

    def __init__(self, seed: int, minimum: int) -> None:
        self.random = Random(seed)
        self.minimum = minimum
        self.tokens = count(1)
        self.now = 0.0
        self.elected: dict[tuple[int, str], Any] = {}
        self.acknowledged: dict[tuple[int, str], Any] = {}

    def act(self, acts: dict[Callable[[], None], int], steps: int) -> None:
        """So many of these acts, as often as their weights say."""
        for act in self.random.choices(list(acts), list(acts.values()), k=steps):
            act()

    def pick(self, which: Callable[[Any], object]) -> Any:
        """One of the servers of which that is true; None if there is none."""
        found = [each for each in self.servers if which(each)]
        return self.random.choice(found) if found else None

    def expire(self) -> None:
        leader = self.pick(lambda each: each.sync)
        if leader is not None:
            self.now += 1.0
            leader.sync.expire(self.now, 1.0)
            self.look(leader)

    def look(self, leader: Any) -> None:
        """Everything below the high watermark of a leader is told to clients, though others have been elected since."""
        raise NotImplementedError
