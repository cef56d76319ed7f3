"""Leaders, followers and elections on logs that are lists: what was acknowledged is in every leader to come.

The sessions between nodes are modelled here as decision 17 has them: a follower's logs are cut to what it shares with
its leader, logs behind are sent in pieces with the catalog last, the others with the ticks. Frames and acknowledgements
are under way for any time, and votes are asked one by one. What decides, `InSync`, `Ballot`, `vote` and `may_follow`,
is the real thing.
"""

from __future__ import annotations

from collections import deque

import attrs
import pytest

from respbroker.replication.election import Ballot, Reach, may_follow, vote
from respbroker.replication.in_sync import InSync
from tests.replication import worlds
from tests.replication.worlds import shared

CATALOG = 0
SIZES = [(2, 2), (3, 2), (3, 3), (4, 2), (4, 3), (5, 3)]  # nodes, min.insync.replicas
SEEDS = 300  # for each size; a failure prints its own
STEPS = 400
Logs = dict[int, list]


def copy_of(logs: Logs) -> Logs:
    return {number: list(records) for number, records in logs.items()}


@attrs.define(eq=False)
class Session:
    """A follower's connection, seen from its leader: next offsets of the logs behind, and what is under way."""

    leader: Node
    epoch: int
    behind: dict[int, int]
    whole: int  # everything up to this position was sent
    frames: deque = attrs.field(factory=deque)  # (records by log, position that the follower then has, level)
    acks: deque = attrs.field(factory=deque)  # positions


@attrs.define(eq=False)
class Node(worlds.Server):
    name: str
    logs: Logs = attrs.field(factory=lambda: {CATALOG: []})
    level: int = 0  # the last epoch in which it was level, or led
    lacking: int = 0  # the epoch of the leader that is to give back what it had once; 0 if it lacks nothing
    promised: int = 0
    promised_to: str = ""
    session: Session | None = None  # while it follows
    sync: InSync | None = None  # while it leads
    order: list = attrs.field(factory=list)  # while it leads: (position, the logs then)
    looked_at: int = 0  # its high watermark the last time
    followers: dict[str, Session] = attrs.field(factory=dict)
    ballot: Ballot | None = None

    def named(self) -> set[int]:
        """The logs that its catalog says it has."""
        made = {number for act, number in self.logs[CATALOG] if act == "make"}
        return made - {number for act, number in self.logs[CATALOG] if act == "drop"}

    def may_stand(self) -> bool:
        return not self.lacking and self.named() <= self.logs.keys()

    @property
    def reach(self) -> Reach:
        if self.lacking:
            return Reach.incomplete(self.lacking)
        return Reach(self.level, len(self.logs[CATALOG]), {number: len(each) for number, each in self.logs.items()})

    def append(self, number: int, records: list) -> None:
        self.logs.setdefault(number, []).extend(records)
        for record in records if number == CATALOG else ():
            if record[0] == "drop":
                self.logs.pop(record[1], None)


class World(worlds.World):
    def __init__(self, seed: int, nodes: int, minimum: int) -> None:
        super().__init__(seed, minimum)
        self.servers = [Node(f"{number:016x}") for number in range(nodes)]

    def run(self) -> None:
        acts = {self.write: 10, self.send: 16, self.receive: 20, self.hear: 14, self.follow: 16}
        acts |= {self.ask: 10, self.stand: 1, self.expire: 1, self.leave: 2}
        self.act(acts, STEPS)

    # -- elections -----------------------------------------------------------------------------------------------

    def stand(self) -> None:
        """A node asks to lead; one that leads does so when it was restarted."""
        node = self.pick(lambda each: each.may_stand())
        if node is None:
            return
        epoch = max(node.promised, node.level) + 1
        node.promise(epoch, node.name)
        node.ballot = Ballot([[each.name for each in self.servers]], self.minimum, node.name, epoch)
        self.lead_if_won(node)

    def ask(self) -> None:
        node = self.pick(lambda each: each.ballot and each.ballot.waiting_for)
        if node is None:
            return
        voter = self.pick(lambda each: each.name in node.ballot.waiting_for)
        granted, reason = vote(voter.promised, voter.reach, node.ballot.epoch, node.reach)
        if granted:
            voter.promise(node.ballot.epoch, node.name)
            node.ballot.granted(voter.name)
            self.lead_if_won(node)
        else:
            node.ballot.refused(voter.name, reason)

    def lead_if_won(self, node: Node) -> None:
        if not node.ballot.is_won:
            return
        node.level, node.ballot = node.ballot.epoch, None
        for number in node.logs.keys() - node.named() - {CATALOG}:
            del node.logs[number]  # its name was still to come
        position = sum(map(len, node.logs.values()))
        node.sync = InSync(position, 0, self.now)
        node.sync.minimum = self.minimum
        node.order = [(position, copy_of(node.logs))]
        node.looked_at = 0
        self.elected[node.level, node.name] = copy_of(node.logs)
        self.check()
        node.sync.local_reached(position)

    # -- sessions ------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        leader = self.pick(lambda each: each.sync)
        node = self.pick(lambda each: each is not leader and not each.session)
        if leader is None or node is None or not may_follow(node.promised, node.promised_to, leader.level, leader.name):
            return
        node.promise(leader.level, leader.name)
        behind = {}
        for number, records in leader.logs.items():
            mine = node.logs.get(number, [])
            del mine[shared(mine, records) :]
            if len(mine) < len(records):
                behind[number] = len(mine)
        for number in node.logs.keys() - leader.logs.keys():
            if ("make", number) not in node.logs[CATALOG]:  # else the leader dropped it, and the catalog will say so
                del node.logs[number]
        if node.level < leader.level and node.named() - node.logs.keys():
            node.lacking = leader.level  # it removed a log, which is undone now: it lacks what it acknowledged
        node.session = Session(leader, leader.level, behind, 0 if behind else leader.sync.position)
        leader.followers[node.name] = node.session
        leader.sync.attach(node.name, self.now)
        self.frame(node.session, {})

    def leave(self) -> None:
        node = self.pick(lambda each: each.session)
        if node is None:
            return
        if self.is_heard(node):
            del node.session.leader.followers[node.name]
            node.session.leader.sync.detach(node.name, self.now)
        node.session = None

    def is_heard(self, node: Node) -> bool:
        return node.session is not None and node.session.leader.followers.get(node.name) is node.session

    def write(self) -> None:
        """A tick of a leader. For some followers it may not fit in what may be under way."""
        leader = self.pick(lambda each: each.sync)
        if leader is None:
            return
        tick = self.tick(sorted(leader.logs.keys() - {CATALOG}))
        starts = {number: len(leader.logs.get(number, [])) for number in tick}
        for number, records in tick.items():
            leader.append(number, records)
        leader.sync.advance(leader.sync.position + len(tick), self.now)
        leader.sync.local_reached(leader.sync.position)
        leader.order.append((leader.sync.position, copy_of(leader.logs)))
        for session in leader.followers.values():
            if session.behind.keys() & tick.keys() or self.random.random() < 0.2:
                session.behind = starts | session.behind
            else:
                self.frame(session, tick)

    def tick(self, numbers: list[int]) -> Logs:
        token = next(self.tokens)
        act = self.random.choice(["write"] * 6 + ["make", "drop"])
        if act == "make" or not numbers:
            return {token: [token], CATALOG: [("make", token)]}
        if act == "drop":
            return {CATALOG: [("drop", self.random.choice(numbers))]}
        return {self.random.choice(numbers): [token]}

    def frame(self, session: Session, records: Logs) -> None:
        if not session.behind:
            session.whole = session.leader.sync.position
        session.frames.append((copy_of(records), session.whole, not session.behind))

    def send(self) -> None:
        """The leader sends a few pieces of what is behind for a follower, the catalog when all else is there."""
        node = self.pick(lambda each: self.is_heard(each) and each.session.behind)
        for _ in range(self.random.choice([1, 2, 20]) if node else 0):
            behind, logs = node.session.behind, node.session.leader.logs
            for number in behind.keys() - logs.keys():
                del behind[number]  # dropped meanwhile, as the catalog will say
            numbers = sorted(behind.keys() - {CATALOG}) or sorted(behind)
            if not numbers:
                break
            number = self.random.choice(numbers)
            piece = logs[number][behind[number] : behind[number] + 2]
            behind[number] += len(piece)
            if behind[number] == len(logs[number]):
                del behind[number]
            self.frame(node.session, {number: piece})

    def receive(self) -> None:
        node = self.pick(lambda each: each.session and each.session.frames)
        for _ in range(self.random.choice([1, 20]) if node else 0):
            if not node.session.frames:
                break
            records, whole, level = node.session.frames.popleft()
            for number, each in records.items():
                node.append(number, each)
            if level:
                node.level, node.lacking = node.session.epoch, 0
            node.session.acks.append(whole)

    def hear(self) -> None:
        """A leader gets what is under way to it, whatever the senders have promised since."""
        leader = self.pick(lambda each: each.sync)
        for name, session in leader.followers.items() if leader else ():
            while session.acks:
                position = session.acks.popleft()
                leader.sync.acknowledged(name, position, position, self.now, level=not session.behind)
        self.look(leader)

    # -- what was acknowledged --------------------------------------------------------------------------------------

    def look(self, leader: Node | None) -> None:
        """It may hear late of what its followers acknowledged before they voted."""
        if leader is None or leader.sync.high_watermark <= leader.looked_at:
            return
        leader.sync.check()
        leader.looked_at = leader.sync.high_watermark
        below = [logs for position, logs in leader.order if position <= leader.looked_at]
        if below:
            self.acknowledged[leader.level, leader.name] = below[-1]
            self.check()

    def check(self) -> None:
        for key, logs in self.acknowledged.items():
            for later, beginning in self.elected.items():
                if later[0] >= key[0] and later != key:
                    for number, records in logs.items():
                        has = beginning.get(number, [])[: len(records)] == records
                        assert has or ("drop", number) in beginning[CATALOG], (
                            f"{later} lacks of log {number}: {records}"
                        )


@pytest.mark.parametrize(("nodes", "minimum"), SIZES)
def test_every_leader_has_what_was_acknowledged_before(nodes, minimum):
    elections = acknowledged = 0
    for seed in range(SEEDS):
        world = World(seed, nodes, minimum)
        try:
            world.run()
        except AssertionError as failure:
            raise AssertionError(f"World({seed}, {nodes}, {minimum}).run(): {failure}") from failure
        elections += len(world.elected)
        acknowledged += len(world.acknowledged)
    assert elections > SEEDS
    assert acknowledged > SEEDS / 2
