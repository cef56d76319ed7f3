"""What is written to many streams is synced by one call, and that call hides nothing."""

from __future__ import annotations

import pytest

from respbroker.broker.durability import MANY_FILES
from respbroker.sessions.client import Client
from storage import ManySync, OsFileSystem
from tests.crash.driver import DIRECTORY, open_node
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import NodeUnderTest, TestClock

STREAMS = MANY_FILES + 50


@pytest.fixture
def disk() -> MemoryFileSystem:
    disk = MemoryFileSystem()
    disk.mkdir(DIRECTORY)
    return disk


def node_on(disk: MemoryFileSystem) -> NodeUnderTest:
    clock = TestClock()
    return NodeUnderTest(open_node(disk, clock, appendfsync="everysec"), clock)


def append(node: NodeUnderTest, client: Client) -> None:
    """One entry to each of many streams, not yet synced."""
    requests = [[b"XADD", b"stream %d" % number, b"*", b"f", b"v"] for number in range(STREAMS)]
    node.node.tick([(client, requests)], node.clock.now())


def test_many_streams_are_on_disk_after_one_sync(disk: MemoryFileSystem) -> None:
    node = node_on(disk)
    client = node.client()
    append(node, client)
    node.tick()
    append(node, client)
    request = node.node.durability.take_syncs()
    assert [type(file) for file in request.files] == [ManySync]
    for file in request.files:
        file.sync()
    node.node.durability.synced(request)
    after = node_on(disk.powered_off())
    lengths = after.pipeline(after.client(), [("XLEN", f"stream {number}") for number in range(STREAMS)])
    assert lengths == b":2\r\n" * STREAMS


@pytest.mark.parametrize("ours", [True, False])
def test_a_failure_counts_if_it_is_of_a_file_that_was_to_be_synced(disk: MemoryFileSystem, ours: bool) -> None:
    node = node_on(disk)
    client = node.client()
    append(node, client)
    node.tick()
    append(node, client)
    stream = node.node.keyspace.lookup(0, b"stream 7", 0)
    assert stream is not None
    disk.failing_syncs.add(stream.log.segments.active.path if ours else "/somebody/else")
    request = node.node.durability.take_syncs()
    if ours:
        with pytest.raises(OSError, match="sync failed"):
            request.files[0].sync()
    else:
        request.files[0].sync()
        assert disk.powered_off().content(stream.log.segments.active.path) == disk.content(
            stream.log.segments.active.path
        )


def test_the_real_one_syncs(tmp_path: object) -> None:
    whole = OsFileSystem().whole(str(tmp_path))
    if whole is None:
        pytest.skip("no syncfs that reports failures")
    whole.sync()
    del whole
