"""The loop: many readable connections in, one tick of the node, many replies out.

One turn takes every connection that is readable, reads each once, runs one tick over all complete requests and sends
each client its replies. While there is work, turns follow each other directly; Trio gets a checkpoint every few
milliseconds (signals), and waits for the poller itself when nothing happens. Only this file runs ticks.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Final

import trio

from respbroker.broker.clock import Now
from respbroker.resp.decoder import read_requests
from respbroker.resp.limits import Limits
from respbroker.server import listener as listening
from respbroker.server.apart import Apart, Stopped
from respbroker.server.commit import OutputCommit
from respbroker.server.connection import Connection
from respbroker.server.connections import Connections
from respbroker.server.peers import Peers
from respbroker.server.poller import READ, best_poller
from respbroker.server.syncs import Syncs, sync_files
from respbroker.server.worker import Worker, run_job
from respbroker.sessions.client import Client

if TYPE_CHECKING:
    from respbroker.broker.node import Batch, Node

_log = logging.getLogger("respbroker.server")

READ_SIZE: Final = 64 * 1024  # read from one connection in one turn
READ_SIZE_LARGE: Final = 256 * 1024  # the same where one sent more than that: large values are cut into fewer pieces
LINGER_SECONDS: Final = 0.01  # wait this long in the poller itself before handing over to Trio: a busy server stays
CHECKPOINT_SECONDS: Final = 0.05  # Trio runs at least this often
SWEEP_SECONDS: Final = 1.0  # how often idle connections and soft limits are looked for


class Loop:
    """Owns the poller, the connections, the peers, the worker threads, and nearly all calls into the node."""

    def __init__(self, node: Node, listeners: list[socket.socket], clients_max: int) -> None:
        self.node = node
        self.stopping = False
        self._limits = Limits()
        self._clients_max = clients_max
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._poller = best_poller()
        self.connections = Connections(node, self._poller)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        for fd in (*self._listeners, self._wake_read):
            self._poller.register(fd, READ)
        self._syncs = Syncs(self.wake)
        self._jobs = Worker("respbroker-jobs", run_job, self.wake)
        self.peers = Peers(node, self._poller, self._jobs.submit)
        self._apart = Apart()
        self._long_jobs = Worker("respbroker-long-jobs", self._apart.perform, self.wake)
        self.commit = OutputCommit(node.durability, self._syncs.start, self._syncs.pace)
        self._violations: list[Connection] = []  # to be told of it when earlier requests are answered
        self._sweep_at = 0.0
        self._read_size = READ_SIZE
        self._alone = False  # nobody was answered since the last sync without waiting for the next
        self._deaf = False  # not accepting until the next sweep

    # -- running -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until `stop`."""
        checkpoint_at = 0.0
        events: list[tuple[int, int]] = []
        while not self.stopping:
            now = time.monotonic()
            if now >= checkpoint_at:
                await trio.lowlevel.checkpoint()
                checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
            is_busy = len(events) > 1 and not self.commit.holding
            events = self._poller.poll(0) if is_busy else []
            if not events:  # else it need not even be worked out how long to wait
                patience = self._patience(now)
                events = self._look(patience, now)
                if not events and patience > LINGER_SECONDS and not self.stopping:
                    await self._sleep(patience)
                    checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
                    events = self._poller.poll(0)
            self.turn(events)

    def stop(self) -> None:
        """Let `run` return after the present turn."""
        self.stopping = True
        self.wake()

    def wake(self) -> None:
        """End the loop's sleep; from any thread."""
        try:
            os.write(self._wake_write, b"!")
        except BlockingIOError:  # it is awake already
            pass

    async def _sleep(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            if self._poller.fileno() >= 0:
                await trio.lowlevel.wait_readable(self._poller.fileno())
            else:  # select() has no descriptor to wait for
                await trio.sleep(LINGER_SECONDS)

    def _look(self, patience: float, now: float) -> list[tuple[int, int]]:
        """What is ready, soon at the latest. Those who may join a sync are given time to come together."""
        if self.commit.holding and self.commit.gathers(self.node.settings.appendfsync, now):
            time.sleep(self.commit.company.pause_seconds)
        return self._poller.poll(min(LINGER_SECONDS, patience))

    def _patience(self, now: float) -> float:
        """Seconds until something is due by itself."""
        deadline = now + SWEEP_SECONDS
        policy = self.node.settings.appendfsync
        for due in (self.node.next_deadline(), self.commit.next_deadline(policy), self.peers.next_deadline()):
            if due is not None and due < deadline:
                deadline = due
        return max(0.0, deadline - now)

    # -- one turn ------------------------------------------------------------------------------------------------

    def turn(self, events: list[tuple[int, int]]) -> None:
        """Read what is ready, run one tick, send what it says."""
        node = self.node
        settings = node.settings
        now = Now(time.time_ns() // 1_000_000, time.monotonic())
        self._limits.bulk_bytes_max = settings.proto_max_bulk_len
        batch = self._read(events, now)
        self.peers.before_tick(now)
        node.tick(batch, now)
        if self._violations:
            self._report_violations()
        frames = node.take_frames()
        behind_sync = self.commit.holds_back(settings.appendfsync)
        if frames and (behind_sync or node.holds_replies):  # else no reply waits for what they bring about
            self.connections.ship(frames, now.seconds)
            frames = []
        if awaited := node.awaited_replicas():
            self._hear(awaited, now)
        clients = node.take_outputs()
        if behind_sync:
            self._commit(clients, batch, now.seconds)
        else:
            self._answer(clients, frames, now.seconds)
        if self.connections.paused:
            self.connections.resume()
        self.peers.after_tick(now.seconds)
        self._serve_node(now.seconds)
        if now.seconds >= self._sweep_at:
            self._sweep(now.seconds)

    def _answer(self, clients: list[Client], frames: list[Client], now: float) -> None:
        """Send replies, then the frames of replicas that can wait so long."""
        self._alone = self._alone and not clients
        if not frames:
            self.connections.answer(clients, now)
            return
        self.connections.answer([client for client in clients if client not in frames], now)
        self.connections.ship(frames, now)

    def _hear(self, awaited: list[Client], now: Now) -> None:
        """Take what replicas have acknowledged during the tick: the replies that it lets go of leave a turn sooner."""
        read_size = self._read_size
        batch = self._read([(client.connection.fd, READ) for client in awaited if client.connection is not None], now)
        self._read_size = read_size
        if batch:
            self.node.hear(batch)

    def _commit(self, clients: list[Client], batch: Batch, now: float) -> None:
        """Answer behind a sync: here and now if the disk is quick, else when the thread has done it."""
        self.commit.company.heard([client.connection for client, _ in batch])
        if self._syncs.is_quick(alone=self._alone):
            earlier = self.commit.sync_at_once(clients, self._syncs.perform, now)
            if earlier is not None:
                self._alone = True
                self.connections.send(earlier, now)
                self.connections.answer(clients, now)
                return
        held = self.connections.collect(clients)
        self.connections.send(self.commit.after_tick(held, self.node.settings.appendfsync, now), now)

    def _read(self, events: list[tuple[int, int]], now: Now) -> Batch:
        """Read each ready connection once; the complete requests of each."""
        batch: list[tuple[Client, list[list[bytes]]]] = []
        connections = self.connections.by_fd
        received = largest = reads = 0
        wanted, bulk_bytes_max = self._read_size, self._limits.bulk_bytes_max
        for fd, mask in events:
            connection = connections.get(fd)
            if connection is None:
                self._serve_own(fd, mask, now)
                continue
            client = connection.client
            if (mask != READ or not client.plain or client.backlog) and not self.connections.may_read(
                connection, mask, now.seconds
            ):
                continue
            try:
                data = os.read(fd, wanted)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self.connections.drop(connection)
                continue
            size = len(data)
            received += size
            reads += 1
            if size > largest:
                largest = size
            client.bytes_in += size
            decoder = connection.decoder
            requests: list[list[bytes]] = []
            if client.plain and decoder.at_ease:  # nearly always, and nearly always what it sent is whole
                done = read_requests(data, 0, bulk_bytes_max, requests)
                if done == size:
                    batch.append((client, requests))
                    continue
                data = data[done:]
            decoder.authenticated = client.authenticated
            requests += decoder.feed(data)
            if requests:
                batch.append((client, requests))
            if not decoder.at_ease:
                self._look_at_rest(connection)
        self._read_size = READ_SIZE if largest < READ_SIZE else READ_SIZE_LARGE
        self.node.statistics.net_input_bytes += received
        self.node.statistics.reads_processed += reads
        return batch

    def _look_at_rest(self, connection: Connection) -> None:
        """What was read ends in the middle of a request, or was none."""
        if connection.decoder.error is not None:
            self._violations.append(connection)
        elif connection.hoards(self.node.settings.client_query_buffer_limit):
            self.node.statistics.query_limit_disconnections += 1
            _log.warning("closing %s: it passed client-query-buffer-limit", connection.client.address)
            self.connections.drop(connection)

    def _report_violations(self) -> None:
        waiting, self._violations = self._violations, []
        for connection in waiting:
            error = connection.decoder.error
            assert error is not None
            if connection.fd < 0 or connection.client.closing:
                continue
            if connection.client.stalled:
                self._violations.append(connection)
            else:
                self.node.protocol_error(connection.client, error)

    def _sweep(self, now: float) -> None:
        """Once a second: connections idle for too long, or over the soft limit for too long."""
        self._sweep_at = now + SWEEP_SECONDS
        if self._deaf:
            self._deaf = False
            self._listen(READ)
        timeout = self.node.settings.timeout
        for connection in self.connections:
            if connection.outbox is not None:
                self.connections.keep(connection, now)
            if timeout and now - connection.client.last_active > timeout and not connection.may_idle:
                self.connections.drop(connection)

    # -- new connections -----------------------------------------------------------------------------------------

    def _serve_own(self, fd: int, mask: int, now: Now) -> None:
        """A descriptor that is no client's is ready: a listener, the pipe that wakes us, or a peer."""
        listener = self._listeners.get(fd)
        if listener is not None:
            self._accept(listener, now)
        elif fd == self._wake_read:
            os.read(self._wake_read, 4096)
            self._take_finished()
        else:
            self.peers.serve(fd, mask, now)

    def _accept(self, listener: socket.socket, now: Now) -> None:
        settings = self.node.settings
        room = min(settings.maxclients, self._clients_max) - len(self.connections)
        try:
            arrived = listening.accept(listener, settings, room)
        except OSError as error:  # no descriptors left: the waiting peer would wake us without end
            _log.warning("cannot accept connections for a while: %s", error)
            self._deaf = True
            self._listen(0)
            return
        self.node.statistics.connections_rejected += arrived.refused_count
        for sock, peer, local in arrived.accepted:
            client = self.node.connect(now, peer, local, sock.fileno())
            self.connections.add(Connection(sock, client, self._limits))

    def _listen(self, mask: int) -> None:
        for fd in self._listeners:
            self._poller.modify(fd, mask)

    # -- the node's other wishes ---------------------------------------------------------------------------------

    def _take_finished(self) -> None:
        """Jobs that were done in their thread or process; syncs are looked for in every turn."""
        for done in (*self._jobs.take_done(), *self._long_jobs.take_done()):
            if isinstance(done.error, Stopped):
                continue
            if done.error is not None:
                _log.error("%s: %s", done.task.name, done.error)
                done.task.failed(done.error)
            else:
                done.task.done(done.result)

    def _serve_node(self, now: float) -> None:
        housekeeping = self.node.housekeeping
        if housekeeping.has_wishes:
            for job in housekeeping.take_jobs():
                (self._long_jobs if job.request else self._jobs).submit(job)
            for level, sentence in housekeeping.take_reports():
                _log.log(getattr(logging, level.upper(), logging.INFO), "%s", sentence)
        self._sync(now)
        if self.node.shutdown_requested is not None:
            self.stopping = True

    def _sync(self, now: float) -> None:
        """Start what is due, and let go of what was held for syncs that are done."""
        self.commit.start_due(self.node.settings.appendfsync, now)
        while self.commit.syncing and (done := self._syncs.take_done()):
            self._alone = True
            for each in done:
                self.connections.send(self.commit.finished(each.error, now), now)
            self.commit.start_due(self.node.settings.appendfsync, now)

    # -- the end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Finish what runs, write and sync everything, close every connection."""
        for fd, listener in self._listeners.items():
            self._poller.unregister(fd)
            listener.close()
        try:
            self._finish()
        finally:
            self._close_all()

    def _finish(self) -> None:
        """Write and sync everything, then say what is left to say."""
        self._syncs.stop()
        self._apart.stop()
        self._jobs.stop()
        self._long_jobs.stop()
        now = Now(time.time_ns() // 1_000_000, time.monotonic())
        for done in self._syncs.take_done():
            self.connections.send(self.commit.finished(done.error), now.seconds)
        self._take_finished()
        self.node.end_waiting()
        self.node.tick([], now)
        self.connections.ship(self.node.take_frames(), now.seconds)
        self.node.leave()
        self.peers.after_tick(now.seconds)
        self.node.durability.checkpoint()
        request = self.node.durability.take_syncs()
        sync_files(request)
        self.node.durability.synced(request)
        self.node.stop()
        self.connections.send(self.commit.release_all(), now.seconds)
        self.connections.answer(self.node.take_outputs(), now.seconds)

    def _close_all(self) -> None:
        self.peers.close()
        for connection in self.connections:
            self.connections.drop(connection)
        self._poller.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
