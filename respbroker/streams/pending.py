"""The pending entries list of a group: who was given which entries, kept as runs.

Entries are named by ordinal. A read of a hundred entries is one or two runs, whatever it read; acknowledging an
entry clears a bit. Everything Redis tells about single entries is answered from the runs (see ``runs``).

Costs, with *b* blocks of 1024 ordinals in which something is pending and *r* ≤ 1024 runs in a block:

====================================  ============================================================================
``acknowledge_one``, ``get``, ``in``  O(log r): a dictionary, a bisection, a bit
``deliver`` behind everything         O(1) for each 1024 entries
``deliver`` elsewhere                 O(log b + r) for each stretch of consecutive ordinals
``acknowledge_range``                 O(log b + runs touched); ``acknowledge`` takes this way where it can
``lowest``, ``highest``, counts       O(1)
iteration                             O(log b) to find the start, then only blocks where there is something to give
``oldest_first``                      O(log runs) for each run; the first call builds the index in O(runs)
====================================  ============================================================================

Nothing may be changed while an iteration is under way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from respbroker.streams.ages import AgeIndex
from respbroker.streams.pending_runs import PendingRuns
from respbroker.streams.runs import BLOCK_BITS, BLOCK_SIZE, OFFSET_MASK, Block, Share, stretches_of

COUNT_MAX = (1 << 63) - 1  # what XNACK FATAL sets

Entry = tuple[int, bytes | None, int, int]  # ordinal, consumer (None: nobody), delivery time in ms, delivery count
Stretch = tuple[int, int, bytes | None, int, int]  # the same for [first, end)


class PendingEntries(PendingRuns):
    """The pending entries of one group. ``len`` is their number, ``in`` asks for an ordinal."""

    __slots__ = ()

    # -- questions ---------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count

    def __contains__(self, ordinal: int) -> bool:
        block = self._blocks.get(ordinal >> BLOCK_BITS)
        return block is not None and block.find(ordinal & OFFSET_MASK) >= 0

    def get(self, ordinal: int) -> tuple[bytes | None, int, int] | None:
        """Consumer (None: nobody's), delivery time and delivery count, or None if the entry is not pending."""
        block = self._blocks.get(ordinal >> BLOCK_BITS)
        if block is None:
            return None
        index = block.find(ordinal & OFFSET_MASK)
        if index < 0:
            return None
        return block.shares[index].name, block.times[index], block.counts[index]

    def count_of(self, consumer: bytes) -> int:
        """How many entries are pending with ``consumer``."""
        share = self._shares.get(consumer)
        return 0 if share is None else share.count

    def counts(self) -> list[tuple[bytes, int]]:
        """Consumers that hold something, with how many, in order of their names."""
        return sorted((name, share.count) for name, share in self._shares.items() if share.count)

    @property
    def unowned_count(self) -> int:
        """How many entries were given up and belong to nobody."""
        return self._unowned.count

    def former_owner(self, ordinal: int) -> bytes | None:
        """Who gave up an entry that is nobody's; None if nobody had it."""
        return self._released.get(ordinal)

    def lowest(self) -> int | None:
        """The lowest pending ordinal."""
        if not self._count:
            return None
        block = self._blocks[self._order[0]]
        mask = block.masks[0]
        return block.base + block.starts[0] + (mask & -mask).bit_length() - 1

    def highest(self) -> int | None:
        """The highest pending ordinal."""
        for number in reversed(self._order):  # at most the tail is empty
            block = self._blocks[number]
            if block.starts:
                return block.base + block.starts[-1] + block.masks[-1].bit_length() - 1
        return None

    # -- iteration -----------------------------------------------------------------------------------------

    def stretches(self, start: int = 0, end: int | None = None, consumer: bytes | None = None) -> Iterator[Stretch]:
        """What is pending in ``[start, end)``, in order, as stretches of consecutive ordinals that agree.

        Neighbouring stretches may agree too. With ``consumer``, only what is pending with that one.
        """
        for first, mask, share, time_ms, count in self._runs(start, end, consumer):
            if mask & mask + 1:
                for low, high in stretches_of(mask):
                    yield first + low, first + high, share.name, time_ms, count
            else:  # nothing is missing
                yield first, first + mask.bit_length(), share.name, time_ms, count

    def iterate(
        self, start: int = 0, end: int | None = None, consumer: bytes | None = None, limit: int | None = None
    ) -> Iterator[Entry]:
        """What is pending in ``[start, end)``, entry by entry in order; at most ``limit`` of them."""
        left = -1 if limit is None else limit
        if left == 0:
            return
        for first, stop, name, time_ms, count in self.stretches(start, end, consumer):
            for ordinal in range(first, stop):
                yield ordinal, name, time_ms, count
                left -= 1
                if left == 0:
                    return

    def _runs(self, start: int, end: int | None, consumer: bytes | None) -> Iterator[tuple[int, int, Share, int, int]]:
        """Runs cut to ``[start, end)``: first ordinal, mask, share, time, count."""
        only = None if consumer is None else self._shares.get(consumer)
        if consumer is not None and only is None:
            return
        last = None if end is None else (end - 1) >> BLOCK_BITS
        stale: list[int] = []
        try:
            for number in self._numbers(start >> BLOCK_BITS, last, only):
                block = self._blocks[number]
                if only is not None and only not in block.shares:
                    stale.append(number)
                    continue
                stop = BLOCK_SIZE if end is None else end - block.base
                yield from block.clipped(start - block.base, stop, only)
        finally:
            if only is not None:
                self._strike(only, stale)

    def _numbers(self, first: int, last: int | None, only: Share | None) -> Iterator[int]:
        """The blocks in which something may be pending with that share, from ``first`` to ``last``."""
        order = self._order if only is None else only.blocks
        if only is None and first in self._blocks and (last is None or first <= last):  # often all that is looked at
            yield first
            first += 1
        yield from order.irange(first, last)

    def _strike(self, share: Share, numbers: list[int]) -> None:
        """Forget that ``share`` once had runs in these blocks, where that is still so."""
        for number in numbers:
            block = self._blocks.get(number)
            if block is not None and share in block.members and share not in block.shares:
                block.members.remove(share)
                share.blocks.remove(number)

    # -- by age ----------------------------------------------------------------------------------------------

    def oldest_first(self, bound_ms: int) -> Iterator[Entry]:
        """Entries to be claimed: nobody's in the order they were given up, then those delivered at or before
        ``bound_ms``, longest idle first and by ordinal among equals."""
        for ordinal in self._released:
            found = self.get(ordinal)
            assert found is not None
            yield ordinal, *found
        for first in self._age_index().up_to(bound_ms):
            block = self._blocks[first >> BLOCK_BITS]
            index = block.starting_at(first & OFFSET_MASK)
            name, time_ms, count = block.shares[index].name, block.times[index], block.counts[index]
            for low, high in stretches_of(block.masks[index]):
                for ordinal in range(first + low, first + high):
                    yield ordinal, name, time_ms, count

    def oldest_time(self) -> int | None:
        """The earliest delivery time of all, 0 if something is nobody's; None if nothing is pending."""
        if self._released:
            return 0
        return self._age_index().oldest() if self._count else None

    def _age_index(self) -> AgeIndex:
        if self._ages is None:
            self._ages = AgeIndex(self._is_current, self._run_ages)
        return self._ages

    def _is_current(self, time_ms: int, first: int) -> bool:
        block = self._blocks.get(first >> BLOCK_BITS)
        if block is None:
            return False
        index = block.starting_at(first & OFFSET_MASK)
        return index >= 0 and block.times[index] == time_ms and block.shares[index] is not self._unowned

    def _run_ages(self) -> Iterator[tuple[int, int]]:
        for block in self._blocks.values():
            for start, share, time_ms in zip(block.starts, block.shares, block.times, strict=True):
                if share is not self._unowned:
                    yield time_ms, block.base + start

    # -- as plain values --------------------------------------------------------------------------------------

    def dump(self) -> list[Any]:
        """The whole state as lists, numbers and bytes: names, blocks, the order of release, and who had these."""
        shares = [self._unowned, *(share for share in self._shares.values() if share.count)]
        places = {share: place for place, share in enumerate(shares)}
        blocks = [block.dump(places) for block in map(self._blocks.__getitem__, self._order) if block.starts]
        return [[share.name for share in shares[1:]], blocks, list(self._released), list(self._released.values())]

    @classmethod
    def load(cls, state: list[Any]) -> PendingEntries:
        """The opposite of ``dump``."""
        names, blocks, released, *former = state  # who had them is not in older snapshots
        pending = cls()
        shares = [pending._unowned, *map(pending._share, names)]
        for each in blocks:
            block = Block.load(each, shares)
            pending._blocks[block.number] = block
        pending._order.update(pending._blocks)
        pending._tail = max(pending._blocks, default=-1)
        pending._frontier = (pending._tail + 1) << BLOCK_BITS
        pending._count = sum(share.count for share in shares)
        pending._released = OrderedDict(zip(released, former[0] if former else repeat(None)))  # noqa: B905  # it is endless
        return pending

    def __eq__(self, other: object) -> bool:
        """Whether the same entries are pending in the same way; how they are cut into runs does not matter."""
        if not isinstance(other, PendingEntries):
            return NotImplemented
        if self._count != other._count or list(self._released.items()) != list(other._released.items()):
            return False
        return all(mine == theirs for mine, theirs in zip(self.iterate(), other.iterate(), strict=True))

    __hash__ = None  # type: ignore[assignment]

    def check(self) -> None:
        """Assert every invariant, at the cost of a walk over everything."""
        assert [*self._order] == sorted(self._blocks)
        assert self._count == sum(mask.bit_count() for block in self._blocks.values() for mask in block.masks)
        assert all(block.starts or block.number == self._tail for block in self._blocks.values())
        for block in self._blocks.values():
            block.check()
            assert not block.starts or self._frontier >= block.base + block.starts[-1] + block.masks[-1].bit_length()
        shares = [*self._shares.values(), self._unowned]
        for share in shares:
            mine = [block for block in self._blocks.values() if share in block.members]
            assert [*share.blocks] == sorted(block.number for block in mine)
            held = [m for b in mine for m, owner in zip(b.masks, b.shares, strict=True) if owner is share]
            assert share.count == sum(mask.bit_count() for mask in held)
        assert all(share in shares for block in self._blocks.values() for share in block.members)
        assert len(self._released) == self._unowned.count
        assert all(self.get(ordinal)[0] is None for ordinal in self._released)  # type: ignore[index]
        if self._ages is not None:
            self._ages.check()
