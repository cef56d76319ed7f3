"""The whole state of a node as plain values: what must be the same after a crash as at some tick before it."""

from __future__ import annotations

from typing import Any

import msgpack

from respbroker.broker.node import Node
from respbroker.streams.group import Group
from respbroker.streams.keyspace import Keyspace
from respbroker.streams.references import FUTURE, lag
from respbroker.streams.stream import Stream
from respbroker.values.database import ValueDatabase
from respbroker.values.kinds import Value
from respbroker.values.places import ValuePlaces
from respbroker.values.records import parse_entry
from tests.support.values import held_by

CATALOG = 0  #: stands for the catalog among the numbers of streams

State = dict[int, Any]  #: by number of a stream, and `CATALOG`: which key has which number and expiry


def state_of(node: Node) -> State:
    """Every stream, opened if need be, and the catalog."""
    return state_of_keyspace(node.keyspace)


def state_of_keyspace(keyspace: Keyspace) -> State:
    """The same of a keyspace by itself."""
    catalog, state = [], {}
    for db, database in enumerate(keyspace.databases):
        for key, entry in database.keys.items():
            numbers = tuple(leaf.number for leaf in entry.leaves)
            settings = None if entry.settings is None else tuple(entry.settings.dump().items())
            catalog.append((db, key, numbers, entry.expires_ms, settings, entry.plain_until))
            for stream in _opened(keyspace, db, key):
                state[stream.number] = stream_state(stream)
    state[CATALOG] = sorted(catalog, key=lambda row: row[:2])
    check_values(keyspace)
    return state


def check_values(keyspace: Keyspace) -> None:
    """What is in memory is what the records say, one after the other; no key is a stream too."""
    for database, values in zip(keyspace.visible, keyspace.values, strict=False):
        replayed = ValueDatabase(ValuePlaces(), lambda values: None)
        stream = keyspace.stream_of(values.number) if values.number else None
        if stream is not None:
            for entry in stream.payloads_each(stream.live_ranges(stream.first_ordinal, stream.end_ordinal)):
                replayed.apply(*parse_entry(entry), 0)
        assert replayed.drop_strays() == 0
        assert replayed.keys.keys() - values.keys.keys() <= database.keys.keys()  # doubled by a loss of power
        assert values.keys.keys() <= replayed.keys.keys()
        for key, value in values.keys.items():
            assert _value_state(value) == _value_state(replayed.keys[key]), key
        if not keyspace.following:
            assert values.keys.keys().isdisjoint(database.keys.keys())


def _value_state(value: Value) -> list[Any]:
    return [value.kind, value.expires_ms, value.place, held_by(value)]


def _opened(keyspace: Keyspace, db: int, key: bytes) -> list[Stream]:
    return keyspace.streams_of(keyspace.open_key(db, key, keyspace.databases[db].keys[key]))


def stream_state(stream: Stream) -> list[Any]:
    """Live entries with their bytes, counters, groups with everything pending by ID, remembered requests."""
    check_stream(stream)
    ranges = stream.live_ranges(stream.first_ordinal, stream.end_ordinal)
    ids = [entry_id for first, end in ranges for entry_id in stream.ids(first, end)]
    entries = list(zip(ids, stream.payloads_each(ranges), strict=True))
    counters = [stream.last_id, stream.max_deleted_id, stream.entries_added, stream.node_origin, stream.first_ordinal]
    groups = [[*_group_state(group), _pending_ids(stream, group)] for group in stream.groups.values()]
    *idmp, _duplicates_are_not_kept, producers = stream.idmp.dump()
    # Through msgpack, so that tuples and lists of a loaded state and of a grown one are alike.
    return msgpack.unpackb(  # type: ignore[no-any-return]
        msgpack.packb([entries, counters, groups, idmp, producers]), strict_map_key=False
    )


def _group_state(group: Group) -> list[Any]:
    """All but when consumers were last seen: a read that finds nothing is not written, in Redis neither."""
    name, cursor, consumers, _runs = group.dump()
    pending = [list(group.pending.iterate()), [ordinal for ordinal, *_ in group.pending.oldest_first(-1)]]
    return [name, cursor, sorted((consumer, active_ms) for consumer, _seen_ms, active_ms in consumers), pending]


def _pending_ids(stream: Stream, group: Group) -> list[Any]:
    return [stream.id_at(ordinal) for ordinal, *_ in group.pending.iterate()]


def check_stream(stream: Stream) -> None:
    """Groups agree with entries, and counters with what is counted."""
    ranges = stream.live_ranges(stream.first_ordinal, stream.end_ordinal)
    ordinals = [ordinal for first, end in ranges for ordinal in range(first, end)]
    assert len(ordinals) == stream.length
    assert len(stream.payloads_each(ranges)) == stream.length
    ids = [entry_id for first, end in ranges for entry_id in stream.ids(first, end)]
    assert ids == sorted(set(ids))
    assert not ids or ids[-1] <= stream.last_id
    for group in stream.groups.values():
        group.check()
        highest = group.pending.highest()
        assert highest is None or highest < stream.end_ordinal
        if group.next_ordinal == FUTURE:  # only IDs tell then
            unread = [entry_id > group.last_delivered_id for entry_id in ids]
        else:
            unread = [ordinal >= group.next_ordinal for ordinal in ordinals]
        assert lag(stream, group) == sum(unread)
    stream.idmp.check()
