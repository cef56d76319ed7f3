"""What a producer or a consumer has done and when, in a file that outlives it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import attrs


@attrs.frozen
class Note:
    """An entry was acknowledged, or handled."""

    when: float  #: monotonic seconds, the same clock in all processes
    row: int
    entry_id: str


class Notes:
    """All notes of one moment are one write, so they are in the system's hands when it is over."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def add(self, entries: Iterable[tuple[int, str]]) -> None:
        now = time.monotonic()
        os.write(self._fd, "".join(f"{now:.6f} {row} {entry_id}\n" for row, entry_id in entries).encode())


def read(path: Path) -> list[Note]:
    """In the order in which they were written; of one that wrote none, none."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Note(float(when), int(row), entry_id) for when, row, entry_id in map(str.split, lines)]


def count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
