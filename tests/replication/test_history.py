"""Epochs and their leaders: what two nodes share, and the history as JSON and as a word on the wire."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respbroker.replication.history import EPOCH_MAX, KEPT_MAX, History, Leadership

A, B, C = "a" * 16, "b" * 16, "c" * 16


def history(*leaderships: tuple[int, str, int]) -> History:
    return History(Leadership(*each) for each in leaderships)


@st.composite
def histories(draw, start=()):
    epochs = draw(st.lists(st.integers(1, EPOCH_MAX // 2), unique=True, max_size=6))
    newest = max((each.epoch for each in start), default=0)
    rows = [(newest + epoch, draw(st.sampled_from([A, B, C])), draw(st.integers(0, 2**62))) for epoch in sorted(epochs)]
    return History([*start, *(Leadership(*row) for row in rows)])


@st.composite
def forks(draw):
    """A trunk, and two histories that went on from it without knowing of one another."""
    trunk = draw(histories())
    return trunk, draw(histories(trunk.leaderships)), draw(histories(trunk.leaderships))


def test_a_history_begins_with_nothing_and_grows_by_leaderships():
    assert History().last is None
    assert History().next_epoch() == 1
    grown = History().begin(1, A, 0).begin(4, B, 700)
    assert grown == history((1, A, 0), (4, B, 700))
    assert grown.last == Leadership(4, B, 700)
    assert grown.next_epoch() == 5


def test_epochs_must_rise():
    with pytest.raises(ValueError, match="must rise"):
        history((3, A, 0)).begin(3, A, 10)


def test_the_oldest_are_forgotten_when_there_are_too_many():
    long = History(Leadership(epoch, A, epoch) for epoch in range(1, KEPT_MAX + 1))
    longer = long.begin(KEPT_MAX + 1, B, KEPT_MAX + 1)
    assert len(longer.leaderships) == KEPT_MAX
    assert longer.leaderships[0].epoch == 2
    assert longer.common(long) == KEPT_MAX


def test_an_epoch_that_two_nodes_took_by_themselves_is_not_common():
    """Both were promoted by hand while they could not see each other."""
    one = history((1, A, 0), (2, B, 500))
    other = history((1, A, 0), (2, C, 500))
    assert one.common(other) == 1


def test_the_same_leader_with_another_beginning_is_another_leadership():
    """A leader that was set back to an old state takes an epoch a second time."""
    assert history((1, A, 0), (2, A, 500)).common(history((1, A, 0), (2, A, 400))) == 1


def test_strangers_have_no_epoch_in_common():
    assert history((1, A, 0)).common(history((1, B, 0), (2, A, 0))) == 0
    assert history((1, A, 0)).common(History()) == 0


@given(forks())
def test_what_is_common_is_at_least_the_trunk_and_the_same_from_both_sides(fork):
    trunk, one, other = fork
    common = one.common(other)
    assert common == other.common(one)
    assert common >= (trunk.last.epoch if trunk.last else 0)
    shared = [each for each in one.leaderships if each.epoch == common]
    assert all(each in other.leaderships for each in shared)


def test_an_epoch_ends_where_the_next_one_begins():
    told = history((2, A, 0), (5, B, 700), (6, A, 900))
    assert [told.end_of(epoch) for epoch in (1, 2, 3, 5, 6, 7)] == [0, 700, 700, 900, None, None]


@given(histories())
def test_a_history_reads_back_from_json_and_from_the_wire(told):
    assert History.load(json.loads(json.dumps(told.dump()))) == told
    assert History.parse(told.format()) == told


def test_a_history_on_the_wire_is_one_word():
    assert history((1, A, 0), (4, B, 700)).format() == b"1:aaaaaaaaaaaaaaaa:0,4:bbbbbbbbbbbbbbbb:700"
    assert History().format() == b"-"


@pytest.mark.parametrize(
    "word",
    [
        *(b"", b",", b"-,-", b"1:aaaaaaaaaaaaaaaa", b"0:aaaaaaaaaaaaaaaa:0", b"01:aaaaaaaaaaaaaaaa:0"),
        *(b"1:aaaaaaaaaaaaaaaa:-1", b"1:AAAAAAAAAAAAAAAA:0", b"1:aaaaaaaaaaaaaaa:0", b"1:aaaaaaaaaaaaaaaa:0,"),
        *(
            b"1:aaaaaaaaaaaaaaaa:0\n",
            b"2:aaaaaaaaaaaaaaaa:0,1:aaaaaaaaaaaaaaaa:0",
            b"99999999999999999999:" + b"a" * 18,
            b"4294967296:aaaaaaaaaaaaaaaa:0",
        ),
        b",".join(b"%d:aaaaaaaaaaaaaaaa:0" % epoch for epoch in range(1, KEPT_MAX + 2)),
    ],
)
def test_a_word_that_is_no_history_is_refused(word):
    with pytest.raises(ValueError, match=r"history of epochs|must rise|must be <="):
        History.parse(word)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_history_or_refused(word):
    try:
        told = History.parse(word)
    except ValueError:
        return
    assert told.format() == word


@pytest.mark.parametrize(
    "rows", [[[1, A]], [[1, A, 0, 0]], [["1", A, 0]], [[1, A, True]], [[1, "x", 0]], [[0, A, 0]], [[2**32, A, 0]]]
)
def test_json_that_is_no_history_is_refused(rows):
    with pytest.raises(ValueError, match=r"a leadership is|must match regex|must be [<>]="):
        History.load(rows)


def test_two_histories_share_an_order_up_to_the_first_leadership_that_only_one_of_them_has():
    common = History().begin(1, A, 0)
    assert common.shared_end(common) is None
    assert common.shared_end(common.begin(2, B, 70)) == 70
    assert common.begin(2, B, 70).shared_end(common.begin(3, A, 50)) == 50
    assert common.begin(2, B, 40).shared_end(common.begin(3, A, 50)) == 40
    assert History().begin(1, B, 0).shared_end(common) == 0
