"""The loop: many readable connections in, one tick of the node, many replies out.

One turn takes every connection that is readable, reads each once, runs one tick over all complete requests and sends
each client its replies. While there is work, turns follow each other directly; Trio gets a checkpoint every few
milliseconds (signals), and waits for the poller itself when nothing happens. Only this file calls the node.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Final

import trio

from respbroker.broker.clock import Now
from respbroker.resp.limits import Limits
from respbroker.server import listener as listening
from respbroker.server.commit import OutputCommit, Sending
from respbroker.server.connection import LISTENING, UNREAD_MAX, Connection
from respbroker.server.poller import GONE, READ, WRITE, best_poller
from respbroker.server.worker import Worker, run_job, sync_files
from respbroker.sessions.client import Client

if TYPE_CHECKING:
    from respbroker.broker.node import Batch, Node

_log = logging.getLogger("respbroker.server")

READ_SIZE: Final = 64 * 1024  # read from one connection in one turn
LINGER_SECONDS: Final = 0.001  # wait this long in the poller itself before handing over to Trio: a busy server stays
CHECKPOINT_SECONDS: Final = 0.01  # Trio runs at least this often
SWEEP_SECONDS: Final = 1.0  # how often idle connections and soft limits are looked for


class Loop:
    """Owns the poller, the connections, the worker threads, and the only calls into the node."""

    def __init__(self, node: Node, listeners: list[socket.socket], clients_max: int) -> None:
        self.node = node
        self.stopping = False
        self.connections: dict[int, Connection] = {}
        self._limits = Limits()
        self._clients_max = clients_max
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._poller = best_poller()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        for fd in (*self._listeners, self._wake_read):
            self._poller.register(fd, READ)
        self._syncs = Worker("respbroker-sync", sync_files, self.wake)
        self._jobs = Worker("respbroker-jobs", run_job, self.wake)
        self.commit = OutputCommit(node.durability, self._syncs.submit)
        self._paused: set[Connection] = set()  # not read from until they go on
        self._violations: list[Connection] = []  # to be told of it when earlier requests are answered
        self._sweep_at = 0.0
        self._deaf = False  # not accepting until the next sweep

    # -- running -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until `stop`."""
        checkpoint_at = 0.0
        while not self.stopping:
            now = time.monotonic()
            if now >= checkpoint_at:
                await trio.lowlevel.checkpoint()
                checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
            patience = self._patience(now)
            events = self._poller.poll(min(LINGER_SECONDS, patience))
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
                await trio.sleep(CHECKPOINT_SECONDS)

    def _patience(self, now: float) -> float:
        """Seconds until something is due by itself."""
        deadline = now + SWEEP_SECONDS
        for due in (self.node.next_deadline(), self.commit.next_deadline(self.node.settings.appendfsync)):
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
        node.tick(batch, now)
        if self._violations:
            self._report_violations()
        sendings = self._collect()
        self._send(self.commit.after_tick(sendings, settings.appendfsync, now.seconds), now.seconds)
        if self._paused:
            self._resume()
        self._serve_node(now.seconds)
        if now.seconds >= self._sweep_at:
            self._sweep(now.seconds)

    def _read(self, events: list[tuple[int, int]], now: Now) -> Batch:
        """Read each ready connection once; the complete requests of each."""
        batch: list[tuple[Client, list[list[bytes]]]] = []
        connections = self.connections
        received = 0
        for fd, mask in events:
            connection = connections.get(fd)
            if connection is None:
                self._serve_own(fd, now)
                continue
            if mask & WRITE:
                self._flush(connection, now.seconds)
                if connection.fd < 0:
                    continue
            client = connection.client
            if client.blocked or client.closing or client.backlog or not connection.mask & READ:
                self._hold_back(connection, mask)
                continue
            if not mask & (READ | GONE):
                continue
            try:
                data = connection.sock.recv(READ_SIZE)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._drop(connection)
                continue
            received += len(data)
            client.bytes_in += len(data)
            decoder = connection.decoder
            decoder.authenticated = client.authenticated
            requests = decoder.feed(data)
            if requests:
                batch.append((client, requests))
            if decoder.error is not None:
                self._violations.append(connection)
            elif not decoder.at_border and connection.hoards(self.node.settings.client_query_buffer_limit):
                self.node.statistics.query_limit_disconnections += 1
                _log.warning("closing %s: it passed client-query-buffer-limit", client.address)
                self._drop(connection)
        self.node.statistics.net_input_bytes += received
        return batch

    def _hold_back(self, connection: Connection, mask: int) -> None:
        """Stop reading from a client that cannot go on; its end is noticed all the same."""
        if mask & GONE:
            self._drop(connection)
        elif mask & READ and connection.mask & READ:
            self._pause(connection)

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

    def _collect(self) -> list[Sending]:
        """What the tick says, taken out of the clients."""
        sendings = []
        connections = self.connections
        for client in self.node.take_outputs():
            connection = connections.get(client.fd)
            if connection is None or connection.client is not client:
                continue
            pieces, client.out = client.out, []
            sendings.append(Sending(connection, pieces, client.closing or client.kill))
        return sendings

    def _send(self, sendings: list[Sending], now: float) -> None:
        sent = 0
        for sending in sendings:
            connection = sending.connection
            if connection.fd < 0:
                continue
            before = connection.client.bytes_out
            try:
                if sending.pieces and not connection.client.kill:
                    connection.send(sending.pieces)
            except OSError:
                self._drop(connection)
                continue
            sent += connection.client.bytes_out - before
            if connection.outbox is not None:
                self._keep(connection, now)
            elif sending.closing:
                self._drop(connection)
            if connection.client.lagging:
                self._catch_up(connection)
        self.node.statistics.net_output_bytes += sent

    # -- connections that lag ------------------------------------------------------------------------------------

    def _keep(self, connection: Connection, now: float) -> None:
        """Some replies could not be sent: wait until they can, within the limits."""
        client = connection.client
        if client.kill:
            self._drop(connection)
            return
        spoken_to = client.subscribed or client.monitor  # gets what it did not ask for
        limit = self.node.settings.client_output_buffer_limit["pubsub" if spoken_to else "normal"]
        if connection.passes(limit, now):
            self.node.statistics.output_limit_disconnections += 1
            _log.warning("closing %s: it passed client-output-buffer-limit", client.address)
            client.kill = True
            self._drop(connection)
            return
        if connection.unsent_bytes > UNREAD_MAX:
            self._pause(connection)
        self._await(connection, connection.mask | WRITE)

    def _flush(self, connection: Connection, now: float) -> None:
        """The socket takes more."""
        before = connection.client.bytes_out
        try:
            connection.flush()
        except OSError:
            self._drop(connection)
            return
        self.node.statistics.net_output_bytes += connection.client.bytes_out - before
        if connection.outbox is not None:
            self._keep(connection, now)
        elif connection.client.closing:
            self._drop(connection)
        else:
            self._await(connection, connection.mask & ~WRITE)
        if connection.client.lagging:
            self._catch_up(connection)

    def _catch_up(self, connection: Connection) -> None:
        """Let a client go on once it has taken most of its replies."""
        if connection.fd >= 0 and connection.unsent_bytes <= UNREAD_MAX // 2:
            self.node.go_on(connection.client)

    def _pause(self, connection: Connection) -> None:
        self._paused.add(connection)
        self._await(connection, connection.mask & ~READ)

    def _resume(self) -> None:
        for connection in list(self._paused):
            client = connection.client
            if not (client.stalled or client.closing or connection.unsent_bytes > UNREAD_MAX // 2):
                self._paused.discard(connection)
                self._await(connection, connection.mask | LISTENING)

    def _await(self, connection: Connection, mask: int) -> None:
        if mask != connection.mask:
            connection.mask = mask
            self._poller.modify(connection.fd, mask)

    def _drop(self, connection: Connection) -> None:
        """A connection ends, whoever wanted it."""
        if connection.fd < 0:
            return
        del self.connections[connection.fd]
        self._poller.unregister(connection.fd)
        self._paused.discard(connection)
        client = connection.client
        said_goodbye = client.closing and not client.kill
        self.node.disconnect(client)
        connection.close(linger=said_goodbye)

    def _sweep(self, now: float) -> None:
        """Once a second: connections idle for too long, or over the soft limit for too long."""
        self._sweep_at = now + SWEEP_SECONDS
        if self._deaf:
            self._deaf = False
            self._listen(READ)
        timeout = self.node.settings.timeout
        for connection in list(self.connections.values()):
            if connection.outbox is not None:
                self._keep(connection, now)
            if timeout and now - connection.client.last_active > timeout and not connection.may_idle:
                self._drop(connection)

    # -- new connections -----------------------------------------------------------------------------------------

    def _serve_own(self, fd: int, now: Now) -> None:
        """A descriptor of our own is ready: a listener, or the pipe that wakes us."""
        listener = self._listeners.get(fd)
        if listener is not None:
            self._accept(listener, now)
        elif fd == self._wake_read:
            os.read(self._wake_read, 4096)
            self._take_finished(now.seconds)

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
            connection = Connection(sock, client, self._limits)
            self.connections[connection.fd] = connection
            self._poller.register(connection.fd, LISTENING)

    def _listen(self, mask: int) -> None:
        for fd in self._listeners:
            self._poller.modify(fd, mask)

    # -- the node's other wishes ---------------------------------------------------------------------------------

    def _take_finished(self, now: float) -> None:
        """Syncs and jobs that were done in their threads."""
        for done in self._syncs.take_done():
            self._send(self.commit.finished(done.error), now)
        for done in self._jobs.take_done():
            if done.error is not None:
                _log.error("%s: %s", done.task.name, done.error)
            else:
                done.task.done(done.result)

    def _serve_node(self, now: float) -> None:
        housekeeping = self.node.housekeeping
        for job in housekeeping.take_jobs():
            self._jobs.submit(job)
        for level, sentence in housekeeping.take_reports():
            _log.log(getattr(logging, level.upper(), logging.INFO), "%s", sentence)
        self.commit.start_due(self.node.settings.appendfsync, now)
        if self.node.shutdown_requested is not None:
            self.stopping = True

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
        self._jobs.stop()
        now = Now(time.time_ns() // 1_000_000, time.monotonic())
        self._take_finished(now.seconds)
        self.node.tick([], now)
        self.node.durability.checkpoint()
        request = self.node.durability.take_syncs()
        sync_files(request)
        self.node.durability.synced(request)
        self.node.stop()
        self._send(self.commit.release_all(), now.seconds)
        self._send(self._collect(), now.seconds)

    def _close_all(self) -> None:
        for connection in list(self.connections.values()):
            self._drop(connection)
        self._poller.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
