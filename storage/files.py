"""Small files written whole."""

from __future__ import annotations

from storage.errors import DiskFailed, DiskFull, StorageError
from storage.filesystem import File, FileSystem
from storage.names import CLEANED

_FULL = (28, 122)  # ENOSPC, EDQUOT: there may be room again later


def disk_error(error: OSError, path: str, doing: str) -> StorageError:
    """What an operating system's refusal means for a log."""
    if error.errno in _FULL:
        return DiskFull(f"no room to {doing}: {error}", file=path)
    return DiskFailed(f"cannot {doing}: {error}", file=path)


def write_new(filesystem: FileSystem, path: str, raw: bytes) -> File:
    """A file with these bytes; what was left there by an earlier try is removed."""
    try:
        file = filesystem.open(path, create=True)
    except FileExistsError:
        filesystem.remove(path)
        file = filesystem.open(path, create=True)
    try:
        file.append((raw,))
    except OSError:
        filesystem.remove(path)
        raise
    return file


def replace(filesystem: FileSystem, path: str, raw: bytes, *, sync: bool = False) -> File:
    """The file at ``path`` holds either what it held or these bytes, as long as the power stays; always if ``sync``."""
    file = write_new(filesystem, path + CLEANED, raw)
    if sync:
        file.sync()
    filesystem.rename(path + CLEANED, path)
    return file
