"""COPY, and XSETID into the past: giving an empty stream what another one has, as effects of its own.

Entries keep their IDs; those stored are numbered anew from 0 on. Pending entries whose segment is gone have no ordinal
in the copy and are left out.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
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
    end = source.end_ordinal if end is None else end
    numbers = _Numbers(source.log.first_ordinal, end)
    for start in range(numbers.first, end, _CHUNK):
        stop = min(start + _CHUNK, end)
        numbers.stored.extend(source.stored(start, stop))
        ids = [entry_id for entry_id in source.ids(start, stop) if entry_id[1] >= 0]
        for entry_id, payload in zip(ids, source.payloads_each([(start, stop)]), strict=True):
            target.append(entry_id, payload)
    if numbers.of(source.first_ordinal):
        target.trim(numbers.of(source.first_ordinal))
    if source.deletions:
        _copy_deletions(source, target, numbers)
    target.commit([effects.ID_SET, *source.last_id, source.entries_added, *source.max_deleted_id, numbers.of(end)])
    for group in source.groups.values():
        _copy_group(group, target, numbers)
    target.commit([effects.IDMP_LOADED, source.idmp.dump()])


class _Numbers:
    """The ordinals of the source's entries in the copy: how many are stored before each."""

    def __init__(self, first: int, end: int) -> None:
        self.first = first
        self.end = end
        self.stored = array("Q")

    def of(self, ordinal: int) -> int:
        return bisect_left(self.stored, ordinal)


def _copy_deletions(source: Stream, target: Stream, numbers: _Numbers) -> None:
    ranges: list[list[int]] = []
    expected = source.first_ordinal
    for first, stop in source.deletions.live_ranges(source.first_ordinal, source.end_ordinal):
        ranges.append([numbers.of(expected), numbers.of(first)])
        expected = stop
    ranges.append([numbers.of(expected), numbers.of(numbers.end)])
    target.commit([effects.DELETED, [each for each in ranges if each[0] < each[1]], *source.max_deleted_id])


def _copy_group(group: Group, target: Stream, numbers: _Numbers) -> None:
    place, shift, end = numbers.of, numbers.first, numbers.end
    ordinal = group.next_ordinal
    if ordinal != FUTURE:
        ordinal = place(ordinal)
    target.commit([effects.GROUP_CREATED, group.name, *group.last_delivered_id, ordinal, group.entries_read])
    for consumer in group.consumers.values():
        created = [effects.CONSUMER_CREATED, group.name, consumer.name, consumer.seen_ms, consumer.active_ms]
        target.commit(created)
        parts: list[Any] = [
            [[place(first), place(stop)], time_ms, count]
            for first, stop, _, time_ms, count in group.pending.stretches(shift, end, consumer.name)
        ]
        if parts:
            target.commit([effects.ASSIGNED, group.name, consumer.name, parts, consumer.seen_ms, False])
    released = [
        [place(ordinal), count]
        for ordinal, owner, _, count in group.pending.oldest_first(-1)
        if owner is None and shift <= ordinal < end
    ]
    if released:
        target.commit([effects.RELEASED, group.name, released])
