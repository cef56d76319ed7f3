"""Settings of logs that are changed while the node runs."""

from __future__ import annotations

from tests.support.nodes import open_node


def test_retention_by_bytes_set_at_run_time_lets_old_entries_go(tmp_path):
    node = open_node(tmp_path, segment_bytes=4096)
    client = node.client()
    for _ in range(40):
        node.pipeline(client, [("XADD", "s", "*", "f", "x" * 100)] * 10)
    assert node.run(client, "XLEN", "s") == b":400\r\n"
    assert node.run(client, "CONFIG", "SET", "retention.bytes", "8192") == b"+OK\r\n"
    for _ in range(4):
        node.clock.advance(10_000)
        node.tick()
    left = int(node.run(client, "XLEN", "s")[1:])
    assert 0 < left < 200
    assert len(node.node.keyspace.lookup(0, b"s", 0).log.segments.all) < 6


def test_a_segment_size_set_at_run_time_holds_from_the_next_append_on(tmp_path):
    node = open_node(tmp_path)
    client = node.client()
    node.run(client, "XADD", "s", "*", "f", "x" * 5000)
    node.run(client, "CONFIG", "SET", "segment.bytes", "4096")
    node.run(client, "XADD", "s", "*", "f", "v")
    assert len(node.node.keyspace.lookup(0, b"s", 0).log.segments.all) == 2
