"""What must reach the disk before an answer may: handed to another thread, and reported back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, overload

import attrs

from storage.filesystem import FileSystem, Whole


class Syncable(Protocol):
    """Something to sync; safe in any thread while the log goes on. Raises OSError."""

    def sync(self) -> None:
        """Return when it survives loss of power."""


@attrs.frozen
class ClosedFile:
    """A file that was written to and closed since; open only while it is synced, for there may be thousands."""

    filesystem: FileSystem
    path: str

    def sync(self) -> None:
        try:
            file = self.filesystem.open(self.path)
        except FileNotFoundError:  # dropped since then: nothing of it is to be kept
            return
        file.sync()


@attrs.frozen
class DirectorySync:
    """The names in a directory."""

    filesystem: FileSystem
    directory: str

    def sync(self) -> None:
        try:
            self.filesystem.sync_directory(self.directory)
        except FileNotFoundError:  # removed since then: none of its names is to be kept
            pass


class Mark(NamedTuple):
    """A place in a log: everything before it is meant. One is made per sync, so it is the cheapest kind of value."""

    base_offset: int  # of the segment
    position: int  # in its file
    offset: int
    ordinal: int
    last_ms: int
    last_seq: int
    first_append_ms: int
    last_append_ms: int
    batch_count: int
    leader_epoch: int
    state: int  # of the segment before it: 1 merged, 2 bare, 4 cleaned


class ManySync:
    """Many things at once, by one sync of the file system they are on.

    If that fails, perhaps for somebody else's file, each is synced by itself: that tells whether one of these failed.
    """

    __slots__ = ("_items", "_whole")

    def __init__(self, whole: Whole, items: Sequence[Syncable]) -> None:
        self._whole = whole
        self._items = items

    def sync(self) -> None:
        try:
            self._whole.sync()
        except OSError:
            for item in self._items:
                item.sync()


class Unsynced(Sequence[Syncable]):
    """What `Log.unsynced` gives: a sequence of things to sync, in this order, and the token for `Log.synced`."""

    __slots__ = ("cuts", "items", "mark", "pending")

    def __init__(self, items: tuple[Syncable, ...], mark: Mark, pending: tuple[Syncable, ...], cuts: int = 0) -> None:
        self.items = items
        #: What will be synced when all items are.
        self.mark = mark
        #: Those items that are not segments.
        self.pending = pending
        #: How often the log had been cut before.
        self.cuts = cuts

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, i: int) -> Syncable: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Syncable]: ...
    def __getitem__(self, i: int | slice) -> Syncable | Sequence[Syncable]:
        return self.items[i]

    def __iter__(self) -> Iterator[Syncable]:
        return iter(self.items)

    def sync(self) -> None:
        """All of them, in this thread."""
        for item in self.items:
            item.sync()
