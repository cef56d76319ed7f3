"""Who takes part: one change at a time, what it needs, and what it reads back as."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.replication.campaign import Candidacy, Verdict
from respbroker.replication.membership import LEARNERS_MAX, Member, Membership
from respbroker.replication.messages import membership_words, parse_membership
from respbroker.replication.words import BadMessage

A, B, C, D = (Member(letter * 16, f"10.0.0.{number}", 6379) for number, letter in enumerate("abcd"))
THREE = Membership(4, 1, [A, B, C])
NEW_B = D._replace(host=B.host)


def names(members: tuple[Member, ...] | None) -> set[str]:
    return {each.node for each in members or ()}


def test_one_that_comes_does_not_count_before_it_is_agreed_to():
    change = THREE.propose_joining(D)
    assert (change.version, change.comes, change.goes) == ((4, 2), D, None)
    assert change.stay == names((A, B, C))
    assert change.agree().stay == names((A, B, C, D))
    assert change.agree().known > change.known > THREE.known


def test_one_at_the_address_of_a_member_that_is_away_takes_its_place():
    change = THREE.propose_joining(NEW_B, [B.node, C.node])
    assert (change.comes, change.goes) == (NEW_B, B)
    assert change.stay == names((A, C))
    assert names(change.agree().members) == names((A, C, D))


def test_one_at_the_address_of_a_member_that_is_there_is_one_more():
    assert THREE.propose_joining(NEW_B, [C.node]).goes is None


@pytest.mark.parametrize(
    ("change", "minimum", "agreeing", "missing"),
    [
        (THREE.propose_joining(D), 1, [A], 0),
        (THREE.propose_joining(D), 2, [A], 1),
        (THREE.propose_joining(D), 2, [A, D], 1),
        (THREE.propose_joining(D), 2, [A, C], 0),
        (THREE.propose_joining(D), 3, [A, C], 1),
        (THREE.propose_joining(D), 4, [A, B, C], 0),  # never so many were there that a write could be acknowledged
        (THREE.propose_joining(NEW_B, [B.node]), 2, [A, B], 1),
        (THREE.propose_joining(NEW_B, [B.node]), 2, [A, C], 0),
        (THREE.propose_joining(NEW_B, [B.node]), 3, [A, C, D], 1),  # B may lead alone
        (THREE.propose_leaving(B.node), 2, [A, C], 0),
        (THREE.propose_leaving(B.node), 3, [A, C], 1),
        (Membership(1, 1, [A]).propose_joining(B), 2, [A], 0),
    ],
)
def test_a_change_needs_as_many_of_those_who_stay_as_a_write(change, minimum, agreeing, missing):
    assert change.missing([each.node for each in agreeing], minimum) == missing


def test_a_candidate_needs_votes_of_the_list_before_a_change_and_of_that_after_it():
    assert THREE.lists == (names((A, B, C)),)
    assert THREE.propose_leaving(C.node).lists == (names((A, B, C)), names((A, B)))


def test_a_leader_begins_with_the_lists_that_it_found():
    change = THREE.propose_joining(D).begin(7, A)
    assert (change.version, change.comes) == ((7, 1), D)
    assert change.known > THREE.propose_joining(D).agree().known


def test_a_change_that_a_leader_made_may_be_taken_back_and_one_that_it_found_not():
    change = THREE.propose_joining(D)
    assert change.may_withdraw
    assert (change.withdraw().version, change.withdraw().members) == ((4, 3), THREE.members)
    assert change.withdraw().learners == (D,)
    assert not change.begin(7, A).may_withdraw


def test_who_leads_alone_is_the_only_member():
    assert Membership().begin(1, A) == Membership(1, 1, [A])


def test_one_that_is_not_known_is_a_learner_and_takes_the_place_of_an_earlier_one_at_its_address():
    later = THREE.locate(D).locate(NEW_B).locate(Member("e" * 16, *NEW_B[1:]))
    assert names(later.learners) == {D.node, "e" * 16} - {D.node}
    assert later.members == THREE.members


def test_of_strangers_that_never_stay_only_the_last_are_remembered():
    membership = THREE
    for number in range(3 * LEARNERS_MAX):
        membership = membership.locate(Member(f"{number:016x}", "10.0.1.1", 1000 + number))
    assert [each.port for each in membership.learners] == [1000 + 2 * LEARNERS_MAX + n for n in range(LEARNERS_MAX)]
    assert membership.members == THREE.members


def test_one_that_has_moved_is_found_where_it_is_in_both_lists():
    moved = C._replace(host="10.0.0.99")
    change = THREE.propose_leaving(B.node).locate(moved)
    assert change.find(C.node) == moved
    assert moved in change.members
    assert moved in (change.proposed or ())


def members(*, at_most: int = 6) -> st.SearchStrategy[list[Member]]:
    member = st.builds(
        Member, st.text("0123456789abcdef", min_size=16, max_size=16), st.text("abc.:", max_size=5),
        st.integers(0, 65535),
    )  # fmt: skip
    return st.lists(member, max_size=at_most, unique_by=lambda each: each.node)


@st.composite
def memberships(draw: st.DrawFn) -> Membership:
    everybody = draw(members())
    count = draw(st.integers(0, len(everybody)))
    epoch, number = draw(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**40)))
    found = Membership(epoch, number, everybody[:count], None, everybody[count:])
    if count and draw(st.booleans()):
        found = found.propose_leaving(draw(st.sampled_from(everybody[:count])).node)
    elif count < len(everybody) and draw(st.booleans()):
        found = found.propose_joining(everybody[-1], names(found.members))
    return found


def as_sets(membership: Membership) -> tuple[object, ...]:
    lists = membership.members, membership.proposed, membership.learners
    return (*membership.version, *(None if each is None else set(each) for each in lists))


@given(memberships())
def test_a_list_reads_back_from_the_disk_and_from_the_wire(membership):
    assert as_sets(Membership.load(membership.dump())) == as_sets(membership)
    there = parse_membership(membership_words(membership), "here")
    assert {each._replace(host=each.host or "here") for each in membership.everybody} == set(there.everybody)
    assert (there.known, there.lists) == (membership.known, membership.lists)


@given(memberships(), st.booleans(), st.text(max_size=30), st.integers(0, 2**32 - 1))
def test_an_answer_to_a_candidacy_reads_back(membership, granted, reason, promised):
    verdict = Verdict(granted, reason, promised, A.node)
    assert Verdict.parse(verdict.words(), "") == verdict
    told = Verdict.parse(Verdict(granted, reason, promised, A.node, membership).words(), "there")
    assert told.membership is not None
    assert told.membership.known == membership.known


def test_a_candidacy_tells_which_list_its_votes_are_counted_by():
    candidacy = Candidacy("0" * 40, 7, A.node, "10.0.0.0", 6379, 5, (5, 3, False), {0: 9, 1: 2})
    assert Candidacy.parse(candidacy.words()[2:]) == candidacy


@pytest.mark.parametrize(
    "answer", [[], None, [b"1", b"", b"x", b"a" * 16], [b"1", b"", b"3"], [b"1", b"", b"3", b"me"]]
)
def test_an_answer_that_is_none_is_refused(answer):
    with pytest.raises(BadMessage):
        Verdict.parse(answer, "")
