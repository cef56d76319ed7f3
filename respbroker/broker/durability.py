"""When what a tick changed is on disk: appends, syncs, what happens when the disk refuses.

A tick is written whole or refused whole: if one append fails, those before it are taken back, the streams concerned
forget what the tick did to them, and every client of the tick gets an error instead of its replies. Reads go on;
writes are refused from then on and tried again about once a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from respbroker.errors import MisConf, ReplyError
from respbroker.resp import replies
from respbroker.sessions.client import Client, Reply
from respbroker.streams.keyspace import Keyspace
from storage import Log, StorageError, Syncable, Unsynced

if TYPE_CHECKING:
    from respbroker.broker.node import Node

_RETRY_SECONDS = 1.0


@attrs.define(eq=False)
class SyncRequest:
    """Files to sync for everything written before ``ticket`` was given out; the edge syncs them in a thread."""

    ticket: int
    parts: list[tuple[Log, Unsynced]]
    files: list[Syncable]
    streams_below: int
    journal_ticks: int


@attrs.define(eq=False)
class _SyncWaiter:
    """A client waiting in WAITAOF for a ticket."""

    client: Client
    ticket: int
    deadline: float | None


class Durability:
    """Owns the write-refusal, the logs written but not synced, and the tickets of syncs."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.refusal = ""
        self._retry_at = 0.0
        self._written: dict[int, Log] = {}
        #: Of the last sync handed out, and of the last that came back well.
        self.ticket = 0
        self.synced_ticket = 0
        self._served: list[Client] = []
        self._waiting: list[_SyncWaiter] = []
        self.last_save_ms = node.now_ms
        self.dirty_at_save = 0
        self.writes_count = 0
        self.syncs_count = 0
        self.failed = False
        self.save_failed = False
        self.saves_count = 0

    # -- the tick --------------------------------------------------------------------------------------------

    def begin_tick(self) -> None:
        self._served.clear()
        if self.refusal and self._node.now >= self._retry_at and not self.failed:
            self.refusal = ""
            self._node.settings_changed()
        if self._waiting:
            self._answer_waiting()

    def served_waiter(self, client: Client) -> None:
        """A blocked client was served in this tick: its reply speaks of what the tick will write."""
        self._served.append(client)

    def flush(self, batch: Sequence[tuple[Client, list[list[bytes]]]] = ()) -> None:
        """Write everything staged, or refuse the tick."""
        keyspace = self._node.keyspace
        if not keyspace.is_dirty:
            return
        written: list[tuple[Log, int]] = []
        try:
            keyspace.flush(self._node.now_ms, written)
        except StorageError as error:
            self._refuse(error, written, batch)
            return
        self.writes_count += len(written)
        for log, _ in written:
            self._written[id(log)] = log

    def _refuse(
        self, error: StorageError, written: list[tuple[Log, int]], batch: Sequence[tuple[Client, list[list[bytes]]]]
    ) -> None:
        """Take back what the tick appended and tell its clients."""
        node = self._node
        for log, end_offset in written:
            log.truncate(end_offset)
        node.keyspace.forget_staged()
        self.refuse_writes(error)
        refused = replies.error(MisConf(self.refusal))
        for client, requests in batch:
            if client.out:
                client.out[:] = [refused] * (len(requests) - len(client.backlog))
        for client in self._served:
            client.out[:] = [refused]

    def refuse_writes(self, error: Exception) -> None:
        """Refuse writes from now on, and say why."""
        node = self._node
        self.refusal = f"Errors writing to the log: {error}. Writes are refused until it works again."
        self._retry_at = node.now + _RETRY_SECONDS
        node.statistics.count_error("MISCONF")
        node.housekeeping.report("error", self.refusal)
        node.settings_changed()

    def refusal_of(self, error: StorageError) -> ReplyError:
        """What a client is told whose command met a damaged file or a disk that refuses."""
        self._node.housekeeping.report("error", str(error))
        return MisConf(str(error))

    def mark_written(self, log: Log) -> None:
        """The log has something to sync."""
        self._written[id(log)] = log

    # -- syncs -----------------------------------------------------------------------------------------------

    @property
    def needs_sync(self) -> bool:
        """Whether something was written that no sync has been asked for."""
        return bool(self._written)

    @property
    def wants_sync_now(self) -> bool:
        """Whether a client waits for a sync whatever ``appendfsync`` says."""
        return bool(self._waiting) and self.needs_sync

    @property
    def syncs_outstanding(self) -> int:
        """Syncs handed out and not yet reported."""
        return self.ticket - self.synced_ticket

    def take_syncs(self) -> SyncRequest:
        """What to sync so that everything written so far is on disk: streams first, the catalog last."""
        self.ticket += 1
        keyspace = self._node.keyspace
        live, catalog = keyspace.live_logs, keyspace.catalog.log
        logs = sorted((log for log in self._written.values() if log in live), key=lambda log: log is catalog)
        self._written = {}
        parts = [(log, log.unsynced()) for log in logs]
        files = [file for _, unsynced in parts for file in unsynced]
        return SyncRequest(self.ticket, parts, files, keyspace.catalog.next_number, keyspace.journal_ticks)

    def synced(self, request: SyncRequest) -> None:
        """The edge has synced all files of the request."""
        self.synced_ticket = max(self.synced_ticket, request.ticket)
        self.syncs_count += 1
        for log, unsynced in request.parts:
            if log in self._node.keyspace.live_logs:
                log.synced(unsynced)
        keyspace = self._node.keyspace
        keyspace.directories_synced(request.streams_below)
        if request.journal_ticks == keyspace.journal_ticks:
            keyspace.journal.clear()
        self._answer_waiting()

    def sync_failed(self, request: SyncRequest, error: OSError) -> None:
        """A sync failed: what it should have covered may be lost, so nothing is written any more until a restart."""
        for log, _ in request.parts:
            log.sync_failed(error)
        self.failed = True
        self.refuse_writes(error)

    def wait_for_sync(self, client: Client, numlocal: int, timeout_ms: int) -> Reply:
        """WAITAOF: ``[local, replicas]`` once everything written so far is synced."""
        node = self._node
        settled = not self._written and not node.keyspace.is_dirty and self.ticket == self.synced_ticket
        if settled or numlocal == 0 or node.in_exec:
            return replies.array([replies.integer(int(settled)), replies.integer(0)])
        deadline = node.now + timeout_ms / 1000 if timeout_ms else None
        ticket = self.ticket + 1
        self._waiting.append(_SyncWaiter(client, ticket, deadline))
        client.blocked = True
        client.settle()
        return None

    def next_deadline(self) -> float | None:
        deadlines = [waiter.deadline for waiter in self._waiting if waiter.deadline is not None]
        return min(deadlines, default=None)

    def forget(self, client: Client) -> None:
        """The client is gone."""
        self._waiting = [waiter for waiter in self._waiting if waiter.client is not client]

    def _answer_waiting(self) -> None:
        node = self._node
        left = []
        for waiter in self._waiting:
            done = self.synced_ticket >= waiter.ticket
            if not done and (waiter.deadline is None or waiter.deadline > node.now):
                left.append(waiter)
                continue
            waiter.client.blocked = False
            waiter.client.settle()
            if waiter.client.backlog:
                node.held[waiter.client.id] = waiter.client
            node.answer(waiter.client, replies.array([replies.integer(int(done)), replies.integer(0)]))
        self._waiting = left

    # -- checkpoints -----------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """SAVE: write what is staged, then the state of every open stream and of the catalog."""
        node = self._node
        self.flush()
        try:
            logs = node.keyspace.checkpoint_all()
        except StorageError as error:
            self.save_failed = True
            node.housekeeping.report("error", f"the checkpoint failed: {error}")
            return
        self._written.update((id(log), log) for log in logs)
        self.save_failed = False
        self.last_save_ms = node.now_ms
        self.saves_count += 1
        self.dirty_at_save = node.dirty

    def reload(self) -> None:
        """Forget memory, recover from disk, go on."""
        node = self._node
        self.flush()
        old = node.keyspace
        old.close()
        self._written = {}
        node.keyspace = Keyspace(old.filesystem, old.directory, node.settings, node.now_ms)
        node.keyspace.on_expired, node.keyspace.on_unsynced = old.on_expired, old.on_unsynced
