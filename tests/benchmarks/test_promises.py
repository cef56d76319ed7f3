"""What the design promises, counted: no clock, so that it fails for a reason and never for a busy machine.

`AT_MOST` is the one table. A change that makes a count smaller should lower the number here in the same commit; one
that makes it larger needs a reason that is worth the number.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from respbroker.sessions.client import Client
from tests.benchmarks.counting import CountingFileSystem, peak_bytes, python_calls, retained
from tests.support.nodes import NodeUnderTest, open_node

AT_MOST: Final = {
    # writes and syncs of one tick
    "writes: fifty clients append to one stream": 1,
    "writes: append, read by a group and acknowledge, one stream": 1,
    "writes: ten streams": 10,
    "writes: XRANGE, XREAD, XPENDING": 0,
    "writes: XREADGROUP with nothing new": 0,
    "syncs: fifty clients append to one stream": 1,
    # Python functions entered for one more request of a pipeline
    "calls: PING": 0.1,
    "calls: XADD": 0.1,
    "calls: XADD MAXLEN ~": 0.2,
    "calls: XADD to a topic of 16 partitions": 0.3,
    "calls: XACK of one ID": 0.1,
    "calls: XACK of thirty IDs": 27,
    "calls: XREADGROUP COUNT 1": 8,
    "calls: XREADGROUP COUNT 30": 8,
    "calls: XRANGE COUNT 100": 10.5,
    # what stays in memory
    "objects: an idle stream": 39,
    "bytes: an idle stream": 5000,
    "objects: a pending run": 0.1,
    "bytes: a pending run": 60,
    "bytes: a pending entry read by the thousand": 2,
    # what is allocated on the way
    "bytes: XRANGE COUNT 1000, a reply of 143 kB": 3200,
}

Request = list[bytes]
VALUE: Final = b"x" * 100
ADD: Final = [b"XADD", b"s", b"*", b"f", VALUE]
READ_ALL: Final = [b"XRANGE", b"s", b"-", b"+"]  # what is read from disk twice is kept in a cache
FIRST_MS: Final = 1_600_000_000_000


@pytest.fixture
def disk() -> CountingFileSystem:
    return CountingFileSystem()


@pytest.fixture
def node(tmp_path: Path, disk: CountingFileSystem) -> NodeUnderTest:
    """A node with a stream ``s`` of 20,000 entries and a group ``g`` before them."""
    node = open_node(tmp_path, disk)
    client = node.client()
    for first in range(0, 20_000, 1000):
        run(node, client, [[b"XADD", b"s", entry_id(n), b"f", VALUE] for n in range(first, first + 1000)])
    run(node, client, [[b"XGROUP", b"CREATE", b"s", b"g", b"0"], [b"XGROUP", b"CREATECONSUMER", b"s", b"g", b"c"]])
    return node


def entry_id(number: int) -> bytes:
    return b"%d-0" % (FIRST_MS + number)


def read(count: int) -> Request:
    return [b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"%d" % count, b"STREAMS", b"s", b">"]


def run(node: NodeUnderTest, client: Client, requests: list[Request]) -> None:
    """One tick; errors are not expected."""
    node.tick([(client, requests)])
    assert not any(bytes(piece).startswith(b"-") for piece in client.out)  # type: ignore[arg-type]
    client.out.clear()


def within(name: str, found: float) -> None:
    assert found <= AT_MOST[name], f"{name}: {found:g}, promised are {AT_MOST[name]}"


# -- the disk --------------------------------------------------------------------------------------------------


def test_fifty_clients_appending_to_one_stream_are_one_write_and_one_sync(
    node: NodeUnderTest, disk: CountingFileSystem
) -> None:
    clients = [node.client() for _ in range(50)]
    disk.counts.clear()
    node.tick([(client, [ADD, ADD]) for client in clients])
    within("writes: fifty clients append to one stream", disk.counts["writes"])
    within("syncs: fifty clients append to one stream", disk.counts["syncs"])
    assert disk.counts["writes"] == 1


def test_all_that_a_tick_does_to_a_stream_is_one_write(node: NodeUnderTest, disk: CountingFileSystem) -> None:
    client = node.client()
    disk.counts.clear()
    run(node, client, [ADD, read(10), [b"XACK", b"s", b"g", entry_id(0)], read(10), ADD])
    within("writes: append, read by a group and acknowledge, one stream", disk.counts["writes"])


def test_each_stream_of_a_tick_is_one_write(node: NodeUnderTest, disk: CountingFileSystem) -> None:
    client = node.client()
    requests = [[b"XADD", b"t%d" % (n % 10), b"*", b"f", b"v"] for n in range(100)]
    run(node, client, requests)
    run(node, client, [ADD])  # the catalog notes that the new directories are on disk
    disk.counts.clear()
    run(node, client, requests)
    within("writes: ten streams", disk.counts["writes"])


def test_reading_writes_nothing(node: NodeUnderTest, disk: CountingFileSystem) -> None:
    client = node.client()
    disk.counts.clear()
    run(
        node,
        client,
        [
            [b"XRANGE", b"s", b"-", b"+", b"COUNT", b"10"],
            [b"XREAD", b"COUNT", b"10", b"STREAMS", b"s", b"0"],
            [b"XPENDING", b"s", b"g"],
        ],
    )
    within("writes: XRANGE, XREAD, XPENDING", disk.counts["writes"])


def test_asking_a_group_with_nothing_new_writes_nothing(node: NodeUnderTest, disk: CountingFileSystem) -> None:
    client = node.client()
    run(node, client, [read(100_000)])
    disk.counts.clear()
    run(node, client, [read(10), read(10)])
    within("writes: XREADGROUP with nothing new", disk.counts["writes"])


# -- the path of a request ---------------------------------------------------------------------------------------


def marginal_calls(node: NodeUnderTest, requests: Callable[[int], list[Request]]) -> float:
    """Calls for one more request: what 300 take beyond 100, by 200. Each `requests(n)` makes ``n`` fresh ones."""
    client = node.client()
    run(node, client, requests(100))  # whatever is done the first time only
    batches = [[(client, requests(100))], [(client, requests(300))]]
    few, many = (python_calls(lambda batch=batch: node.tick(batch)) for batch in batches)  # type: ignore[misc]
    assert not any(bytes(piece).startswith(b"-") for piece in client.out)  # type: ignore[arg-type]
    return (many - few) / 200


@pytest.mark.parametrize(
    ("name", "request_words"),
    [
        ("calls: PING", [b"PING"]),
        ("calls: XADD", ADD),
        ("calls: XADD MAXLEN ~", [b"XADD", b"s", b"MAXLEN", b"~", b"10000", *ADD[2:]]),
        ("calls: XREADGROUP COUNT 1", read(1)),
        ("calls: XREADGROUP COUNT 30", read(30)),
        ("calls: XRANGE COUNT 100", [b"XRANGE", b"s", entry_id(7000), b"+", b"COUNT", b"100"]),
    ],
)
def test_a_pipelined_request_takes_few_calls(node: NodeUnderTest, name: str, request_words: Request) -> None:
    within(name, marginal_calls(node, lambda count: [request_words] * count))


def test_a_pipelined_xadd_to_a_topic_takes_few_calls(node: NodeUnderTest) -> None:
    run(node, node.client(), [[b"XTOPIC", b"CREATE", b"t", b"PARTITIONS", b"16", b"CONFIG", b"key.field", b"k"]])
    found = marginal_calls(node, lambda count: [[b"XADD", b"t", b"*", b"k", b"%d" % n] for n in range(count)])
    within("calls: XADD to a topic of 16 partitions", found)


@pytest.mark.parametrize(("name", "ids"), [("calls: XACK of one ID", 1), ("calls: XACK of thirty IDs", 30)])
def test_an_acknowledgement_takes_few_calls(node: NodeUnderTest, name: str, ids: int) -> None:
    run(node, node.client(), [read(20_000)])
    numbers = iter(range(20_000))

    def requests(count: int) -> list[Request]:
        return [[b"XACK", b"s", b"g", *(entry_id(next(numbers)) for _ in range(ids))] for _ in range(count)]

    within(name, marginal_calls(node, requests))


# -- what stays ----------------------------------------------------------------------------------------------------


def test_an_idle_stream_is_small(node: NodeUnderTest) -> None:
    client = node.client()

    def make(first: int, end: int) -> None:
        run(node, client, [[b"XADD", b"t%06d" % n, b"*", b"f", b"v"] for n in range(first, end)])

    make(0, 100)
    objects, size = retained(lambda: make(100, 300))
    within("objects: an idle stream", objects / 200)
    within("bytes: an idle stream", size / 200)


def test_a_pending_run_is_small_whatever_it_holds(node: NodeUnderTest) -> None:
    client = node.client()
    run(node, client, [READ_ALL, READ_ALL, read(10)])
    objects, size = retained(lambda: [run(node, client, [read(10)]) for _ in range(500)])
    within("objects: a pending run", objects / 500)
    within("bytes: a pending run", size / 500)


def test_entries_read_by_the_thousand_take_next_to_no_memory(node: NodeUnderTest) -> None:
    client = node.client()
    run(node, client, [READ_ALL, READ_ALL, read(1000)])
    _, size = retained(lambda: [run(node, client, [read(1000)]) for _ in range(15)])
    within("bytes: a pending entry read by the thousand", size / 15_000)


def test_a_long_reply_is_not_copied_on_the_way(node: NodeUnderTest) -> None:
    client = node.client()
    batch = [(client, [[b"XRANGE", b"s", entry_id(5000), b"+", b"COUNT", b"1000"]])]
    for _ in range(2):  # the second reader of a block puts it into the cache
        node.tick(batch)
        assert len(node.output(client)) > 130_000
    within("bytes: XRANGE COUNT 1000, a reply of 143 kB", peak_bytes(lambda: node.tick(batch)))
