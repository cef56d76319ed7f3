"""What handlers ask and tell a node of keys: looking up, and the one door for "a key was changed"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.broker.blocking import Blocking
from respbroker.sessions.channels import Channels
from respbroker.sessions.client import Client
from respbroker.sessions.notifications import Notifications
from respbroker.sessions.statistics import Statistics
from respbroker.sessions.watches import Watches
from respbroker.streams.keyspace import Keyspace
from respbroker.streams.stream import Stream
from respbroker.streams.topic import Topic
from respbroker.streams.waiters import Waiters


class NodeKeys:
    """The half of `respbroker.broker.node.Node` that is about keys; see `respbroker.commands.context.Context`."""

    blocking: Blocking
    channels: Channels
    client: Client
    dirty: int
    keyspace: Keyspace
    notifications: Notifications
    now_ms: int
    quiet: bool
    statistics: Statistics
    waiters: Waiters
    watches: Watches

    if TYPE_CHECKING:

        def push(self, client: Client, wire: bytes) -> None: ...

    def lookup(self, key: bytes) -> Stream | None:
        entry = self.keyspace.databases[self.client.db].keys.get(key)
        if entry is not None and entry.stream is not None and not entry.expires_ms:  # nearly always
            entry.used_ms = self.now_ms
            return entry.stream
        return self.keyspace.lookup(self.client.db, key, self.now_ms)

    def find(self, key: bytes) -> Stream | Topic | None:
        return self.keyspace.find(self.client.db, key, self.now_ms)

    def lookup_to_read(self, key: bytes) -> Stream | None:
        stream = self.lookup(key)
        self.count_lookup(stream is not None)
        return stream

    def count_lookup(self, found: bool) -> None:
        if found:
            self.statistics.keyspace_hits += 1
        else:
            self.statistics.keyspace_misses += 1

    def lookup_or_create(self, key: bytes) -> Stream:
        db = self.client.db
        return self.keyspace.lookup(db, key, self.now_ms) or self.keyspace.create(db, key)

    def changed(self, key: bytes, event: str, db: int | None = None) -> None:
        self.dirty += 1
        if self.quiet:
            return
        if db is None:
            db = self.client.db
        if self.watches:
            for name in self.keyspace.names_of(db, key):
                self.watches.touched(db, name)
        if event and self.notifications:
            self._publish(db, key, event)
        if self.waiters:
            self.blocking.key_changed(db, key)

    def _publish(self, db: int, key: bytes, event: str) -> None:
        """Tell of an event; what happens to a partition happens to its topic."""
        for name in self.keyspace.names_of(db, key):
            for channel, message in self.notifications.of(event, db, name):
                self.channels.publish(channel, message, self.push)

    def notified(self, key: bytes, event: str, *, wake: bool = False) -> None:
        self.dirty += 1
        if self.notifications:
            self._publish(self.client.db, key, event)
        if wake:
            self.wake(key)

    def wake(self, key: bytes) -> None:
        if self.waiters:
            self.blocking.key_changed(self.client.db, key)

    def came_or_went(self, key: bytes, event: str, parts: int, db: int | None = None) -> None:
        self.changed(key, event, db)
        for name in (b"%b/%d" % (key, index) for index in range(parts)):
            self.watches.touched(self.client.db if db is None else db, name)
            self.blocking.key_changed(self.client.db if db is None else db, name)

    def _expired(self, db: int, key: bytes, parts: int) -> None:
        self.statistics.expired_keys += 1
        self.came_or_went(key, "expired", parts, db)

    def refresh_quiet(self) -> None:
        """Work out ``quiet`` anew; whoever starts to watch, wait or be notified calls it."""
        self.quiet = not (self.watches or self.notifications or self.waiters)

    def unwatch(self, client: Client) -> None:
        self.watches.unwatch(client)
