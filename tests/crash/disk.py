"""A disk that shows itself at every event: what a crash at that very moment would leave behind."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.memory_filesystem import Inode, MemoryFileSystem


class WatchedDisk(MemoryFileSystem):
    """Calls ``on_event(torn_bytes)`` before each change and each sync takes effect.

    For a write it is called twice: with nothing of it on the disk, and with ``torn_bytes`` of it written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_event: Callable[[int], None] | None = None

    def event(self, what: str, path: str) -> None:
        if self.on_event is not None and what != "write":
            self.on_event(0)
        super().event(what, path)

    def before_write(self, path: str, raw: bytes, inode: Inode) -> int:
        if self.on_event is not None:
            self.on_event(0)
            self._show_torn(raw, inode)
        return super().before_write(path, raw, inode)

    def _show_torn(self, raw: bytes, inode: Inode) -> None:
        assert self.on_event is not None
        torn = (self.events * 7919) % max(len(raw), 1)  # any place will do, but the same in every run
        if torn:
            size = len(inode.current)
            inode.current += raw[:torn]
            self.on_event(torn)
            del inode.current[size:]
