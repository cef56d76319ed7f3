"""The pending entries list against a dictionary of entries."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from respbroker.streams.pending import COUNT_MAX, PendingEntries

CONSUMERS = [b"anna", b"bert", b"carl"]

consumers = st.sampled_from(CONSUMERS)
times = st.integers(0, 5)
counts = st.sampled_from([0, 1, 1, 2, COUNT_MAX])
# Small spaces, so that things meet, at the border of two blocks and far away.
ordinals = st.one_of(st.integers(0, 12), st.integers(1018, 1030), st.integers(5000, 5003))
widths = st.one_of(st.integers(1, 8), st.sampled_from([90, 1024, 1030]))


class PendingMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.pending = PendingEntries()
        self.model: dict[int, tuple[bytes | None, int, int]] = {}
        self.released: dict[int, bytes | None] = {}  # unowned, in order of release, and who had them

    def _own(self, ordinal: int, consumer: bytes, time_ms: int, count: int) -> None:
        self.released.pop(ordinal, None)
        self.model[ordinal] = (consumer, time_ms, count)

    def _gone(self, ordinal: int) -> bool:
        self.released.pop(ordinal, None)
        return self.model.pop(ordinal, None) is not None

    @initialize(by_age=st.booleans())
    def begin(self, by_age: bool) -> None:
        if by_age:  # the index is built at first use: here, while there is nothing
            assert list(self.pending.oldest_first(0)) == []

    @rule(
        first=ordinals,
        width=widths,
        consumer=consumers,
        time_ms=times,
        count=counts,
        holes=st.lists(ordinals, max_size=5),
    )
    def deliver(self, first: int, width: int, consumer: bytes, time_ms: int, count: int, holes: list[int]) -> None:
        self.pending.deliver(first, first + width, consumer, time_ms, count, holes)
        for ordinal in range(first, first + width):
            if ordinal not in holes:
                self._own(ordinal, consumer, time_ms, count)

    @rule(width=widths, consumer=consumers, time_ms=times)
    def read_next(self, width: int, consumer: bytes, time_ms: int) -> None:
        first = max(self.model, default=-1) + 1
        if first < 6000:
            self.deliver(first, width, consumer, time_ms, 1, [])

    @rule(chosen=st.lists(ordinals, max_size=6), consumer=consumers, time_ms=times, count=counts)
    def assign(self, chosen: list[int], consumer: bytes, time_ms: int, count: int) -> None:
        for ordinal in chosen:
            self.pending.deliver(ordinal, ordinal + 1, consumer, time_ms, count)
            self._own(ordinal, consumer, time_ms, count)

    @rule(ordinal=ordinals, count=counts)
    def release(self, ordinal: int, count: int) -> None:
        self.pending.release(ordinal, count)
        self.released.setdefault(ordinal, self.model[ordinal][0] if ordinal in self.model else None)
        self.model[ordinal] = (None, 0, count)

    @rule(chosen=st.lists(ordinals, max_size=12))
    def acknowledge(self, chosen: list[int]) -> None:
        assert self.pending.acknowledge(chosen) == sum(self._gone(ordinal) for ordinal in chosen)

    @rule(first=ordinals, width=widths)
    def acknowledge_range(self, first: int, width: int) -> None:
        removed = self.pending.acknowledge_range(first, first + width)
        assert removed == sum(self._gone(ordinal) for ordinal in range(first, first + width))

    @rule(consumer=consumers)
    def remove_consumer(self, consumer: bytes) -> None:
        mine = [ordinal for ordinal, (owner, _, _) in self.model.items() if owner == consumer]
        assert self.pending.remove_consumer(consumer) == len(mine)
        for ordinal in mine:
            del self.model[ordinal]

    @rule()
    def restart(self) -> None:
        loaded = PendingEntries.load(self.pending.dump())
        assert loaded == self.pending
        self.pending = loaded

    @rule(start=ordinals, width=widths, consumer=st.none() | consumers, limit=st.none() | st.integers(0, 5))
    def iterate(self, start: int, width: int, consumer: bytes | None, limit: int | None) -> None:
        for end in (None, start + width):
            expected = [
                (ordinal, *entry)
                for ordinal, entry in sorted(self.model.items(), key=lambda item: item[0])
                if ordinal >= start and (end is None or ordinal < end) and (consumer is None or entry[0] == consumer)
            ][:limit]
            assert list(self.pending.iterate(start, end, consumer, limit)) == expected

    @rule(bound=times)
    def oldest_first(self, bound: int) -> None:
        idle = sorted(
            (time_ms, ordinal)
            for ordinal, (owner, time_ms, _) in self.model.items()
            if owner is not None and time_ms <= bound
        )
        order = [*self.released, *(ordinal for _, ordinal in idle)]
        assert list(self.pending.oldest_first(bound)) == [(ordinal, *self.model[ordinal]) for ordinal in order]

    @rule()
    def oldest_time(self) -> None:
        expected = 0 if self.released else min((time_ms for _, time_ms, _ in self.model.values()), default=None)
        assert self.pending.oldest_time() == expected

    @rule(ordinal=ordinals)
    def get(self, ordinal: int) -> None:
        assert self.pending.get(ordinal) == self.model.get(ordinal)
        assert (ordinal in self.pending) == (ordinal in self.model)
        assert self.pending.former_owner(ordinal) == self.released.get(ordinal)

    @invariant()
    def agrees(self) -> None:
        self.pending.check()
        assert len(self.pending) == len(self.model)
        assert self.pending.lowest() == min(self.model, default=None)
        assert self.pending.highest() == max(self.model, default=None)
        assert self.pending.unowned_count == len(self.released)
        owners = [owner for owner, _, _ in self.model.values()]
        assert self.pending.counts() == [(name, owners.count(name)) for name in CONSUMERS if name in owners]
        assert [self.pending.count_of(name) for name in CONSUMERS] == [owners.count(name) for name in CONSUMERS]

    def teardown(self) -> None:
        assert list(self.pending.iterate()) == [(ordinal, *self.model[ordinal]) for ordinal in sorted(self.model)]
        assert self.pending.acknowledge_range(0, 1 << 40) == len(self.model)
        self.pending.check()


PendingMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
TestPendingMachine = PendingMachine.TestCase
