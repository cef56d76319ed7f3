"""Members come, go and lose their disks while leaders change: what was acknowledged is in every leader to come.

A server's log is one list here, frames and acknowledgements are under way for any time, votes are asked one by one, and
a server with an empty disk is found at the address of the one that is gone. What decides, `Membership`, `InSync`,
`Ballot`, `vote` and `may_follow`, is the real thing. One disk at a time is lost: the next when the members are others.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import count

import attrs
import pytest

from respbroker.replication.election import Ballot, Reach, may_follow, vote
from respbroker.replication.in_sync import InSync
from respbroker.replication.membership import Member, Membership
from tests.replication import worlds
from tests.replication.worlds import shared

SIZES = [(1, 2), (2, 2), (3, 2), (3, 3), (4, 2), (4, 3), (5, 3)]  # servers, min.insync.replicas
SEEDS = 200  # for each size; a failure prints its own
STEPS = 600


@attrs.define(eq=False)
class Session:
    """A follower's connection: what is under way on it, and how far the leader has come with it."""

    leader: Server
    follower: Server
    epoch: int
    sent: int
    frames: deque = attrs.field(factory=deque)  # (records, level) or a Membership
    answers: deque = attrs.field(factory=deque)  # positions, or the versions of lists
    knows: tuple = ()


@attrs.define(eq=False)
class Server(worlds.Server):
    address: int
    name: str
    log: list = attrs.field(factory=list)
    level: int = 0
    promised: int = 0
    promised_to: str = ""
    membership: Membership = attrs.field(factory=Membership)
    session: Session | None = None  # while it follows
    sync: InSync | None = None  # while it leads
    since: int = 0  # what those must have who agree to the change under way
    looked_at: int = 0
    followers: dict[str, Session] = attrs.field(factory=dict)
    ballot: Ballot | None = None

    @property
    def member(self) -> Member:
        return Member(self.name, "here", self.address)

    @property
    def reach(self) -> Reach:
        return Reach(self.level, len(self.log), {0: len(self.log)})

    def take(self, membership: Membership) -> None:
        """As the leader of a change."""
        self.membership = membership
        self.since = len(self.log)
        assert self.sync is not None
        self.sync.admit(membership.stay - {self.name})
        for session in self.followers.values():
            session.frames.append(membership)


class World(worlds.World):
    def __init__(self, seed: int, servers: int, minimum: int) -> None:
        super().__init__(seed, minimum)
        self.names = (f"{number:016x}" for number in count(1))
        self.servers = [Server(address, next(self.names)) for address in range(1, servers + 3)]
        self.members = Membership(0, 0, [each.member for each in self.servers[:servers]])  # agreed to last
        for each in self.servers[:servers]:
            each.membership = self.members
        self.happened: Counter[str] = Counter()

    def run(self) -> None:
        acts = {self.write: 10, self.send: 20, self.receive: 24, self.hear: 20, self.follow: 14, self.leave: 2}
        acts |= {self.ask: 14, self.stand: 2, self.expire: 2, self.change: 16, self.withdraw: 1, self.lose_disk: 2}
        self.act(acts, STEPS)

    # -- elections -----------------------------------------------------------------------------------------------

    def stand(self) -> None:
        """Also one that leads, or led before it was restarted."""
        server = self.pick(lambda each: each.membership.members and all(each.name in x for x in each.membership.lists))
        if server is not None:
            self.canvass(server, max(server.promised, server.level) + 1)

    def canvass(self, server: Server, epoch: int) -> None:
        server.promise(epoch, server.name)
        server.ballot = Ballot(server.membership.lists, self.minimum, server.name, epoch)
        self.lead_if_won(server)

    def ask(self) -> None:
        """Somebody answers at a member's address, or it is gone."""
        server = self.pick(lambda each: each.ballot and each.ballot.waiting_for)
        if server is None:
            return
        asked = server.membership.find(self.random.choice(sorted(server.ballot.waiting_for)))
        voter = self.pick(lambda each: each.address == asked.port)
        if voter.membership.known > server.membership.known:
            epoch = max(server.promised, voter.membership.epoch) + 1
            server.promise(epoch, server.name)
            server.membership = voter.membership
            self.canvass(server, epoch)
            return
        granted, reason = vote(voter.promised, voter.reach, server.ballot.epoch, server.reach)
        if granted:
            voter.promise(server.ballot.epoch, server.name)
            server.ballot.granted(voter.name)
            self.lead_if_won(server)
        else:
            server.ballot.refused(asked.node, reason)

    def lead_if_won(self, server: Server) -> None:
        if not server.ballot.is_won:
            return
        server.level, server.ballot = server.ballot.epoch, None
        server.sync = InSync(len(server.log), 0, self.now)
        server.sync.minimum = self.minimum
        server.looked_at = 0
        self.elected[server.level, server.name] = list(server.log)
        self.check()
        server.take(server.membership.begin(server.level, server.member))
        server.sync.local_reached(len(server.log))

    # -- changes of members ----------------------------------------------------------------------------------------

    def change(self) -> None:
        """A leader lets a change take effect that enough know of, or proposes one."""
        leader = self.pick(lambda each: each.sync)
        if leader is None:
            return
        membership, others = leader.membership, leader.followers
        if membership.proposed is not None:
            knowing = {name for name, session in others.items() if session.knows == membership.version}
            agreeing = leader.sync.has(knowing, leader.since) | {leader.name}
            if not membership.missing(agreeing, self.minimum):
                leader.take(membership.agree())
                if (leader.level, leader.name) == max(self.elected):
                    self.members = leader.membership
                self.happened["agreed"] += 1
            return
        gone = membership.stay - others.keys() - {leader.name}
        come = [name for name in leader.sync.waiting if name not in membership.stay]
        if come and self.random.random() < 0.8:
            name = self.random.choice(sorted(come))
            joining = leader.followers[name].follower.member
            leader.take(membership.propose_joining(joining, gone))
        elif gone and len(membership.members) > self.minimum:
            leader.take(membership.propose_leaving(self.random.choice(sorted(gone))))

    def withdraw(self) -> None:
        leader = self.pick(lambda each: each.sync and each.membership.may_withdraw)
        if leader is not None:
            leader.take(leader.membership.withdraw())

    def lose_disk(self) -> None:
        living = {each.name for each in self.servers}
        at = self.random.randrange(len(self.servers))
        lists = [each for one in (self.members, *(each.membership for each in self.servers)) for each in one.lists]
        lost = frozenset.union(*lists) - living if self.random.random() < 0.5 else self.members.lists[0] - living
        if lost - {self.servers[at].name}:
            return
        self.disconnect(self.servers[at])
        self.servers[at] = Server(self.servers[at].address, next(self.names))
        self.happened["disks"] += 1

    # -- sessions ------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        leader = self.pick(lambda each: each.sync)
        server = self.pick(lambda each: each is not leader and not each.session)
        if leader is None or server is None:
            return
        if not may_follow(server.promised, server.promised_to, leader.level, leader.name):
            return
        server.promise(leader.level, leader.name)
        del server.log[shared(server.log, leader.log) :]
        server.session = leader.followers[server.name] = Session(leader, server, leader.level, len(server.log))
        leader.membership = leader.membership.locate(server.member)
        leader.sync.attach(server.name, self.now)
        server.session.frames.append(leader.membership)

    def leave(self) -> None:
        server = self.pick(lambda each: each.session)
        if server is not None:
            self.disconnect(server)

    def disconnect(self, server: Server) -> None:
        if server.session is not None:
            leader = server.session.leader
            if leader.followers.get(server.name) is server.session:
                del leader.followers[server.name]
                leader.sync.detach(server.name, self.now)
            server.session = None

    def write(self) -> None:
        leader = self.pick(lambda each: each.sync)
        if leader is not None:
            leader.log.append(next(self.tokens))
            leader.sync.advance(len(leader.log), self.now)
            leader.sync.local_reached(len(leader.log))

    def send(self) -> None:
        leader = self.pick(lambda each: each.followers)
        for session in leader.followers.values() if leader else ():
            records = leader.log[session.sent :][: self.random.choice([1, 20])]
            session.sent += len(records)
            session.frames.append((records, session.sent == len(leader.log)))

    def receive(self) -> None:
        server = self.pick(lambda each: each.session and each.session.frames)
        for _ in range(self.random.choice([1, 20]) if server else 0):
            if not server.session.frames:
                break
            frame = server.session.frames.popleft()
            if isinstance(frame, Membership):
                assert frame.epoch <= server.promised
                server.membership = frame
                server.session.answers.append(frame.version)
                continue
            records, level = frame
            server.log += records
            if level:
                server.level = server.session.epoch
            server.session.answers.append(len(server.log) if level else 0)

    def hear(self) -> None:
        """A leader gets what is under way to it, whatever the senders have promised since."""
        leader = self.pick(lambda each: each.followers)
        for name, session in leader.followers.items() if leader else ():
            while session.answers:
                answer = session.answers.popleft()
                if isinstance(answer, tuple):
                    session.knows = answer
                    continue
                level = session.sent == len(leader.log)
                leader.sync.acknowledged(name, answer, answer, self.now, level=level)
        self.look(leader)

    # -- what was acknowledged --------------------------------------------------------------------------------------

    def look(self, leader: Server | None) -> None:
        if leader is None or leader.sync.high_watermark <= leader.looked_at:
            return
        leader.sync.check()
        leader.looked_at = leader.sync.high_watermark
        self.acknowledged[leader.level, leader.name] = leader.log[: leader.looked_at]
        self.check()

    def check(self) -> None:
        for key, log in self.acknowledged.items():
            for later, beginning in self.elected.items():
                if later[0] >= key[0] and later != key:
                    assert beginning[: len(log)] == log, f"{later} lacks {log[shared(log, beginning) :]} of {key}"


@pytest.mark.parametrize(("servers", "minimum"), SIZES)
def test_every_leader_has_what_was_acknowledged_before_whoever_were_members(servers, minimum):
    elections = acknowledged = 0
    happened: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = World(seed, servers, minimum)
        try:
            world.run()
        except AssertionError as failure:
            raise AssertionError(f"World({seed}, {servers}, {minimum}).run(): {failure}") from failure
        elections += len(world.elected)
        acknowledged += len(world.acknowledged)
        happened.update(world.happened)
    assert elections > SEEDS
    assert acknowledged > SEEDS / 20
    assert happened["agreed"] > SEEDS / 20
    assert happened["disks"] > SEEDS
