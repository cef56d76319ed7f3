"""Blocked readers against a naive scan of a list."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respbroker.streams.waiters import Waiter, Waiters

CLIENTS = list(range(6))
KEYS = [(0, b"a"), (0, b"b"), (1, b"a")]
moments = st.none() | st.sampled_from([1.0, 2.0, 2.5, 3.0])


class WaitersMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.waiters = Waiters()
        self.model: list[Waiter] = []
        self.now = 0.0

    def _of(self, client: int) -> Waiter | None:
        return next((waiter for waiter in self.model if waiter.client == client), None)

    @rule(
        client=st.sampled_from(CLIENTS), keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=4), deadline=moments
    )
    def block(self, client: int, keys: list[tuple[int, bytes]], deadline: float | None) -> None:
        if self._of(client) is None:
            waiter = Waiter(client, keys, "request", None if deadline is None else self.now + deadline)
            self.waiters.add(waiter)
            self.model.append(waiter)

    @rule(client=st.sampled_from(CLIENTS))
    def leave(self, client: int) -> None:
        waiter = self._of(client)
        assert self.waiters.of_client(client) is waiter
        if waiter is not None:
            assert self.waiters.remove(waiter)
            assert not self.waiters.remove(waiter)
            self.model.remove(waiter)

    @rule(client=st.sampled_from(CLIENTS), when=moments)
    def set_retry(self, client: int, when: float | None) -> None:
        waiter = self._of(client)
        if waiter is not None:
            self.waiters.set_retry(waiter, None if when is None else self.now + when)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0]), answers=st.booleans())
    def pass_time(self, seconds: float, answers: bool) -> None:
        self.now += seconds
        due = [w for w in self.model if w.deadline is not None and w.deadline <= self.now]
        due.sort(key=lambda waiter: (waiter.deadline, waiter.number))
        assert self.waiters.due(self.now) == due
        if answers:
            for waiter in due:
                self.waiters.remove(waiter)
                self.model.remove(waiter)
        retries = [w for w in self.model if w.retry_at is not None and w.retry_at <= self.now]
        retries.sort(key=lambda waiter: (waiter.retry_at, waiter.number))
        assert self.waiters.due_retries(self.now) == retries
        assert self.waiters.due_retries(self.now) == []

    @invariant()
    def agrees(self) -> None:
        self.waiters.check()
        assert len(self.waiters) == len(self.model)
        assert self.waiters.in_order() == self.model
        for db, key in KEYS:
            waiting = [waiter for waiter in self.model if (db, key) in waiter.keys]
            assert self.waiters.for_key(db, key) == waiting
            assert self.waiters.has_key(db, key) == bool(waiting)
        times = [time for w in self.model for time in (w.deadline, w.retry_at) if time is not None]
        assert self.waiters.next_deadline() == min(times, default=None)


WaitersMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestWaitersMachine = WaitersMachine.TestCase


def test_nothing_is_left_of_ten_thousand_clients_that_went() -> None:
    waiters = Waiters()
    all_of_them = [Waiter(client, [(0, b"k%d" % (client % 100)), (0, b"all")], None, 5.0) for client in range(10_000)]
    for waiter in all_of_them:
        waiters.add(waiter)
        waiters.set_retry(waiter, 1.0)
    assert waiters.for_key(0, b"all") == all_of_them
    assert len(waiters.for_key(0, b"k7")) == 100
    for waiter in reversed(all_of_them):
        assert waiters.remove(waiter)
    waiters.check()
    assert not waiters
    assert waiters.keys() == []
    assert waiters.next_deadline() is None


def test_a_client_that_blocks_again_goes_to_the_end_of_the_line() -> None:
    waiters = Waiters()
    first, second = Waiter("first", [(0, b"k")], None), Waiter("second", [(0, b"k")], None)
    waiters.add(first)
    waiters.add(second)
    waiters.remove(first)
    waiters.add(first)
    assert waiters.for_key(0, b"k") == [second, first]


def test_an_old_deadline_of_a_waiter_that_came_back_does_not_count() -> None:
    waiters = Waiters()
    waiter, other = Waiter("c", [(0, b"k")], None, 1.0), Waiter("d", [(0, b"k")], None)
    waiters.add(other)
    waiters.add(waiter)
    waiters.remove(waiter)
    waiter.deadline = 9.0
    waiters.add(waiter)
    assert waiters.next_deadline() == 9.0
    assert waiters.due(5.0) == []
