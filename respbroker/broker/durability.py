"""When what a tick changed is on disk: appends, syncs, what happens when the disk refuses.

A tick is written whole or refused whole: if one append fails, those before it are taken back, the streams concerned
forget what the tick did to them, and every client of the tick gets an error instead of its replies. Reads go on;
writes are refused from then on. A full disk is asked again about once a second; a disk that failed a write or a sync
is not trusted until a restart, for nobody knows what is on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import attrs

from respbroker.errors import MisConf, ReplyError
from respbroker.resp import replies
from respbroker.sessions.client import Client, Reply
from respbroker.streams.directories import has_room
from storage import DiskFull, Log, ManySync, StorageError, Syncable, Unsynced

if TYPE_CHECKING:
    from respbroker.broker.node import Node

_RETRY_SECONDS = 1.0
_PROBE_BYTES = 64 << 10  # as much room must there be before writes are let in again
MANY_FILES = 100  # more are synced by one call (measured on ext4: 1000 files in 0.15 s instead of 0.7 s)
_JOURNAL_BYTES = 8 << 20  # of the journal; more is not gathered behind one sync


Batch = Sequence[tuple[Client, list[list[bytes]]]]


@attrs.define(eq=False)
class SyncRequest:
    """Files to sync for everything written before ``ticket`` was given out; the edge syncs them in a thread."""

    ticket: int
    parts: list[tuple[Log, Unsynced]]
    files: list[Syncable]
    streams_below: int
    journal_ticks: int
    trash: list[int]


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
        self._written: dict[Log, None] = {}
        #: Of the last sync handed out, and of the last that came back well.
        self.ticket = 0
        self.synced_ticket = 0
        self._under_way: dict[int, SyncRequest] = {}
        #: Blocked clients that were answered in this tick.
        self.served: list[Client] = []
        self._waiting: list[_SyncWaiter] = []
        self.last_save_ms = node.now_ms
        self.dirty_at_save = 0
        self.writes_count = 0
        self.syncs_count = 0
        self.failed = False
        self.save_failed = False
        self.saves_count = 0
        self._midway = False  # the tick was refused before its end
        self._checkpoint_due = False
        #: Requests that ran in this tick and arrived earlier.
        self.held_requests: list[tuple[Client, list[list[bytes]]]] = []
        if node.keyspace.catalog.log.unsynced():
            self.mark_written(node.keyspace.catalog.log)

    # -- the tick --------------------------------------------------------------------------------------------

    def begin_tick(self) -> None:
        self.served.clear()
        self.held_requests.clear()
        if self.refusal and self._node.now >= self._retry_at and not self.failed:
            self._try_again()
        if self._waiting:
            self._answer_waiting()

    def served_waiter(self, client: Client) -> None:
        """A blocked client was served in this tick: its reply speaks of what the tick will write."""
        self.served.append(client)

    def flush(self, batch: Batch = (), *, midway: bool = False) -> None:
        """Write everything staged, or refuse the tick. ``midway``: more of the tick is to come."""
        keyspace = self._node.keyspace
        if keyspace.is_dirty:
            leading = self._node.replication.leading
            try:
                keyspace.write_values(self._node.now_ms)
                atomic = keyspace.atomic
                if atomic:
                    self.bound_journal()
                written = keyspace.flush(self._node.now_ms)
            except StorageError as error:
                self._take_back(error)
                self._midway = True
                if leading is not None:
                    leading.take_back()
            else:
                self._wrote(written)
                if leading is not None:
                    leading.confirm(atomic=atomic)
        if self._midway and not midway:
            self._midway = False
            self._tell_refused([*batch, *self.held_requests])
        if self._checkpoint_due and not midway:
            self.checkpoint()

    def _wrote(self, written: list[Log]) -> None:
        self.writes_count += len(written)
        self._written |= dict.fromkeys(written)
        try:
            self._node.keyspace.write_due_snapshots()
        except StorageError as error:
            self._save_failed(error)

    def _take_back(self, error: StorageError) -> None:
        """The tick is refused: what was appended of it goes."""
        self.failed = self.failed or not isinstance(error, DiskFull)
        try:
            self._node.keyspace.take_back()
        except StorageError as worse:
            self.failed = True
            self.refuse_writes(error)
            raise worse
        self.refuse_writes(error)

    def _tell_refused(self, batch: Batch) -> None:
        """Every client of the tick gets an error for each of its requests."""
        refused = replies.error(MisConf(self.refusal))
        lingering = self._node.lingering
        answers: dict[Client, int] = {}
        for client, requests in batch:
            answers[client] = answers.get(client, -len(client.backlog)) + len(requests)
        for client, count in lingering.gathered.items():
            if client in answers:
                answers[client] -= count
        for client, appended in lingering.appended.items():
            answers[client] = answers.get(client, 0) + len(appended)
        for client, count in answers.items():
            if client.out:
                client.out[:] = [refused] * count
        for client in self.served:
            client.out[:] = [refused]

    def _try_again(self) -> None:
        """Let writes in again if the disk has room."""
        node = self._node
        self._retry_at = node.now + _RETRY_SECONDS
        if not has_room(node.keyspace.filesystem, f"{node.directory}/room", _PROBE_BYTES):
            return
        self.refusal = ""
        node.keyspace.frozen = node.replication.refusal is not None
        node.housekeeping.notices.happened("the disk has room again: writes are taken")
        node.settings_changed()

    def refuse_writes(self, error: Exception) -> None:
        """Refuse writes from now on, and say why."""
        node = self._node
        self.refusal = f"Errors writing to the log: {error}. Writes are refused until it works again."
        self._retry_at = node.now + _RETRY_SECONDS
        node.keyspace.frozen = True
        node.statistics.count_error("MISCONF")
        node.housekeeping.report("error", self.refusal)
        node.settings_changed()

    def fail(self, error: Exception) -> None:
        """The disk failed a write that no client asked for: nothing is written any more until a restart."""
        self.failed = True
        self.refuse_writes(error)

    def refusal_of(self, error: StorageError) -> ReplyError:
        """What a client is told whose command met a damaged file or a disk that refuses."""
        self._node.housekeeping.report("error", self._node.keyspace.told(error))
        return MisConf(str(error))

    def mark_written(self, log: Log) -> None:
        """The log has something to sync."""
        self._written[log] = None

    # -- syncs -----------------------------------------------------------------------------------------------

    @property
    def needs_sync(self) -> bool:
        """Whether something was written that no sync has been asked for."""
        return bool(self._written)

    @property
    def logs_to_sync(self) -> int:
        """How many logs these are."""
        return len(self._written)

    @property
    def wants_sync_now(self) -> bool:
        """Whether somebody waits for a sync whatever ``appendfsync`` says: a client, directories to be removed, or
        segments to be rewritten."""
        node = self._node
        waits = (
            self._waiting
            or node.replication.waits.awaits_sync
            or node.keyspace.trash
            or node.housekeeping.compactor.waits_for_sync
        )
        return self.needs_sync and bool(waits)

    @property
    def syncs_outstanding(self) -> int:
        """Syncs handed out and not yet reported."""
        return self.ticket - self.synced_ticket

    def take_syncs(self) -> SyncRequest:
        """What to sync so that everything written so far is on disk: streams first, the catalog last."""
        self.ticket += 1
        keyspace = self._node.keyspace
        live, catalog = keyspace.live_logs, keyspace.catalog.log
        logs = sorted((log for log in self._written if log in live), key=lambda log: log is catalog)
        self._written = {}
        parts = [(log, log.unsynced()) for log in logs]
        files: list[Syncable] = [file for _, unsynced in parts for file in unsynced]
        if len(files) > MANY_FILES and keyspace.whole is not None:
            files = [ManySync(keyspace.whole, files)]
        trash = [] if keyspace.is_dirty else keyspace.take_trash()
        next_number, journal_ticks = keyspace.catalog.next_number, keyspace.journal.ticks
        request = SyncRequest(self.ticket, parts, files, next_number, journal_ticks, trash)
        self._under_way[self.ticket] = request
        self._node.replication.sync_begins(self.ticket)
        return request

    def synced(self, request: SyncRequest) -> None:
        """The edge has synced all files of the request."""
        self._under_way.pop(request.ticket, None)
        self.synced_ticket = min(self._under_way, default=self.ticket + 1) - 1
        self.syncs_count += 1
        for log, unsynced in request.parts:
            if log in self._node.keyspace.live_logs:
                log.synced(unsynced)
        keyspace = self._node.keyspace
        if not self.refusal:
            keyspace.directories_synced(request.streams_below)
        if request.journal_ticks == keyspace.journal.ticks and not self._under_way:
            self._clear_journal()
        self._node.replication.sync_ended(self.synced_ticket)
        if keyspace.journal.is_empty:
            self._node.housekeeping.remove(request.trash)
        else:  # it may speak of these streams
            keyspace.keep_trash(request.trash)
        self._answer_waiting()

    def _clear_journal(self) -> None:
        try:
            self._node.keyspace.journal.clear()
        except StorageError as error:  # nothing is lost: what it holds is done
            self._node.housekeeping.report("error", f"cannot empty the journal: {error}")

    def bound_journal(self) -> None:
        """A tick is about to be recorded: the journal is not to grow for ever while one sync follows another."""
        if self._node.keyspace.journal.size > _JOURNAL_BYTES:
            self._sync_now()

    def _sync_now(self) -> None:
        """Sync in this thread, for once: what other syncs are at as well, so that the journal can be emptied."""
        earlier = list(self._under_way.values())
        request = self.take_syncs()
        try:
            for file in chain(*(each.files for each in earlier), request.files):
                file.sync()
        except OSError as error:
            self.sync_failed(request, error)
        else:
            self.synced(request)
            self._clear_journal()

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
        """SAVE: write what is staged, then the state of every open stream and of the catalog.

        Inside an EXEC it waits for the tick's end, for an EXEC is written in one piece.
        """
        node = self._node
        self._checkpoint_due = node.in_exec
        if self._checkpoint_due:
            return
        self.flush(midway=True)
        try:
            logs = node.keyspace.checkpoint_all()
        except StorageError as error:
            self._save_failed(error)
            return
        self._written |= dict.fromkeys(logs)
        self.save_failed = False
        self.last_save_ms = node.now_ms
        self.saves_count += 1
        self.dirty_at_save = node.dirty

    def _save_failed(self, error: StorageError) -> None:
        self.save_failed = True
        self._node.housekeeping.report("error", f"the checkpoint failed: {error}")

    def reload(self) -> None:
        """Forget memory, recover from disk, go on."""
        self.flush(midway=True)
        self._written = {}
        self._node.keyspace.reopen()  # replies may wait for the sync of what is reported as unsynced
