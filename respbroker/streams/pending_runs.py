"""The runs of a group's pending entries, and every way of changing them.

This is the writing half of `PendingEntries`, which adds the questions. All changes of runs happen here, and so does all
counting: what a share holds, what the list holds, what is nobody's, and what the index by age must learn of.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from sortedcontainers import SortedList

from respbroker.streams.ages import AgeIndex
from respbroker.streams.runs import (
    BITS,
    BLOCK_BITS,
    BLOCK_SIZE,
    FULL,
    OFFSET_MASK,
    Block,
    Share,
    stretches_of,
)


class PendingRuns:
    """Blocks of runs, the shares of consumers in them, and the entries that are nobody's."""

    __slots__ = ("_ages", "_blocks", "_count", "_frontier", "_order", "_released", "_shares", "_tail", "_unowned")

    def __init__(self) -> None:
        self._blocks: dict[int, Block] = {}
        self._order: SortedList[int] = SortedList()  # the keys of _blocks
        self._tail = -1  # the highest block ever; it stays while empty, for the next read lands there
        self._frontier = 0  # no run reaches up to here
        self._count = 0
        self._shares: dict[bytes, Share] = {}
        self._unowned = Share(None)
        #: Unowned entries in the order they were given up, and who had them.
        self._released: OrderedDict[int, bytes | None] = OrderedDict()
        self._ages: AgeIndex | None = None

    # -- giving entries to consumers -----------------------------------------------------------------------

    def deliver(
        self, first: int, end: int, consumer: bytes, time_ms: int, count: int = 1, holes: Iterable[int] = ()
    ) -> None:
        """The entries ``[first, end)`` except ``holes`` are pending with ``consumer``, whoever had them before.

        Entries in ``holes`` stay as they are.
        """
        share = self._shares.get(consumer) or self._share(consumer)
        if holes:
            for hole in sorted(holes):
                if first <= hole < end:
                    self._put(first, hole, share, time_ms, count)
                    first = hole + 1
        self._put(first, end, share, time_ms, count)

    def release(self, ordinal: int, count: int) -> None:
        """The entry is pending with nobody, behind those given up before it; one that already is keeps its place."""
        block = self._blocks.get(ordinal >> BLOCK_BITS)
        index = -1 if block is None else block.find(ordinal & OFFSET_MASK)
        owner = None if block is None or index < 0 else block.shares[index].name
        self._put(ordinal, ordinal + 1, self._unowned, 0, count)
        self._released.setdefault(ordinal, owner)

    def _share(self, consumer: bytes) -> Share:
        share = self._shares.get(consumer)
        if share is None:
            share = self._shares[consumer] = Share(consumer)
        return share

    def _put(self, first: int, end: int, share: Share, time_ms: int, count: int) -> None:
        """Make all of ``[first, end)`` pending as said."""
        while first < end:
            number = first >> BLOCK_BITS
            stop = (number + 1) << BLOCK_BITS
            if stop > end:
                stop = end
            block = self._blocks.get(number) or self._new_block(number)
            start = first & OFFSET_MASK
            if first >= self._frontier:  # the next entries for the first time: nearly always
                self._extend(block, start, FULL[stop - first], share, time_ms, count)
                self._frontier = stop
            else:
                index = self._clear_for(block, start, start + stop - first, share)
                self._place(block, index, start, FULL[stop - first], share, time_ms, count)
                if stop > self._frontier:
                    self._frontier = stop
            share.count += stop - first
            self._count += stop - first
            first = stop

    def _extend(self, block: Block, start: int, mask: int, share: Share, time_ms: int, count: int) -> None:
        """`_place` behind the last run."""
        starts = block.starts
        if starts and block.shares[-1] is share and block.times[-1] == time_ms and block.counts[-1] == count:
            block.masks[-1] |= mask << (start - starts[-1])
            return
        block.insert(len(starts), start, mask, share, time_ms, count)
        if self._ages is not None and share is not self._unowned:
            self._ages.push(time_ms, block.base + start)

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
                block.remove(index, index + 1)
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
        """These entries are no longer pending; how many of them were. See `as_range`."""
        if isinstance(ordinals, range) and ordinals.step == 1:
            return self.acknowledge_range(ordinals.start, ordinals.stop)
        return sum(map(self.acknowledge_one, ordinals))

    def acknowledge_each(self, ordinals: Sequence[int | None]) -> list[int]:
        """The same with an answer for each: 1 if it was pending, else 0; None never was."""
        if isinstance(ordinals, range) and self._is_run(ordinals.start, ordinals.stop):
            self.acknowledge_range(ordinals.start, ordinals.stop)
            return [1] * len(ordinals)
        return [0 if ordinal is None else self.acknowledge_one(ordinal) for ordinal in ordinals]

    def _is_run(self, first: int, end: int) -> bool:
        """Whether all of ``[first, end)`` is pending in one run."""
        block, offset = self._blocks.get(first >> BLOCK_BITS), first & OFFSET_MASK
        index = -1 if block is None or offset + end - first > BLOCK_SIZE else block.find(offset)
        if block is None or index < 0:
            return False
        wanted = FULL[end - first]
        return block.masks[index] >> (offset - block.starts[index]) & wanted == wanted

    def acknowledge_one(self, ordinal: int) -> int:
        """The entry is no longer pending; 1 if it was, else 0. The hot one."""
        block = self._blocks.get(ordinal >> BLOCK_BITS)
        if block is None:
            return 0
        offset = ordinal & OFFSET_MASK
        index = bisect_right(block.starts, offset) - 1
        if index < 0:
            return 0
        masks = block.masks
        mask, bit = masks[index], BITS[offset - block.starts[index]]
        if not mask & bit:
            return 0
        share = block.shares[index]
        share.count -= 1
        self._count -= 1
        if share.name is None:
            del self._released[ordinal]
        if mask != bit:
            masks[index] = mask ^ bit
        else:
            block.remove(index, index + 1)
            if not block.starts and block.number != self._tail:
                self._drop(block)
        return 1

    def acknowledge_range(self, first: int, end: int) -> int:
        """Nothing in ``[first, end)`` is pending any more; how many entries were."""
        before, low, high = self._count, first >> BLOCK_BITS, (end - 1) >> BLOCK_BITS
        for number in (low,) if low == high else list(self._order.irange(low, high)):
            block = self._blocks.get(number)
            if block is not None:
                self._clear(block, max(first - block.base, 0), min(end - block.base, BLOCK_SIZE))
                if not block.starts and block.number != self._tail:
                    self._drop(block)
        return before - self._count

    def _clear(self, block: Block, start: int, end: int) -> None:
        """Clear the offsets ``[start, end)``: cut the runs at both ends, and take those between away at once."""
        low, high = block.first_reaching(start), bisect_left(block.starts, end)
        if low < high and block.starts[low] < start:
            if self._cut(block, low, start, end):
                low += 1
            else:
                high -= 1
        if low < high and block.starts[high - 1] + block.masks[high - 1].bit_length() > end:
            high -= 1
            self._cut(block, high, start, end)
        for index in range(low, high):
            self._taken(block, block.starts[index], block.masks[index], block.shares[index], None)
        block.remove(low, high)

    def _cut(self, block: Block, index: int, start: int, end: int) -> bool:
        """Clear the offsets ``[start, end)`` of one run; whether anything is left of it."""
        begin, mask = block.starts[index], block.masks[index]
        gone = mask & FULL[end - begin] & ~FULL[max(start - begin, 0)]
        self._taken(block, begin, gone, block.shares[index], None)
        if gone == mask:
            block.remove(index, index + 1)
            return False
        block.masks[index] = mask ^ gone
        return True

    def remove_consumer(self, consumer: bytes) -> int:
        """Nothing is pending with ``consumer`` any more, and its share is forgotten; how many entries were."""
        share = self._shares.pop(consumer, None)
        if share is None:
            return 0
        for number in list(share.blocks):
            block = self._blocks[number]
            block.expel(share)
            if not block.starts and block.number != self._tail:
                self._drop(block)
        self._count -= share.count
        return share.count

    def _taken(self, block: Block, begin: int, gone: int, share: Share, heir: Share | None) -> None:
        """Count the entries of ``gone``, a mask from ``begin``, as lost to ``share``; ``heir`` is to count them."""
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
