"""Retention of a stream: entries that are too old or too many are trimmed away, a whole segment at a time.

The active segment is sealed first if all of its entries are too old. Nothing asks groups: what they have not read goes
too, and is told as a `Loss`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from respbroker.streams.references import unread_from

if TYPE_CHECKING:
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Id, Stream


@attrs.frozen
class Loss:
    """Entries that went before a group had done with them: ``unread`` it was never given, ``pending`` it still held."""

    group: bytes
    unread: int
    pending: int
    #: Of the last entry that went.
    last_id: Id


def apply_retention(stream: Stream, now_ms: int) -> list[Loss] | None:
    """Trim what the stream's settings say may go; what groups lost by that, or None if nothing went.

    Nothing may be staged; the trim is, behind it.

    Raises:
        StorageError: a file is damaged or cannot be made; nothing has changed.
    """
    log = stream.log
    if log.config.retention_ms is None and log.config.retention_bytes is None:
        return None
    log.roll_expired(now_ms)
    end = log.retained_from(now_ms)
    if end <= stream.first_ordinal:
        return None
    last_id = stream.id_at(end - 1)
    losses = [_loss(stream, group, end, last_id) for group in stream.groups.values()]
    stream.trim(end)
    stream.unread_lost += sum(loss.unread for loss in losses)
    return [loss for loss in losses if loss.unread or loss.pending]


def _loss(stream: Stream, group: Group, end: int, last_id: Id) -> Loss:
    pending = sum(
        high - low
        for first, stop, *_ in group.pending.stretches(stream.first_ordinal, end)
        for low, high in stream.live_ranges(first, stop)
    )
    unread = sum(high - low for low, high in stream.live_ranges(unread_from(stream, group), end))
    return Loss(group.name, unread, pending, last_id)


def due_ms(stream: Stream) -> int | None:
    """When retention by age may have something to do next, if nothing is appended; None: never."""
    log = stream.log
    first = log.segments.all[0]
    if log.config.retention_ms is None or first.end_ordinal == stream.log.end_ordinal == first.first_ordinal:
        return None
    return log.newest_entry_ms(first, 1) + log.config.retention_ms + 1
