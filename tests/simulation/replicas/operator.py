"""The operator: plays redis-sentinel by its rules, sometimes hands over for no reason, and sometimes errs.

He sees servers by INFO alone. When the leader has not answered for a while he promotes the follower with the greatest
offset whose priority is not 0, and sends the others after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from respbroker.resp.reply_decoder import ErrorReply
from tests.simulation.replicas.clients import Caller, Words

if TYPE_CHECKING:
    from tests.simulation.replicas.world import World

PERIOD = 0.7
PATIENCE = 60.0  # with servers that cannot agree, of which one has lost something
PROMOTED_SECONDS = 10.0  # behind this one after the other is told to lead
HOST = "127.0.0.1"


class Watch(Caller):
    """His connection to one server: asks INFO, and says what he wants said."""

    def __init__(self, world: World, port: int) -> None:
        super().__init__(world, "operator")
        self.target = port
        self.patience = 2.0
        self.facts: dict[str, str] = {}
        self.heard_at = 0.0
        self.orders: list[Words] = []

    def _look_elsewhere(self) -> None:
        """There is no other place for this one."""

    def thinks(self) -> float:
        return PERIOD

    def next_requests(self) -> list[Words]:
        orders, self.orders = self.orders, []
        return [*orders, ("INFO", "replication")]

    def answered(self, replies: list[Any]) -> bool:
        info = replies[-1]
        if not isinstance(info, ErrorReply):
            lines = info.decode().split("\r\n")
            self.facts = dict(line.split(":", 1) for line in lines if ":" in line)
            self.heard_at = self.world.events.now
        return True

    @property
    def leads(self) -> bool:
        return self.facts.get("role") == "master"

    def number(self, name: str) -> int:
        return int(self.facts.get(name, 0))


class Errand(Caller):
    """One request on a connection of its own, for the answer may take long."""

    def __init__(self, world: World, port: int, words: Words) -> None:
        super().__init__(world, "operator")
        self.target, self.words, self.patience = port, words, 12.0

    def _look_elsewhere(self) -> None:
        self.retired = True

    def next_requests(self) -> list[Words]:
        return [self.words]

    def answered(self, replies: list[Any]) -> bool:
        self.world.note(f"{self.words[1]} {str(replies[0])[:12]}")
        return False


class Operator:
    """Owns what he believes: who should lead."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.watches = {port: Watch(world, port) for port in world.ports}
        self.leader = world.ports[0]
        self.calm = False
        self._since = 0.0  # when he last decided
        self._stuck_since = float("inf")  # nobody leads one that has everything
        self._waiting_since = float("inf")  # for a change of members
        self._has_lowered = False
        self.decisions = 0

    def begin(self) -> None:
        for watch in self.watches.values():
            watch.begin()
        self._world.events.after(PERIOD, self._work)

    def _work(self) -> None:
        world = self._world
        if world.is_over:
            return
        world.events.after(PERIOD, self._work)
        if not world.is_set_up():
            return
        now, plan, rng = world.events.now, world.plan, world.rng
        down_after = 2.0 if self.calm else plan.down_after
        if self.calm and self.watches[self.leader].leads:
            self._let_pass(self.watches[self.leader])
        living = [each for each in self.watches.values() if now - each.heard_at < 2 * PERIOD + 1.0]
        stuck = not any(each.number("in_sync_replicas") > 1 for each in living if each.leads)
        self._stuck_since = min(self._stuck_since, now) if stuck and self.calm else float("inf")
        if (plan.loses_unsynced or world.disks) and now - self._stuck_since > PATIENCE and living:
            self._stuck_since = float("inf")
            fit = [each for each in living if each.target not in world.faults.damaged]
            self._force(max(fit or living, key=lambda each: each.number("master_repl_offset")))
            return
        if world.disks and living and now - max(self._stuck_since, self._since) > PROMOTED_SECONDS:
            self._promote(rng.choice(living))  # who led waits for one that was in sync and has lost its disk
            return
        if now - self._since < (8.0 if self.calm else rng.choice((3.0, 6.0))):
            return
        if not self.calm and rng.random() < plan.foolish:
            self._promote(rng.choice(list(self.watches.values())))
        elif not self.calm and rng.random() < plan.failovers:
            self._hand_over()
        elif not self.calm and rng.random() < plan.forgets:
            self._take_out()
        elif now - self.watches[self.leader].heard_at > down_after:
            self._fail_over(living)
        else:
            self._look_after(living)

    def _fail_over(self, living: list[Watch]) -> None:
        leaders = [each for each in living if each.leads and each.number("leader_epoch")]
        if leaders:
            self._decide(max(leaders, key=lambda each: each.number("leader_epoch")).target)
            return
        fit = [each for each in living if each.number("slave_priority") or (self.calm and not each.leads)]
        if fit:
            best = max(fit, key=lambda each: (each.number("slave_priority"), each.number("master_repl_offset")))
            self._promote(self._world.rng.choice(fit) if self.calm and self._world.rng.random() < 0.5 else best)

    def _look_after(self, living: list[Watch]) -> None:
        """Send those after the leader who do something else."""
        chief = self.watches[self.leader]
        if not chief.leads:
            other = [each for each in living if each.leads]
            if other:
                self._decide(max(other, key=lambda each: each.number("leader_epoch")).target)
            else:
                self._fail_over([each for each in living if each is not chief] if not self.calm else living)
            return
        for each in living:
            newer = each.leads and each.number("leader_epoch") > chief.number("leader_epoch")
            if each is chief:
                continue
            if newer:
                self._decide(each.target)
                return
            if each.leads or each.facts.get("master_port") != str(self.leader):
                each.orders.append(("REPLICAOF", HOST, self.leader))
                self._since = self._world.events.now

    def _force(self, watch: Watch) -> None:
        """Lead with what is left: whoever has what nobody else has is not known any more."""
        self._world.checker.excused = True
        self._world.note("the operator forces a leader")
        watch.orders += [("CONFIG", "SET", "min.insync.replicas", 1), ("REPLICAOF", "NO", "ONE")]
        for other in self.watches.values():
            if other is not watch:  # who has other data keeps it until it is told to
                other.orders.append(("REPLICAOF", HOST, watch.target))
        self._decide(watch.target)

    def _promote(self, watch: Watch) -> None:
        watch.orders.append(("REPLICAOF", "NO", "ONE"))
        self._decide(watch.target)

    def _hand_over(self) -> None:
        chief = self.watches[self.leader]
        others = [port for port in self.watches if port != self.leader]
        chief.orders.append(
            self._world.rng.choice(
                (
                    ("FAILOVER",),
                    ("FAILOVER", "TO", HOST, self._world.rng.choice(others), "TIMEOUT", 2000),
                    ("FAILOVER", "TIMEOUT", 1000),
                )
            )
        )
        self._since = self._world.events.now

    def _take_out(self) -> None:
        """Somebody who seems to be gone for good; it comes back all the same."""
        rng, world, facts = self._world.rng, self._world, self.watches[self.leader].facts
        rows = [
            dict(pair.split("=") for pair in row.split(","))
            for name, row in facts.items()
            if name[:6] == "member" and name[6:].isdigit()
        ]
        away = [int(row["port"]) for row in rows if row.get("state") == "away"]
        gone = rng.choice(away or world.ports)
        port = rng.choice(world.ports) if rng.random() < 0.2 else self.leader
        Errand(world, port, ("REPLICATE", "FORGET", HOST, gone)).begin()

    def _let_pass(self, chief: Watch) -> None:
        """Let a change of members pass that waits for one whose disk is gone, where all are there to be asked."""
        now, waits = self._world.events.now, "member_change" in chief.facts
        self._waiting_since = min(self._waiting_since, now) if waits else float("inf")
        if self._has_lowered and not waits:
            self._has_lowered = False
            chief.orders.append(("CONFIG", "SET", "min.insync.replicas", self._world.plan.minimum))
        elif not self._has_lowered and now - self._waiting_since > PATIENCE:
            self._has_lowered = True
            self._world.note("the operator lets a change of members pass")
            chief.orders.append(("CONFIG", "SET", "min.insync.replicas", 1))

    def _decide(self, port: int) -> None:
        self.decisions += 1
        self.leader = port
        self._since = self._world.events.now
