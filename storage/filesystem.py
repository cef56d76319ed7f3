"""The file operations we use, as a Protocol, and the real one.

Paths are strings, joined with ``/``. Errors are `OSError` as the system raises them; `storage.log` says what they
mean. A file has no close: it is closed when its last holder lets go of it, which lets a thread that syncs it and a
writer that rolls past it ignore each other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import sys
from collections.abc import Sequence
from typing import Protocol

IOV_MAX = 1024  # buffers that the system takes in one write
_SMALL = 4096  # bytes that are copied sooner than written as a vector


class File(Protocol):
    """An open file that is read anywhere and written only at its end."""

    @property
    def path(self) -> str:
        """The path it was opened by."""

    def append(self, buffers: Sequence[bytes]) -> None:
        """Write all of ``buffers`` at the end; on OSError any prefix of them may be there."""

    def pread(self, size: int, position: int) -> bytes:
        """Up to ``size`` bytes from ``position``; fewer only at the end of the file."""

    def size(self) -> int:
        """Bytes in the file."""

    def truncate(self, size: int) -> None:
        """Cut the file."""

    def sync(self) -> None:
        """Return when the bytes written so far survive loss of power. Safe in any thread."""


class Lock(Protocol):
    """A directory held for this process."""

    def release(self) -> None:
        """Let others have it."""


class Whole(Protocol):
    """A file system as one thing to sync."""

    def sync(self) -> None:
        """Return when everything written to it so far survives loss of power; OSError if something of it failed since
        the object was made, whoever wrote it. Safe in any thread."""


class FileSystem(Protocol):
    """What a log needs of a disk. Names in a directory survive loss of power only after `sync_directory`."""

    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and appending; with ``create`` it must not exist yet."""

    def read(self, path: str) -> bytes:
        """A whole small file."""

    def files(self, directory: str) -> list[tuple[str, int]]:
        """Names and sizes of the plain files, in any order."""

    def directories(self, directory: str) -> list[str]:
        """Names of the directories inside."""

    def mkdir(self, directory: str) -> None:
        """Make one directory; FileExistsError if it is there."""

    def rename(self, source: str, target: str) -> None:
        """Replace ``target`` atomically."""

    def remove(self, path: str) -> None:
        """Remove a file."""

    def remove_directory(self, directory: str) -> None:
        """Remove an empty directory."""

    def sync_directory(self, directory: str) -> None:
        """Return when the names in it survive loss of power. Safe in any thread."""

    def sync_all(self) -> None:
        """Everything written so far, by anybody: cheaper than thousands of single syncs, but no failure is reported."""

    def whole(self, directory: str) -> Whole | None:
        """The file system that ``directory`` is on; None where it cannot be synced so that failures are reported, or
        where directories in it are on another one."""

    def lock(self, path: str) -> Lock:
        """Hold the file ``path`` (made if need be) for this process; BlockingIOError if another one does."""


class OsFile:
    """A file descriptor, closed with the object."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: str, flags: int) -> None:
        self._fd = -1
        self.path = path
        self._fd = os.open(path, flags | os.O_CLOEXEC, 0o644)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def append(self, buffers: Sequence[bytes]) -> None:
        if len(buffers) > IOV_MAX:
            buffers = (b"".join(buffers),)
        elif len(buffers) == 2 and len(buffers[1]) < _SMALL:
            buffers = (buffers[0] + buffers[1],)
        if len(buffers) == 1:  # a plain write is sooner done than one of a vector
            written = os.write(self._fd, buffers[0])
            if written == len(buffers[0]):
                return
        else:
            written = os.writev(self._fd, buffers)
        if written != sum(map(len, buffers)):
            self._append_rest(buffers, written)

    def _append_rest(self, buffers: Sequence[bytes], written: int) -> None:
        rest = memoryview(b"".join(buffers))[written:]
        while rest:
            count = os.write(self._fd, rest)
            if not count:
                raise OSError(errno.EIO, "write made no progress", self.path)
            rest = rest[count:]

    def pread(self, size: int, position: int) -> bytes:
        found = os.pread(self._fd, size, position)
        if len(found) < size and found:
            found = self._pread_rest(size, position, found)
        return found

    def _pread_rest(self, size: int, position: int, found: bytes) -> bytes:
        pieces = [found]
        got = len(found)
        while got < size:
            piece = os.pread(self._fd, size - got, position + got)
            if not piece:
                break
            pieces.append(piece)
            got += len(piece)
        return b"".join(pieces)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        os.fdatasync(self._fd)


class OsLock:
    """An ``fcntl`` lock: the kernel drops it with the process, however that ends."""

    __slots__ = ("_fd",)

    def __init__(self, path: str) -> None:
        self._fd = -1
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # flock, not lockf: the latter is silently shared within a process and lost with any close of the file.
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise
        os.ftruncate(self._fd, 0)
        os.write(self._fd, b"%d\n" % os.getpid())

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.release()


class OsWhole:
    """``syncfs``, which the standard library lacks; see `_reports_failures`."""

    __slots__ = ("_fd", "_syncfs")

    def __init__(self, directory: str) -> None:
        import ctypes  # for those alone who need it

        self._fd = -1
        self._syncfs = ctypes.CDLL(None, use_errno=True).syncfs
        self._fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def sync(self) -> None:
        import ctypes

        if self._syncfs(self._fd):
            raise OSError(ctypes.get_errno(), "sync of the file system failed")


def _reports_failures() -> bool:
    """Whether ``syncfs`` tells of failures: of pages since Linux 5.8, of what file systems do besides since 5.17."""
    if sys.platform != "linux":
        return False
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int(re.match(r"\d*", minor)[0] or 0)) >= (5, 17)  # type: ignore[index]  # it always matches


class OsFileSystem:
    """The disk."""

    def open(self, path: str, *, create: bool = False) -> OsFile:
        flags = os.O_RDWR | os.O_APPEND
        return OsFile(path, flags | os.O_CREAT | os.O_EXCL if create else flags)

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def files(self, directory: str) -> list[tuple[str, int]]:
        with os.scandir(directory) as entries:
            return [(entry.name, entry.stat().st_size) for entry in entries if not entry.is_dir()]

    def directories(self, directory: str) -> list[str]:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir()]

    def mkdir(self, directory: str) -> None:
        os.mkdir(directory)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def remove(self, path: str) -> None:
        os.unlink(path)

    def remove_directory(self, directory: str) -> None:
        os.rmdir(directory)

    def sync_directory(self, directory: str) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync_all(self) -> None:
        os.sync()

    def whole(self, directory: str) -> OsWhole | None:
        own = os.stat(directory).st_dev
        with os.scandir(directory) as entries:
            mounted = any(entry.stat().st_dev != own for entry in entries if entry.is_dir())
        return OsWhole(directory) if _reports_failures() and not mounted else None

    def lock(self, path: str) -> OsLock:
        return OsLock(path)
