"""What a topic of several partitions promises, counted: order costs hardly more than sharing."""

from __future__ import annotations

import pytest

from tests.benchmarks.counting import python_calls
from tests.support.nodes import open_node

CONSUMERS, PARTITIONS, KEYS, ENTRIES = 4, 16, 997, 16_000


def calls(directory, mode, count):
    """Python functions entered for a read of ``count`` entries by each consumer."""
    directory.mkdir()
    node = open_node(directory, save="")
    tool = node.client()
    node.run(tool, "XTOPIC", "CREATE", "t", "PARTITIONS", PARTITIONS, "CONFIG", "key.field", "k", "group.mode", mode)
    node.run(tool, "XGROUP", "CREATE", "t", "g", "0")
    node.pipeline(tool, [("XADD", "t", "*", "k", f"k{number % KEYS}") for number in range(ENTRIES)])
    consumers = {f"c{number}": node.client() for number in range(CONSUMERS)}

    def read():
        for name, client in consumers.items():
            node.run(client, "XREADGROUP", "GROUP", "g", name, "COUNT", count, "STREAMS", "t", ">")

    read()
    read()  # from here on everybody is a member and known
    return python_calls(read)


@pytest.mark.parametrize("count", [1, 30, 300])
def test_a_read_of_an_ordered_group_costs_at_most_a_fifth_more_than_of_a_shared_one(tmp_path, count):
    assert calls(tmp_path / "ordered", "ordered", count) <= 1.2 * calls(tmp_path / "shared", "shared", count)
