"""Where a group stands in a stream: what it has not been given, and which entries groups still refer to.

An entry is *referenced* while some group has not done with it: not delivered yet, or pending. KEEPREF, DELREF and
ACKED (XADD, XTRIM, XDELEX, XACKDEL) differ in what they do about that.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from respbroker.streams import effects

if TYPE_CHECKING:
    from respbroker.streams.group import Group
    from respbroker.streams.stream import Id, Stream

#: ``next_ordinal`` of a group whose cursor is behind the stream's last ID (XGROUP CREATE s g 99-0): entries that are
#: still to come may lie before the cursor, so where it stands can only be told by ID.
FUTURE: Final = 1 << 62


class Policy(enum.Enum):
    """What deleting an entry does about references to it."""

    KEEPREF = b"KEEPREF"  #: it is deleted, pending lists keep it
    DELREF = b"DELREF"  #: it is deleted and leaves all pending lists
    ACKED = b"ACKED"  #: only an entry that nobody refers to is deleted


POLICIES: Final = {policy.value: policy for policy in Policy}


def cursor_ordinal(stream: Stream, entry_id: Id) -> int:
    """``next_ordinal`` of a cursor that stands at ``entry_id``."""
    if entry_id > stream.last_id:
        return FUTURE
    return stream.ordinal_of(behind(entry_id))


def unread_from(stream: Stream, group: Group) -> int:
    """The ordinal from which on the group has not been given anything; at most ``stream.end_ordinal``."""
    ordinal = group.next_ordinal
    return ordinal if ordinal <= stream.end_ordinal else stream.ordinal_of(behind(group.last_delivered_id))


def behind(entry_id: Id) -> Id:
    """The least pair above an ID. Its sequence number may be one too high for an ID; it compares as it should."""
    return entry_id[0], entry_id[1] + 1


def lag(stream: Stream, group: Group) -> int:
    """How many live entries the group has not been given; exact, always."""
    first, end = max(unread_from(stream, group), stream.first_ordinal), stream.end_ordinal
    if first >= end:
        return 0
    return end - first - (stream.deletions.count_between(first, end) if stream.deletions.count else 0)


def unreferenced(stream: Stream, ordinals: Iterable[int]) -> list[int]:
    """Those of ``ordinals`` that no group refers to."""
    groups = list(stream.groups.values())
    read_up_to = min((unread_from(stream, group) for group in groups), default=FUTURE)
    return [o for o in ordinals if o < read_up_to and not any(o in group.pending for group in groups)]


def drop_references(stream: Stream, ordinals: Sequence[int]) -> None:
    """Take entries off the pending lists of all groups; neighbours that rise make one range."""
    for group in list(stream.groups.values()):
        if not len(group.pending):
            continue
        ranges: list[list[int]] = []
        for ordinal in ordinals:
            if ordinal not in group.pending:
                continue
            if ranges and ranges[-1][1] == ordinal:
                ranges[-1][1] = ordinal + 1
            else:
                ranges.append([ordinal, ordinal + 1])
        if ranges:
            stream.commit([effects.FORGOTTEN, group.name, ranges])


def read_counter(stream: Stream, group: Group, first: int, last_id: Id, count: int) -> int | None:
    """``entries_read`` after ``group`` is given ``count`` live entries from ordinal ``first`` up to ``last_id``.

    Redis counts on while the group has read some entry that is still there and no deletion lies ahead of it;
    otherwise it knows the number at the stream's first and last entry only. None is "not known".
    """
    first_live = stream.first_live() if stream.deletions.count else stream.first_ordinal
    assert first_live is not None
    deleted = stream.max_deleted_id
    fragmented = deleted != (0, 0) and stream.id_at(first_live) <= deleted
    behind = fragmented and group.last_delivered_id <= deleted
    if first_live < first and group.entries_read is not None and not behind:
        return group.entries_read + count
    if first == first_live and not fragmented:
        return stream.entries_added - stream.length + count
    return stream.entries_added if last_id == stream.last_id else None


def known_from(stream: Stream, entry_id: Id) -> int:
    """The lowest ordinal at or behind ``entry_id`` of all whose ID is still known, gone entries too.

    What `Stream.ordinal_of` is to entries, this is to pending lists, which outlive them.
    """
    ordinal = stream.ordinal_of(entry_id)
    if ordinal > stream.first_ordinal:
        return ordinal
    detached = stream.first_detached(entry_id)
    if detached is not None:
        return detached
    lowest = min(stream.log.first_ordinal, stream.first_ordinal)
    return lowest + bisect_left(range(lowest, stream.first_ordinal), entry_id, key=stream.id_at)
