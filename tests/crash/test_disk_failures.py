"""A disk that is full or fails: writes are refused in words, reads go on, nothing is half there."""

from __future__ import annotations

import pytest

from tests.crash.driver import Driver, open_node
from tests.crash.state import state_of
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import TestClock


def new_disk() -> MemoryFileSystem:
    disk = MemoryFileSystem()
    disk.mkdir("/data")
    return disk


@pytest.fixture
def disk() -> MemoryFileSystem:
    return new_disk()


@pytest.fixture
def driver(disk: MemoryFileSystem) -> Driver:
    driver = Driver(disk, "always", 1)
    for line in ("XADD a 1-0 f v", "XADD b 1-0 f v", "XGROUP CREATE a g 0", "XADD gone 1-0 f v"):
        assert not ask(driver, line).startswith(b"-")
    driver.settle()
    return driver


def ask(driver: Driver, *lines: str) -> bytes:
    return driver.tick([(0, [line.encode().split() for line in lines])])[0]


def restarted(disk: MemoryFileSystem) -> dict[int, object]:
    return state_of(open_node(disk.killed(), TestClock()))


WRITES = [
    ["XADD a 2-0 f v"],
    ["XADD new 1-0 f v"],
    ["XREADGROUP GROUP g c STREAMS a >"],
    ["COPY a b REPLACE"],
    ["DEL a"],
    ["RENAME a b"],
    ["FLUSHALL"],
    ["XADD a 2-0 f v", "XADD b 2-0 f v", "XADD new 1-0 f v"],
    ["MULTI", "XADD a 2-0 f v", "XADD b 2-0 f v", "DEL gone", "EXEC"],
    ["XTRIM a MAXLEN 0", "XSETID a 0-5"],
    ["XADD a 2-0 f v", "SAVE"],
]


@pytest.mark.parametrize("lines", WRITES, ids=lambda lines: lines[-1])
def test_a_write_on_a_full_disk_changes_nothing_wherever_the_room_ends(lines: list[str]) -> None:
    refusals = 0
    for room in [*range(0, 400, 23), 500, 700, 1000]:
        disk = new_disk()
        driver = Driver(disk, "always", 1)
        ask(driver, "XADD a 1-0 f v", "XADD b 1-0 f v", "XGROUP CREATE a g 0", "XADD gone 1-0 f v")
        driver.settle()
        before = state_of(driver.node)
        disk.room = room
        replies = ask(driver, *lines)
        if not driver.node.durability.refusal and b"MISCONF" not in replies:
            continue  # there was room enough
        assert replies.count(b"-MISCONF") >= 1
        refusals += 1
        assert state_of(driver.node) == before
        assert ask(driver, "XRANGE a - +").startswith(b"*1"), "reads go on"
        assert restarted(disk) == before
        disk.room = None
        driver.pass_time(1500)
        driver.tick([])
        assert ask(driver, "XADD a 3-0 f v") == b"$3\r\n3-0\r\n"
        driver.settle()
        assert restarted(disk) == state_of(driver.node)
    assert refusals > 1


LARGE = "v" * (5 << 20)  # two of them are more than what is synced between two checkpoints of a log


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_large_exec_is_taken_back_where_the_room_ends_behind_its_record_in_the_journal(earlier: int) -> None:
    disk = new_disk()
    driver = Driver(disk, "everysec", 1)
    ask(driver, "XADD a 1-0 f v", "XADD b 1-0 f v")
    for _ in range(earlier):  # a record before it, not emptied yet
        ask(driver, "MULTI", "XADD a 2-0 f v", "XADD b 2-0 f v", "EXEC")
    before = state_of(driver.node)
    recorded = driver.node.keyspace.journal.ticks
    disk.room = 11 << 20
    exec_of_two = ("MULTI", f"XADD a 3-0 f {LARGE}", f"XADD b 3-0 f {LARGE}", "EXEC")
    assert ask(driver, *exec_of_two).count(b"-MISCONF") == 4
    assert driver.node.keyspace.journal.ticks == recorded + 1
    assert state_of(driver.node) == before
    assert restarted(disk) == before
    disk.room = None
    driver.pass_time(1500)
    driver.tick([])
    assert ask(driver, *exec_of_two).endswith(b"*2\r\n$3\r\n3-0\r\n$3\r\n3-0\r\n")
    driver.settle()
    assert restarted(disk) == state_of(driver.node)


def test_the_journal_is_emptied_without_room(driver: Driver, disk: MemoryFileSystem) -> None:
    exec_of_two = ("MULTI", f"XADD a 2-* f {LARGE}", f"XADD b 2-* f {LARGE}", "EXEC")
    assert b"-" not in ask(driver, *exec_of_two).replace(b"2-0", b"")
    disk.room = 0
    driver.settle()
    assert driver.node.keyspace.journal.is_empty
    disk.room = None
    assert b"MISCONF" not in ask(driver, *exec_of_two)


def test_expired_keys_are_hidden_while_nothing_can_be_written(driver: Driver, disk: MemoryFileSystem) -> None:
    ask(driver, "PEXPIRE gone 100")
    disk.room = 0
    assert ask(driver, "XADD a 2-0 f v").startswith(b"-MISCONF")
    driver.pass_time(200)
    assert ask(driver, "EXISTS gone", "XLEN gone", "XLEN a") == b":0\r\n:0\r\n:1\r\n"
    disk.room = None
    driver.pass_time(1500)
    driver.tick([])
    assert ask(driver, "XADD a 2-0 f v", "EXISTS gone") == b"$3\r\n2-0\r\n:0\r\n"


def test_a_failed_write_refuses_writes_until_a_restart(driver: Driver, disk: MemoryFileSystem) -> None:
    path = next(path for path in disk.names if "0000000001/" in path and path.endswith(".log"))
    disk.failing_writes.add(path)
    assert ask(driver, "XADD a 2-0 f v").startswith(b"-MISCONF Errors writing to the log: ")
    disk.failing_writes.clear()
    driver.pass_time(5000)
    driver.tick([])
    assert ask(driver, "XADD b 2-0 f v").startswith(b"-MISCONF")
    assert ask(driver, "XLEN a") == b":1\r\n"
    again = Driver(disk.killed(), "always", 1)
    assert ask(again, "XADD a 2-0 f v") == b"$3\r\n2-0\r\n"


def test_a_failed_sync_releases_no_reply_and_is_not_tried_again(driver: Driver, disk: MemoryFileSystem) -> None:
    answered = driver.answered
    disk.failing_syncs.add("*")
    driver.tick([(0, [b"XADD a 2-0 f v".split()])])
    driver.fail_syncs()
    disk.failing_syncs.clear()
    assert driver.answered == answered
    driver.pass_time(5000)
    driver.tick([])
    assert ask(driver, "XADD b 2-0 f v").startswith(b"-MISCONF")
    assert not any(event.startswith("sync") for event in disk.log[driver.events_at_failure :])


def test_a_journal_that_cannot_be_synced_refuses_the_exec(driver: Driver, disk: MemoryFileSystem) -> None:
    before = state_of(driver.node)
    disk.failing_syncs.add("/data/journal/00000000000000000000.log")
    assert ask(driver, "MULTI", "XADD a 2-0 f v", "XADD b 2-0 f v", "EXEC").count(b"-MISCONF") == 4
    disk.failing_syncs.clear()
    driver.pass_time(5000)
    driver.tick([])
    assert ask(driver, "XADD a 2-0 f v").startswith(b"-MISCONF")
    assert state_of(driver.node) == before
