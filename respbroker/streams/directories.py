"""Small things done to whole directories through the filesystem port."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from storage import FileSystem, LogLocked
from storage.filesystem import Lock

GONE: Final = ".gone"  # behind the name of a directory that is being removed
COPY: Final = ".copy"  # behind that of one that is being filled


def lock_directory(filesystem: FileSystem, directory: str) -> Lock:
    """Hold the directory for this server. Raises LogLocked if another one has it."""
    try:
        return filesystem.lock(f"{directory}/lock")
    except BlockingIOError as error:
        raise LogLocked("another server has the directory in use", file=directory) from error


def has_room(filesystem: FileSystem, path: str, size: int) -> bool:
    """Whether a file of that size can be written; it is removed again."""
    try:
        _remove_if_there(filesystem, path)
        filesystem.open(path, create=True).append((bytes(size),))
    except OSError:
        return False
    finally:
        _remove_if_there(filesystem, path)
    return True


def _remove_if_there(filesystem: FileSystem, path: str) -> None:
    try:
        filesystem.remove(path)
    except FileNotFoundError:
        pass


def never_synced(filesystem: FileSystem, path: str) -> bool:
    """Whether a log's directory has neither a segment nor a checkpoint, or is missing: nothing in it was promised."""
    try:
        names = [name for name, _ in filesystem.files(path)]
    except FileNotFoundError:
        return True
    return not any(name == "checkpoint" or name.endswith(".log") for name in names)


def remove_tree(filesystem: FileSystem, path: str) -> None:
    """Remove a directory with all that is in it; what is gone already is no error."""
    try:
        for name in filesystem.directories(path):
            remove_tree(filesystem, f"{path}/{name}")
        for name, _ in filesystem.files(path):
            filesystem.remove(f"{path}/{name}")
        filesystem.remove_directory(path)
    except FileNotFoundError:
        pass


def remove_whole(filesystem: FileSystem, parent: str, names: Iterable[str]) -> None:
    """Remove directories, each so that a crash leaves all of it under its name or nothing; durable when this returns.

    What is not there is no error.
    """
    there = [f"{parent}/{name}" for name in set(names) & set(filesystem.directories(parent))]
    for path in there:
        remove_tree(filesystem, path + GONE)
        filesystem.rename(path, path + GONE)
    if there:
        filesystem.sync_directory(parent)
    for path in there:
        remove_tree(filesystem, path + GONE)


def sync_files(filesystem: FileSystem, path: str) -> None:
    """Sync a directory of files, names and bytes; what is on the disk already costs nothing."""
    for name, _ in filesystem.files(path):
        filesystem.open(f"{path}/{name}").sync()
    filesystem.sync_directory(path)


def remove_leftovers(filesystem: FileSystem, parent: str) -> None:
    """Remove what a crash left of `remove_whole`, and copies that were not finished."""
    for name in filesystem.directories(parent):
        if name.endswith((GONE, COPY)):
            remove_tree(filesystem, f"{parent}/{name}")


def wipe(filesystem: FileSystem, directory: str) -> None:
    """Take all of a node's logs away; durable when this returns, and a first start may follow.

    The streams go last, for a directory with streams and without a catalog is known to be on its way out.
    """
    for name in ("catalog", "journal", "streams"):
        remove_whole(filesystem, directory, [name])
