"""Votes: who has what the voter has, which epochs can be promised, when a ballot is won or lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.replication.election import Ballot, Reach, has_all, may_follow, vote

A, B, C = "a" * 16, "b" * 16, "c" * 16


def reach(epoch: int, catalog_end: int, **ends: int) -> Reach:
    """``reach(3, 10, log1=5)``."""
    return Reach(epoch, catalog_end, {0: catalog_end} | {int(name[3:]): end for name, end in ends.items()})


# -- who has all ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "voter", "verdict"),
    [
        (reach(3, 10, log1=5), reach(3, 10, log1=5), True),
        (reach(3, 10, log1=6), reach(3, 10, log1=5), True),
        (reach(3, 10, log1=5), reach(3, 10, log1=6), False),
        (reach(3, 11, log1=6), reach(3, 10, log1=5, log2=9), True),  # log 2 was dropped
        (reach(3, 10, log1=6), reach(3, 10, log1=5, log2=9), False),  # log 2 is new, and its name under way
        (reach(3, 10, log1=6, log2=1), reach(3, 10, log1=5), True),
        (reach(3, 9, log1=6), reach(3, 10, log1=5), False),
        (reach(4, 1), reach(3, 10, log1=5), True),
        (reach(3, 10, log1=5), reach(4, 1), False),
        (
            reach(3, 10, log1=9, log2=1),
            reach(3, 10, log1=5, log2=2),
            False,
        ),  # behind again: more of one, less of another
    ],
)
def test_a_candidate_has_all_if_nothing_of_the_voters_is_longer(candidate, voter, verdict):
    assert has_all(candidate, voter) is verdict


def test_a_vote_is_given_to_who_has_all_in_an_epoch_above_all_promised():
    assert vote(5, reach(3, 10), 6, reach(3, 10)) == (True, "")


@pytest.mark.parametrize(
    ("promised", "asked", "candidate", "reason"),
    [
        (6, 6, reach(3, 10, log1=5), "epoch 6 is known or promised here"),
        (7, 6, reach(3, 10, log1=5), "epoch 7 is known or promised here"),
        (0, 3, reach(3, 10, log1=5), "epoch 3 is known or promised here"),
        (0, 6, reach(2, 99, log1=99), "the candidate was last level in epoch 2, this node in epoch 3"),
        (0, 6, reach(3, 9, log1=5), "the candidate lacks the catalog up to 10, it ends at 9"),
        (0, 6, reach(3, 10, log1=4), "the candidate lacks log 1 up to 5, it ends at 4"),
        (0, 6, reach(3, 10), "the candidate lacks log 1"),
    ],
)
def test_a_vote_is_refused_with_the_reason(promised, asked, candidate, reason):
    assert vote(promised, reach(3, 10, log1=5), asked, candidate) == (False, reason)


def test_who_promised_an_epoch_follows_in_no_older_one_and_in_that_one_only_whom_it_promised():
    assert may_follow(5, B, 6, C)
    assert may_follow(5, B, 5, B)
    assert not may_follow(5, B, 5, C)
    assert not may_follow(5, B, 4, B)


# -- ballots ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "minimum", "needed"),
    [(1, 1, 1), (3, 1, 1), (2, 2, 1), (3, 2, 2), (3, 3, 1), (5, 2, 4), (5, 3, 3), (2, 3, 1)],
)
def test_so_many_must_agree_that_one_of_them_has_every_acknowledged_write(nodes, minimum, needed):
    members = [f"{number:016x}" for number in range(nodes)]
    assert Ballot([members], minimum, members[0], 1).missing == needed - 1


def test_a_ballot_is_won_when_enough_agree():
    ballot = Ballot([[A, B, C]], 2, A, 7)
    assert (ballot.is_won, ballot.is_lost, ballot.waiting_for) == (False, False, {B, C})
    ballot.refused(B, "no")
    assert (ballot.is_won, ballot.is_lost, ballot.waiting_for) == (False, False, {C})
    ballot.granted(C)
    assert (ballot.is_won, ballot.is_lost, ballot.waiting_for) == (True, False, set())
    assert ballot.refusals == {B: "no"}


def test_a_ballot_is_lost_when_too_few_are_left():
    ballot = Ballot([[A, B, C]], 2, A, 7)
    ballot.refused(B, "no")
    ballot.refused(C, "nobody answers")
    assert (ballot.is_won, ballot.is_lost) == (False, True)
    ballot.granted(C)  # it was slow, not gone
    assert (ballot.is_won, ballot.is_lost) == (True, False)


def test_who_agreed_cannot_take_it_back_and_strangers_have_no_say():
    ballot = Ballot([[A, B, C]], 2, A, 7)
    ballot.granted("d" * 16)
    ballot.granted(A)
    assert not ballot.is_won
    ballot.granted(B)
    ballot.refused(B, "the connection was lost")
    assert ballot.is_won


def test_with_a_minimum_of_one_a_node_leads_at_once():
    assert Ballot([[A, B, C]], 1, A, 7).is_won


@st.composite
def orders(draw):
    """A leader's order of ticks, as the ends of all logs behind each: entries, new logs, dropped logs."""
    ends, catalog, numbers = {0: 0}, 0, 0
    order = [(0, dict(ends))]
    for _ in range(draw(st.integers(0, 8))):
        act = draw(st.sampled_from(["write", "write", "make", "drop"]))
        logs = sorted(set(ends) - {0})
        if act == "make" or not logs:
            numbers += 1
            ends[numbers] = 1
            catalog += 1
        elif act == "drop":
            del ends[draw(st.sampled_from(logs))]
            catalog += 1
        else:
            ends[draw(st.sampled_from(logs))] += draw(st.integers(1, 3))
        ends[0] = catalog
        order.append((catalog, dict(ends)))
    return order


@given(data=st.data(), order=orders(), nodes=st.integers(1, 5), minimum=st.integers(2, 5))
def test_no_candidate_that_wins_lacks_an_acknowledged_position(data, order, nodes, minimum):
    """Followers hold beginnings of one order; any of them may be out of reach, the old leader too."""
    names = [f"{number:016x}" for number in range(nodes)]
    has = {name: data.draw(st.integers(0, len(order) - 1)) for name in names}
    acknowledged = sorted(has.values(), reverse=True)[minimum - 1] if minimum <= nodes else 0  # as much as can be
    candidate = data.draw(st.sampled_from(names))
    ballot = Ballot([names], minimum, candidate, 2)
    for voter in data.draw(st.lists(st.sampled_from(names), unique=True)):
        reaches = [Reach(1, *order[has[node]]) for node in (voter, candidate)]
        granted, reason = vote(1, reaches[0], 2, reaches[1])
        if granted:
            ballot.granted(voter)
        else:
            ballot.refused(voter, reason)
            assert has[voter] > has[candidate]
    if ballot.is_won:
        assert has[candidate] >= acknowledged
