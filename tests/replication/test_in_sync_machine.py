"""The in-sync set against a dumb one that keeps all history: what followers truly have, and every answer they gave."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from respbroker.replication.in_sync import MARK_SECONDS, InSync

NODES = ["a" * 16, "b" * 16]
LAG = 3.0
nodes = st.sampled_from(NODES)
parts = st.sampled_from([1.0, 1.0, 0.5, 0.0])


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 100.0
        self.has = dict.fromkeys(NODES, 0)  # what each follower truly has
        self.connected: set[str] = set()
        self.acknowledged = dict.fromkeys(NODES, 0)  # in this session
        self.lost: set[str] = set()  # have lost bytes, and the leader cannot know yet
        self.answers: dict[str, list[tuple[float, int]]] = {node: [] for node in NODES}
        self.watermark = 0

    @initialize(position=st.integers(0, 50), visible=st.integers(0, 50), expected=st.sets(nodes))
    def begin(self, position, visible, expected):
        self.leader = InSync(position + visible, visible, self.now)
        self.leader.expect(expected, self.now)
        self.written = [(self.now, position + visible)]  # every moment at which something was written, and its end
        self.watermark = visible
        self.expected = dict.fromkeys(expected, self.now)
        for node in expected:
            self.has[node] = visible

    # -- what happens --------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 0.03, 0.1, 0.5, 2.9, 3.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.expire()

    @rule(count=st.integers(1, 20), synced=st.booleans())
    def write(self, count, synced):
        self.leader.advance(self.leader.position + count, self.now)
        if synced:
            self.sync(1.0)
        self.written.append((self.now, self.leader.position))

    @rule(part=parts)
    def sync(self, part):
        self.held_still(lambda: self.leader.local_reached(int(self.leader.position * part)))

    @rule(minimum=st.sampled_from([1, 1, 2, 3]))
    def require(self, minimum):
        self.held_still(lambda: setattr(self.leader, "minimum", minimum))

    @rule(node=nodes)
    def connect(self, node):
        if node in self.connected:
            self.disconnect(node)
        self.connected.add(node)
        self.acknowledged[node] = 0
        self.held_still(lambda: self.leader.attach(node, self.now))

    @rule(node=nodes)
    def disconnect(self, node):
        if node in self.connected:
            self.connected.remove(node)
            self.held_still(lambda: self.leader.detach(node, self.now))

    @rule(node=nodes, part=parts)
    def crash(self, node, part):
        """It comes back with less than it had, maybe."""
        self.disconnect(node)
        self.has[node] = int(self.has[node] * part)
        self.lost.add(node)

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def resume(self, data):
        node = data.draw(st.sampled_from(sorted(self.connected)))
        self.answer(node, lambda: self.leader.resumed(node, self.has[node], self.now))

    @precondition(lambda self: self.connected)
    @rule(data=st.data(), part=parts, level=st.sampled_from([True, True, False]))
    def acknowledge(self, data, part, level):
        node = data.draw(st.sampled_from(sorted(self.connected)))
        self.has[node] += int((self.leader.position - self.has[node]) * part)
        self.answer(node, lambda: self.leader.acknowledged(node, self.has[node], 0, self.now, level=level))

    def answer(self, node, tell):
        self.answers[node].append((self.now, self.has[node]))
        self.acknowledged[node] = self.has[node]
        self.lost.discard(node)
        size = self.leader.size()
        self.held_still(tell)
        if self.leader.size() > size:
            assert self.has[node] >= self.leader.high_watermark

    def expire(self):
        members = self.leader.nodes
        deadline = self.leader.next_deadline(LAG)
        dropped = self.leader.expire(self.now, LAG)
        assert deadline is None or deadline <= self.now or not dropped
        assert set(dropped) == members - self.leader.nodes
        for node in dropped:
            assert self.caught_up_at(node) <= self.now - LAG + MARK_SECONDS
        for node in self.leader.nodes:
            assert self.caught_up_at(node) > self.now - LAG

    def held_still(self, act):
        """Do it; with too few in sync before and after, the high watermark does not move."""
        before, watermark = self.leader.size(), self.leader.high_watermark
        act()
        if before < self.leader.minimum > self.leader.size():
            assert self.leader.high_watermark == watermark

    # -- the dumb one --------------------------------------------------------------------------------------------

    def caught_up_at(self, node):
        """Exactly, from all that was ever written and answered."""
        times = [self.expected[node]] if node in self.expected else []
        for answered, position in self.answers[node]:
            beyond = [time for time, end in self.written if end > position and time <= answered]
            times.append(min(beyond, default=answered))
        return max(times, default=float("-inf"))

    @invariant()
    def what_is_below_the_high_watermark_is_everywhere(self):
        leader = self.leader
        leader.check()
        assert self.watermark <= leader.high_watermark, "it never goes back"
        self.watermark = leader.high_watermark
        assert all(self.has[node] >= leader.high_watermark for node in leader.nodes - self.lost)

    @invariant()
    def wait_counts_who_has_it(self):
        for position in (0, self.watermark, self.leader.position):
            assert self.leader.reached(position) == sum(self.acknowledged[node] >= position for node in self.connected)

    def teardown(self):
        """When all are there and answer, all are in sync, and everything is below the high watermark."""
        if not hasattr(self, "leader"):
            return
        for node in NODES:
            self.connect(node)
            self.has[node] = self.leader.position
            self.answer(node, lambda node=node: self.leader.acknowledged(node, self.has[node], 0, self.now, level=True))
        self.leader.local_reached(self.leader.position)
        assert self.leader.nodes == set(NODES)
        assert self.leader.high_watermark == self.leader.position


TestInSync = Machine.TestCase
TestInSync.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
