"""XRANGE and XREAD: the request that nearly everybody sends is read as any other spelling of it is."""

from __future__ import annotations

import pytest

from tests.support.nodes import open_node

IDS = ["0", "0-0", "1", "1-1", "2-0", "3-0", "9", "$", "+", ">", "-", "x", "", "1-", "1-2-3", " 1", "007-0", str(2**64)]
COUNTS = ["1", "2", "0", "-1", "x", "", "01", str(2**63)]


@pytest.fixture
def node(tmp_path):
    node = open_node(tmp_path)
    client = node.client()
    for entry_id in ("1-1", "1-2", "2-0", "3-0"):
        node.run(client, "XADD", "s", entry_id, "f", "v" * 100)
    return node


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("entry_id", IDS)
def test_xread_with_a_count_and_one_stream_says_what_its_longer_forms_say(node, count, entry_id, protocol):
    client = node.client(protocol)
    usual = node.run(client, "XREAD", "COUNT", count, "STREAMS", "s", entry_id)
    assert usual == node.run(client, "xread", "COUNT", "7", "COUNT", count, "STREAMS", "s", entry_id)
    usual = node.run(client, "xread", "count", count, "streams", "none", entry_id)
    assert usual == node.run(client, "XREAD", "COUNT", "7", "COUNT", count, "STREAMS", "none", entry_id)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("entry_id", [*IDS, "(1", "(1-1", "(x", f"({2**64 - 1}-{2**64 - 1}"])
def test_xrange_reads_bounds_and_counts_in_this_order(node, count, entry_id):
    client = node.client()
    usual = node.run(client, "XRANGE", "s", entry_id, "+", "COUNT", count)
    assert usual == node.run(client, "xrange", "s", entry_id, f"{2**64 - 1}-{2**64 - 1}", "count", "7", "count", count)
    refused = node.run(client, "XRANGE", "s", entry_id, "+")
    if refused.startswith(b"-"):
        assert usual == refused


@pytest.mark.parametrize("words", [["COUNT"], ["LIMIT", "1"], ["COUNT", "1", "COUNT"], ["COUNT", "1", "2"]])
def test_xrange_knows_one_option(node, words):
    assert node.run(node.client(), "XRANGE", "s", "-", "+", *words) == b"-ERR syntax error\r\n"


def test_a_reply_is_the_same_from_disk_from_memory_and_before_it_is_written(node, tmp_path):
    client = node.client()
    add = [["XADD", "t", f"{n}-0", "f", "v" * 300] for n in range(1, 400)]
    request = ["XRANGE", "t", "5", "+", "COUNT", "300"]
    staged = node.pipeline(client, [*add, request]).split(b"*300\r\n", 1)[1]
    assert staged.count(b"v" * 300) == 300
    in_memory = node.run(client, *request)
    node.kill()
    node = open_node(tmp_path)
    client = node.client()
    assert in_memory == node.run(client, *request) == node.run(client, *request) == b"*300\r\n" + staged
