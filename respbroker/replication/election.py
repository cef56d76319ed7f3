"""When a node may lead: votes asked, votes given. Pure.

With ``min.insync.replicas`` of m, an acknowledged write is on m of the N nodes at least. Any N - m + 1 of them include
one of those, and no node agrees to a candidate that lacks what it has. So who has so many votes, its own included,
lacks nothing that was acknowledged. Whoever agreed acknowledges to no older epoch any more, nor to another leader of
the same one, so m nodes never acknowledge behind the back of one elected.

N - m + 1 need not be a majority: with two nodes and m = 2 each has everything and may lead alone. Two may even be
elected in one epoch, but then neither finds m nodes that acknowledge, so that epoch has nothing to lose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs


@attrs.frozen
class Reach:
    """What a node has.

    ``epoch`` is the last one in which it led or was *level*. That is not the epoch of its newest record: a node that
    began to catch up with a new leader has some records of its epoch, and lacks others that the leader had before.
    ``ends`` are the end offsets of all logs that count, 0 being the catalog.
    """

    epoch: int
    catalog_end: int
    ends: Mapping[int, int]

    @classmethod
    def incomplete(cls, epoch: int) -> Reach:
        """Of a voter that lacks what it may have acknowledged once, and follows in ``epoch`` to get it back.

        Who was level in that epoch or a later one has it, and of others it cannot be known. Such a node must not be a
        candidate.
        """
        return cls(epoch, 0, {})


def has_all(candidate: Reach, voter: Reach) -> bool:
    """Whether the candidate has everything that was acknowledged with the voter's help.

    The leader of a later epoch had all that was acknowledged before, and so has who was level with it. Within an epoch
    both hold a beginning of one order of ticks (a node that is behind again may hold more of single logs), so it is
    enough that no log of the voter is longer. A log that the candidate lacks was dropped if its catalog has gone on:
    who lacks a log that its catalog names must not be a candidate.
    """
    if candidate.epoch != voter.epoch:
        return candidate.epoch > voter.epoch
    return not lacks(candidate, voter)


def lacks(candidate: Reach, voter: Reach) -> str:
    """The first thing of the voter that a candidate of the same epoch lacks, in words; empty if there is none."""
    if candidate.catalog_end < voter.catalog_end:
        return f"the catalog up to {voter.catalog_end}, it ends at {candidate.catalog_end}"
    for number, end in voter.ends.items():
        have = candidate.ends.get(number)
        if have is None and candidate.catalog_end == voter.catalog_end:
            return f"log {number}"
        if have is not None and have < end:
            return f"log {number} up to {end}, it ends at {have}"
    return ""


def vote(promised: int, current: Reach, asked_epoch: int, candidate: Reach) -> tuple[bool, str]:
    """Whether to agree that ``candidate`` leads in ``asked_epoch``, and if not, why.

    Who agrees remembers on disk what it promised and to whom before it answers; so does a candidate before it asks.
    """
    newest = max(promised, current.epoch)
    if asked_epoch <= newest:
        return False, f"epoch {newest} is known or promised here"
    if candidate.epoch < current.epoch:
        return False, f"the candidate was last level in epoch {candidate.epoch}, this node in epoch {current.epoch}"
    if not has_all(candidate, current):
        return False, f"the candidate lacks {lacks(candidate, current)}"
    return True, ""


def may_follow(promised: int, promised_to: str, epoch: int, leader: str) -> bool:
    """Whether a node may acknowledge anything to ``leader`` in ``epoch``. Beginning to is a promise as well."""
    return epoch > promised or (epoch == promised and leader == promised_to)


def needed(members: frozenset[str], minimum: int) -> int:
    """How many of a list must agree. With a minimum of 1, no other node need have anything."""
    return max(1, len(members) - minimum + 1) if minimum > 1 else 1


def _lists(lists: Iterable[Iterable[str]]) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(each) for each in lists)


@attrs.define(eq=False)
class Ballot:
    """The votes for one promotion. Enough of each list of members must agree: there are two of them while a change is
    proposed. A candidate that is not in all of them may lead only where it needs nobody (a minimum of 1).
    """

    lists: tuple[frozenset[str], ...] = attrs.field(converter=_lists)
    minimum: int  #: ``min.insync.replicas``
    own: str
    epoch: int
    agreed: set[str] = attrs.field(factory=set, init=False)
    refusals: dict[str, str] = attrs.field(factory=dict, init=False)  #: why, by node

    def __attrs_post_init__(self) -> None:
        self.agreed.add(self.own)

    @property
    def members(self) -> frozenset[str]:
        """Whoever has a vote."""
        return frozenset.union(*self.lists)

    def _lacks(self, voters: frozenset[str]) -> int:
        """How many must agree besides these, of the list that asks for most."""
        if self.minimum == 1:
            return 0
        if not self.may_stand:
            return len(self.members)
        return max(needed(each, self.minimum) - len(each & voters) for each in self.lists)

    @property
    def may_stand(self) -> bool:
        return all(self.own in each for each in self.lists)

    @property
    def missing(self) -> int:
        """How many more must agree, at least."""
        return max(0, self._lacks(frozenset(self.agreed)))

    def granted(self, node: str) -> None:
        """The node agrees, and that is for good."""
        if node in self.members:
            self.agreed.add(node)
            self.refusals.pop(node, None)

    def refused(self, node: str, reason: str) -> None:
        """The node does not agree, or cannot be asked."""
        if node in self.waiting_for:
            self.refusals[node] = reason

    @property
    def waiting_for(self) -> frozenset[str]:
        """Who has not answered."""
        return self.members - self.agreed - self.refusals.keys()

    @property
    def is_won(self) -> bool:
        return not self.missing

    @property
    def is_lost(self) -> bool:
        """Whether it cannot be won any more, whatever the others say."""
        return self._lacks(self.waiting_for | self.agreed) > 0
