"""Streams made shortly before a crash: what a killed server left is on disk once the next one serves."""

from __future__ import annotations

import pytest

from tests.crash.driver import DIRECTORY, open_node
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import NodeUnderTest, TestClock


def node_on(disk: MemoryFileSystem) -> NodeUnderTest:
    clock = TestClock()
    return NodeUnderTest(open_node(disk, clock, appendfsync="no"), clock)


@pytest.mark.parametrize("streams_count", [3, 250])
def test_streams_of_a_killed_server_survive_a_power_loss_after_the_next_start(streams_count: int) -> None:
    disk = MemoryFileSystem()
    disk.mkdir(DIRECTORY)
    node = node_on(disk)
    client = node.client()
    requests = [[b"XADD", b"stream %d" % number, b"1-1", b"f", b"v"] for number in range(streams_count)]
    node.node.tick([(client, requests)], node.clock.now())
    node.kill()
    node_on(disk)  # what the first one wrote is still only in memory
    after = node_on(disk.powered_off())
    client = after.client()
    assert after.run(client, "DBSIZE") == b":%d\r\n" % streams_count
    assert (
        after.pipeline(client, [("XLEN", b"stream %d" % n) for n in range(streams_count)]) == b":1\r\n" * streams_count
    )
