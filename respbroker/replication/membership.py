"""Who takes part, and how that changes: one server at a time, when as many know of it as a write needs. Pure.

With ``min.insync.replicas`` of W, what was acknowledged is on W of the N *members*, and N - W + 1 of them elect a
leader. Both are counted in one list, so who acknowledges must not go by another list than who votes. A change is
therefore *proposed* first. Until it is agreed to, only those count for an acknowledgement who *stay*, members before
and after it, and a candidate that knows of it needs enough votes of both lists. It is *agreed* to when min(W, N) of
those who stay have written it down, and have everything that was written before: from then on no candidate that has not
heard of it finds N - W + 1 voters who have not. docs/decisions/0023-members-change-by-a-quorum.md has the proof.

A *learner* follows and is no member yet: nothing rests on it. It is proposed when it has everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntFlag
from typing import Any, Final, NamedTuple

import attrs

from respbroker.replication.history import NODE, Unreadable


def address(host: str, port: int) -> str:
    """Where a server is, as people write it."""
    return f"{host}:{port}"


class Member(NamedTuple):
    """A node that takes part, and where it is found."""

    node: str
    host: str
    port: int

    @property
    def address(self) -> str:
        return address(self.host, self.port)


class Part(IntFlag):
    """In which of the lists a server is, on the wire and on the disk; 0: it is a learner."""

    AGREED = 1
    PROPOSED = 2
    BOTH = 3  #: also where nothing is proposed


#: Learners that are remembered; of more the one that came first is forgotten. Nothing rests on any.
LEARNERS_MAX: Final = 64

Row = tuple[str, str, int, int]  # node, host, port, part
_ROW_TYPES: Final = [str, str, int, int]


def are_members(rows: Iterable[Sequence[Any]]) -> bool:
    """Whether each is a node id with a host and a port."""
    return all([type(part) for part in row] == [str, str, int] and NODE.fullmatch(row[0]) for row in rows)


def _members(rows: Iterable[Iterable[Any]]) -> tuple[Member, ...]:
    return tuple(Member(*row) for row in rows)


def _nodes(members: Iterable[Member]) -> frozenset[str]:
    return frozenset(member.node for member in members)


@attrs.frozen
class Membership:
    """The list of members that a node knows, and the change of it under way. Change it by its methods alone.

    ``epoch`` and ``number`` tell which is newer: the leadership in which it was written, and how many changes that had
    made. A leader begins with what it knew as a list of its own epoch, so a follower takes whatever its leader sends.
    A node has promised the epoch of its list, or a later one.
    """

    epoch: int = 0
    number: int = 0
    members: tuple[Member, ...] = attrs.field(default=(), converter=_members)
    proposed: tuple[Member, ...] | None = attrs.field(
        default=None, converter=attrs.converters.optional(_members)
    )  #: the list after the change
    learners: tuple[Member, ...] = attrs.field(default=(), converter=_members)

    # -- questions ---------------------------------------------------------------------------------------------------

    @property
    def version(self) -> tuple[int, int]:
        """That of the newest list, agreed to or not."""
        return self.epoch, self.number

    @property
    def known(self) -> tuple[int, int, bool]:
        """How much a node knows that has this: of a later change is more, and that it is agreed to, too."""
        return self.epoch, self.number, self.proposed is None

    @property
    def lists(self) -> tuple[frozenset[str], ...]:
        """Each list that a candidate needs enough votes of."""
        return tuple(_nodes(each) for each in (self.members, self.proposed) if each is not None)

    @property
    def stay(self) -> frozenset[str]:
        """Those who count for acknowledgements: members before and after the change."""
        return frozenset.intersection(*self.lists)

    @property
    def goes(self) -> Member | None:
        """Who is taken out by the change under way, if anybody."""
        after = _nodes(self.proposed or ())
        return next((each for each in self.members if self.proposed is not None and each.node not in after), None)

    @property
    def comes(self) -> Member | None:
        """Who is taken in by it."""
        before = _nodes(self.members)
        return next((each for each in self.proposed or () if each.node not in before), None)

    def missing(self, agreeing: Iterable[str], minimum: int) -> int:
        """How many more of those who stay must have the change, and all that was written before it, for it to be
        agreed to. Who is to come or to go is not asked: one has nothing yet, the other may have forgotten what it had.
        """
        return max(0, min(minimum, len(self.members)) - len(self.stay.intersection(agreeing)))

    @property
    def everybody(self) -> tuple[Member, ...]:
        """Whoever is to be told of a new leader."""
        found: dict[str, Member] = {}
        for each in (*self.members, *(self.proposed or ()), *self.learners):
            found.setdefault(each.node, each)
        return tuple(found.values())

    def find(self, node: str) -> Member | None:
        """Where a server is, member or not."""
        return next((each for each in self.everybody if each.node == node), None)

    # -- changes: the leader's -----------------------------------------------------------------------------------------

    def begin(self, epoch: int, own: Member) -> Membership:
        """A node leads: the same lists are its own now. One that was no member is, for nobody else's word counts there
        (``min.insync.replicas`` 1), or nobody else has ever taken part.
        """
        begun = attrs.evolve(self, epoch=epoch, number=1, learners=_without(self.learners, own.node))
        proposed = None if self.proposed is None else _with(self.proposed, own)
        return attrs.evolve(begun, members=_with(self.members, own), proposed=proposed).locate(own)

    def propose_joining(self, member: Member, gone: Iterable[str] = ()) -> Membership:
        """A learner is to be a member. It takes the place of one at its address that is ``gone``."""
        away = set(gone)
        old = next(
            (each for each in self.members if each.node in away and each[1:] == member[1:]), None
        )  # one at a time: of others an operator decides
        stay = self.members if old is None else _without(self.members, old.node)
        changed = self._propose((*stay, member))
        return attrs.evolve(changed, learners=_without(self.learners, member.node))

    def propose_leaving(self, node: str) -> Membership:
        """A member is to be none any more."""
        return self._propose(_without(self.members, node))

    def _propose(self, members: tuple[Member, ...]) -> Membership:
        assert self.proposed is None, "one change at a time"
        assert members != self.members
        return attrs.evolve(self, number=self.number + 1, proposed=members)

    def agree(self) -> Membership:
        """Enough have the change: it takes effect."""
        assert self.proposed is not None
        return attrs.evolve(self, members=self.proposed, proposed=None)

    @property
    def may_withdraw(self) -> bool:
        """Whether the change under way is the leader's own: one that it found may have been agreed to before."""
        return self.proposed is not None and self.number > 1

    def withdraw(self) -> Membership:
        """The change is not made. That needs nobody's agreement: who knows of it as proposed asks both lists."""
        assert self.may_withdraw
        assert self.proposed is not None
        back = (self.comes,) if self.comes else ()
        return attrs.evolve(self, number=self.number + 1, proposed=None, learners=(*self.learners, *back))

    def locate(self, member: Member) -> Membership:
        """A server tells where it is; one that is not known is a learner from now on."""
        if self.find(member.node) is None:
            there = tuple(each for each in self.learners if each[1:] != member[1:])  # an earlier one, which is gone
            return attrs.evolve(self, learners=(*there, member)[-LEARNERS_MAX:])
        members, learners = (
            tuple(member if each.node == member.node else each for each in some)
            for some in (self.members, self.learners)
        )
        proposed = self.proposed and tuple(member if each.node == member.node else each for each in self.proposed)
        return attrs.evolve(self, members=members, proposed=proposed, learners=learners)

    def forget_learner(self, node: str) -> Membership:
        """Nobody is asked for that."""
        return attrs.evolve(self, learners=_without(self.learners, node))

    # -- as rows -------------------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Each server once, with the lists that it is in."""
        before = _nodes(self.members)
        after = before if self.proposed is None else _nodes(self.proposed)
        parts: Mapping[str, int] = {
            each.node: Part.AGREED * (each.node in before) + Part.PROPOSED * (each.node in after)
            for each in self.everybody
        }
        return [(*each, int(parts[each.node])) for each in self.everybody]

    @classmethod
    def of_rows(cls, epoch: int, number: int, rows: Iterable[Sequence[Any]]) -> Membership:
        """From what `rows` gave. Raises ValueError for anything else."""
        lists: dict[int, list[Member]] = {part: [] for part in range(4)}
        for row in rows:
            if [type(part) for part in row] != _ROW_TYPES or not NODE.fullmatch(row[0]) or row[3] not in lists:
                raise Unreadable("members must be node ids with a host, a port and the lists that each is in")
            lists[row[3]].append(Member(*row[:3]))
        learners, goes, comes, stay = lists.values()
        members = [*stay, *goes]
        if min(epoch, number) < 0 or len(goes) > 1 or len(comes) > 1:
            raise Unreadable("of members one at a time changes")
        return cls(epoch, number, members, [*stay, *comes] if goes or comes else None, learners)

    def dump(self) -> list[Any]:
        """As JSON has it."""
        return [self.epoch, self.number, self.rows()]

    @classmethod
    def load(cls, value: Sequence[Any]) -> Membership:
        """From what `dump` gave. Raises ValueError or TypeError for anything else."""
        epoch, number, rows = value
        if [type(epoch), type(number)] != [int, int]:
            raise ValueError("a list of members has an epoch and a number")
        return cls.of_rows(epoch, number, rows)


def _with(members: tuple[Member, ...], own: Member) -> tuple[Member, ...]:
    return members if own.node in _nodes(members) else (*members, own)


def _without(members: tuple[Member, ...], node: str) -> tuple[Member, ...]:
    return tuple(each for each in members if each.node != node)
