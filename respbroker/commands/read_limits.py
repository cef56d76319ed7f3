"""How much one reply of XREAD or XREADGROUP may hold, over all its streams (MAXCOUNT, MAXSIZE), and how much a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import parse_int
from respbroker.errors import ReplyError

if TYPE_CHECKING:
    from respbroker.streams.stream import Range, Stream

#: How much of neighbouring requests is served at once: so many, or those whose replies have that size, about.
RUN_MAX: Final = 256
RUN_BYTES_MAX: Final = 1 << 20


class Budget:
    """What is left of both limits. The first entry of a reply is always let through, whatever its size."""

    __slots__ = ("_size_left", "_used", "bounded", "left")

    def __init__(self, count_max: int | None, size_max: int | None) -> None:
        self.bounded = count_max is not None or size_max is not None
        #: Entries that still fit; -1 without a limit, so that it is true as long as there is room.
        self.left = -1 if count_max is None else count_max
        self._size_left = size_max
        self._used = False

    def take(self, size: int) -> bool:
        """Whether an entry of ``size`` bytes still goes into the reply; it is then counted."""
        if not self.left:
            return False
        if self._size_left is not None:
            if self._used and size > self._size_left:
                self.left = 0
                return False
            self._size_left -= size
        self._used = True
        if self.left > 0:
            self.left -= 1
        return True

    def cut(self, stream: Stream, ranges: list[Range]) -> list[Range]:
        """As much of the front of ``ranges`` as fits."""
        fitting: list[Range] = []
        for low, high in ranges:
            end = low
            for size in stream.sizes(low, high) if self._size_left is not None else (0 for _ in range(high - low)):
                if not self.take(size):
                    break
                end += 1
            if end > low:
                fitting.append((low, end))
            if end < high:
                break
        return fitting


def parse_limit(word: bytes, name: str) -> int:
    """A number from 1 on; ``name`` is the option's."""
    limit = parse_int(word, f"{name} must be a positive integer")
    if limit <= 0:
        raise ReplyError(f"{name} must be a positive integer")
    return limit
