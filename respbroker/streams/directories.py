"""Small things done to whole directories through the filesystem port."""

from __future__ import annotations

from storage import FileSystem, LogLocked
from storage.filesystem import Lock


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
    """Remove a directory of files; what is gone already is no error."""
    try:
        for name, _ in filesystem.files(path):
            filesystem.remove(f"{path}/{name}")
        filesystem.remove_directory(path)
    except FileNotFoundError:
        pass
