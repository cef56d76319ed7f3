"""Changes of a stream's state as idempotent effects: encoding, and the one door through which they are applied.

An effect is a list ``[code, ...]``, stored as msgpack in a control batch. It is exact (ordinals, times and counts,
never "now") and idempotent; applying it reads no clock. The running server and recovery go through the same door,
`apply`, so that what is rebuilt after a crash is what was there. Codes are on disk and never change their meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgpack

from respbroker.streams.compacted import Compacted
from respbroker.streams.group import Group
from respbroker.streams.idmp import IdempotencyMaps
from respbroker.streams.runs import as_range

if TYPE_CHECKING:
    from respbroker.streams.stream import Stream

Effect = list[Any]

TRIMMED: Final = 1  # [_, first_ordinal, whether nothing is left, so that the grid of nodes begins anew]
DELETED: Final = 2  # [_, [[first, end], ...], max_deleted_ms, max_deleted_seq]
ID_SET: Final = 3  # [_, last_ms, last_seq, entries_added, max_deleted_ms, max_deleted_seq, end_ordinal]
GROUP_CREATED: Final = 4  # [_, group, cursor_ms, cursor_seq, next_ordinal, entries_read or nil]
GROUP_DESTROYED: Final = 5  # [_, group]
GROUP_ID_SET: Final = 6  # [_, group, cursor_ms, cursor_seq, next_ordinal, entries_read or nil]
CONSUMER_CREATED: Final = 7  # [_, group, consumer, seen_ms, active_ms (-1, never, if absent)]
CONSUMER_DELETED: Final = 8  # [_, group, consumer]
DELIVERED: Final = 9  # [_, group, consumer, [[first, end], ...], time_ms, cursor_ms, cursor_seq, next_ordinal, read]
ACKNOWLEDGED: Final = 11  # [_, group, [ordinal, ...]]   as older versions wrote it
ASSIGNED: Final = 12  # [_, group, consumer, [[[first, end], time_ms, count], ...], now_ms, active (true if absent)]
RELEASED: Final = 13  # [_, group, [[ordinal, count], ...]]
FORGOTTEN: Final = 14  # [_, group, [[first, end], ...]]   references dropped with the entries (DELREF)
IDMP_CONFIGURED: Final = 15  # [_, duration_s, maxsize]
IDMP_RECORDED: Final = 16  # [_, producer, idempotent_id, ms, seq, time_ms]
IDMP_LOADED: Final = 17  # [_, all maps as IdempotencyMaps.dump gives them]   (COPY)
ACKNOWLEDGED_SPANS: Final = 18  # [_, group, [first, how many, first, how many, ...]]
COMPACTED: Final = 20  # [_, the marks of superseded entries, end_ordinal, next_tombstone_ms or nil, time_ms]
BEGUN: Final = 30  # [_, topic, partition]: changes nothing; tells whoever finds the directory what it is

#: Those by which entries are gone. A compaction takes them out of the files then, and no cut brings them back.
REMOVING: Final = frozenset({TRIMMED, DELETED, COMPACTED})

pack: Final[Callable[[Effect], bytes]] = msgpack.Packer(use_bin_type=True, autoreset=True).pack


def unpack(wire: bytes) -> Effect:
    """An effect from a control record."""
    effect: Effect = msgpack.unpackb(wire, use_list=True, raw=False, strict_map_key=False)
    return effect


def apply(stream: Stream, effect: Effect) -> None:
    """Change the stream's state as the effect says; the only way that state changes besides appending."""
    _APPLY[effect[0]](stream, *effect[1:])


def _trimmed(stream: Stream, first_ordinal: int, empty: bool) -> None:
    stream.first_ordinal = max(stream.first_ordinal, first_ordinal)
    stream.deletions.trim(stream.first_ordinal)
    if empty:
        stream.node_origin = first_ordinal


def _deleted(stream: Stream, ranges: list[list[int]], max_ms: int, max_seq: int) -> None:
    for first, end in ranges:
        stream.deletions.add_range(max(first, stream.first_ordinal), end)
    stream.max_deleted_id = max(stream.max_deleted_id, (max_ms, max_seq))


def _id_set(stream: Stream, ms: int, seq: int, entries_added: int, max_ms: int, max_seq: int, end_ordinal: int) -> None:
    stream.last_id = (ms, seq)
    stream.added_bias = entries_added - end_ordinal
    stream.max_deleted_id = (max_ms, max_seq)


def _group_created(stream: Stream, name: bytes, ms: int, seq: int, next_ordinal: int, read: int | None) -> None:
    stream.groups[name] = Group(name, (ms, seq), next_ordinal, read)


def _group_destroyed(stream: Stream, name: bytes) -> None:
    stream.groups.pop(name, None)


def _group_id_set(stream: Stream, name: bytes, ms: int, seq: int, next_ordinal: int, read: int | None) -> None:
    stream.groups[name].apply_cursor((ms, seq), next_ordinal, read)


def _consumer_created(stream: Stream, group: bytes, consumer: bytes, seen_ms: int, active_ms: int = -1) -> None:
    stream.groups[group].apply_consumer_created(consumer, seen_ms)
    if active_ms >= 0:
        stream.groups[group].consumers[consumer].active_ms = active_ms


def _consumer_deleted(stream: Stream, group: bytes, consumer: bytes) -> None:
    stream.groups[group].apply_consumer_deleted(consumer)


def _delivered(
    stream: Stream,
    name: bytes,
    consumer: bytes,
    ranges: list[list[int]],
    time_ms: int,
    ms: int,
    seq: int,
    next_ordinal: int,
    entries_read: int | None,
) -> None:
    group = stream.groups[name]
    group.apply_seen(consumer, time_ms, active=True)
    for first, end in ranges:
        group.pending.deliver(first, end, consumer, time_ms)
    group.apply_cursor((ms, seq), next_ordinal, entries_read)


def _acknowledged(stream: Stream, name: bytes, ordinals: list[int]) -> None:
    stream.groups[name].pending.acknowledge(as_range(ordinals) or ordinals)


def _acknowledged_spans(stream: Stream, name: bytes, spans: list[int]) -> None:
    pending = stream.groups[name].pending
    for first, count in zip(spans[::2], spans[1::2], strict=True):
        if count == 1:
            pending.acknowledge_one(first)
        else:
            pending.acknowledge_range(first, first + count)


def _assigned(
    stream: Stream, name: bytes, consumer: bytes, parts: list[list[Any]], now_ms: int, active: bool = True
) -> None:
    group = stream.groups[name]
    group.apply_seen(consumer, now_ms, active=active and bool(parts))
    for (first, end), time_ms, count in parts:
        group.pending.deliver(first, end, consumer, time_ms, count)


def _released(stream: Stream, name: bytes, parts: list[list[int]]) -> None:
    pending = stream.groups[name].pending
    for ordinal, count in parts:
        pending.release(ordinal, count)


def _forgotten(stream: Stream, name: bytes, ranges: list[list[int]]) -> None:
    pending = stream.groups[name].pending
    for first, end in ranges:
        pending.acknowledge_range(first, end)


def _idmp_configured(stream: Stream, duration: int, maxsize: int) -> None:
    stream.idmp.configure(duration, maxsize)


def _idmp_recorded(stream: Stream, producer: bytes, idempotent_id: bytes, ms: int, seq: int, time_ms: int) -> None:
    stream.idmp.record(producer, idempotent_id, (ms, seq), time_ms)


def _idmp_loaded(stream: Stream, maps: list[Any]) -> None:
    stream.idmp = IdempotencyMaps.load(maps)


def _compacted(
    stream: Stream, superseded: bytes, end_ordinal: int, next_tombstone_ms: int | None, time_ms: int
) -> None:
    stream.deletions.add_dump(superseded, stream.first_ordinal)
    stream.compacted = Compacted(end_ordinal, next_tombstone_ms, time_ms)


def _begun(stream: Stream, topic: bytes, partition: int) -> None:
    """The catalog knows it."""


_APPLY: Final[dict[int, Callable[..., None]]] = {
    TRIMMED: _trimmed,
    DELETED: _deleted,
    ID_SET: _id_set,
    GROUP_CREATED: _group_created,
    GROUP_DESTROYED: _group_destroyed,
    GROUP_ID_SET: _group_id_set,
    CONSUMER_CREATED: _consumer_created,
    CONSUMER_DELETED: _consumer_deleted,
    DELIVERED: _delivered,
    ACKNOWLEDGED: _acknowledged,
    ASSIGNED: _assigned,
    RELEASED: _released,
    FORGOTTEN: _forgotten,
    IDMP_CONFIGURED: _idmp_configured,
    IDMP_RECORDED: _idmp_recorded,
    IDMP_LOADED: _idmp_loaded,
    ACKNOWLEDGED_SPANS: _acknowledged_spans,
    COMPACTED: _compacted,
    BEGUN: _begun,
}
