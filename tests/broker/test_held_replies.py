"""Replies that wait for the high watermark, against what is promised: none too early, each client's in order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respbroker.broker.held_replies import HELD_MAX, HeldReplies
from respbroker.sessions.client import Client

CLIENTS = 4
clients = st.integers(0, CLIENTS - 1)
steps = st.integers(0, 3)


class Machine(RuleBasedStateMachine):
    """Replies are numbered, so that their order can be told; ``owed`` has number and need of what a client lacks."""

    def __init__(self):
        super().__init__()
        self.held = HeldReplies()
        self.clients = [Client(number) for number in range(CLIENTS)]
        self.owed: list[list[tuple[int, int]]] = [[] for _ in self.clients]
        self.count = 0
        self.position = 10
        self.watermark = 10

    def say(self, place: int, need: int) -> None:
        self.count += 1
        self.clients[place].out.append(b"%d" % self.count)
        self.owed[place].append((self.count, need))

    # -- what happens --------------------------------------------------------------------------------------------

    @rule(places=st.sets(clients, min_size=1), step=steps)
    def a_tick_writes_for_many(self, places, step):
        self.position += step
        for place in places:
            self.say(place, self.position)
        self.held.hold_group([self.clients[place] for place in places], self.position)

    @rule(place=clients, back=st.integers(0, 5))
    def one_reads(self, place, back):
        """What was changed last some time ago."""
        need = max(self.position - back, 0)
        if need > self.watermark or self.clients[place] in self.held:
            self.say(place, need)
            self.held.hold(self.clients[place], need)

    @rule(place=clients)
    def one_is_told_something_else(self, place):
        client = self.clients[place]
        if client in self.held:
            self.say(place, 0)
            client.out.pop()
            self.held.put_behind(client, b"%d" % self.count)

    @rule(place=clients)
    def one_is_sent_a_message(self, place):
        client = self.clients[place]
        if client in self.held:
            self.say(place, 0)
            assert client in self.held.spoken_to()
            self.held.hold(client, 0)

    @rule(step=steps)
    def the_watermark_rises(self, step):
        self.watermark = min(self.watermark + step, self.position)
        self.release()

    @rule(place=clients)
    def one_goes(self, place):
        self.held.forget(self.clients[place])
        assert self.clients[place] not in self.held
        self.clients[place], self.owed[place] = Client(place), []

    @rule()
    def all_needs_are_forgotten_and_learnt(self):
        self.held.change_needs(None, 1 << 60)
        assert not self.held.release(self.position)
        self.held.change_needs(1 << 60, self.position)
        self.owed = [[(number, self.position) for number, _ in each] for each in self.owed]

    @rule()
    def all_is_dropped(self):
        had = {place for place, owed in enumerate(self.owed) if owed}
        assert {client.id for client in self.held.drop_all()} == had
        self.owed = [[] for _ in self.clients]

    # -- what is promised ----------------------------------------------------------------------------------------

    def release(self) -> None:
        given = self.held.release(self.watermark)
        assert len(given) <= 2 * CLIENTS
        for place, client in enumerate(self.clients):
            out, client.out = client.out, []
            assert bool(out) == (client in given)
            for piece in out:
                number, need = self.owed[place].pop(0)
                assert piece == b"%d" % number  # in their order
                assert need <= self.watermark  # none too early
        if self.watermark == self.position:
            assert not any(self.owed)  # nor for ever

    @invariant()
    def it_is_known_who_waits(self):
        waiting = {place for place, owed in enumerate(self.owed) if owed}
        assert {place for place, client in enumerate(self.clients) if client in self.held} == waiting
        assert bool(self.held) == bool(waiting)
        assert not any(client.out for client in self.clients)


TestHeldReplies = Machine.TestCase
TestHeldReplies.settings = settings(max_examples=150, stateful_step_count=40)


def test_who_is_in_a_group_alone_is_told_as_soon_as_the_watermark_is_there() -> None:
    held, first, second = HeldReplies(), Client(1), Client(2)
    for client, need in ((first, 11), (second, 12)):
        client.out.append(b"+OK\r\n")
        held.hold_group([client], need)
    assert held.release(11) == [first]
    assert held.release(12) == [second]


def test_who_is_to_be_closed_gets_everything_at_once() -> None:
    held, client = HeldReplies(), Client(1)
    client.out.append(b"1")
    held.hold_group([client], 11)
    client.out.append(b"2")
    held.hold(client, 12)
    client.closing = True
    assert not held.release(11)
    assert held.release(12) == [client]
    assert client.out == [b"1", b"2"]


def test_nothing_more_is_read_from_one_who_has_too_much_waiting() -> None:
    held, client = HeldReplies(), Client(1)
    for number in range(HELD_MAX + 3):
        client.out.append(b"+OK\r\n")
        held.hold_group([client], number)
    assert client.awaiting
    assert held.release(HELD_MAX + 3) == [client]
    assert not client.awaiting
    assert client.out == [b"+OK\r\n"] * (HELD_MAX + 3)
