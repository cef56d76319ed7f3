"""Unchanged clients on a topic of several partitions: redis-cli and redis-py see one stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.compat.test_redis_cli import needs_cli, run
from tests.support.servers import HOST, Server


@pytest.fixture
def server(respbroker_server: Server) -> Server:
    """With a topic of 4 partitions that has 200 entries of 20 keys, and a stream."""
    with respbroker_server.connect() as wire:
        wire.call("FLUSHALL")
        wire.call("XTOPIC", "CREATE", "orders", "PARTITIONS", "4", "CONFIG", "key.field", "customer")
        for number in range(200):
            wire.call("XADD", "orders", "*", "customer", f"c{number % 20}", "n", number)
        wire.call("XADD", "other", "1-0", "f", "v")
    return respbroker_server


@pytest.fixture(params=[2, 3])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    with redis.Redis(HOST, server.port, protocol=request.param, decode_responses=True) as client:
        yield client


def numbers(entries: Any) -> list[int]:
    return [int(fields["n"]) for _, fields in entries]


def of_one(reply: Any) -> list[Any]:
    """The entries of an XREAD reply about ``orders``, in either protocol."""
    pairs = list(reply.items() if isinstance(reply, dict) else reply)
    [(key, entries)] = pairs
    assert key == "orders"
    return list(entries[0] if entries and isinstance(entries[0], list) else entries)


# -- redis-cli ---------------------------------------------------------------------------------------------


@needs_cli
def test_redis_cli_finds_a_topic_as_one_key(server: Server) -> None:
    assert sorted(run(server, "--scan").split()) == ["orders", "other"]
    shown = run(server, "--bigkeys")
    assert "Biggest stream found so far '\"orders\"' with 200 entries" in shown
    assert "2 streams with 201 entries" in shown
    assert "Biggest stream found" in run(server, "--memkeys")


@needs_cli
def test_redis_cli_asks_about_a_topic_and_a_partition(server: Server) -> None:
    assert run(server, "TYPE", "orders") == run(server, "TYPE", "orders/3") == "stream\n"
    assert run(server, "EXISTS", "orders/3", "orders/4") == "1\n"
    assert run(server, "--no-raw", "XINFO", "STREAM", "orders").endswith('"partitions"\n34) (integer) 4\n')
    assert "cannot go or be moved by itself" in run(server, "DEL", "orders/3")


# -- redis-py ----------------------------------------------------------------------------------------------


def test_redis_py_reads_a_topic_in_the_order_of_appending(client: Any) -> None:
    assert client.xlen("orders") == 200
    entries = client.xrange("orders")
    assert numbers(entries) == list(range(200))
    assert numbers(client.xrevrange("orders", count=3)) == [199, 198, 197]
    assert numbers(client.xrange("orders", min=f"({entries[9][0]}", max=entries[19][0])) == list(range(10, 20))
    seen: list[int] = []
    after = "0"
    while reply := client.xread({"orders": after}, count=7):
        page = of_one(reply)
        seen += numbers(page)
        after = page[-1][0]
    assert seen == list(range(200))


def test_redis_py_waits_for_any_partition(client: Any, server: Server) -> None:
    woken: list[Any] = []

    def follow() -> None:
        with redis.Redis(HOST, server.port, decode_responses=True) as reader:
            after = reader.xinfo_stream("orders")["last-generated-id"]
            started.set()
            while len(woken) < 20:
                page = of_one(reader.xread({"orders": after}, block=10_000))
                woken.extend(numbers(page))
                after = page[-1][0]

    started = threading.Event()
    thread = threading.Thread(target=follow)
    thread.start()
    assert started.wait(10)
    for number in range(20):
        client.xadd("orders" if number % 2 else f"orders/{number % 4}", {"customer": f"c{number}", "n": number})
    thread.join(20)
    assert woken == list(range(20))


def test_redis_py_trims_and_deletes(client: Any) -> None:
    entries = client.xrange("orders")
    assert client.xdel("orders", entries[3][0], entries[100][0], "1-1") == 2
    assert client.xtrim("orders", maxlen=50, approximate=False) == 148
    assert numbers(client.xrange("orders")) == list(range(150, 200))
    client.xadd("orders", {"customer": "c1", "n": 200}, maxlen=10, approximate=False)
    assert numbers(client.xrange("orders")) == list(range(191, 201))
    client.xtrim("orders", minid=client.xrange("orders")[4][0], approximate=False)
    assert client.xlen("orders") == 6


def test_redis_py_reads_what_xinfo_tells(client: Any) -> None:
    client.xgroup_create("orders", "g", id="0")
    told = client.xinfo_stream("orders")
    assert (told["length"], told["groups"], told["entries-added"], told["partitions"]) == (200, 1, 200, 4)
    assert numbers([told["first-entry"], told["last-entry"]]) == [0, 199]
    full = client.xinfo_stream("orders", full=True)
    assert full["length"] == 200
    assert full["groups"][0]["lag"] == 200
    [group] = client.xinfo_groups("orders")
    assert (group["name"], group["lag"], group["pending"]) == ("g", 200, 0)


def test_redis_py_treats_a_topic_as_a_key(client: Any) -> None:
    assert client.rename("orders", "moved")
    assert client.xlen("moved") == 200
    assert sorted(client.scan_iter(_type="stream")) == ["moved", "other"]
    assert client.copy("moved", "orders")
    assert numbers(client.xrange("orders")) == list(range(200))
    assert client.expire("orders", 100)
    assert client.ttl("orders/1") == 100
    with pytest.raises(redis.ResponseError, match="cannot go or be moved by itself"):
        client.delete("orders/1")
    assert client.delete("orders", "moved") == 2
    with client.pipeline() as pipe:
        pipe.xlen("orders/1").xrange("orders").exists("orders")
        assert pipe.execute() == [0, [], 0]
