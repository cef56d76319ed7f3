"""What a consumer did, in a file that outlives it: how often it handled each flight, and how many it took over."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

TAKEN_BYTES = 8


class Results:
    """One byte per flight, then the count of entries taken over; shared memory between a consumer and the example.

    The bytes stay when the consumer is killed: they are in the system's hands as soon as they are written.
    """

    def __init__(self, path: Path, count: int) -> None:
        self._count = count
        with path.open("a+b") as file:
            os.truncate(file.fileno(), count + TAKEN_BYTES)
            self._bytes = mmap.mmap(file.fileno(), count + TAKEN_BYTES)

    def handled(self, row: int) -> None:
        """The flight of that row has been handled once more."""
        self._bytes[row] = min(255, self._bytes[row] + 1)

    def took(self, entries: int) -> None:
        """So many entries were taken over from another consumer."""
        self._bytes[self._count :] = (self.taken + entries).to_bytes(TAKEN_BYTES, "little")

    @property
    def taken(self) -> int:
        return int.from_bytes(self._bytes[self._count :], "little")

    @property
    def times(self) -> bytes:
        """How often each flight was handled."""
        return self._bytes[: self._count]

    @property
    def handled_count(self) -> int:
        """How many flights were handled at least once."""
        return self._count - self.times.count(0)
