"""Counting instead of timing: writes and syncs of a disk, Python calls, objects and bytes."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType

from storage import OsFileSystem
from storage.filesystem import File


class CountingFile:
    """A file that tells its disk of every write and sync."""

    def __init__(self, file: File, counts: Counter[str]) -> None:
        self._file = file
        self._counts = counts
        self.path = file.path
        self.pread = file.pread
        self.size = file.size
        self.truncate = file.truncate

    def append(self, buffers: Sequence[bytes]) -> None:
        self._counts["writes"] += 1
        self._file.append(buffers)

    def sync(self) -> None:
        self._counts["syncs"] += 1
        self._file.sync()


class CountingFileSystem(OsFileSystem):
    """The real disk, counting."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def open(self, path: str, *, create: bool = False) -> File:
        self.counts["opens"] += 1
        return CountingFile(super().open(path, create=create), self.counts)

    def sync_directory(self, directory: str) -> None:
        self.counts["directory syncs"] += 1
        super().sync_directory(directory)


def python_calls(action: Callable[[], object]) -> int:
    """How many Python functions ``action`` enters."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event == "call":
            calls += 1

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls - 1  # without ``action`` itself


def retained(action: Callable[[], object]) -> tuple[int, int]:
    """Objects that the collector knows, and bytes, that are there after ``action`` and were not before."""
    gc.collect()
    tracemalloc.start()
    try:
        objects, (before, _) = len(gc.get_objects()), tracemalloc.get_traced_memory()
        action()
        gc.collect()
        return len(gc.get_objects()) - objects, tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def peak_bytes(action: Callable[[], object]) -> int:
    """The most that ``action`` had allocated at once."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
