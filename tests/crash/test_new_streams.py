"""Streams made shortly before a crash: what a killed server left is on disk once the next one has synced it."""

from __future__ import annotations

import pytest

from tests.crash.driver import DIRECTORY, open_node
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import NodeUnderTest, TestClock


def node_on(disk: MemoryFileSystem, settings: dict[str, str] | None = None) -> NodeUnderTest:
    clock = TestClock()
    return NodeUnderTest(open_node(disk, clock, appendfsync="no", **settings or {}), clock)


@pytest.mark.parametrize("streams_count", [3, 250])
def test_streams_of_a_killed_server_survive_a_power_loss_after_the_next_start(streams_count: int) -> None:
    disk = MemoryFileSystem()
    disk.mkdir(DIRECTORY)
    node = node_on(disk)
    client = node.client()
    requests = [[b"XADD", b"stream %d" % number, b"1-1", b"f", b"v"] for number in range(streams_count)]
    node.node.tick([(client, requests)], node.clock.now())
    node.kill()
    node_on(disk).tick()  # what the first one wrote is still only in memory, until a thread of the second has synced it
    after = node_on(disk.powered_off())
    client = after.client()
    assert after.run(client, "DBSIZE") == b":%d\r\n" % streams_count
    assert (
        after.pipeline(client, [("XLEN", b"stream %d" % n) for n in range(streams_count)]) == b":1\r\n" * streams_count
    )


def test_only_with_always_does_a_start_wait_for_that_sync() -> None:
    disk = MemoryFileSystem()
    disk.mkdir(DIRECTORY)
    first = node_on(disk)
    first.tick()  # the directory itself is on disk
    first.node.tick([(first.client(), [[b"XADD", b"s", b"1-1", b"f", b"v"]])], first.clock.now())
    first.kill()
    second = node_on(disk)
    client = second.client()
    second.node.tick([(client, [[b"XLEN", b"s"]])], second.clock.now())
    assert second.output(client) == b":1\r\n"
    second.kill()
    lost = node_on(disk.powered_off())
    assert lost.run(lost.client(), "XLEN", "s") == b":0\r\n"
    open_node(disk, TestClock(), appendfsync="always")
    kept = node_on(disk.powered_off())
    assert kept.run(kept.client(), "XLEN", "s") == b":1\r\n"


@pytest.mark.parametrize("rolls", range(5))
def test_segments_begun_before_the_sync_of_a_start_are_no_damage_after_a_power_loss(rolls: int) -> None:
    """What a killed server left is served unsynced at first, yet a roll may rely on nothing of it."""
    disk = MemoryFileSystem()
    disk.mkdir(DIRECTORY)
    settings = {"segment_bytes": "2000"}
    node = node_on(disk, settings)
    add = [b"XADD", b"s", b"*", b"f", b"x" * 1000]
    node.pipeline(node.client(), [add])
    for _ in range(rolls):
        node.node.tick([(node.client(), [add, add])], node.clock.now())  # not synced
    node.kill()
    serving = node_on(disk, settings)
    client = serving.client()
    for _ in range(rolls + 1):
        serving.node.tick([(client, [add, add])], serving.clock.now())
    serving.kill()
    for seed in range(20):
        after = node_on(disk.powered_off(seed), settings)
        assert after.run(after.client(), "XLEN", "s") >= b":1\r\n"
