"""COPY: giving an empty stream everything that another one has, as effects of its own.

Entries keep their IDs; their ordinals are shifted so that the first entry stored is number 0. Pending entries whose
segment is gone have no ordinal in the copy and are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from respbroker.streams import effects

if TYPE_CHECKING:
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Stream

_CHUNK = 1000


def copy_stream(source: Stream, target: Stream) -> None:
    """Copy entries, deletions, counters, groups with everything pending, and the idempotency settings and maps."""
    shift = source.log.first_ordinal
    for start in range(shift, source.end_ordinal, _CHUNK):
        stop = min(start + _CHUNK, source.end_ordinal)
        payloads = source.payloads_each([(start, stop)])
        for entry_id, payload in zip(source.ids(start, stop), payloads, strict=True):
            target.append(entry_id, payload)
    if source.first_ordinal > shift:
        target.trim(source.first_ordinal - shift)
    if source.deletions:
        _copy_deletions(source, target, shift)
    target.commit(
        [effects.ID_SET, *source.last_id, source.entries_added, *source.max_deleted_id, source.end_ordinal - shift]
    )
    for group in source.groups.values():
        _copy_group(group, target, shift)
    _copy_idmp(source, target)


def _copy_deletions(source: Stream, target: Stream, shift: int) -> None:
    ranges: list[list[int]] = []
    expected = source.first_ordinal
    for first, end in source.deletions.live_ranges(source.first_ordinal, source.end_ordinal):
        if first > expected:
            ranges.append([expected - shift, first - shift])
        expected = end
    if expected < source.end_ordinal:
        ranges.append([expected - shift, source.end_ordinal - shift])
    target.commit([effects.DELETED, ranges, *source.max_deleted_id])


def _copy_group(group: Group, target: Stream, shift: int) -> None:
    cursor = [*group.last_delivered_id, max(group.next_ordinal - shift, 0), group.entries_read]
    target.commit([effects.GROUP_CREATED, group.name, *cursor])
    copy = target.groups[group.name]
    for consumer in group.consumers.values():
        target.commit([effects.CONSUMER_CREATED, group.name, consumer.name, consumer.seen_ms])
        parts: list[Any] = [
            [[first - shift, end - shift], time_ms, count]
            for first, end, _, time_ms, count in group.pending.stretches(shift, None, consumer.name)
        ]
        if parts:
            target.commit([effects.ASSIGNED, group.name, consumer.name, parts, consumer.seen_ms, False])
        copy.consumers[consumer.name].active_ms = consumer.active_ms
    released = [
        [ordinal - shift, count]
        for ordinal, owner, _, count in group.pending.oldest_first(-1)
        if owner is None and ordinal >= shift
    ]
    if released:
        target.commit([effects.RELEASED, group.name, released])


def _copy_idmp(source: Stream, target: Stream) -> None:
    target.commit([effects.IDMP_LOADED, source.idmp.dump()])
