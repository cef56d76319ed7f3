"""COPY, and XSETID into the past: giving an empty stream what another one has, as effects of its own.

Entries keep their IDs; their ordinals are shifted so that the first entry stored is number 0. Pending entries whose
segment is gone have no ordinal in the copy and are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from respbroker.streams import effects
from respbroker.streams.references import FUTURE

if TYPE_CHECKING:
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Stream

_CHUNK = 1000


def copy_stream(source: Stream, target: Stream, end: int | None = None) -> None:
    """Copy entries, deletions, counters, groups with everything pending, and the idempotency settings and maps.

    With ``end``, the entries from that ordinal on, which must be dead, are left out with whatever refers to them.
    """
    shift = source.log.first_ordinal
    end = source.end_ordinal if end is None else end
    for start in range(shift, end, _CHUNK):
        stop = min(start + _CHUNK, end)
        payloads = source.payloads_each([(start, stop)])
        for entry_id, payload in zip(source.ids(start, stop), payloads, strict=True):
            target.append(entry_id, payload)
    if source.first_ordinal > shift:
        target.trim(min(source.first_ordinal, end) - shift)
    if source.deletions:
        _copy_deletions(source, target, shift, end)
    target.commit([effects.ID_SET, *source.last_id, source.entries_added, *source.max_deleted_id, end - shift])
    for group in source.groups.values():
        _copy_group(group, target, shift, end)
    target.commit([effects.IDMP_LOADED, source.idmp.dump()])


def _copy_deletions(source: Stream, target: Stream, shift: int, end: int) -> None:
    ranges: list[list[int]] = []
    expected = source.first_ordinal
    for first, stop in source.deletions.live_ranges(source.first_ordinal, source.end_ordinal):
        if first > expected:
            ranges.append([expected - shift, first - shift])
        expected = stop
    if expected < end:
        ranges.append([expected - shift, end - shift])
    target.commit([effects.DELETED, ranges, *source.max_deleted_id])


def _copy_group(group: Group, target: Stream, shift: int, end: int) -> None:
    ordinal = group.next_ordinal
    if ordinal != FUTURE:
        ordinal = min(max(ordinal, shift), end) - shift
    target.commit([effects.GROUP_CREATED, group.name, *group.last_delivered_id, ordinal, group.entries_read])
    for consumer in group.consumers.values():
        created = [effects.CONSUMER_CREATED, group.name, consumer.name, consumer.seen_ms, consumer.active_ms]
        target.commit(created)
        parts: list[Any] = [
            [[first - shift, stop - shift], time_ms, count]
            for first, stop, _, time_ms, count in group.pending.stretches(shift, end, consumer.name)
        ]
        if parts:
            target.commit([effects.ASSIGNED, group.name, consumer.name, parts, consumer.seen_ms, False])
    released = [
        [ordinal - shift, count]
        for ordinal, owner, _, count in group.pending.oldest_first(-1)
        if owner is None and shift <= ordinal < end
    ]
    if released:
        target.commit([effects.RELEASED, group.name, released])
