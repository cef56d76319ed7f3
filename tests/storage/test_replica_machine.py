"""A log and one that follows it: through appends, crashes, changes of the leader, merges, cleanings and drops."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from storage import Log, NotABatchBorder, Outdated, RawReader
from tests.storage.replica_model import Node

payloads = st.lists(st.binary(max_size=90), max_size=9)
effects = st.lists(st.binary(max_size=40), max_size=3)
positions = st.floats(0, 1)
nodes = st.integers(0, 1)  # the leader, the follower
seeds = st.none() | st.integers(0, 1000)


class LeaderAndFollower(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.nodes = [Node(), Node()]
        self.epoch = 0
        self.now_ms = 0
        #: Where the follower reads on in the leader's log; None: it has not joined the leader.
        self.reader: RawReader | None = None
        #: Nothing was merged or cleaned, so the files must be the same.
        self.is_plain = True

    @property
    def leader(self) -> Node:
        return self.nodes[0]

    @property
    def follower(self) -> Node:
        return self.nodes[1]

    # On the leader.
    @rule(payloads=payloads, effects=effects, one=st.booleans())
    def append(self, payloads: list[bytes], effects: list[bytes], one: bool) -> None:
        self.now_ms += 1
        self.leader.append(payloads, effects, self.now_ms, one=one)

    @rule(count=st.integers(1, 30))
    def append_many(self, count: int) -> None:
        for i in range(count):
            self.append([b"entry %d" % i] * (i % 3), [b"effect %d" % i] * (i % 2), one=False)

    @rule(payloads=payloads, effects=effects, one=st.booleans())
    def append_live(self, payloads: list[bytes], effects: list[bytes], one: bool) -> None:
        """The follower gets what is written as it is written."""
        self.ship(1 << 20, 1000)

        def ship(log: Log, buffers: list[bytes]) -> None:
            raw = b"".join(buffers)
            self.follower.log.append_batches(raw, roll=log.segments.active.size == len(raw))

        self.leader.log.on_append = ship
        self.append(payloads, effects, one)
        self.leader.log.on_append = None
        self._follow()
        self._join()

    @rule()
    def append_and_take_back(self) -> None:
        end = self.leader.log.end_offset
        self.leader.log.append([1 << 60], [0], [b"taken back"], [b"effect"], now_ms=self.now_ms)
        self.leader.log.take_back()
        assert self.leader.log.end_offset == end
        self.leader.promised = min(self.leader.promised, end)

    @rule()
    def roll(self) -> None:
        self.leader.log.roll(self.now_ms)

    # On either.
    @rule(which=nodes, merges=st.booleans())
    def sync(self, which: int, merges: bool) -> None:
        self.nodes[which].sync()
        if merges:
            self.is_plain = False
            self.nodes[which].merge()

    @rule(which=nodes, drops=st.booleans(), position=positions)
    def snapshot(self, which: int, drops: bool, position: float) -> None:
        node = self.nodes[which]
        node.snapshot()
        if drops and not node.wanted:
            node.sync()
            node.log.drop_before(round(position * node.log.end_ordinal))

    @rule(which=nodes, step=st.integers(2, 9), bare=st.booleans())
    def clean(self, which: int, step: int, bare: bool) -> None:
        """Effects go too if there are two snapshots behind them."""
        self.is_plain = False
        node = self.nodes[which]
        if bare and which == 0:
            self.roll()
            for _ in range(2):
                self.append([b"entry"], [], one=True)
                self.snapshot(0, drops=False, position=0)
                node.sync()
        node.sync()
        node.sync()
        node.clean(lambda ordinal: ordinal % step != 0)

    @rule(which=nodes, how=st.sampled_from(("close", "kill", "power", "leader", "disk")), seed=seeds)
    def fail(self, which: int, how: str, seed: int | None) -> None:
        node = self.nodes[which]
        if how == "leader":
            if not self.follower.wanted:
                self._change_leader()
            return
        if how == "disk":
            self.nodes[1] = Node()
            self.reader = None
            return
        if how == "close":
            node.log.close()
        end = node.log.end_offset
        filesystem = node.filesystem
        node.crash(filesystem.powered_off(seed) if how == "power" else filesystem.killed())
        assert how == "power" or node.log.end_offset == end
        self._lose_reader(which)

    def _lose_reader(self, which: int) -> None:
        """A leader that begins anew begins an epoch."""
        self.reader = None
        if which == 0:
            self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.epoch += 1
        self.leader.history.append(self.epoch)

    # Following.
    def _change_leader(self) -> None:
        """The follower leads from now on, whatever it has."""
        self.reader = None
        self.nodes.reverse()
        self._begin_epoch()

    @precondition(lambda self: self.reader is None)
    @rule()
    def join(self) -> None:
        """Cut what the leader does not have."""
        leader, follower = self.leader, self.follower
        common = 0
        for ours, theirs in zip(follower.history, leader.history, strict=False):
            if ours != theirs:
                break
            common = ours
        end = min(follower.log.end_offset, follower.log.epoch_end(common), leader.log.epoch_end(common))
        follower.history = list(leader.history)
        parted_before = leader.log.origin.last_epoch > common  # what the leader has dropped was not all the same
        if parted_before or end < leader.log.start_offset or not follower.cut(end):
            self._copy()
        assert follower.records == leader.records[: len(follower.records)]
        self._join()

    def _join(self) -> None:
        """Find where to read on."""
        leader, follower = self.leader, self.follower
        if follower.log.end_offset < leader.log.start_offset:
            self._copy()
        try:
            self.reader = leader.log.raw_reader(follower.log.end_offset)
        except NotABatchBorder as border:
            if not follower.cut(border.restart_offset):
                self._copy()
            self._join()
            return
        if follower.log.end_offset < leader.log.replay_floor:
            follower.wanted = leader.log.newest_snapshot()

    def _copy(self) -> None:
        self.follower.become_copy_of(self.leader)
        self.follower.wanted = self.leader.log.newest_snapshot()
        self._follow()

    @rule(bytes_max=st.integers(1, 2000), count=st.integers(1, 20))
    def ship(self, bytes_max: int, count: int) -> None:
        if self.reader is None:
            self.join()
        for _ in range(count):
            try:
                chunk = self.reader.read(bytes_max)
            except Outdated:
                self._join()
                continue
            if chunk is None:
                break
            assert chunk.base_offset == self.follower.log.end_offset
            found = self.follower.log.append_batches(chunk.raw, roll=chunk.begins_segment)
            assert chunk.end_offset == self.reader.offset == self.follower.log.end_offset
            for offset, append_ms, effect in found:
                assert self.leader.records[offset][1:] == (append_ms, None, effect)
            self._follow()

    def _follow(self) -> None:
        """What the follower's log has taken in counts."""
        follower = self.follower
        follower.records = self.leader.records[: follower.log.end_offset]
        follower.gone |= self.leader.gone
        follower.take_over()

    @invariant()
    def logs_hold_what_they_must(self) -> None:
        for node in self.nodes:
            node.check()

    @invariant()
    def files_are_the_same(self) -> None:
        leader, follower = self.leader.log, self.follower.log
        if not self.reader or not self.is_plain or leader.end_offset != follower.end_offset:
            return
        start = max(leader.start_offset, follower.start_offset)
        ours, theirs = (
            {path: raw for path, raw in node.segments().items() if path >= f"/log/{start:020}"} for node in self.nodes
        )
        assert ours == theirs


LeaderAndFollower.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
TestLeaderAndFollower = LeaderAndFollower.TestCase
