"""What many logs share: open files, loaded blocks and indexes, and the room for tails, each with a bound.

So memory and file descriptors grow neither with the data nor with the number of logs. A log that is given no
`Caches` gets small ones of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from storage.filesystem import File, FileSystem

if TYPE_CHECKING:
    from storage.block import Tail
    from storage.segments import Place

_ASKED_COUNT = 512  # about as many blocks as fit into the default bound
TAIL_ENTRY_COST = 130  # bytes of list slots, integers and object headers beside a payload


class FileHolder(Protocol):
    """Whoever keeps an open file between uses."""

    path: str
    file: File | None
    #: Set at each use; a holder that was used since the last look keeps its file one round longer.
    used: bool

    def release(self) -> None:
        """Let go of the file."""


class TailHolder(Protocol):
    """Whoever keeps a tail."""

    def drop_tail(self) -> None:
        """Empty it."""


class Caches:
    """Bounded memory and file descriptors for any number of logs. For one thread."""

    __slots__ = (
        "_asked",
        "_blocks",
        "_holders",
        "_numbers",
        "_tails",
        "block_bytes",
        "block_bytes_max",
        "open_files_max",
        "recent",
        "tail_bytes",
        "tail_bytes_max",
    )

    def __init__(
        self, *, open_files_max: int = 4096, block_bytes_max: int = 16 << 20, tail_bytes_max: int = 16 << 20
    ) -> None:
        self.open_files_max = open_files_max
        self.block_bytes_max = block_bytes_max
        self.tail_bytes_max = tail_bytes_max
        self.block_bytes = 0
        self.tail_bytes = 0
        #: Of blocks that were loaded and not kept, the last ones; each has but one place here.
        self._asked: list[tuple[int, int] | None] = [None] * _ASKED_COUNT
        self._blocks: OrderedDict[tuple[int, int], tuple[Any, int]] = OrderedDict()
        self._holders: OrderedDict[FileHolder, None] = OrderedDict()
        self._tails: dict[int, TailHolder] = {}
        self._numbers = count()
        #: The block read last, where the next read of the same log looks first. One for all logs: what a request asks
        #: of one log comes in a row, and no more than one block is held beyond the bound.
        self.recent: Place | None = None

    def number(self) -> int:
        """A name for a segment's content, never used again: cached blocks of a replaced file are never found."""
        return next(self._numbers)

    # Blocks and indexes, least recently used out first.
    def get(self, key: tuple[int, int]) -> Any:
        """What was put there, or None."""
        found = self._blocks.get(key)
        if found is None:
            return None
        self._blocks.move_to_end(key)
        return found[0]

    def put(self, key: tuple[int, int], value: Any, cost: int) -> None:
        """Keep it while there is room; something larger than half the room is not kept at all."""
        if cost * 2 > self.block_bytes_max:
            return
        old = self._blocks.pop(key, None)
        if old is not None:
            self.block_bytes -= old[1]
        self._blocks[key] = (value, cost)
        self.block_bytes += cost
        while self.block_bytes > self.block_bytes_max:
            self.block_bytes -= self._blocks.popitem(last=False)[1][1]

    def put_again(self, key: tuple[int, int], value: Any, cost: int) -> None:
        """`put`, where the same was to be put not long ago.

        What is read once, from one end of a log to the other, drives nothing out, and its memory is used again at once.
        """
        asked, place = self._asked, hash(key) % _ASKED_COUNT
        if asked[place] == key:
            self.put(key, value, cost)
        else:
            asked[place] = key

    # Open files, second chance.
    def open(self, filesystem: FileSystem, holder: FileHolder, *, create: bool = False) -> File:
        """Open the holder's file, after making room for it."""
        while len(self._holders) >= self.open_files_max:
            self._evict_file()
        file = filesystem.open(holder.path, create=create)
        holder.file = file
        holder.used = True
        self._holders[holder] = None
        return file

    def forget(self, holder: FileHolder) -> None:
        """The holder lets go by itself."""
        if holder.file is not None:
            del self._holders[holder]
            holder.release()

    def _evict_file(self) -> None:
        holder = self._holders.popitem(last=False)[0]
        if holder.used:
            holder.used = False
            self._holders[holder] = None
        else:
            holder.release()

    @property
    def open_files(self) -> int:
        return len(self._holders)

    # Tails: all give way together when the room is used up; what they held is on disk.
    def add_tail(self, number: int, holder: TailHolder) -> None:
        """A tail begins to grow."""
        self._tails[number] = holder

    def grow_tails(self, size: int) -> None:
        """A tail grew by so much."""
        self.tail_bytes += size
        if self.tail_bytes > self.tail_bytes_max:
            for holder in list(self._tails.values()):
                holder.drop_tail()

    def drop_tail(self, number: int, tail: Tail) -> None:
        """It is about to be emptied."""
        self._tails.pop(number, None)
        self.tail_bytes -= tail.size
