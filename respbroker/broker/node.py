"""One node as a machine: what happened goes in, effects come out.

The edge calls `Node.tick` with the requests that arrived and the time, then takes what there is to send, to sync and
to run in threads. The node opens no socket and reads no clock; it owns every state of the server. Within a tick time
stands still, and everything the tick wrote goes to disk in one append per stream, at its end.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from respbroker.broker.blocking import Blocking
from respbroker.broker.clock import Now
from respbroker.broker.dispatch import Dispatcher
from respbroker.broker.durability import Durability
from respbroker.broker.facts import facts
from respbroker.broker.housekeeping import Housekeeping
from respbroker.broker.lingering import Lingering
from respbroker.broker.node_keys import NodeKeys
from respbroker.broker.node_nested import NodeNested
from respbroker.broker.node_replicas import NodeReplicas
from respbroker.broker.node_values import NodeValues
from respbroker.broker.outputs import extend
from respbroker.broker.replica_desk import ReplicaDesk
from respbroker.broker.replication import Replication
from respbroker.broker.replication_store import ReplicationStore
from respbroker.commands.catalogue import ALL_COMMANDS
from respbroker.commands.context import BlockedRequest
from respbroker.commands.table import CommandTable
from respbroker.errors import ProtocolError, ReplyError
from respbroker.model.settings import Settings
from respbroker.resp import replies
from respbroker.sessions.channels import Channels
from respbroker.sessions.client import Client, Reply
from respbroker.sessions.latency import LatencyMonitor
from respbroker.sessions.notifications import Notifications
from respbroker.sessions.scripts import Scripts
from respbroker.sessions.slowlog import SlowLog
from respbroker.sessions.statistics import Statistics
from respbroker.sessions.watches import Watches
from respbroker.streams.directories import lock_directory
from respbroker.streams.group_sessions import GroupSessions
from respbroker.streams.keyspace import Keyspace
from storage import FileSystem

Batch = Sequence[tuple[Client, list[list[bytes]]]]


class Node(NodeKeys, NodeNested, NodeReplicas, NodeValues):
    """A whole server without its sockets; see `respbroker.commands.context.Context` for what handlers see of it."""

    def __init__(
        self,
        filesystem: FileSystem,
        directory: str,
        settings: Settings,
        now: Now,
        *,
        clock: Callable[[], float],
        seed: int,
        process_facts: Callable[[], dict[str, Any]] = dict,
        config_writer: Callable[[Settings], None] | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.directory = directory
        self.now_ms, self.now = now.ms, now.seconds
        self.started_at = now
        self.random = random.Random(seed)  # no secret depends on it
        self.run_id = f"{self.random.getrandbits(160):040x}"
        self.process_facts = process_facts
        self._config_writer = config_writer
        self.ticks_count = 0
        self.dirty = 0
        self.unfinished = False
        self.shutdown_requested: dict[str, bool] | None = None
        self.next_client_id = 1
        self.clients: dict[int, Client] = {}
        self.held: dict[int, Client] = {}
        self.monitors: dict[int, Client] = {}
        self.client = Client(0)
        self.paused_until = 0.0
        self.pause_writes_only = False
        self._ran: list[Client] = []  # in this tick
        self._speaking: dict[Client, None] = {}  # others that were spoken to
        self._deferred: list[tuple[Client, bytes]] = []
        self.channels = Channels()
        self.watches = Watches()
        self.notifications = Notifications()
        self.statistics = Statistics()
        self.scripts = Scripts()
        self.slowlog = SlowLog()
        self.latency = LatencyMonitor()
        self.commands = CommandTable(ALL_COMMANDS)
        self.dispatcher = Dispatcher(self, self.commands, clock)
        self.blocking = Blocking(self)
        self.waiters = self.blocking.waiters
        self.lingering = Lingering(self)
        self.group_sessions = GroupSessions()
        self._lock = lock_directory(filesystem, directory)
        in_background = settings.appendfsync != "always"  # its replies may speak only of what is on the disk
        store = ReplicationStore(filesystem, directory)
        following = not store.begins_leading(settings.replicaof, settings.min_insync_replicas)
        self.keyspace = Keyspace(
            filesystem, directory, settings, now.ms, settle=not in_background, following=following,
            ran_on=store.machine_ran_on(str(self.process_facts().get("boot_id", ""))),
        )  # fmt: skip
        self.keyspace.on_expired = self._expired
        self.durability = Durability(self)
        self.keyspace.on_unsynced = self.durability.mark_written
        self.housekeeping = Housekeeping(self)
        self.replication = Replication(self, store)
        self.replicas = ReplicaDesk(self, self.replication)
        self.replication.start()
        self.settings_changed()

    # -- what the edge calls -------------------------------------------------------------------------------------

    def connect(self, now: Now, address: str = "", local: str = "", fd: int = -1) -> Client:
        """A client has connected."""
        client = Client(
            self.next_client_id,
            address,
            local,
            fd,
            connected_at=now.seconds,
            last_active=now.seconds,
            authenticated=not self.settings.requirepass,
        )
        client.settle()
        self.next_client_id += 1
        self.clients[client.id] = client
        self.statistics.connections_received += 1
        return client

    def disconnect(self, client: Client) -> None:
        """A client is gone; whatever it waited for, listened to or watched goes with it."""
        self.clients.pop(client.id, None)
        self.held.pop(client.id, None)
        self.monitors.pop(client.id, None)
        self._speaking.pop(client, None)
        client.backlog.clear()
        client.out.clear()
        client.kill = True
        self.blocking.forget(client)
        self.lingering.forget(client)
        self.group_sessions.closed(client.id, self.now)
        self.replication.gone(client)
        if client.blocked:
            self.durability.forget(client)
        self.channels.remove_client(client)
        self.unwatch(client)

    def end_waiting(self) -> None:
        """The next tick is the last: what lingers is appended in it."""
        self.lingering.hurry()
        if self.replication.leading is not None:
            self.replication.leading.hurries = True

    def stop(self) -> None:
        """The edge is done and everything is synced: close all files and give the directory back."""
        self.replication.stop()
        self.keyspace.close()
        self._lock.release()

    def tick(self, batch: Batch, now: Now) -> None:
        """Run what arrived; afterwards everything it changed is written, not synced."""
        self.now_ms, self.now = now.ms, now.seconds
        self.keyspace.now_ms = now.ms
        self.ticks_count += 1
        self.durability.begin_tick()
        self.lingering.begin_tick()
        if not self.quiet:
            self.refresh_quiet()
        if not self.replication.is_idle:
            self.replication.begin_tick()
        if self.held:
            self._run_held()
        self._ran = [client for client, _ in batch]
        self.dispatcher.run_all(batch)
        if self.lingering.next_moment <= now.seconds:
            self.lingering.append_due()
        if self.group_sessions.next_moment <= now.seconds and not self.durability.refusal:
            self.settle_groups()
        if self.waiters.next_moment <= now.seconds:
            self.blocking.expire()
        if self.housekeeping.next_at <= now.seconds:
            self.housekeeping.run()
        self.durability.flush(batch)
        if not self.replication.is_idle:
            others = [*self.durability.held_requests, *self.lingering.appended.items()]
            self.replication.end_tick(batch, self.durability.served, others)
            self.replicas.work()

    def settle_groups(self) -> None:
        """Let partitions of ordered groups change hands where a session has ended or a partition has drained."""
        for group in self.group_sessions.due(self.now):
            self.blocking.key_changed(group.topic.db, group.topic.name)
        if self.unfinished:
            self.finish_command()

    def go_on(self, client: Client) -> None:
        """A client that lagged behind has taken its replies: its next requests may run."""
        client.lagging = False
        if client.backlog and not client.blocked:
            self.held[client.id] = client

    def take_outputs(self) -> list[Client]:
        """Clients with something in ``out``, or that are to be closed."""
        clients = self._ran
        if self._speaking:
            clients = list(dict.fromkeys(clients) | self._speaking)
            self._speaking = {}
        clients = [client for client in clients if client.out or client.closing or client.kill]
        gate = self.replication.gate
        if gate.holds_some:  # what is in `out` of one that is not to be closed always may leave
            clients = [client for client in clients if not client.closing or client.kill or gate.lets_go(client)]
        return clients

    def next_deadline(self) -> float:
        """Monotonic seconds until when nothing happens by itself."""
        deadline = min(self.housekeeping.next_at, self.lingering.next_moment)
        if not self.replication.is_idle:
            deadline = min(deadline, self.replication.next_deadline(), self.replicas.next_deadline())
        if self.group_sessions.next_moment < deadline and not self.durability.refusal:
            deadline = self.group_sessions.next_moment
        blocked = self.blocking.next_deadline() if self.waiters else None
        if blocked is not None and blocked < deadline:
            deadline = blocked
        if self.held:
            deadline = min(deadline, self.paused_until if self.paused_until > self.now else self.now)
        return deadline

    def protocol_error(self, client: Client, error: ProtocolError) -> None:
        """The client's bytes were not RESP: tell it, and close behind that."""
        self.statistics.count_error("ERR")
        self.replication.gate.put_behind(client, replies.error(error))
        self.close(client)

    # -- what handlers call: clients ----------------------------------------------------------------------------

    def set_monitor(self, client: Client, on: bool) -> None:
        client.monitor = on
        if on:
            self.monitors[client.id] = client
        else:
            self.monitors.pop(client.id, None)
        client.settle()
        self.settings_changed()

    def block(self, request: BlockedRequest, keys: list[bytes], timeout_ms: int) -> None:
        self.blocking.block(self.client, request, keys, timeout_ms)

    def unblock(self, client: Client, reply: bytes | None) -> None:
        self.blocking.unblock(client, reply)

    def answer(self, client: Client, reply: Reply) -> None:
        """Reply to a client whose request was left unanswered earlier."""
        if reply is not None and not client.replies_suppressed:
            extend(client.out, reply)
        self._speaking[client] = None

    def push(self, client: Client, wire: bytes) -> None:
        if client is self.client:
            self._deferred.append((client, wire))
            self.unfinished = True
            return
        client.out.append(wire)
        self._speaking[client] = None

    def finish_command(self) -> None:
        """What stands behind a command: pushes to the very client, and the waiters that its changes serve."""
        self.unfinished = False
        for client, wire in self._deferred:
            client.out.append(wire)
            self._speaking[client] = None
        self._deferred.clear()
        if not self.in_exec:
            self.blocking.serve()

    def close(self, client: Client, *, at_once: bool = False) -> None:
        client.kill = client.kill or at_once
        client.closing = True
        client.plain = False
        client.backlog.clear()
        self._speaking[client] = None

    def pause(self, until: float, *, writes_only: bool) -> None:
        if until >= self.paused_until:
            self.paused_until = until
        self.pause_writes_only = writes_only
        self.dispatcher.disturbed = True

    def unpause(self) -> None:
        self.paused_until = 0.0
        self.settings_changed()

    @property
    def may_linger(self) -> bool:
        return self.lingering.takes

    def speaks(self, client: Client) -> None:
        """The client may be sent something though it asked nothing in this tick."""
        self._speaking[client] = None

    def speaks_to(self, clients: Iterable[Client]) -> None:
        """The same of many."""
        self._speaking.update(dict.fromkeys(clients))

    def _run_held(self) -> None:
        """Let clients go on that were blocked or paused, with the requests that piled up."""
        held, self.held = self.held, {}
        for client in held.values():
            self._speaking[client] = None
            if client.blocked or client.lagging:  # whoever ends that puts it back
                continue
            requests = list(client.backlog)
            client.backlog.clear()
            self.durability.held_requests.append((client, requests))
            self.dispatcher.run(client, requests)

    # -- what handlers call: the node ----------------------------------------------------------------------------

    def settings_changed(self) -> None:
        """Act on the settings as they are now."""
        settings = self.settings
        self.notifications.configure(settings.notify_keyspace_events)
        micros = settings.slowlog_log_slower_than
        self.slow_seconds = micros / 1e6
        self.slowlog.resize(settings.slowlog_max_len)
        self.statistics.tracking = settings.latency_tracking
        self.latency_threshold_seconds = settings.latency_monitor_threshold / 1e3
        self.replication.settings_changed()
        self.dispatcher.disturbed = bool(
            self.monitors
            or self.paused_until > self.now
            or self.durability.refusal
            or 0 <= micros < 1000
            or 0 < settings.latency_monitor_threshold < 2
            or settings.maxmemory
            or self.replication.refusal is not None
            or self.replication.is_short
        )
        self.refresh_quiet()

    def apply_setting(self, name: str) -> None:
        self.settings_changed()
        if name == "maxmemory":
            self.housekeeping.next_at = self.now
        elif name.startswith(("segment_", "retention_")):
            self.keyspace.settings_changed()

    @property
    def write_refusal(self) -> str:
        """Why writes are refused at the moment; empty if they are not."""
        return self.durability.refusal

    def save(self, *, background: bool) -> None:
        self.durability.checkpoint()

    def reload(self) -> None:
        self.durability.reload()

    def shut_down(self, *, save: bool, now: bool, force: bool) -> None:
        self.shutdown_requested = {"save": save, "now": now, "force": force}

    def wait_for_sync(self, numlocal: int, timeout_ms: int) -> Reply:
        return self.durability.wait_for_sync(self.client, numlocal, timeout_ms)

    def cancel_shutdown(self) -> bool:
        """SHUTDOWN ABORT: whether one was under way."""
        requested, self.shutdown_requested = self.shutdown_requested, None
        return requested is not None

    def rewrite_config(self) -> None:
        """CONFIG REWRITE: bring the settings file up to date."""
        if self._config_writer is None:
            raise ReplyError("The server is running without a config file")
        self._config_writer(self.settings)

    @property
    def active_expire(self) -> bool:
        """Whether keys are expired in the background (DEBUG SET-ACTIVE-EXPIRE)."""
        return self.housekeeping.active_expire

    @active_expire.setter
    def active_expire(self, on: bool) -> None:
        self.housekeeping.active_expire = on

    def note(self, count: int, words: str) -> None:
        self.housekeeping.notices.add(count, words)

    def facts(self) -> dict[str, Any]:
        return facts(self)
