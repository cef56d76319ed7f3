"""One server of the simulation: a node, its disk, its clock, and an edge that does what the real one does.

Replies are held for syncs by the real `OutputCommit`; syncs and jobs take a while, as in their threads.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import attrs

from respbroker.broker.clock import Now
from respbroker.broker.job import Job
from respbroker.broker.node import Node
from respbroker.model.settings import Settings
from respbroker.resp.decoder import Decoder, Limits
from respbroker.server.commit import OutputCommit, Sending
from respbroker.sessions.client import Client
from storage import StorageError
from tests.simulation.replicas.ends import Accepted, Dialled
from tests.simulation.replicas.events import START_MS, START_SECONDS, Events
from tests.simulation.replicas.network import Connection, Network
from tests.support.memory_filesystem import MemoryFileSystem, PowerLoss
from tests.support.nodes import _flat

LATE = 0.3  # how often what a replica has said comes while a tick runs


@attrs.define
class Pace:
    """How slow a server is, drawn for each seed: upper bounds in seconds."""

    tick: float = 0.001
    sync: float = 0.01
    job: float = 0.1


class Server:
    """Owns a node and its disk. ``node`` is None while no process runs; ``is_off`` while there is no power either."""

    def __init__(
        self, port: int, settings: dict[str, str], events: Events, network: Network, rng: random.Random, pace: Pace
    ) -> None:
        self.port = port
        self.settings = settings
        self.events, self.network, self.rng, self.pace = events, network, rng, pace
        self.new_disk()
        self.node: Node | None = None
        self.commit: OutputCommit | None = None
        self.incarnation = 0
        self.boots = 1  # starts of the machine
        self.is_off = False
        self.clock_jump_ms = 0
        self.paused_until = 0.0
        self.merges = True
        self.reports: list[tuple[float, str]] = []
        self.broken: Exception | None = None  # why it did not start
        self.happened: Counter[str] = Counter()
        self.after_tick: Callable[[Server], None] = lambda server: None
        self.promises: Callable[[Server], bool] = lambda server: True
        self.on_crash: Callable[[Server, str], None] = lambda server, kind: None
        self.dying = ""  # how it dies at the event that its disk stops at
        self.room: int | None = None  # bytes that its disk has for a tick, until one wants more
        self._full_until = 0.0  # no room at all
        self._inbox: list[Callable[[Node, Now], None]] = []
        self._arrived: dict[Client, list[list[bytes]]] = {}
        self._dialled: list[tuple[Dialled, Connection]] = []
        self._ghosts: list[Connection] = []
        self._tick_at = float("inf")
        self._due = 0
        network.servers[port] = self

    # -- its life --------------------------------------------------------------------------------------------------

    def clock(self) -> Now:
        seconds = self.events.now
        return Now(START_MS + int((seconds - START_SECONDS) * 1000) + self.clock_jump_ms, seconds)

    def new_disk(self) -> None:
        """Put in an empty disk."""
        self.disk = MemoryFileSystem()
        self.disk.mkdir("/data")
        self.disk.sync_directory("")

    def start(self) -> None:
        """Start the process, with power."""
        if self.node is not None:
            return
        self.is_off, self.broken = False, None
        for connection in self._ghosts:
            self.network.hang_up(connection, back=False)
        self._ghosts.clear()
        self.disk.stop_at = self.disk.stop_behind = None
        self._make_room()
        self.incarnation += 1
        settings = Settings.load("", [("port", str(self.port)), *self.settings.items()])
        try:
            self.node = Node(
                self.disk, "/data", settings, self.clock(), clock=lambda: self.events.now,
                seed=self.rng.getrandbits(32), process_facts=self.facts,
            )  # fmt: skip
        except (StorageError, OSError) as error:
            self.broken = error
            self.disk.locked.clear()
            return
        durability = cast(Any, self.node.durability)
        self.commit = OutputCommit(durability, partial(self._start_sync, self.incarnation))
        self._wake(0.0)

    def facts(self) -> dict[str, Any]:
        return {"boot_id": str(self.boots)}

    def fill_up(self, seconds: float) -> None:
        """Its disk has no room for so long."""
        self._full_until = self.events.now + seconds
        self._make_room()
        self.events.after(seconds, self._make_room)

    def empty_out(self) -> None:
        """There is room again."""
        self._full_until, self.room = 0.0, None
        self._make_room()

    def _make_room(self, room: int | None = None) -> None:
        self.disk.room = room if self.events.now >= self._full_until else 0

    def stop(self) -> None:
        """Stop in order, as on SIGTERM, without waiting for anybody."""
        if self.node is None:
            return
        try:
            self._finish(self.node)
        except PowerLoss:
            self._stopped()
        else:
            self._end(silently=False)

    def _finish(self, node: Node) -> None:
        node.end_waiting()
        node.tick([], self.clock())
        node.durability.checkpoint()
        request = node.durability.take_syncs()
        for file in request.files:
            file.sync()
        node.durability.synced(request)
        node.stop()

    def kill(self) -> None:
        """kill -9: everything written is on the disk."""
        if self.node is not None:
            self._end(silently=False)

    def power_off(self) -> None:
        """What was not synced is lost, or some of it is."""
        self._end(silently=True)
        self.is_off = True
        self.boots += 1
        self.disk = self.disk.powered_off(self.rng.getrandbits(32) if self.rng.random() < 0.8 else None)

    def die_soon(self, how: str, *, in_journal: bool = False) -> None:
        """Die in the middle of something: at one of the next things that its disk does, or with ``in_journal`` does in
        a tick that is whole or absent.
        """
        self.dying = how
        if in_journal:
            self.disk.stop_behind = "/journal", self.rng.choice((0, 1, 2, 3, 4, 5))
        else:
            self.disk.stop_at = self.disk.events + self.rng.choice((0, 1, 2, 5, 10, 30))
        self.disk.tear = self.rng.choice((0, 1, 20, 70, 200))

    def _stopped(self) -> None:
        how = self.dying
        if how == "power":
            self.power_off()
        else:
            self.kill()
        self.on_crash(self, how)

    def _end(self, *, silently: bool) -> None:
        self.disk.locked.clear()
        self.node = self.commit = None
        self.dying, self.disk.stop_at, self.disk.stop_behind = "", None, None
        self.room = None
        self._make_room()
        self._inbox.clear()
        self._arrived.clear()
        self._dialled.clear()
        self._ghosts += self.network.server_died(self, silently=silently)
        self.incarnation += 1

    def pause(self, seconds: float) -> None:
        """SIGSTOP for so long."""
        self.paused_until = self.events.now + seconds
        self._wake(0.0)

    # -- what others do to it --------------------------------------------------------------------------------------

    def hear(self, incarnation: int, news: Callable[[Node, Now], None]) -> None:
        """Something is to be told to the node before its next tick."""
        if incarnation == self.incarnation and self.node is not None:
            self._inbox.append(news)
            self._wake(self.rng.random() * self.pace.tick)

    def accept(self, connection: Connection) -> None:
        """Somebody connects."""
        assert self.node is not None
        source = connection.there.source
        address = f"127.0.0.1:{source if isinstance(source, int) else 50000}"
        client = self.node.connect(self.clock(), address, f"127.0.0.1:{self.port}", 9)
        connection.accepted = client.connection = Accepted(connection, client, Decoder(Limits()))

    def receive(self, connection: Connection, data: bytes) -> None:
        """Bytes have come."""
        self.hear(self.incarnation, lambda node, now: self._read(connection, data))

    def _read(self, connection: Connection, data: bytes) -> None:
        accepted = connection.accepted
        assert accepted is not None
        requests = accepted.decoder.feed(data)
        if requests and accepted.client.id in cast(Node, self.node).clients:
            self._arrived.setdefault(accepted.client, []).extend(requests)

    def lose(self, connection: Connection) -> None:
        """A client has hung up."""
        accepted = connection.accepted
        if accepted is not None and connection.incarnation == self.incarnation:
            self.hear(self.incarnation, lambda node, now: self._drop(node, accepted))

    def _drop(self, node: Node, accepted: Accepted) -> None:
        self._arrived.pop(accepted.client, None)
        node.disconnect(accepted.client)

    # -- one turn --------------------------------------------------------------------------------------------------

    def _wake(self, seconds: float) -> None:
        """See that there is a tick so soon."""
        moment = max(self.events.now + seconds, self.paused_until)
        if moment < self._tick_at:
            self._tick_at = moment
            self._due += 1
            self.events.at(moment, partial(self._turn, self._due))

    def _turn(self, due: int) -> None:
        if due != self._due:
            return
        self._tick_at = float("inf")
        if self.node is None:
            return
        if self.events.now < self.paused_until:
            self._wake(0.0)
            return
        try:
            self._tick(self.node, cast(OutputCommit, self.commit))
        except PowerLoss:
            self._stopped()
            return
        self.after_tick(self)

    def _tick(self, node: Node, commit: OutputCommit) -> None:
        now, policy = self.clock(), node.settings.appendfsync
        news, self._inbox = self._inbox, []
        for each in news:
            each(node, now)
        arrived, self._arrived = self._arrived, {}
        late = {client: arrived.pop(client) for client in [*arrived] if client.replica and self.rng.random() < LATE}
        self._make_room(self.room)
        node.tick(list(arrived.items()), now)
        if self.disk.room == 0:
            self.room = None
        self._make_room()
        for client in node.take_frames():
            self._send(self._sending(client))
        self._hear(node, late)
        clients = node.take_outputs()
        if commit.holds_back(policy):
            held = [self._sending(client) for client in clients if client.connection is not None]
            self._send(*commit.after_tick(held, policy, now.seconds))
        else:
            self._send(*[self._sending(client) for client in clients if client.connection is not None])
        self._serve_peers(node)
        for job in node.housekeeping.take_jobs():
            if self.merges or not job.name.startswith("merge"):
                self.events.after(self.rng.random() * self.pace.job, partial(self._run_job, self.incarnation, job))
        self.reports += [(self.events.elapsed, sentence) for _, sentence in node.housekeeping.take_reports()]
        commit.start_due(policy, now.seconds)
        deadline = min(node.next_deadline(), commit.next_deadline(policy) or float("inf"))
        self._wake(max(0.0005, deadline - now.seconds))

    def _hear(self, node: Node, late: dict[Client, list[list[bytes]]]) -> None:
        """What replicas have said while the tick ran: heard behind it, or kept for the next."""
        awaited = node.awaited_replicas()
        heard = [(client, late.pop(client)) for client in awaited if client in late]
        if heard:
            node.hear(heard)
        self._arrived |= {client: said for client, said in late.items() if client.id in node.clients}
        if self._arrived:
            self._wake(0.0005)

    def _sending(self, client: Client) -> Sending:
        pieces, client.out = client.out, []
        if client.connection is not None and pieces:
            cast(Accepted, client.connection).promised.append(self.promises(self))
        return Sending(client.connection, pieces, client.closing)

    def _send(self, *sendings: Sending) -> None:
        for sending in sendings:
            accepted = cast(Accepted, sending.connection)
            client, connection = accepted.client, accepted.connection
            if sending.pieces and not client.kill:
                connection.counts = all(accepted.promised)
                del accepted.promised[:1]
                self.network.send(connection, b"".join(_flat(sending.pieces)), back=True)
            if client.kill or sending.closing:
                self.network.hang_up(connection, back=True)
                if self.node is not None and client.id in self.node.clients:
                    self.node.disconnect(client)

    def _serve_peers(self, node: Node) -> None:
        for peer in node.take_peers():
            dialled = Dialled(self, self.incarnation, peer)
            self._dialled.append((dialled, self.network.dial(self.port, peer.port, dialled)))
        kept = []
        for dialled, connection in self._dialled:
            peer = dialled.peer
            if peer.connected and peer.out:
                data = b"".join(peer.out)
                peer.out.clear()
                self.network.send(connection, data, back=False)
            if peer.closing:
                self.network.hang_up(connection, back=False)
            elif not connection.closed:
                kept.append((dialled, connection))
        self._dialled = kept

    # -- threads ---------------------------------------------------------------------------------------------------

    def _start_sync(self, incarnation: int, request: Any) -> None:
        slow = 30 if self.rng.random() < 0.02 else 1
        early = self.rng.random() < 0.5
        if early:
            self._sync_files(request)
        seconds = self.rng.random() * self.pace.sync * slow
        self.events.after(seconds, partial(self._end_sync, incarnation, request, early))

    def _sync_files(self, request: Any) -> None:
        for file in request.files:
            file.sync()

    def _end_sync(self, incarnation: int, request: Any, done: bool) -> None:
        if incarnation != self.incarnation or self.commit is None:
            return
        if self.events.now < self.paused_until:
            self.events.at(self.paused_until, partial(self._end_sync, incarnation, request, done))
            return
        try:
            if not done:
                self._sync_files(request)
            self._send(*self.commit.finished(None, self.events.now))
        except PowerLoss:
            self._stopped()
            return
        self._wake(0.0)

    def _run_job(self, incarnation: int, job: Job) -> None:
        if incarnation != self.incarnation:
            return
        self.happened[job.name.split(" ", 1)[0]] += 1
        try:
            job.done(job.run())
        except PowerLoss:
            self._stopped()
            return
        except StorageError as error:
            job.failed(error)
        self._wake(0.0)
