"""A sync still under way when another one is done: nothing counts as synced, or is forgotten, before it is."""

from __future__ import annotations

import pytest

from respbroker.broker.node import Node
from tests.crash.driver import open_node
from tests.crash.state import state_of
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import TestClock


def run(node: Node, clock: TestClock, *lines: str) -> None:
    client = node.connect(clock.now())
    clock.advance(10)
    node.tick([(client, [line.encode().split() for line in lines])], clock.now())
    assert not any(bytes(piece).startswith(b"-") for piece in client.out)  # type: ignore[arg-type]


def transaction(number: int) -> list[str]:
    return ["MULTI", f"XADD a {number}-0 f v", f"XADD b {number}-0 f v", "EXEC"]


@pytest.mark.parametrize("seed", range(8))
def test_the_journal_keeps_what_a_sync_under_way_has_not_confirmed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respbroker.broker.durability._JOURNAL_BYTES", 1)
    disk, clock = MemoryFileSystem(), TestClock()
    disk.mkdir("/data")
    disk.sync_all()
    node = open_node(disk, clock, appendfsync="everysec")
    run(node, clock, *transaction(1))
    node.durability.synced(_performed(node))
    run(node, clock, *transaction(2))
    node.durability.take_syncs()  # a thread has it, and takes its time
    run(node, clock, *transaction(3))  # the journal is full: this tick syncs by itself
    assert node.durability.synced_ticket == 1
    lost_power = state_of(open_node(disk.powered_off(seed), TestClock()))
    assert lost_power == state_of(open_node(disk.killed(), TestClock()))


@pytest.mark.parametrize("seed", range(8))
def test_the_journal_keeps_what_came_after_a_reload_when_a_sync_from_before_is_done(seed: int) -> None:
    disk, clock = MemoryFileSystem(), TestClock()
    disk.mkdir("/data")
    disk.sync_all()
    node = open_node(disk, clock, appendfsync="everysec")
    run(node, clock, *transaction(1))
    request = _performed(node)
    run(node, clock, "DEBUG RELOAD")
    run(node, clock, *transaction(2))
    node.durability.synced(request)
    lost_power = state_of(open_node(disk.powered_off(seed), TestClock()))
    assert lost_power == state_of(open_node(disk.killed(), TestClock()))


def _performed(node: Node):  # type: ignore[no-untyped-def]
    request = node.durability.take_syncs()
    for file in request.files:
        file.sync()
    return request
