"""Who is in sync and what the high watermark is: coming in, staying, being late, coming back with less."""

from __future__ import annotations

import pytest

from respbroker.replication.in_sync import MARK_SECONDS, MARKS_MAX, InSync

A, B = "a" * 16, "b" * 16
LAG = 3.0


def leading(position: int = 0, high_watermark: int | None = None) -> InSync:
    """A leader at time 0 whose own log counts as soon as it is written."""
    leader = InSync(position, position if high_watermark is None else high_watermark, 0.0)
    leader.local_reached(position)
    return leader


def write(leader: InSync, position: int, now: float) -> None:
    leader.advance(position, now)
    leader.local_reached(position)


def with_members(*nodes: str, position: int = 0) -> InSync:
    """A leader whose followers have everything, at time 0."""
    leader = leading(position)
    for node in nodes:
        leader.attach(node, 0.0)
        leader.acknowledged(node, position, position, 0.0, level=True)
    assert leader.nodes == set(nodes)
    leader.changed = False
    return leader


# -- the high watermark -----------------------------------------------------------------------------------------


def test_without_followers_everything_of_the_leader_counts():
    leader = leading()
    write(leader, 100, 0.0)
    assert (leader.high_watermark, leader.size()) == (100, 1)


def test_what_the_leader_has_not_synced_does_not_count_while_it_waits_for_syncs():
    leader = with_members(A)
    leader.advance(100, 0.0)
    leader.acknowledged(A, 100, 0, 0.1, level=True)
    assert leader.high_watermark == 0
    leader.local_reached(60)
    assert leader.high_watermark == 60


def test_the_high_watermark_is_what_the_slowest_member_has():
    leader = with_members(A, B)
    write(leader, 100, 0.1)
    leader.acknowledged(A, 100, 0, 0.2, level=True)
    assert leader.high_watermark == 0
    leader.acknowledged(B, 40, 0, 0.2, level=True)
    assert leader.high_watermark == 40


def test_an_older_acknowledgement_takes_nothing_back():
    leader = with_members(A)
    write(leader, 100, 0.1)
    leader.acknowledged(A, 90, 90, 0.2, level=True)
    leader.acknowledged(A, 80, 80, 0.3, level=True)
    assert (leader.high_watermark, leader.reached(90), leader.synced(90)) == (90, 1, 1)


def test_with_fewer_in_sync_than_the_minimum_the_high_watermark_stays():
    leader = leading()
    leader.minimum = 2
    write(leader, 100, 0.0)
    assert leader.high_watermark == 0
    leader.attach(A, 0.1)
    leader.acknowledged(A, 100, 0, 0.2, level=True)
    assert leader.high_watermark == 100
    leader.detach(A, 0.3)
    write(leader, 200, 0.4)
    assert leader.expire(10.0, LAG) == [A]
    assert leader.high_watermark == 100
    leader.minimum = 1
    assert leader.high_watermark == 200


def test_a_position_that_was_never_written_is_refused():
    leader = with_members(A, position=100)
    with pytest.raises(ValueError, match="has position 101, but nothing behind 100 exists"):
        leader.acknowledged(A, 101, 0, 0.1, level=True)
    with pytest.raises(ValueError, match="nothing behind 100"):
        leader.resumed(A, 101, 0.1)
    assert (leader.high_watermark, leader.reached(101)) == (100, 0)


# -- coming in --------------------------------------------------------------------------------------------------


def test_a_follower_that_is_behind_is_not_in_sync_and_holds_nobody_up():
    leader = leading(1000)
    leader.attach(A, 0.0)
    leader.acknowledged(A, 0, 0, 0.1, level=False)
    leader.acknowledged(A, 500, 0, 0.2, level=False)
    write(leader, 1100, 0.3)
    assert (leader.nodes, leader.high_watermark, leader.changed) == (frozenset(), 1100, False)


def test_a_level_follower_joins_with_what_was_written_when_it_became_level():
    leader = leading(1000)
    leader.attach(A, 0.0)
    leader.acknowledged(A, 900, 0, 0.1, level=True)
    assert leader.size() == 1
    leader.acknowledged(A, 1000, 0, 0.2, level=True)
    assert (leader.nodes, leader.size(), leader.changed) == ({A}, 2, True)


def test_a_follower_that_falls_behind_before_it_joined_begins_again():
    leader = leading(1000)
    leader.attach(A, 0.0)
    leader.acknowledged(A, 900, 0, 0.1, level=True)
    write(leader, 2000, 0.2)
    leader.acknowledged(A, 1000, 0, 0.3, level=False)
    leader.acknowledged(A, 1500, 0, 0.4, level=True)
    assert leader.size() == 1
    leader.acknowledged(A, 2000, 0, 0.5, level=True)
    assert leader.nodes == {A}


def test_a_follower_that_is_always_slower_than_the_others_comes_in_under_steady_writes():
    """The high watermark waits for it once; else it would always have gone on by the time its answer is there."""
    leader = with_members(A)
    leader.attach(B, 0.0)
    for tick in range(1, 10):
        write(leader, tick * 10, tick / 10)
        leader.acknowledged(A, tick * 10, 0, tick / 10, level=True)
        leader.acknowledged(B, max(tick - 3, 0) * 10, 0, tick / 10, level=True)
    assert leader.nodes == {A, B}
    assert leader.high_watermark == 60
    leader.check()


def test_the_high_watermark_waits_no_longer_for_a_follower_about_to_join_than_for_a_member():
    leader = with_members(A)
    leader.attach(B, 0.0)
    write(leader, 10, 0.1)
    leader.acknowledged(B, 0, 0, 0.2, level=True)
    write(leader, 20, 0.3)
    leader.acknowledged(A, 20, 0, 0.4, level=True)
    leader.acknowledged(B, 10, 0, 0.5, level=True)
    write(leader, 30, 0.6)
    leader.acknowledged(A, 30, 0, 0.7, level=True)
    assert (leader.nodes, leader.high_watermark) == ({A}, 20)
    leader.acknowledged(A, 30, 0, 3.0, level=True)
    assert leader.next_deadline(LAG) == pytest.approx(3.3)
    assert leader.expire(3.3, LAG) == []
    assert leader.high_watermark == 30
    assert leader.next_deadline(LAG) == pytest.approx(6.0)


# -- being late -------------------------------------------------------------------------------------------------


def test_a_silent_member_of_an_idle_leader_leaves():
    leader = with_members(A, B)
    leader.acknowledged(B, 0, 0, 2.0, level=True)
    assert leader.next_deadline(LAG) == 3.0
    assert leader.expire(2.9, LAG) == []
    assert leader.expire(3.0, LAG) == [A]
    assert (leader.nodes, leader.changed, leader.next_deadline(LAG)) == ({B}, True, 5.0)


def test_when_a_member_that_hangs_has_left_the_high_watermark_goes_on():
    leader = with_members(A, B)
    write(leader, 100, 1.0)
    leader.acknowledged(A, 100, 0, 1.1, level=True)
    assert leader.high_watermark == 0
    assert leader.expire(4.0, LAG) == [B]
    assert leader.high_watermark == 100


def test_a_member_that_answers_but_never_catches_up_leaves():
    leader = with_members(A)
    for tenth in range(1, 50):
        write(leader, tenth * 100, tenth / 10)
        leader.acknowledged(A, tenth, 0, tenth / 10, level=True)
        if leader.expire(tenth / 10, LAG):
            break
    assert tenth == 31  # nothing was written before 0.1, and that it had


def test_a_member_that_is_always_a_little_behind_stays():
    leader = with_members(A)
    for tenth in range(1, 200):
        write(leader, tenth * 100, tenth / 10)
        leader.acknowledged(A, max(tenth - 5, 0) * 100, 0, tenth / 10, level=True)
        assert leader.expire(tenth / 10, LAG) == []


def test_a_member_that_left_joins_again_when_it_has_caught_up():
    leader = with_members(A)
    write(leader, 100, 1.0)
    assert leader.expire(5.0, LAG) == [A]
    assert leader.high_watermark == 100
    leader.acknowledged(A, 50, 0, 6.0, level=True)
    assert leader.size() == 1
    leader.acknowledged(A, 100, 0, 6.1, level=True)
    assert leader.nodes == {A}


def test_a_late_member_is_known_to_within_the_distance_of_two_marks():
    leader = with_members(A)
    for step in range(1, 500):
        write(leader, step, step / 100)
    leader.acknowledged(A, 298, 0, 4.99, level=True)  # everything written before 2.99
    assert leader.expire(2.99 + LAG - MARK_SECONDS - 0.001, LAG) == []
    assert leader.expire(2.99 + LAG, LAG) == [A]


def test_marks_are_bounded_and_still_tell_who_was_caught_up_long_ago():
    leader = with_members(A)
    steps = MARKS_MAX * 5
    for step in range(1, steps + 1):
        write(leader, step, step * MARK_SECONDS * 1.01)
    leader.check()
    end = steps * MARK_SECONDS * 1.01
    leader.acknowledged(A, steps // 5, 0, end, level=True)
    caught_up = end - end * 4 / 5
    assert leader.expire(caught_up + 9.0, 10.0) == []  # exact to within the distance of the marks left
    assert leader.expire(caught_up + 10.1, 10.0) == [A]


# -- going and coming back --------------------------------------------------------------------------------------


def test_a_member_whose_connection_is_lost_stays_until_its_time_is_over():
    leader = with_members(A)
    leader.detach(A, 1.0)
    write(leader, 100, 1.5)
    assert (leader.nodes, leader.high_watermark, leader.reached(0)) == ({A}, 0, 0)
    assert leader.expire(3.0, LAG) == [A]
    assert (leader.high_watermark, leader.next_deadline(LAG)) == (100, None)


def test_a_member_that_resumes_in_time_never_left():
    leader = with_members(A, position=50)
    leader.detach(A, 1.0)
    leader.attach(A, 2.0)
    leader.resumed(A, 50, 2.0)
    assert (leader.nodes, leader.changed, leader.reached(50)) == ({A}, False, 1)
    assert leader.expire(4.9, LAG) == []


def test_a_new_session_alone_proves_nothing():
    """A follower that connects again and again, and never says what it has, is out when its time is over."""
    leader = with_members(A, position=50)
    write(leader, 100, 0.5)
    for now in (1.0, 2.0):
        leader.detach(A, now)
        leader.attach(A, now)
        assert leader.reached(1) == 0
    assert leader.expire(2.9, LAG) == []
    assert leader.expire(3.0, LAG) == [A]


@pytest.mark.parametrize("says", ["at once", "by an acknowledgement"])
def test_a_member_that_comes_back_with_less_than_the_high_watermark_leaves_at_once(says):
    leader = with_members(A, position=50)
    leader.detach(A, 1.0)
    leader.attach(A, 2.0)
    if says == "at once":
        leader.resumed(A, 40, 2.0)
    else:
        leader.acknowledged(A, 40, 40, 2.0, level=True)
    assert (leader.nodes, leader.changed, leader.high_watermark) == (frozenset(), True, 50)
    leader.acknowledged(A, 50, 50, 2.1, level=True)
    assert leader.nodes == {A}


def test_the_high_watermark_waits_for_a_member_that_has_come_back_and_not_said_what_it_has():
    leader = with_members(A)
    write(leader, 100, 0.1)
    leader.detach(A, 0.2)
    leader.attach(A, 0.3)
    assert leader.high_watermark == 0
    leader.resumed(A, 70, 0.4)
    assert leader.high_watermark == 70


def test_members_of_the_last_leadership_count_until_their_time_is_over():
    leader = InSync(100, 60, 10.0)
    leader.expect([A, B], 10.0)
    leader.local_reached(100)
    assert (leader.size(), leader.high_watermark, leader.next_deadline(LAG)) == (3, 60, 13.0)
    leader.attach(A, 11.0)
    leader.resumed(A, 90, 11.0)
    assert leader.high_watermark == 60
    assert leader.expire(13.0, LAG) == [A, B]
    assert leader.high_watermark == 100


def test_wait_counts_connected_followers_whether_in_sync_or_not():
    leader = with_members(A, position=50)
    leader.attach(B, 1.0)
    leader.acknowledged(B, 40, 30, 1.0, level=False)
    assert [leader.reached(position) for position in (30, 40, 41, 50)] == [2, 2, 1, 1]
    assert [leader.synced(position) for position in (30, 31, 50, 51)] == [2, 1, 1, 0]
    leader.detach(A, 1.0)
    assert leader.reached(40) == 1
