"""Trimming: which entries MAXLEN and MINID take from a stream's front, under each policy.

Raising the log's start costs the same at any entry, but ``~`` trims whole *nodes* all the same, as tests written
against Redis expect: runs of ``stream-node-max-entries`` entries, counted from the first entry of the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from respbroker.streams import effects
from respbroker.streams.references import Policy, unreferenced

if TYPE_CHECKING:
    from respbroker.streams.stream import Id, Stream


@attrs.frozen
class Trim:
    """What XADD and XTRIM ask for: keep ``maxlen`` entries, or those from ``minid`` on.

    ``limit`` bounds how many entries an approximate trim takes; 0: any number.
    """

    maxlen: int | None
    minid: Id
    approximate: bool
    limit: int
    policy: Policy

    def apply(self, stream: Stream, node_entries: int) -> int:
        """Trim; how many entries went."""
        before = stream.length
        if self.maxlen is not None and before <= self.maxlen:
            return 0
        floor = self._floor(stream)
        if self.approximate and floor < stream.end_ordinal and node_entries:
            origin = stream.node_origin
            floor = origin + (floor - origin) // node_entries * node_entries
        if floor > stream.first_ordinal and self.limit and self.approximate:
            floor = self._limited(stream, floor, node_entries)
        if floor <= stream.first_ordinal:
            return 0
        if self.policy is Policy.ACKED:
            self._take_unreferenced(stream, floor)
        else:
            self.take(stream, floor)
        return before - stream.length

    def take(self, stream: Stream, floor: int) -> None:
        """Take everything below ``floor``, referred to or not."""
        if self.policy is Policy.DELREF:
            _drop_references_below(stream, floor)
        stream.trim(floor)

    def room(self, stream: Stream, node_entries: int) -> int:
        """How many entries to append before the next `apply`: it would take nothing behind any of them but the last."""
        assert self.maxlen is not None
        first, end = stream.first_ordinal, stream.end_ordinal
        if stream.deletions:
            return max(1, self.maxlen + 1 - stream.length)
        border = first + 1  # what the floor must reach for something to go
        if self.approximate and node_entries and self.maxlen:
            border = stream.node_origin + ((first - stream.node_origin) // node_entries + 1) * node_entries
        return max(1, border + self.maxlen - end)

    def _floor(self, stream: Stream) -> int:
        """The ordinal of the first entry to keep."""
        if self.maxlen is None:
            return stream.ordinal_of(self.minid)
        if self.maxlen == 0:
            return stream.end_ordinal
        return stream.last_live_ranges(stream.first_ordinal, stream.end_ordinal, self.maxlen)[0][0]

    def _limited(self, stream: Stream, floor: int, node_entries: int) -> int:
        """As many whole nodes below ``floor`` as hold no more than ``limit`` entries."""
        allowed, node = stream.first_ordinal, node_entries or floor
        taken = 0
        while allowed < floor:
            border = min(stream.node_origin + ((allowed - stream.node_origin) // node + 1) * node, floor)
            taken += sum(end - first for first, end in stream.live_ranges(allowed, border))
            if taken > self.limit:
                break
            allowed = border
        return allowed

    def _take_unreferenced(self, stream: Stream, floor: int) -> None:
        """Take from the front what nobody refers to, until few enough are left."""
        to_take = stream.end_ordinal if self.maxlen is None else stream.length - self.maxlen
        end = floor if self.maxlen is None or self.approximate else stream.end_ordinal
        taken: list[int] = []
        for first, last in stream.live_ranges(stream.first_ordinal, end):
            for start in range(first, last, 1024):
                taken.extend(unreferenced(stream, range(start, min(start + 1024, last))))
                if len(taken) >= to_take:
                    break
        if taken:
            stream.remove(taken[:to_take])


def _drop_references_below(stream: Stream, floor: int) -> None:
    """What is trimmed is pending with nobody any more."""
    for group in list(stream.groups.values()):
        lowest = group.pending.lowest()
        while lowest is not None and lowest < stream.first_ordinal:
            lowest = next((o for o, *_ in group.pending.iterate(stream.first_ordinal, floor, limit=1)), None)
        if lowest is not None and lowest < floor:
            ranges = [list(live) for live in stream.live_ranges(stream.first_ordinal, floor)]
            stream.commit([effects.FORGOTTEN, group.name, ranges])
