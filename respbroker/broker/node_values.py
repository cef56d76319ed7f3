"""What handlers ask and tell a node of keys that hold a value: strings, hashes, sorted sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from respbroker.broker.blocking import Blocking
from respbroker.errors import WrongType
from respbroker.sessions.client import Client
from respbroker.sessions.watches import Watches
from respbroker.streams.keyspace import Keyspace
from respbroker.values.kinds import Hash, SortedSet, Text

V = TypeVar("V", Text, Hash, SortedSet)


class NodeValues:
    """The part of `respbroker.broker.node.Node` that is about values; see `respbroker.commands.context.Context`."""

    blocking: Blocking
    client: Client
    keyspace: Keyspace
    now_ms: int
    watches: Watches

    def _of_kind(self, key: bytes, kind: type[V]) -> V | None:
        value = self.keyspace.value(self.client.db, key, self.now_ms)
        if value is not None and not isinstance(value, kind):
            raise WrongType
        return value

    def text(self, key: bytes) -> bytes | None:
        value = self._of_kind(key, Text)
        return None if value is None else value.data

    def hash(self, key: bytes) -> Mapping[bytes, bytes] | None:
        value = self._of_kind(key, Hash)
        return None if value is None else value.fields

    def sorted_set(self, key: bytes) -> SortedSet | None:
        return self._of_kind(key, SortedSet)

    def set_text(self, key: bytes, data: bytes, *, expires_ms: int | None = 0) -> None:
        db = self.client.db
        values = self.keyspace.values[db]
        if expires_ms is not None and key in values.keys:  # nearly always
            values.set_text(key, data, expires_ms, self.now_ms)
            return
        parts = self.keyspace.parts_count(db, key)
        self.keyspace.set_text(db, key, data, expires_ms)
        for name in (b"%b/%d" % (key, index) for index in range(parts)):
            self.watches.touched(db, name)
            self.blocking.key_changed(db, name)

    def put_member(self, key: bytes, kind: bytes, member: bytes, payload: bytes) -> None:
        self.keyspace.put_member(self.client.db, key, kind, member, payload)

    def remove_member(self, key: bytes, member: bytes) -> bool:
        return self.keyspace.values[self.client.db].remove_member(key, member)
