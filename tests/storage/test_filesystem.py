"""What a log relies on, asked of the real filesystem and of the one in memory alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import FileSystem, OsFileSystem
from tests.support.memory_filesystem import MemoryFileSystem


@pytest.fixture(params=["os", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FileSystem, str]:
    if request.param == "os":
        return OsFileSystem(), str(tmp_path)
    filesystem = MemoryFileSystem()
    filesystem.mkdir("/tmp")
    return filesystem, "/tmp"


def test_what_is_appended_can_be_read_anywhere(disk: tuple[FileSystem, str]) -> None:
    filesystem, root = disk
    file = filesystem.open(f"{root}/a", create=True)
    file.append((b"one", b"", b"two"))
    assert (file.pread(4, 1), file.pread(9, 4), file.pread(1, 99), file.size()) == (b"netw", b"wo", b"", 6)
    assert filesystem.read(f"{root}/a") == b"onetwo"


def test_any_number_of_buffers_is_one_append(disk: tuple[FileSystem, str]) -> None:
    filesystem, root = disk
    filesystem.open(f"{root}/a", create=True).append([b"%04d" % number for number in range(3000)])
    assert filesystem.read(f"{root}/a") == b"".join(b"%04d" % number for number in range(3000))


def test_appends_go_to_the_end_after_a_cut(disk: tuple[FileSystem, str]) -> None:
    filesystem, root = disk
    file = filesystem.open(f"{root}/a", create=True)
    file.append((b"onetwo",))
    file.truncate(3)
    filesystem.open(f"{root}/a").append((b"three",))
    assert filesystem.read(f"{root}/a") == b"onethree"
    file.sync()


def test_making_a_file_that_exists_is_refused(disk: tuple[FileSystem, str]) -> None:
    filesystem, root = disk
    filesystem.open(f"{root}/a", create=True)
    with pytest.raises(FileExistsError):
        filesystem.open(f"{root}/a", create=True)


@pytest.mark.parametrize("call", ["open", "read", "remove", "files"])
def test_what_is_not_there_is_file_not_found(disk: tuple[FileSystem, str], call: str) -> None:
    filesystem, root = disk
    with pytest.raises(FileNotFoundError):
        getattr(filesystem, call)(f"{root}/missing")


def test_names_can_be_listed_renamed_and_removed(disk: tuple[FileSystem, str]) -> None:
    filesystem, root = disk
    filesystem.mkdir(f"{root}/d")
    with pytest.raises(FileExistsError):
        filesystem.mkdir(f"{root}/d")
    filesystem.open(f"{root}/d/a", create=True).append((b"a",))
    filesystem.open(f"{root}/d/b", create=True).append((b"bb",))
    assert sorted(filesystem.files(f"{root}/d")) == [("a", 1), ("b", 2)]
    filesystem.rename(f"{root}/d/b", f"{root}/d/a")
    assert filesystem.files(f"{root}/d") == [("a", 2)]
    assert filesystem.directories(root) == ["d"]
    with pytest.raises(OSError, match=r"(?i)not empty"):
        filesystem.remove_directory(f"{root}/d")
    filesystem.remove(f"{root}/d/a")
    filesystem.sync_directory(f"{root}/d")
    filesystem.remove_directory(f"{root}/d")
    assert filesystem.directories(root) == []


def test_an_open_file_outlives_its_name(disk: tuple[FileSystem, str]) -> None:
    filesystem, root = disk
    file = filesystem.open(f"{root}/a", create=True)
    file.append((b"kept",))
    filesystem.remove(f"{root}/a")
    assert file.pread(4, 0) == b"kept"
    file.sync()


def test_a_lock_is_held_once(disk: tuple[FileSystem, str]) -> None:
    filesystem, root = disk
    lock = filesystem.lock(f"{root}/LOCK")
    with pytest.raises(BlockingIOError):
        filesystem.lock(f"{root}/LOCK")
    lock.release()
    filesystem.lock(f"{root}/LOCK").release()


def test_names_changed_in_a_directory_before_it_was_renamed_do_not_come_back_in_one_of_its_old_name() -> None:
    disk = MemoryFileSystem()
    for directory in ("/data", "/data/a"):
        disk.mkdir(directory)
    disk.sync_directory("")
    disk.sync_directory("/data")
    disk.open("/data/a/file", create=True).sync()  # its name is not synced
    disk.rename("/data/a", "/data/b")
    disk.sync_directory("/data")
    disk.mkdir("/data/a")
    disk.sync_directory("/data")
    for seed in range(8):
        assert disk.powered_off(seed).files("/data/a") == []
    disk.sync_directory("/data/b")
    assert disk.powered_off().files("/data/b") == [("file", 0)]
