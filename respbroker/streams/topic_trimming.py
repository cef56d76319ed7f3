"""Trimming a topic of several partitions: which entries MAXLEN and MINID take from the fronts of its partitions.

MAXLEN n leaves the newest n entries of the whole topic, by ID. How far each partition reaches into the oldest ones is
found by counting below an ID, not by walking. ``~`` takes whole nodes of partitions, where all of a node's entries are
among the oldest.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import repeat
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.model.stream_id import MAX, ZERO
from respbroker.streams.merged import Merged
from respbroker.streams.references import Policy, behind, unreferenced
from respbroker.streams.trimming import Trim

if TYPE_CHECKING:
    from respbroker.streams.stream import Id, Stream
    from respbroker.streams.topic import Topic

LISTED_MAX: Final = 512  # entries; the oldest of so many are found by sorting
_NONE: Final = (1 << 64, 0)  # behind every ID


def trim_topic(topic: Topic, trim: Trim, node_entries: int) -> list[tuple[Stream, int]]:
    """Trim; the partitions that lost entries, and how many each."""
    streams, maxlen = topic.partitions, trim.maxlen
    if maxlen is None:
        return _trim_by_id(streams, trim, node_entries)
    rounded = trim.approximate and node_entries > 0
    if rounded and topic.has_trim_room(maxlen, node_entries):
        return []
    excess = topic.length - maxlen
    if excess <= 0:
        return []
    before = [stream.length for stream in streams]
    if rounded:
        floors, room = _whole_nodes(streams, maxlen, node_entries, trim.limit)
        topic.set_trim_room(maxlen, node_entries, 0 if trim.policy is Policy.ACKED else room)
    else:
        floors = _oldest(topic) if excess == 1 else floors_of_oldest(streams, excess)
    if trim.policy is Policy.ACKED:
        _take_unreferenced(streams, floors if rounded else None, excess)
    else:
        for stream, floor in zip(streams, floors, strict=True):
            if floor > stream.first_ordinal:
                trim.take(stream, floor)
    lost = [(stream, length - stream.length) for stream, length in zip(streams, before, strict=True)]
    return [(stream, count) for stream, count in lost if count]


def _trim_by_id(streams: Sequence[Stream], trim: Trim, node_entries: int) -> list[tuple[Stream, int]]:
    """MINID: each partition by itself, the one with the oldest entry first, while the limit lasts."""
    lost: list[tuple[Stream, int]] = []
    limit = trim.limit
    for stream in sorted(streams, key=lambda stream: _id_from(stream, stream.first_ordinal)):
        count = attrs.evolve(trim, limit=limit).apply(stream, node_entries)
        if count:
            lost.append((stream, count))
            if trim.limit and trim.approximate:
                limit -= count
                if limit <= 0:
                    break
    return lost


def _live(stream: Stream, first: int, end: int) -> int:
    return end - first - stream.deletions.count_between(first, end)


def _id_from(stream: Stream, ordinal: int) -> Id:
    """The ID of the first live entry from ``ordinal`` on."""
    ordinal = stream.deletions.next_live(ordinal)
    return stream.id_at(ordinal) if ordinal < stream.end_ordinal else _NONE


# -- the oldest entries ----------------------------------------------------------------------------------------


def floors_of_oldest(streams: Sequence[Stream], count: int) -> list[int]:
    """The ordinals up to which each stream's entries are among the ``count`` oldest; so many there must be.

    Each stream has a window in which its floor lies. What lies below an ID from the middle of the widest one tells on
    which side of that ID all floors are.
    """
    if count == sum(stream.length for stream in streams):
        return [stream.end_ordinal for stream in streams]
    lows = [stream.first_ordinal for stream in streams]
    highs = [
        stream.end_ordinal if stream.deletions.count else min(stream.end_ordinal, low + count)
        for stream, low in zip(streams, lows, strict=True)
    ]
    left = count  # of the oldest, those that are in the windows
    while left and sum(highs) - sum(lows) > LISTED_MAX:
        widest = max(range(len(streams)), key=lambda index: highs[index] - lows[index])
        middle = _live_within(streams[widest], lows[widest], highs[widest])
        if middle is None:
            highs[widest] = lows[widest]
            continue
        pivot = streams[widest].id_at(middle)
        places = [
            min(max(stream.ordinal_of(pivot), low), high)
            for stream, low, high in zip(streams, lows, highs, strict=True)
        ]
        below = sum(map(_live, streams, lows, places))
        if below > left:
            highs = places
            continue
        if not below:  # then it is the oldest in all windows
            places[widest], below = middle + 1, 1
        left -= below
        lows = places
    return _taken_from(streams, lows, highs, left) if left else lows


def _oldest(topic: Topic) -> list[int]:
    """The same for the one oldest entry, where what each partition begins with is remembered from the last time."""
    known = topic.fronts
    if len(known) != len(topic.partitions):
        known[:] = [(-1, _NONE)] * len(topic.partitions)
    floors: list[int] = []
    for index, stream in enumerate(topic.partitions):
        first = stream.deletions.next_live(stream.first_ordinal) if stream.deletions.count else stream.first_ordinal
        floors.append(stream.first_ordinal)
        if known[index][0] != first or known[index][1] == _NONE:
            known[index] = first, _id_from(stream, first)
    index = min(range(len(known)), key=lambda index: known[index][1])
    floors[index] = known[index][0] + 1
    return floors


def _taken_from(streams: Sequence[Stream], lows: list[int], highs: list[int], count: int) -> list[int]:
    """The same where the windows are small."""
    listed: list[tuple[Id, int, int]] = []
    for index, (stream, low, high) in enumerate(zip(streams, lows, highs, strict=True)):
        for first, end in stream.live_ranges(low, high):
            listed += zip(stream.ids(first, end), repeat(index), range(first, end))
    listed.sort()
    for _, index, ordinal in listed[:count]:
        lows[index] = ordinal + 1
    return lows


def _live_within(stream: Stream, low: int, high: int) -> int | None:
    """A live entry from about the middle of a window, if there is any."""
    middle = (low + high) // 2
    following = stream.deletions.next_live(middle)
    if following < high:
        return following
    previous = stream.deletions.previous_live(middle)
    return previous if previous >= low else None


def _take_unreferenced(streams: Sequence[Stream], floors: Sequence[int] | None, excess: int) -> None:
    """ACKED: take what nobody refers to, all of it below ``floors``, or the ``excess`` oldest wherever they are."""
    taken: dict[Stream, list[int]] = {stream: [] for stream in streams}
    if floors is not None:
        for stream, floor in zip(streams, floors, strict=True):
            for first, end in stream.live_ranges(stream.first_ordinal, floor):
                taken[stream] += unreferenced(stream, range(first, end))
    else:
        for stream, first, end in Merged(streams, ZERO, MAX).runs():
            free = unreferenced(stream, range(first, end))[:excess]
            taken[stream] += free
            excess -= len(free)
            if not excess:
                break
    for stream, ordinals in taken.items():
        if ordinals:
            stream.remove(ordinals)


# -- nodes -----------------------------------------------------------------------------------------------------


def _node_end(stream: Stream, ordinal: int, node_entries: int) -> int:
    """Where the node of an entry ends."""
    end = stream.node_origin + ((ordinal - stream.node_origin) // node_entries + 1) * node_entries
    return min(end, stream.end_ordinal)


def _whole_nodes(streams: Sequence[Stream], maxlen: int, node_entries: int, limit: int) -> tuple[list[int], int]:
    """The ordinals up to which whole nodes can go so that ``maxlen`` entries are left, the oldest nodes first and no
    more than ``limit`` entries (0: all); and how many entries must be appended before another node can go.
    """
    floors = [stream.first_ordinal for stream in streams]
    if not limit:
        floors = _nodes_below(streams, maxlen, node_entries)
    nodes = [
        (_last_id(stream, floor, node_entries), index)
        for index, (stream, floor) in enumerate(zip(streams, floors, strict=True))
        if floor < stream.end_ordinal
    ]
    heapify(nodes)
    taken = 0
    while nodes:
        last_id, index = heappop(nodes)
        later = sum(_live(stream, stream.ordinal_of(behind(last_id)), stream.end_ordinal) for stream in streams)
        if later < maxlen:
            return floors, maxlen - later
        stream, floor = streams[index], floors[index]
        end = _node_end(stream, floor, node_entries)
        taken += _live(stream, floor, end)
        if limit and taken > limit:
            return floors, 0
        floors[index] = end
        if end < stream.end_ordinal:
            heappush(nodes, (_last_id(stream, end, node_entries), index))
    return floors, 0


def _nodes_below(streams: Sequence[Stream], maxlen: int, node_entries: int) -> list[int]:
    """Where nodes end of which everything is to go; some more may be whole."""
    floors = floors_of_oldest(streams, sum(stream.length for stream in streams) - maxlen)
    for index, (stream, floor) in enumerate(zip(streams, floors, strict=True)):
        whole = stream.node_origin + (floor - stream.node_origin) // node_entries * node_entries
        floors[index] = max(whole, stream.first_ordinal)
    return floors


def _last_id(stream: Stream, floor: int, node_entries: int) -> Id:
    """The ID of the last live entry in the node that begins at ``floor``; 0-0 if nothing in it lives."""
    last = stream.deletions.previous_live(_node_end(stream, floor, node_entries) - 1)
    return stream.id_at(last) if last >= floor else ZERO
