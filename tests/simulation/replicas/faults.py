"""What goes wrong: drawn one after the other while the chaos lasts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.replicas.disks import DiskFaults

if TYPE_CHECKING:
    from tests.simulation.replicas.network import Address
    from tests.simulation.replicas.server import Server
    from tests.simulation.replicas.world import World


class Faults(DiskFaults):
    """Owns which server is down and when it comes back."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        for server in world.servers.values():
            server.on_crash = self._died

    def begin(self) -> None:
        self._later()
        if self._world.disks:
            self.look_after()

    def _later(self) -> None:
        world = self._world
        world.events.after(world.rng.expovariate(1.0) * world.plan.fault_every, self._strike)

    def _strike(self) -> None:
        world = self._world
        if world.is_calm:
            return
        self._later()
        kinds = world.plan.faults
        kind = world.rng.choices(list(kinds), list(kinds.values()))[0]
        server = world.servers[world.rng.choice(world.ports)]
        if not world.is_set_up():
            return
        action = getattr(self, "_" + kind.replace(" ", "_"))
        if action(server) is not False:
            world.note(kind, server)

    # -- processes -------------------------------------------------------------------------------------------------

    def _kill(self, server: Server) -> bool:
        if server.node is None:
            return False
        server.kill()
        self._back_later(server)
        return True

    def _stop(self, server: Server) -> bool:
        if server.node is None or server.events.now < server.paused_until:
            return False
        server.stop()
        self._back_later(server)
        return True

    def _die_in_the_middle(self, server: Server) -> bool:
        if server.node is None:
            return False
        server.die_soon(self._way_to_die(server))
        return True

    def _die_in_an_exec(self, server: Server) -> bool:
        """The one that leads, in a tick that is to be whole or absent."""
        leader = self._leader()
        if leader is None or leader.dying:
            return False
        leader.die_soon(self._way_to_die(leader), in_journal=True)
        return True

    def _leader(self) -> Server | None:
        servers = self._world.servers.values()
        return next((each for each in servers if each.node and each.node.replication.leading), None)

    def _way_to_die(self, server: Server) -> str:
        return "power" if "power" in self._world.plan.faults and self._may_lose_power(server) else "kill"

    def _died(self, server: Server, how: str) -> None:
        if how == "power":
            self._lost_power(server)
        self._world.note(f"died: {how}", server)
        self._back_later(server)

    def _kill_all(self, server: Server) -> None:
        for each in self._world.servers.values():
            self._kill(each)

    def _pause(self, server: Server) -> bool:
        if server.node is None:
            return False
        server.pause(self._world.rng.choice((0.2, 2.0, 5.0, 14.0)))
        return True

    def _power(self, server: Server) -> bool:
        if server.node is None or not self._may_lose_power(server):
            return False
        server.power_off()
        self._lost_power(server)
        self._back_later(server)
        return True

    def _replace_disk(self, server: Server) -> bool:
        """A disk was found damaged: the server comes back with an empty one, told to follow anybody."""
        if not self._world.plan.loses_unsynced or not self._all_strong(server) or not self._may_be_replaced(server):
            return False
        self.give_empty_disk(server)
        return True

    def _may_be_replaced(self, server: Server) -> bool:
        """Whether the members that stay are as many as must agree."""
        servers = self._world.servers.values()
        nodes = [each.node for each in servers if each.node is not None]
        newest = max((node.replication.state.membership for node in nodes), key=lambda each: each.known, default=None)
        if newest is None or newest.proposed is not None:
            return False
        others = {each.node.replication.state.node for each in servers if each.node is not None and each is not server}
        return sum(member.node in others for member in newest.members) >= self._world.plan.minimum

    def _may_lose_power(self, server: Server) -> bool:
        """Whether what may be lost is within what is promised."""
        plan = self._world.plan
        return plan.policy == "always" or (plan.minimum > 1 and plan.loses_unsynced and self._all_strong(server))

    @staticmethod
    def _is_strong(server: Server) -> bool:
        if server.node is None:
            return False
        replication = server.node.replication
        following = replication.following
        return replication.leading is not None or (following is not None and following.level and following.in_sync)

    def _lost_power(self, server: Server) -> None:
        if self._world.plan.policy != "always":
            self.weak.add(server.port)

    def _full_disk(self, server: Server) -> bool:
        """A disk, most often the leader's, has no room for all of some tick, and has it again for the next one."""
        full = self._world.rng.choice((self._leader(), server))
        if full is None or full.node is None:
            return False
        full.room = self._world.rng.randint(1, 1000)
        return True

    def _clock(self, server: Server) -> bool:
        if not self._world.plan.jumps:
            return False
        server.clock_jump_ms += self._world.rng.choice((-60_000, -1000, 500, 30_000, 3_600_000))
        return True

    def _back_later(self, server: Server) -> None:
        seconds = self._world.rng.choice((0.05, 1.0, 4.0, 12.0))
        self._world.events.after(seconds, partial(self._back, server))

    def _back(self, server: Server) -> None:
        if server.node is None:
            server.start()
            self._world.note("start", server)

    # -- the network -----------------------------------------------------------------------------------------------

    def _partition(self, server: Server) -> None:
        """Two servers do not see each other."""
        other = self._world.rng.choice([port for port in self._world.ports if port != server.port])
        self._world.network.cut(server.port, other)
        self._world.network.cut(other, server.port)

    def _one_way(self, server: Server) -> None:
        """Nothing gets from one server to another."""
        other = self._world.rng.choice([port for port in self._world.ports if port != server.port])
        self._world.network.cut(server.port, other)

    def _isolate(self, server: Server) -> None:
        """A server is alone with some of the clients, or with nobody."""
        network, rng = self._world.network, self._world.rng
        others = [port for port in self._world.ports if port != server.port]
        names = ["operator", *(caller.name for caller in self._world.callers)]
        away: list[Address] = [*others, *(name for name in names if rng.random() < 0.5)]
        for other in away:
            network.cut(server.port, other)
            network.cut(other, server.port)

    def _heal(self, server: Server) -> None:
        self._world.network.heal()

    def _reset(self, server: Server) -> None:
        """Some connections break."""
        for connection in list(self._world.network.connections):
            if self._world.rng.random() < 0.3:
                self._world.network.reset(connection)
