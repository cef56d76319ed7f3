"""Small things done to whole directories through the filesystem port."""

from __future__ import annotations

from storage import FileSystem


def ensure_directory(filesystem: FileSystem, path: str) -> None:
    """Make the directory if it is not there."""
    try:
        filesystem.mkdir(path)
    except FileExistsError:
        pass


def remove_tree(filesystem: FileSystem, path: str) -> None:
    """Remove a directory of files; what is gone already is no error."""
    try:
        for name, _ in filesystem.files(path):
            filesystem.remove(f"{path}/{name}")
        filesystem.remove_directory(path)
    except FileNotFoundError:
        pass
