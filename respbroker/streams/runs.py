"""Runs of pending entries, and the blocks of ordinals that hold them.

A *run* is a stretch of ordinals that were delivered together: one consumer, one delivery time, one delivery count,
and a bit mask that says which of them are still pending. Runs live in *blocks* of 1024 ordinals and never cross a
block's border. A block keeps its runs as columns of plain numbers instead of objects: a million reads of one entry
then cost 42 bytes each (measured), and the garbage collector has nothing to visit.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sortedcontainers import SortedList

BLOCK_BITS = 10
BLOCK_SIZE = 1 << BLOCK_BITS  # also the longest run; a mask operation on 1024 bits still takes well under 0.1 µs
OFFSET_MASK = BLOCK_SIZE - 1

# The offsets in a block, one object for each: a list of them is searched twice as fast as an array (measured).
OFFSETS = list(range(BLOCK_SIZE + 1))
BITS = [1 << offset for offset in range(BLOCK_SIZE)]
FULL = [(1 << width) - 1 for width in range(BLOCK_SIZE + 1)]  # FULL[n]: n ones


def stretches_of(mask: int) -> Iterator[tuple[int, int]]:
    """The ones of ``mask`` as half-open stretches of bit numbers, lowest first."""
    base = 0
    while mask:
        zeros = (mask & -mask).bit_length() - 1
        mask >>= zeros
        ones = (mask ^ (mask + 1)).bit_length() - 1
        base += zeros
        yield base, base + ones
        mask >>= ones
        base += ones


def consecutive(ordinals: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring ordinals as half-open ranges, in the order given."""
    first = end = -1
    for ordinal in ordinals:
        if ordinal == end:
            end += 1
            continue
        if end >= 0:
            yield first, end
        first, end = ordinal, ordinal + 1
    if end >= 0:
        yield first, end


def as_range(ordinals: Sequence[int]) -> range | None:
    """Ordinals as one range, where they are neighbours in any order and none is there twice."""
    if isinstance(ordinals, range) and ordinals.step == 1:
        return ordinals
    size = len(ordinals)
    first = min(ordinals, default=0)
    if not size or max(ordinals) - first != size - 1 or len({*ordinals}) != size:
        return None
    return range(first, first + size)


def _to_bytes(code: str, numbers: Iterable[int]) -> bytes:
    column = array(code, numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _from_bytes(code: str, wire: bytes) -> array[int]:
    column = array(code, wire)
    if sys.byteorder == "big":
        column.byteswap()
    return column


class Share:
    """What one consumer holds of a group's pending entries; ``name`` None is the share nobody owns (XNACK)."""

    __slots__ = ("blocks", "count", "name")

    def __init__(self, name: bytes | None) -> None:
        self.name = name
        self.count = 0  # entries pending
        # Numbers of the blocks with runs of this share. May name some where its last run is gone; never misses one.
        self.blocks: SortedList[int] = SortedList()


class Block:
    """The runs in ordinals ``[number * 1024, (number + 1) * 1024)``, as columns in order of their starts.

    Invariants: ``starts`` rises strictly; masks are not zero; run *i* covers the offsets from ``starts[i]`` to
    ``starts[i] + masks[i].bit_length()``, and these ranges do not overlap. Bit 0 of a mask may be clear.
    """

    __slots__ = ("base", "counts", "masks", "members", "number", "shares", "starts", "times")

    def __init__(self, number: int) -> None:
        self.number = number
        self.base = number << BLOCK_BITS
        self.members: set[Share] = set()  # exactly the shares that list this block
        self.starts: list[int] = []
        self.masks: list[int] = []
        self.shares: list[Share] = []
        self.times = array("q")
        self.counts = array("Q")

    def find(self, offset: int) -> int:
        """The index of the run in which ``offset`` is pending, or -1."""
        starts = self.starts
        index = bisect_right(starts, offset) - 1
        if index >= 0 and self.masks[index] >> (offset - starts[index]) & 1:
            return index
        return -1

    def starting_at(self, offset: int) -> int:
        """The index of the run that starts exactly at ``offset``, or -1."""
        index = bisect_left(self.starts, offset)
        if index < len(self.starts) and self.starts[index] == offset:
            return index
        return -1

    def first_reaching(self, offset: int) -> int:
        """The index of the first run that ends behind ``offset``; the number of runs if there is none."""
        index = bisect_right(self.starts, offset) - 1
        if index < 0:
            return 0
        if self.starts[index] + self.masks[index].bit_length() > offset:
            return index
        return index + 1

    def insert(self, index: int, start: int, mask: int, share: Share, time_ms: int, count: int) -> None:
        """Put a run at ``index`` of the columns; the caller keeps the order and the share's count."""
        self.starts.insert(index, OFFSETS[start])
        self.masks.insert(index, mask)
        self.shares.insert(index, share)
        self.times.insert(index, time_ms)
        self.counts.insert(index, count)
        if share not in self.members:
            self.members.add(share)
            share.blocks.add(self.number)

    def remove(self, low: int, high: int) -> None:
        """Take the runs ``[low, high)`` out of the columns; the caller keeps the shares' counts."""
        del self.starts[low:high]
        del self.masks[low:high]
        del self.shares[low:high]
        del self.times[low:high]
        del self.counts[low:high]

    def expel(self, share: Share) -> None:
        """Take all runs of a member out, and its membership; the caller keeps its count."""
        kept = [index for index, owner in enumerate(self.shares) if owner is not share]
        if len(kept) < len(self.shares):
            self.starts = [self.starts[index] for index in kept]
            self.masks = [self.masks[index] for index in kept]
            self.shares = [self.shares[index] for index in kept]
            self.times = array("q", [self.times[index] for index in kept])
            self.counts = array("Q", [self.counts[index] for index in kept])
        self.members.remove(share)
        share.blocks.remove(self.number)

    def is_like(self, index: int, share: Share, time_ms: int, count: int) -> bool:
        """Whether run ``index`` was delivered to ``share`` at that time for that count, and so may be extended."""
        return self.shares[index] is share and self.times[index] == time_ms and self.counts[index] == count

    def join(self, index: int) -> None:
        """Make one run of ``index`` and its right neighbour, where they agree."""
        right = index + 1
        if right < len(self.starts) and self.is_like(index, self.shares[right], self.times[right], self.counts[right]):
            self.masks[index] |= self.masks[right] << (self.starts[right] - self.starts[index])
            self.remove(right, right + 1)

    def leave(self) -> None:
        """Strike this block from the lists of its members; it is not used any more."""
        for share in self.members:
            share.blocks.remove(self.number)
        self.members.clear()

    def clipped(self, start: int, end: int, only: Share | None) -> Iterator[tuple[int, int, Share, int, int]]:
        """The runs cut to the offsets ``[start, end)``, which may lie outside the block: first ordinal, mask, share,
        time, count."""
        for i in range(self.first_reaching(start) if start > 0 else 0, len(self.starts)):
            begin, share, mask = self.starts[i], self.shares[i], self.masks[i]
            if begin >= end:
                return
            if only is not None and share is not only:
                continue
            if begin < start:
                mask >>= start - begin
                begin = start
            if end - begin < BLOCK_SIZE:
                mask &= FULL[end - begin]
            if mask:
                yield self.base + begin, mask, share, self.times[i], self.counts[i]

    def dump(self, places: dict[Share, int]) -> list[Any]:
        """The columns, numbers as little-endian bytes; ``places`` numbers the shares."""
        return [
            self.number,
            _to_bytes("H", self.starts),
            [mask if mask < 1 << 64 else mask.to_bytes((mask.bit_length() + 7) // 8, "little") for mask in self.masks],
            _to_bytes("I", [places[share] for share in self.shares]),
            _to_bytes("q", self.times),
            _to_bytes("Q", self.counts),
        ]

    @classmethod
    def load(cls, state: list[Any], shares: list[Share]) -> Block:
        """The opposite of ``dump``; counts what the shares hold and lists the block with them."""
        number, starts, masks, places, times, counts = state
        block = cls(number)
        block.starts = [OFFSETS[start] for start in _from_bytes("H", starts)]
        block.masks = [mask if isinstance(mask, int) else int.from_bytes(mask, "little") for mask in masks]
        block.shares = [shares[place] for place in _from_bytes("I", places)]
        block.times = _from_bytes("q", times)
        block.counts = _from_bytes("Q", counts)
        for mask, share in zip(block.masks, block.shares, strict=True):
            share.count += mask.bit_count()
        block.members = set(block.shares)
        for share in block.members:
            share.blocks.add(number)
        return block

    def check(self) -> None:
        """Assert the invariants."""
        assert len(self.starts) == len(self.masks) == len(self.shares) == len(self.times) == len(self.counts)
        reached = 0
        for start, mask, share in zip(self.starts, self.masks, self.shares, strict=True):
            assert mask
            assert start >= reached
            assert share in self.members
            reached = start + mask.bit_length()
        assert reached <= BLOCK_SIZE
