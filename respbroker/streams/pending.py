"""The pending entries list of a group: who was given which entries, kept as runs.

Entries are named by ordinal. A read of a hundred entries is one or two runs, whatever it read; acknowledging an
entry clears a bit. Everything Redis tells about single entries is answered from the runs (see ``runs``).

Costs, with *b* blocks of 1024 ordinals in which something is pending and *r* ≤ 1024 runs in a block:

====================================  ============================================================================
``acknowledge``, ``get``, ``in``      O(log r) for each entry: a dictionary, a bisection, a bit
``deliver`` behind everything         O(1) for each 1024 entries
``deliver`` elsewhere, ``assign``     O(log b + r) for each stretch of consecutive ordinals
``lowest``, ``highest``, counts       O(1)
iteration                             O(log b) to find the start, then only blocks where there is something to give
``oldest_first``                      O(log runs) for each run; the first call builds the index in O(runs)
====================================  ============================================================================

Nothing may be changed while an iteration is under way.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sortedcontainers import SortedList

from respbroker.streams.ages import AgeIndex
from respbroker.streams.runs import (
    BLOCK_BITS,
    BLOCK_SIZE,
    FULL,
    OFFSET_MASK,
    Block,
    Share,
    consecutive,
    stretches_of,
)

COUNT_MAX = (1 << 63) - 1  # what XNACK FATAL sets

Entry = tuple[int, bytes | None, int, int]  # ordinal, consumer (None: nobody), delivery time in ms, delivery count
Stretch = tuple[int, int, bytes | None, int, int]  # the same for [first, end)


class PendingEntries:
    """The pending entries of one group. ``len`` is their number, ``in`` asks for an ordinal."""

    __slots__ = ("_ages", "_blocks", "_count", "_frontier", "_order", "_released", "_shares", "_tail", "_unowned")

    def __init__(self) -> None:
        self._blocks: dict[int, Block] = {}
        self._order: SortedList[int] = SortedList()  # the keys of _blocks
        self._tail = -1  # the highest block ever; it stays while empty, for the next read lands there
        self._frontier = 0  # no run reaches up to here
        self._count = 0
        self._shares: dict[bytes, Share] = {}
        self._unowned = Share(None)
        self._released: OrderedDict[int, None] = OrderedDict()  # unowned entries in the order they were given up
        self._ages: AgeIndex | None = None

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
            for low, high in stretches_of(mask):
                yield first + low, first + high, share.name, time_ms, count

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
        order = self._order if only is None else only.blocks
        last = None if end is None else (end - 1) >> BLOCK_BITS
        stale: list[int] = []
        try:
            for number in order.irange(start >> BLOCK_BITS, last):
                block = self._blocks[number]
                if only is not None and only not in block.shares:
                    stale.append(number)
                    continue
                stop = BLOCK_SIZE if end is None else end - block.base
                yield from block.clipped(start - block.base, stop, only)
        finally:
            if only is not None:
                self._strike(only, stale)

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

    # -- giving entries to consumers -----------------------------------------------------------------------

    def deliver(
        self, first: int, end: int, consumer: bytes, time_ms: int, count: int = 1, holes: Iterable[int] = ()
    ) -> None:
        """The entries ``[first, end)`` except ``holes`` are pending with ``consumer``, whoever had them before.

        Entries in ``holes`` stay as they are.
        """
        share = self._shares.get(consumer) or self._share(consumer)
        for hole in sorted(holes) if holes else ():
            if first <= hole < end:
                self._put(first, hole, share, time_ms, count)
                first = hole + 1
        self._put(first, end, share, time_ms, count)

    def assign(self, ordinals: Iterable[int], consumer: bytes, time_ms: int, count: int) -> None:
        """These entries are pending with ``consumer``; quickest with rising ordinals."""
        share = self._share(consumer)
        for first, end in consecutive(ordinals):
            self._put(first, end, share, time_ms, count)

    def release(self, ordinal: int, count: int) -> None:
        """The entry is pending with nobody, behind those given up before it; one that already is keeps its place."""
        self._put(ordinal, ordinal + 1, self._unowned, 0, count)
        self._released.setdefault(ordinal)

    def _share(self, consumer: bytes) -> Share:
        share = self._shares.get(consumer)
        if share is None:
            share = self._shares[consumer] = Share(consumer)
        return share

    def _put(self, first: int, end: int, share: Share, time_ms: int, count: int) -> None:
        """Make all of ``[first, end)`` pending as said."""
        while first < end:
            number = first >> BLOCK_BITS
            stop = min(end, (number + 1) << BLOCK_BITS)
            block = self._blocks.get(number) or self._new_block(number)
            start = first & OFFSET_MASK
            if first >= self._frontier:
                index = len(block.starts)
            else:
                index = self._clear_for(block, start, start + stop - first, share)
            if stop > self._frontier:
                self._frontier = stop
            self._place(block, index, start, FULL[stop - first], share, time_ms, count)
            share.count += stop - first
            self._count += stop - first
            first = stop

    def _place(self, block: Block, index: int, start: int, mask: int, share: Share, time_ms: int, count: int) -> None:
        """Add a run between its neighbours, or extend those it agrees with."""
        if index and block.is_like(index - 1, share, time_ms, count):
            index -= 1
            block.masks[index] |= mask << (start - block.starts[index])
        else:
            block.insert(index, start, mask, share, time_ms, count)
            if self._ages is not None and share is not self._unowned:
                self._ages.push(time_ms, block.base + start)
        block.join(index)

    def _clear_for(self, block: Block, start: int, end: int, heir: Share) -> int:
        """Free the offsets ``[start, end)``, splitting a run that reaches over them; the index where a run fits."""
        index = block.first_reaching(start)
        while index < len(block.starts) and block.starts[index] < end:
            begin, mask, share = block.starts[index], block.masks[index], block.shares[index]
            low, high = max(start - begin, 0), end - begin
            left, right = mask & FULL[low], mask >> high
            self._taken(block, begin, mask & FULL[high] ^ left, share, heir)
            time_ms, count = block.times[index], block.counts[index]
            if left:
                block.masks[index] = left
                index += 1
            else:
                block.remove(index)
            if right:
                block.insert(index, end, right, share, time_ms, count)
                if self._ages is not None and share is not self._unowned:
                    self._ages.push(time_ms, block.base + end)
                break
        return index

    def _new_block(self, number: int) -> Block:
        block = self._blocks[number] = Block(number)
        self._order.add(number)
        if number > self._tail:
            old, self._tail = self._blocks.get(self._tail), number
            if old is not None and not old.starts:
                self._drop(old)
        return block

    # -- taking entries away ----------------------------------------------------------------------------------

    def acknowledge(self, ordinals: Sequence[int]) -> int:
        """These entries are no longer pending; how many of them were. Quickest if they follow one another."""
        size = len(ordinals)
        if (
            size > 2
            and ordinals[-1] - ordinals[0] == size - 1
            and list(ordinals) == [*range(ordinals[0], ordinals[-1] + 1)]
        ):
            return self.acknowledge_range(ordinals[0], ordinals[-1] + 1)
        blocks, removed = self._blocks, 0
        for ordinal in ordinals:
            try:
                block = blocks[ordinal >> BLOCK_BITS]
            except KeyError:
                continue
            offset = ordinal & OFFSET_MASK
            index = bisect_right(block.starts, offset) - 1
            if index < 0:
                continue
            mask = block.masks[index]
            left = mask & ~(1 << (offset - block.starts[index]))
            if left == mask:
                continue
            removed += 1
            share = block.shares[index]
            share.count -= 1
            if share is self._unowned:
                del self._released[ordinal]
            if left:
                block.masks[index] = left
            else:
                block.remove(index)
                if not block.starts and block.number != self._tail:
                    self._drop(block)
        self._count -= removed
        return removed

    def acknowledge_range(self, first: int, end: int) -> int:
        """Nothing in ``[first, end)`` is pending any more; how many entries were."""
        before = self._count
        for number in list(self._order.irange(first >> BLOCK_BITS, (end - 1) >> BLOCK_BITS)):
            block = self._blocks[number]
            self._remove_where(block, max(first - block.base, 0), min(end - block.base, BLOCK_SIZE), None)
        return before - self._count

    def remove_consumer(self, consumer: bytes) -> int:
        """Nothing is pending with ``consumer`` any more, and its share is forgotten; how many entries were."""
        share = self._shares.pop(consumer, None)
        if share is None:
            return 0
        removed = share.count
        for number in list(share.blocks):
            block = self._blocks[number]
            self._remove_where(block, 0, BLOCK_SIZE, share)
            if share in block.members:
                block.members.remove(share)
                share.blocks.remove(number)
        return removed

    def _remove_where(self, block: Block, start: int, end: int, only: Share | None) -> None:
        """Clear the offsets ``[start, end)`` of all runs, or of those of one share. Nothing is split."""
        lowest = block.first_reaching(start)
        for index in range(bisect_left(block.starts, end) - 1, lowest - 1, -1):
            share, begin, mask = block.shares[index], block.starts[index], block.masks[index]
            if only is not None and share is not only:
                continue
            gone = mask & FULL[end - begin] & ~FULL[max(start - begin, 0)]
            self._taken(block, begin, gone, share, share)
            if share is self._unowned:
                self._forget_released(block.base + begin, gone)
            if gone == mask:
                block.remove(index)
            else:
                block.masks[index] = mask ^ gone
        if not block.starts and block.number != self._tail:
            self._drop(block)

    def _taken(self, block: Block, begin: int, gone: int, share: Share, heir: Share) -> None:
        """Count the entries of ``gone``, a mask from ``begin``, as lost to ``share``."""
        removed = gone.bit_count()
        share.count -= removed
        self._count -= removed
        if share is self._unowned and heir is not share:
            self._forget_released(block.base + begin, gone)

    def _forget_released(self, first: int, mask: int) -> None:
        for low, high in stretches_of(mask):
            for ordinal in range(first + low, first + high):
                del self._released[ordinal]

    def _drop(self, block: Block) -> None:
        del self._blocks[block.number]
        self._order.remove(block.number)
        block.leave()

    # -- as plain values --------------------------------------------------------------------------------------

    def dump(self) -> list[Any]:
        """The whole state as lists, numbers and bytes: names, blocks, and the order of release."""
        shares = [self._unowned, *(share for share in self._shares.values() if share.count)]
        places = {share: place for place, share in enumerate(shares)}
        blocks = [block.dump(places) for block in map(self._blocks.__getitem__, self._order) if block.starts]
        return [[share.name for share in shares[1:]], blocks, list(self._released)]

    @classmethod
    def load(cls, state: list[Any]) -> PendingEntries:
        """The opposite of ``dump``."""
        names, blocks, released = state
        pending = cls()
        shares = [pending._unowned, *map(pending._share, names)]
        for each in blocks:
            block = Block.load(each, shares)
            pending._blocks[block.number] = block
        pending._order.update(pending._blocks)
        pending._tail = max(pending._blocks, default=-1)
        pending._frontier = (pending._tail + 1) << BLOCK_BITS
        pending._count = sum(share.count for share in shares)
        pending._released = OrderedDict.fromkeys(released)
        return pending

    def __eq__(self, other: object) -> bool:
        """Whether the same entries are pending in the same way; how they are cut into runs does not matter."""
        if not isinstance(other, PendingEntries):
            return NotImplemented
        if self._count != other._count or list(self._released) != list(other._released):
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
