"""Blocked clients: waiting, being served first come first served, running out of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.commands.context import BlockedRequest
from respbroker.errors import ReplyError, SeveralPartitions
from respbroker.resp import replies
from respbroker.sessions.client import Client
from respbroker.streams.waiters import Waiter, Waiters

if TYPE_CHECKING:
    from respbroker.broker.node import Node


class Blocking:
    """Owns the waiters of a node and the list of keys that changed since they were last served."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.waiters: Waiters = Waiters()
        self._ready: dict[tuple[int, bytes], None] = {}
        self._serving = False

    def block(self, client: Client, request: BlockedRequest, keys: list[bytes], timeout_ms: int) -> None:
        """Let ``client`` wait for any of ``keys``, at most ``timeout_ms`` (0: for ever)."""
        node = self._node
        deadline = node.now + timeout_ms / 1000 if timeout_ms else None
        waiter = Waiter(client, [(client.db, key) for key in keys], request, deadline)
        self.waiters.add(waiter)
        self._plan_retry(waiter)
        client.blocked = True
        client.plain = False
        node.quiet = False

    def key_changed(self, db: int, key: bytes) -> None:
        """Waiters on the key are to be tried again once the running command is done."""
        for name in self._node.keyspace.names_of(db, key):
            if self.waiters.has_key(db, name):
                self._ready[db, name] = None
                self._node.unfinished = True

    def serve(self) -> None:
        """Try the waiters of every changed key, in the order in which they came."""
        if self._serving:
            return
        self._serving = True
        try:
            while self._ready:
                db, key = next(iter(self._ready))
                del self._ready[db, key]
                self._serve_key(db, key)
        finally:
            self._serving = False

    def _serve_key(self, db: int, key: bytes) -> None:
        """Try the waiters on one key; once a group has nothing left for one, its others need not be asked."""
        exhausted: set[object] = set()
        is_value = key in self._node.keyspace.values[db].keys
        for waiter in self.waiters.for_key(db, key):
            if is_value and waiter.request.outlasts_values:
                continue
            shared = waiter.request.exhausts
            if shared is not None and shared in exhausted:
                continue
            if not self._try(waiter) and shared is not None:
                exhausted.add(shared)

    def expire(self) -> None:
        """Answer those whose time is over, and try those for whom a pending entry came of age."""
        node = self._node
        for waiter in self.waiters.due(node.now):
            self._release(waiter)
            node.answer(waiter.client, waiter.request.timed_out(waiter.client))
        for waiter in self.waiters.due_retries(node.now):
            self._try(waiter)
        if node.unfinished:
            node.finish_command()

    def next_deadline(self) -> float | None:
        return self.waiters.next_deadline()

    def unblock(self, client: Client, reply: bytes | None) -> None:
        """End a client's waiting, with ``reply`` or as if its time were over."""
        waiter = self.waiters.of_client(client)
        if waiter is None:
            return
        self._release(waiter)
        self._node.answer(client, waiter.request.timed_out(client) if reply is None else reply)

    def is_waiting(self, client: Client, request: BlockedRequest) -> bool:
        """Whether a client still waits with this request, and not with one that it sent behind it."""
        waiter = self.waiters.of_client(client)
        return waiter is not None and waiter.request is request

    def forget(self, client: Client) -> None:
        """The client is gone."""
        waiter = self.waiters.of_client(client)
        if waiter is not None:
            self.waiters.remove(waiter)

    def _try(self, waiter: Waiter) -> bool:
        """Serve the waiter if it can be served now; whether it was."""
        node, client = self._node, waiter.client
        before, node.client = node.client, client
        try:
            reply = waiter.request.retry(node)
        except SeveralPartitions:  # a stream got more of them meanwhile: the client asks again, and then it is a topic
            reply = waiter.request.timed_out(client)
        except ReplyError as refusal:
            node.statistics.count_error(refusal.code)
            reply = replies.error(refusal)
        finally:
            node.client = before
        if reply is not None:
            self._release(waiter)
            node.answer(client, reply)
            node.durability.served_waiter(client)
            return True
        self._plan_retry(waiter)
        return False

    def _plan_retry(self, waiter: Waiter) -> None:
        """Ask when time alone may serve the waiter."""
        node = self._node
        before, node.client = node.client, waiter.client
        retry_ms = waiter.request.retry_ms(node)
        node.client = before
        self.waiters.set_retry(waiter, None if retry_ms is None else node.now + (retry_ms - node.now_ms) / 1000)

    def _release(self, waiter: Waiter) -> None:
        self.waiters.remove(waiter)
        client = waiter.client
        client.blocked = False
        client.settle()
        if client.backlog:
            self._node.held[client.id] = client
