"""A disk in memory that forgets what was not synced, and fails when told to."""

from __future__ import annotations

import errno
import random
from collections.abc import Sequence

SECTOR = 512


class PowerLoss(BaseException):
    """The machine stops here. Not an `Exception`: nothing may catch it and go on."""


class Inode:
    """A file's bytes: as programs see them, and as the disk has them."""

    def __init__(self) -> None:
        self.current = bytearray()
        self.durable = b""

    def survive(self, rng: random.Random | None) -> bytes:
        """What is there after the power was lost: for each unsynced sector the old bytes or the new ones."""
        if rng is None or self.current == self.durable:
            return self.durable
        low, high = sorted((len(self.durable), len(self.current)))
        size = rng.choice((low, high, rng.randint(low, high)))
        old = self.durable.ljust(size, b"\0")[:size]
        new = bytes(self.current).ljust(size, b"\0")[:size]
        keep = rng.choice((0.1, 0.5, 0.9, 1.0))
        return b"".join(
            (new if rng.random() < keep else old)[start : start + SECTOR] for start in range(0, size, SECTOR)
        )


class MemoryFile:
    """An open file."""

    def __init__(self, filesystem: MemoryFileSystem, path: str, inode: Inode) -> None:
        self.filesystem = filesystem
        self.path = path
        self.inode = inode

    def append(self, buffers: Sequence[bytes]) -> None:
        raw = b"".join(buffers)
        self.inode.current += raw[: self.filesystem.before_write(self.path, raw, self.inode)]
        self.filesystem.after_write(self.path)

    def pread(self, size: int, position: int) -> bytes:
        self.filesystem.before_read(self.path)
        return bytes(self.inode.current[position : position + size])

    def size(self) -> int:
        return len(self.inode.current)

    def truncate(self, size: int) -> None:
        self.filesystem.event("truncate", self.path)
        del self.inode.current[size:]

    def sync(self) -> None:
        self.filesystem.event("sync", self.path)
        if self.path in self.filesystem.failing_syncs or "*" in self.filesystem.failing_syncs:
            self.inode.current[:] = self.inode.current  # the pages are clean now, and were never written
            raise OSError(errno.EIO, "sync failed", self.path)
        self.inode.durable = bytes(self.inode.current)


class MemoryLock:
    """A held path."""

    def __init__(self, filesystem: MemoryFileSystem, path: str) -> None:
        self.filesystem = filesystem
        self.path = path
        filesystem.locked.add(path)

    def release(self) -> None:
        self.filesystem.locked.discard(self.path)


class MemoryWhole:
    """All of it."""

    def __init__(self, filesystem: MemoryFileSystem) -> None:
        self.filesystem = filesystem

    def sync(self) -> None:
        if self.filesystem.failing_syncs:
            raise OSError(errno.EIO, "sync failed")
        self.filesystem.sync_all()


Entry = Inode | None  # None: a directory


class MemoryFileSystem:
    """Behaves as `storage.OsFileSystem` does (the same conformance suite runs on both), and can be broken.

    Every change and every sync is an *event*, numbered from 0; ``stop_at`` makes the machine stop before that one.
    A write stopped at may have got some of its bytes out: ``tear`` says how many.
    """

    def __init__(self) -> None:
        self.names: dict[str, Entry] = {"": None}
        self._durable_names: dict[str, Entry] = {"": None}
        #: Changes of names not yet synced, in order: what each path leads to afterwards (absent: removed).
        self._changes: list[dict[str, Entry | str]] = []
        self.locked: set[str] = set()
        self.events = 0
        self.log: list[str] = []
        self.stop_at: int | None = None
        self.tear = 0
        #: A part of a path, and how many events behind the next that concerns such a path ``stop_at`` is to be.
        self.stop_behind: tuple[str, int] | None = None
        #: Bytes that can still be written; None: no end.
        self.room: int | None = None
        self.failing_writes: set[str] = set()
        self.failing_reads: set[str] = set()
        self.failing_syncs: set[str] = set()

    # Breaking it.
    def event(self, what: str, path: str) -> None:
        """Count, and stop here if told to."""
        if self.stop_at is not None and self.events >= self.stop_at:
            raise PowerLoss
        self.events += 1
        if self.stop_behind is not None and self.stop_behind[0] in path:
            self.stop_at, self.stop_behind = self.events + self.stop_behind[1], None
        self.log.append(f"{what} {path}")

    def before_write(self, path: str, raw: bytes, inode: Inode) -> int:
        """How many of the bytes get written."""
        if self.stop_at is not None and self.events >= self.stop_at:
            inode.current += raw[: self.tear]
            raise PowerLoss
        self.event("write", path)
        self._refusal: OSError | None = None
        if path in self.failing_writes or "*" in self.failing_writes:
            self._refusal = OSError(errno.EIO, "write failed", path)
            return len(raw) // 2
        if self.room is not None and len(raw) > self.room:
            self._refusal = OSError(errno.ENOSPC, "no space left", path)
            written, self.room = self.room, 0
            return written
        if self.room is not None:
            self.room -= len(raw)
        return len(raw)

    def after_write(self, path: str) -> None:
        if self._refusal is not None:
            raise self._refusal

    def before_read(self, path: str) -> None:
        if path in self.failing_reads:
            raise OSError(errno.EIO, "read failed", path)

    def content(self, path: str) -> bytearray:
        """A file's bytes, to be looked at or damaged."""
        inode = self.names[path]
        assert inode is not None
        return inode.current

    def flip(self, path: str, bit: int) -> None:
        """Damage a bit."""
        self.content(path)[bit // 8] ^= 1 << (bit % 8)

    def killed(self) -> MemoryFileSystem:
        """The same disk after ``kill -9``: everything written is there."""
        after = MemoryFileSystem()
        after.names = {
            path: _copy(inode, bytes(inode.current)) if inode else None for path, inode in self.names.items()
        }
        after._durable_names = dict(after.names)
        for inode in after.names.values():
            if inode:
                inode.durable = bytes(inode.current)
        return after

    def powered_off(self, seed: int | None = None) -> MemoryFileSystem:
        """The disk after loss of power: what was synced, and with a seed any part of the rest."""
        rng = None if seed is None else random.Random(seed)
        names = dict(self._durable_names)
        for change in self._changes:
            if rng and rng.random() < 0.5:
                _apply(names, change)
        after = MemoryFileSystem()
        for path, inode in sorted(names.items()):
            if path and path.rpartition("/")[0] not in after.names:
                continue  # its directory is lost
            after.names[path] = _copy(inode, inode.survive(rng)) if inode else None
        after._durable_names = dict(after.names)
        return after

    # The port.
    def _change(self, what: str, change: dict[str, Entry | str]) -> None:
        self.event(what, next(iter(change)))
        _apply(self.names, change)
        self._changes.append(change)

    def open(self, path: str, *, create: bool = False) -> MemoryFile:
        if create:
            if path in self.names:
                raise FileExistsError(errno.EEXIST, "exists", path)
            if path.rpartition("/")[0] not in self.names:
                raise FileNotFoundError(errno.ENOENT, "no directory", path)
            if self.room == 0:
                raise OSError(errno.ENOSPC, "no space left", path)
            self._change("create", {path: Inode()})
        inode = self.names.get(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        return MemoryFile(self, path, inode)

    def read(self, path: str) -> bytes:
        file = self.open(path)
        return file.pread(file.size(), 0)

    def files(self, directory: str) -> list[tuple[str, int]]:
        return [(name, len(inode.current)) for name, inode in self._children(directory) if inode is not None]

    def directories(self, directory: str) -> list[str]:
        return [name for name, inode in self._children(directory) if inode is None]

    def _children(self, directory: str) -> list[tuple[str, Entry]]:
        if directory not in self.names:
            raise FileNotFoundError(errno.ENOENT, "no such directory", directory)
        prefix = f"{directory}/"
        return [
            (path[len(prefix) :], inode)
            for path, inode in self.names.items()
            if path.startswith(prefix) and "/" not in path[len(prefix) :]
        ]

    def mkdir(self, directory: str) -> None:
        if directory in self.names:
            raise FileExistsError(errno.EEXIST, "exists", directory)
        if directory.rpartition("/")[0] not in self.names:
            raise FileNotFoundError(errno.ENOENT, "no directory", directory)
        self._change("mkdir", {directory: None})

    def rename(self, source: str, target: str) -> None:
        if source not in self.names:
            raise FileNotFoundError(errno.ENOENT, "no such file", source)
        entry = self.names[source]
        self._change("rename", {source: "gone", target: entry})
        if entry is None:  # what was changed in a directory stays in it, synced or not
            self._changes = [{_moved(path, source, target): to for path, to in each.items()} for each in self._changes]

    def remove(self, path: str) -> None:
        if self.names.get(path) is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        self._change("remove", {path: "gone"})

    def remove_directory(self, directory: str) -> None:
        if self._children(directory):
            raise OSError(errno.ENOTEMPTY, "Directory not empty", directory)
        self._change("rmdir", {directory: "gone"})

    def sync_directory(self, directory: str) -> None:
        self.event("sync directory", directory)
        directory = directory.rstrip("/")
        if directory in self.failing_syncs or "*" in self.failing_syncs:
            raise OSError(errno.EIO, "sync failed", directory)
        kept = []
        for change in self._changes:
            if all(path.rpartition("/")[0] == directory for path in change):
                _apply(self._durable_names, change)
            else:
                kept.append(change)
        self._changes = kept

    def sync_all(self) -> None:
        for path in list(self.names):
            if self.names[path] is None:
                self.sync_directory(path)
            else:
                self.open(path).sync()

    def whole(self, directory: str) -> MemoryWhole:
        return MemoryWhole(self)

    def lock(self, path: str) -> MemoryLock:
        if path in self.locked:
            raise BlockingIOError(errno.EAGAIN, "locked", path)
        if path not in self.names:
            self.open(path, create=True)
        return MemoryLock(self, path)


def _apply(names: dict[str, Entry], change: dict[str, Entry | str]) -> None:
    source, target = next(iter(change)), list(change)[-1]
    if source != target and change[target] is None:  # a directory is renamed, and what is in it goes along
        for path in [path for path in names if path.startswith(f"{source}/")]:
            names[target + path[len(source) :]] = names.pop(path)
    for path, entry in change.items():
        if isinstance(entry, str):
            names.pop(path, None)
        else:
            names[path] = entry


def _moved(path: str, source: str, target: str) -> str:
    """Where a path leads to that went through a renamed directory."""
    return target + path[len(source) :] if path.startswith(f"{source}/") else path


def _copy(_: Inode, content: bytes) -> Inode:
    inode = Inode()
    inode.current = bytearray(content)
    inode.durable = bytes(content)
    return inode
