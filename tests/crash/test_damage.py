"""Damage is told with its place, is never repaired by deleting, and harms no other stream."""

from __future__ import annotations

import pytest

from respbroker.broker.node import Node
from storage import CorruptLog, StorageError
from tests.crash.driver import DIRECTORY, Driver, open_node
from tests.crash.state import state_of
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import TestClock


@pytest.fixture(scope="module")
def stopped() -> MemoryFileSystem:
    """The disk of a node that was stopped in order: two streams with groups, several segments, snapshots."""
    disk = MemoryFileSystem()
    disk.mkdir(DIRECTORY)
    driver = Driver(disk, "always", 1)
    for number in range(1, 40):
        for key in ("a", "b"):
            driver.tick([(0, [f"XADD {key} {number}-0 f {'v' * 60}".encode().split()])])
        if number == 20:
            driver.tick([(0, [b"XGROUP CREATE a g 0".split(), b"SAVE".split()])])
        if number % 7 == 0:
            driver.tick([(0, [b"XREADGROUP GROUP g c COUNT 3 STREAMS a >".split()])])
    driver.tick([(0, [b"SAVE".split()])])
    driver.settle()
    driver.node.stop()
    return disk


def ask(node: Node, line: str) -> bytes:
    clock = TestClock()
    client = node.connect(clock.now())
    node.tick([(client, [line.encode().split()])], clock.now())
    out, client.out = client.out, []
    return b"".join(map(bytes, out))  # type: ignore[arg-type]


def files_of(disk: MemoryFileSystem) -> dict[str, bytes]:
    return {path: bytes(inode.current) for path, inode in disk.names.items() if inode}


def test_one_flipped_bit_anywhere_is_told_or_does_no_harm(stopped: MemoryFileSystem) -> None:
    whole = state_of(open_node(stopped.killed(), TestClock()))
    told = 0
    for path, content in sorted(files_of(stopped).items()):
        for place in range(0, len(content), max(1, len(content) // 12)):
            disk = stopped.killed()
            disk.flip(path, place * 8 + place % 8)
            before = files_of(disk)
            error: StorageError | None = None
            try:
                assert state_of(open_node(disk, TestClock())) == whole, f"bit of byte {place} of {path}"
            except StorageError as damage:
                error = damage
            if error is not None:
                told += 1
                assert error.file is not None
                assert error.file.startswith(path.rpartition("/")[0])
                after = files_of(disk)
                assert all(len(after[name]) >= len(before[name]) for name in before if name.endswith(".log"))
    assert told > 30


def test_other_streams_are_served_when_one_is_damaged(stopped: MemoryFileSystem) -> None:
    disk = stopped.killed()
    path = min(path for path in disk.names if "streams/0000000001/" in path and path.endswith(".log"))
    disk.flip(path, 8 * 300)
    node = open_node(disk, TestClock())
    assert ask(node, "XLEN b") == b":39\r\n"
    refusal = ask(node, "XRANGE a - +")
    assert refusal.startswith(b"-MISCONF ")
    assert path.encode() in refusal
    assert b"at byte " in refusal
    assert ask(node, "XADD b * f v").startswith(b"$")


def test_damage_is_told_once_with_the_key_that_it_concerns_however_often_it_is_met(stopped: MemoryFileSystem) -> None:
    disk = stopped.killed()
    disk.flip(min(path for path in disk.names if "streams/0000000001/" in path and path.endswith(".log")), 8 * 300)
    clock = TestClock()
    node = open_node(disk, clock)
    client, told = node.connect(clock.now()), []
    for _ in range(900):  # it is read for a minute and a half
        clock.advance(100)
        node.tick([(client, [b"XRANGE a - +".split()])], clock.now())
        told += [sentence for level, sentence in node.housekeeping.take_reports() if level == "error"]
    first, again = told
    assert first.startswith("stream b'a' in database 0: batch is damaged (at offset")
    assert first.endswith("; docs/operations.md says what to do")
    assert again.startswith(f"{first} (60")


def test_damaged_values_keep_a_node_from_starting_and_are_named(stopped: MemoryFileSystem) -> None:
    disk = MemoryFileSystem()
    disk.mkdir(DIRECTORY)
    driver = Driver(disk, "always", 1)
    for number in range(60):
        driver.tick([(0, [f"SET k{number} {'v' * 60}".encode().split()])])
    driver.settle()
    driver.node.stop()
    disk = disk.killed()
    disk.flip(min(path for path in disk.names if "streams/0000000001/" in path and path.endswith(".log")), 8 * 300)
    with pytest.raises(CorruptLog, match=r"^the values of database 0 cannot be read: batch is damaged \(at offset"):
        open_node(disk, TestClock())


def test_a_missing_directory_of_a_stream_is_an_error_and_names_it(stopped: MemoryFileSystem) -> None:
    disk = stopped.killed()
    for name, _ in disk.files("/data/streams/0000000001"):
        disk.remove(f"/data/streams/0000000001/{name}")
    disk.remove_directory("/data/streams/0000000001")
    with pytest.raises(StorageError, match=r"stream b'a' in database 0 is missing.*/data/streams/0000000001"):
        open_node(disk, TestClock())


def test_a_missing_catalog_is_no_empty_start(stopped: MemoryFileSystem) -> None:
    disk = stopped.killed()
    for name, _ in disk.files("/data/catalog"):
        disk.remove(f"/data/catalog/{name}")
    disk.remove_directory("/data/catalog")
    with pytest.raises(StorageError, match="catalog"):
        open_node(disk, TestClock())


def test_foreign_files_and_directories_stay(stopped: MemoryFileSystem) -> None:
    disk = stopped.killed()
    foreign = ["/data/notes.txt", "/data/streams/README", "/data/streams/0000000001/notes.txt", "/data/catalog/x"]
    for path in foreign:
        disk.open(path, create=True).append((b"mine",))
    disk.mkdir("/data/streams/lost+found")
    node = open_node(disk, TestClock())
    assert ask(node, "XLEN a") == b":39\r\n"
    assert ask(node, "XADD a * f v").startswith(b"$")
    assert all(bytes(disk.content(path)) == b"mine" for path in foreign)
    assert "/data/streams/lost+found" in disk.names
