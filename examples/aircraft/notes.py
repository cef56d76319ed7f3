"""What a consumer handled and when, in a file that outlives it."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

_NOTE = struct.Struct("<QI")  # monotonic nanoseconds, the same clock in all processes; row


class Notes:
    """Each note is one write, so it is in the system's hands when the flight counts as handled."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def handled(self, row: int) -> None:
        os.write(self._fd, _NOTE.pack(time.monotonic_ns(), row))


def read(path: Path) -> Iterator[tuple[int, int]]:
    """Times and rows, in the order in which they were noted; of a consumer that wrote none, none."""
    if path.exists():
        data = path.read_bytes()
        yield from _NOTE.iter_unpack(data[: len(data) // _NOTE.size * _NOTE.size])


def count(path: Path) -> int:
    return path.stat().st_size // _NOTE.size if path.exists() else 0
