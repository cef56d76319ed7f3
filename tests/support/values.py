"""Values as tests see them: what a keyspace holds as plain values, and changes of them without commands."""

from __future__ import annotations

from typing import Any, Final

import attrs

from respbroker.broker.node import Node
from respbroker.streams.catalog import INTERNAL
from respbroker.streams.keyspace import Keyspace
from respbroker.streams.keyspace_values import RECORDS
from respbroker.streams.stream import Stream
from respbroker.values.kinds import Hash, Text, Value

STREAM: Final = "a stream"

Content = dict[tuple[int, bytes], tuple[int, Any]]  #: by database and key: expiry, and what is there


def content_of(keyspace: Keyspace) -> Content:
    """All that clients can see, checked for keys that are there twice."""
    found: Content = {}
    for database, values in zip(keyspace.visible, keyspace.values, strict=False):
        for key, entry in database.keys.items():
            found[database.index, key] = entry.expires_ms, STREAM
        for key, value in values.keys.items():
            assert (database.index, key) not in found
            found[database.index, key] = value.expires_ms, held_by(value)
    return found


def held_by(value: Value) -> Any:
    """A value as a plain one: bytes, fields, or members with their scores."""
    if isinstance(value, Text):
        return value.data
    return dict(value.fields) if isinstance(value, Hash) else dict(value)


def records_of(keyspace: Keyspace, db: int = 0) -> Stream:
    """The stream that holds the records of a database's values."""
    stream = keyspace.stream_of(keyspace.values[db].number)
    assert stream is not None
    return stream


def compact_often(node: Node, db: int = 0) -> None:
    """From now on the records of a database are in small segments, and tombstones are not kept."""
    settings = attrs.evolve(RECORDS, segment_bytes=2048, delete_retention_ms=0)
    node.keyspace.alter_topic(INTERNAL, b"%d" % db, settings)
