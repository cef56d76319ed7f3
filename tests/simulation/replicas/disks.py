"""What goes wrong with disks beside crashes, and the person who looks after them.

A bit flips while a server is down, an old copy of its directory is put back, there is no room for a while. The person
replaces the disk of a server that does not start, looks for damage now and then, and starts what did not for want of
room. One server at a time may lack what it had acknowledged; an old copy is put back only while the others have all.
"""

from __future__ import annotations

import contextlib
import io
from functools import partial
from typing import TYPE_CHECKING, Final

from respbroker.broker.node import Node
from respbroker.broker.replication_store import ReplicationStore
from respbroker.model.settings import Settings
from storage import DiskFull, StorageError, inspect
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.operator import HOST
from tests.support.memory_filesystem import MemoryFileSystem

if TYPE_CHECKING:
    from tests.simulation.replicas.server import Server
    from tests.simulation.replicas.world import World

KINDS: Final = {"flip a bit": 2.0, "put an old copy back": 4.0, "full for a while": 1.0}
LOOK_SECONDS: Final = 1.5
AGAIN_SECONDS: Final = 0.1  # until it is looked again whether a copy may be put back
TAIL_BYTES: Final = 400  # the newest bytes of a file, where damage is hardest to tell from a write cut short
COPIES_KEPT: Final = 3


class DiskFaults:
    """The part of `tests.simulation.replicas.faults.Faults` that is about disks.

    ``weak`` are servers that lack something that they had acknowledged, until they are level; ``damaged`` those among
    them with a bit that flipped, until somebody has found it, or it is gone.
    """

    _world: World

    if TYPE_CHECKING:

        def _back_later(self, server: Server) -> None: ...
        def _may_be_replaced(self, server: Server) -> bool: ...
        @staticmethod
        def _is_strong(server: Server) -> bool: ...

    def __init__(self) -> None:
        self.weak: set[int] = set()
        self.damaged: set[int] = set()
        self._copies: dict[int, list[MemoryFileSystem]] = {}
        self._wanted: set[int] = set()  # servers that are to get an old copy when the others are whole

    def _all_strong(self, server: Server) -> bool:
        """Whether all others have everything that they ever acknowledged."""
        servers = self._world.servers
        if any(each.dying == "power" for each in servers.values() if each is not server):
            return False
        self.weak -= {port for port in self.weak - self.damaged if self._is_strong(servers[port])}
        return not self.weak - {server.port}

    # -- bits ------------------------------------------------------------------------------------------------------

    def _flip_a_bit(self, server: Server) -> bool:
        """While the server is down; where it knows that its machine ran on, that is named or harms nothing."""
        world = self._world
        if world.plan.minimum < 2 or not self._all_strong(server) or server.port in self.damaged:
            return False
        if not (self._is_led_by_another(server) or self.rest_is_whole(server)):
            return False  # it may have what nobody else has yet, and nobody could follow it any more
        if server.node is not None:
            if world.rng.random() < 0.5 and world.events.now >= server.paused_until:
                server.stop()
            else:
                server.kill()
            self._back_later(server)
        elif server.is_off and world.plan.policy == "always":
            return False  # nobody could tell that from a write that was cut short, and it was acknowledged
        path = self._chosen_file(server)
        if path is None:
            return False
        before = server.disk.killed()
        size = len(server.disk.content(path))
        first = max(0, size - TAIL_BYTES) if world.rng.random() < 0.5 else 0
        bit = world.rng.randrange(8 * first, 8 * size)
        server.disk.flip(path, bit)
        if world.verbose:
            world.say(f"{server.port} bit {bit % 8} of byte {bit // 8} of {size} in {path}")
        self.weak.add(server.port)
        self.damaged.add(server.port)
        if ReplicationStore(before, "/data").machine_ran_on(str(server.boots)):
            self._check_told(server, path, before)
        return True

    def _is_led_by_another(self, server: Server) -> bool:
        others = (each.node for each in self._world.servers.values() if each is not server)
        return any(node is not None and node.replication.leading is not None for node in others)

    def _chosen_file(self, server: Server) -> str | None:
        sizes = {path: len(inode.current) for path, inode in server.disk.names.items() if inode and inode.current}
        if not sizes:
            return None
        weights = [1.0] * len(sizes) if self._world.rng.random() < 0.3 else list(map(float, sizes.values()))
        return self._world.rng.choices(list(sizes), weights)[0]

    def _check_told(self, server: Server, path: str, before: MemoryFileSystem) -> None:
        """A server on the damaged disk says so, or has what it would have had without."""
        try:
            expected = self._ends(server, before)
        except StorageError:
            return
        try:
            found = self._ends(server, server.disk.killed())
        except StorageError as error:
            if error.file is None:
                raise Broken(f"{server.port}: the damage in {path} is told without its place: {error}") from error
            self._world.note("a flipped bit is named at the start")
            return
        if found != expected:
            raise Broken(f"{server.port}: a flipped bit in {path} is not seen, and logs end at {found}, not {expected}")

    def _ends(self, server: Server, disk: MemoryFileSystem) -> dict[int, int]:
        """Where all logs end when a server is started on a disk."""
        settings = Settings.load("", [("port", str(server.port)), *server.settings.items()])
        node = Node(disk, "/data", settings, server.clock(), clock=lambda: 0.0, seed=1, process_facts=server.facts)
        logs = {number: node.keyspace.log_of(number) for number in node.keyspace.numbers()}
        return {number: log.end_offset for number, log in logs.items() if log is not None}

    # -- old copies ------------------------------------------------------------------------------------------------

    def _copy(self, server: Server) -> None:
        """As a file system's snapshot, or a copy of a server that is down."""
        copies = self._copies.setdefault(server.port, [])
        if len(copies) == COPIES_KEPT:
            del copies[self._world.rng.randrange(COPIES_KEPT)]
        copies.append(server.disk.killed())

    def _has_present_members(self, copy: MemoryFileSystem) -> bool:
        """Whether the members are still those of when it was made. By a list of fewer it might lead without others."""
        state = ReplicationStore(copy.killed(), "/data").state
        states = [each.node.replication.state for each in self._world.servers.values() if each.node is not None]
        lists = {frozenset(member.node for member in each.membership.members) for each in (*states, state) if each}
        return state is not None and len(lists) == 1

    def _put_an_old_copy_back(self, server: Server) -> bool:
        """The server has forgotten what came since, votes too."""
        copies = [each for each in self._copies.get(server.port, []) if self._has_present_members(each)]
        if self._world.plan.minimum < 2 or not copies:
            return False
        if not (self._all_strong(server) and self.rest_is_whole(server)):
            if server.port not in self._wanted:
                self._wanted.add(server.port)
                self._world.network.heal()  # else the others would seldom be whole while there are faults
                self._world.events.after(AGAIN_SECONDS, partial(self._put_it_back_now, server))
            return False
        self._world.note("an old copy is put back", server)
        server.kill()
        server.disk = self._world.rng.choice(copies).killed()
        self.weak.add(server.port)
        self.damaged.discard(server.port)
        self._back_later(server)
        return True

    def _put_it_back_now(self, server: Server) -> None:
        self._wanted.discard(server.port)
        if not self._world.is_calm:
            self._put_an_old_copy_back(server)

    def rest_is_whole(self, server: Server) -> bool:
        """Whether the others have all that the leader has, follow or lead in the newest epoch, and nobody wants to lead
        in another. To be in sync is not enough: what this server has acknowledged may be on its way to the third.
        """
        servers = list(self._world.servers.values())
        nodes = [each.node for each in servers if each.node is not None]
        if len(nodes) < len(servers):
            return False
        replications = [node.replication for node in nodes]
        epochs = {each.state.promised for each in replications}
        chief = next((each for each in replications if each.leading is not None), None)
        if chief is None or chief.leading is None or len(epochs) > 1 or any(each.canvass for each in replications):
            return False
        others = [each.node.replication for each in servers if each is not server and each.node is not None]
        return all(
            each is chief
            or (each.following is not None and each.following.level and each.position == chief.position
                and each.state.history == chief.state.history and each.state.node in chief.leading.in_sync.nodes)
            for each in others
        )  # fmt: skip

    # -- room ------------------------------------------------------------------------------------------------------

    def _full_for_a_while(self, server: Server) -> bool:
        server.fill_up(self._world.rng.choice((1.0, 4.0, 12.0)))
        return True

    # -- the person ------------------------------------------------------------------------------------------------

    def look_after(self) -> None:
        """Look at all servers again and again."""
        world = self._world
        if world.is_over:
            return
        world.events.after(LOOK_SECONDS, self.look_after)
        for server in world.servers.values():
            if not world.is_calm and world.rng.random() < 0.3 and server.port not in self.damaged:
                self._copy(server)
            if server.node is None and server.broken is not None:
                if isinstance(server.broken, DiskFull | OSError):
                    server.start()
                else:
                    self._mend(server, "does not start")
            elif server.node is not None and server.port in self.damaged:
                if not world.is_calm and world.rng.random() < 0.7:
                    continue  # not today
                if self._is_damaged(server):
                    self._mend(server, "has damage")
                else:
                    self.damaged.discard(server.port)

    def _mend(self, server: Server, why: str) -> None:
        leads = server.node is not None and server.node.replication.leading is not None
        others_suffice = self._all_strong(server) and self._may_be_replaced(server)
        if others_suffice and (not leads or self.rest_is_whole(server)):  # else nobody might be able to lead
            self._world.note(f"a disk is replaced, for the server {why}", server)
            self.give_empty_disk(server)
        elif self._world.is_calm and server.node is not None:  # as a leader it cannot serve who would be a member
            self._world.operator.watches[server.port].orders.append(("FAILOVER", "TIMEOUT", 1000))

    @staticmethod
    def _is_damaged(server: Server) -> bool:
        """What `python -m storage.inspect --verify` finds."""
        with contextlib.redirect_stdout(io.StringIO()):
            return inspect.main(["--verify", "/data"], server.disk.killed()) != 0

    def give_empty_disk(self, server: Server) -> None:
        """The server comes back with an empty disk, told to follow anybody."""
        world = self._world
        server.kill()
        leader = world.rng.choice([port for port in world.ports if port != server.port])
        server.new_disk()
        server.broken = None
        server.settings["replicaof"] = f"{HOST} {leader}"
        self.weak.add(server.port)
        self.damaged.discard(server.port)
        self._back_later(server)
