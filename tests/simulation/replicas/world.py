"""The world of one seed: servers, network, clients, operator and faults on one virtual time, and how it ends.

First all servers come and the streams are made, then the chaos, then calm: faults stop, the operator settles, and the
servers must come to be alike, with everything that was promised.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from respbroker.broker import compactor, follower_session, housekeeping
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.checkers import Checker
from tests.simulation.replicas.clients import SETUP_REQUESTS, Caller, Consumer, Producer, Reader
from tests.simulation.replicas.disks import KINDS as DISK_FAULTS
from tests.simulation.replicas.events import START_MS, START_SECONDS, Events
from tests.simulation.replicas.faults import Faults
from tests.simulation.replicas.history import History
from tests.simulation.replicas.network import Network
from tests.simulation.replicas.operator import HOST, Operator
from tests.simulation.replicas.plan import Plan
from tests.simulation.replicas.server import Server
from tests.simulation.replicas.table_clients import TableReader, TableWriter
from tests.simulation.replicas.tables import Table
from tests.simulation.replicas.topics import LOOK_SECONDS
from tests.simulation.replicas.topics import SETUP_REQUESTS as TOPIC_REQUESTS
from tests.simulation.replicas.trimmed_clients import TrimmedReader, TrimmedWriter
from tests.simulation.replicas.value_clients import ValueReader, ValueWriter

FIRST_PORT = 7001
CALM_SECONDS = 4.0  # clients go on for so long
SETTLING_SECONDS = 240.0


class World:
    """One run. Everything is drawn from the seed."""

    def __init__(
        self, seed: int, *, verbose: bool = False, loses_unsynced: bool = False, values: bool = False,
        topics: bool = False, disks: bool = False, servers: int = 3,
    ) -> None:  # fmt: skip
        """With ``values`` there are clients that keep strings, hashes and sorted sets, too; with ``topics`` topics that
        linger, are compacted, or give up what is old; with ``disks`` bits flip, old copies are put back, and disks are
        full for a while.
        """
        self.seed, self.verbose, self.values, self.topics, self.disks = seed, verbose, values, topics, disks
        self.rng = random.Random(seed)
        self.plan = Plan.draw(self.rng, loses_unsynced=loses_unsynced)
        if values:
            self.plan.faults |= {"full disk": 2.0, "die in an exec": 2.0}
        if disks:
            self.plan.faults |= {kind: weight for kind, weight in DISK_FAULTS.items() if self.rng.random() < 0.7}
        self.events = Events()
        self.network = Network(self.events, self.rng, self.plan.delay)
        self.ports = tuple(range(FIRST_PORT, FIRST_PORT + servers))
        self.history, self.table = History(topics=topics), Table()
        self._setup = SETUP_REQUESTS | (TOPIC_REQUESTS if topics else {})
        self.is_calm = self.is_over = self._is_set_up = False
        self.happened: Counter[str] = Counter()
        self.servers = {port: self._server(port) for port in self.ports}
        self.checker = Checker(self)
        self.callers: list[Caller] = []
        self.operator = Operator(self)
        self.faults = Faults(self)

    def _server(self, port: int) -> Server:
        settings = dict(self.plan.settings)
        if port != FIRST_PORT:
            settings["replicaof"] = f"{HOST} {FIRST_PORT}"
        server = Server(port, settings, self.events, self.network, self.rng, self.plan.pace)
        server.merges = self.plan.merges
        return server

    def note(self, what: str, server: Server | None = None) -> None:
        """Something happened."""
        self.happened[what] += 1
        if self.verbose:
            self.say(f"{server.port if server else ''} {what}")

    def say(self, sentence: str) -> None:
        print(f"{self.events.elapsed:9.3f} {sentence}")

    def is_young(self, entry_id: tuple[int, int], limit_ms: int) -> bool:
        """Whether an entry is less old than that, as far as clocks can tell."""
        return not self.plan.jumps and START_MS + int((self.events.now - START_SECONDS) * 1000) < entry_id[0] + limit_ms

    # -- the run ---------------------------------------------------------------------------------------------------

    def run(self) -> World:
        changes = [(follower_session, "WINDOW", self.plan.window), (follower_session, "CHUNK_BYTES", self.plan.chunk)]
        if self.topics:
            changes += [(compactor, "LOOK_SECONDS", LOOK_SECONDS), (housekeeping, "ROUND_SECONDS", LOOK_SECONDS)]
        with ExitStack() as patches:
            for module, name, value in changes:
                patches.enter_context(patch.object(module, name, value))
            self._begin()
            self._chaos()
            self._calm()
            self.checker.end()
        return self

    def _begin(self) -> None:
        for server in self.servers.values():
            server.after_tick, server.promises = self.checker.after_tick, self.checker.promises_of
            server.start()
        first = self.servers[FIRST_PORT]
        self._wait("the servers do not come together", self.checker.are_level, 60.0)
        for words in self._setup.values():
            self.checker.ask(first, *words)
        self._wait("the followers do not follow", self.checker.are_level, 60.0)

    def is_set_up(self) -> bool:
        """Whether every server has had the streams. Nothing goes wrong before that, for nobody was told that they are
        made, so they might be lost.
        """
        if not self._is_set_up:
            nodes = [server.node for server in self.servers.values()]
            self._is_set_up = all(
                node is not None and self._setup.keys() <= node.keyspace.databases[0].keys.keys() for node in nodes
            )
        return self._is_set_up

    def _wait(self, failure: str, is_done: Any, seconds: float) -> None:
        give_up_at = self.events.now + seconds
        while not is_done():
            if self.events.now > give_up_at:
                raise Broken(f"{failure}: {self.checker.picture()}")
            self.events.run_until(self.events.now + 0.5)

    def _chaos(self) -> None:
        self.callers = [Producer(self, f"p{n}", idempotent=n % 3 == 0) for n in range(4)]
        self.callers += [Reader(self, f"r{n}") for n in range(2)]
        self.callers += [Consumer(self, f"c{n}") for n in range(3)]
        if self.values:
            self.callers += [ValueWriter(self, "v0"), ValueWriter(self, "v1"), ValueReader(self, "vr")]
        if self.topics:
            self.callers += [TableWriter(self, "t0"), TableWriter(self, "t1"), TableReader(self, "tr")]
            self.callers += [TrimmedWriter(self, "old", idempotent=False), TrimmedReader(self, "or")]
        for caller in self.callers:
            caller.begin()
        if self.disks:
            self.network.flips = self.rng.choice((0.0, 0.02))
        self.operator.begin()
        self.faults.begin()
        self.events.run_until(self.events.now + self.plan.seconds)

    def _calm(self) -> None:
        self.is_calm = self.operator.calm = True
        self.note("calm")
        self.network.heal()
        self.network.delay, self.network.flips = 0.001, 0.0
        if self.network.flipped:
            self.happened["a bit flips on the way"] = self.network.flipped
        for server in self.servers.values():
            server.paused_until = 0.0
            server.dying = ""
            server.empty_out()
            server.disk.stop_at = server.disk.stop_behind = None
            server.start()
            server.pause(0.0)
        self.events.run_until(self.events.now + CALM_SECONDS)
        for caller in self.callers:
            caller.retired = True
        self._wait("the servers do not settle", self._is_settled, SETTLING_SECONDS)
        self.events.run_until(self.events.now + 4.0)  # whoever still waits is answered
        self._wait("the servers do not settle", self._is_settled, SETTLING_SECONDS)
        self.checker.check_writes()
        self.events.run_until(self.events.now + 1.0)
        self._wait("the servers do not take a last write", self._is_settled, SETTLING_SECONDS)
        self.is_over = True

    def _is_settled(self) -> bool:
        return not self.faults.damaged and self.checker.are_level()
