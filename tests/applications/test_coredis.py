"""coredis on Trio: streams, its consumers, pipelines, channels and locks; it speaks RESP3 only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import coredis
import pytest
import trio
from coredis import PureToken
from coredis.exceptions import ConnectionError as CoredisConnectionError
from coredis.exceptions import StreamDuplicateConsumerGroupError
from coredis.patterns.lock import Lock
from coredis.patterns.streams import Consumer, GroupConsumer

from tests.applications.aio import leftovers_ignored
from tests.support.servers import Server

LIMIT_SECONDS = 20


def run(server: Server, scenario: Callable[[Any], Awaitable[None]]) -> None:
    """A scenario with a client. TooSlowError: something that it waits for does not come."""

    async def limited() -> None:
        with trio.fail_after(LIMIT_SECONDS):
            async with coredis.Redis.from_url(server.url, decode_responses=True) as client:
                await scenario(client)

    with leftovers_ignored():
        trio.run(limited)


async def add(client: Any, *numbers: int, key: str = "orders") -> list[str]:
    return [await client.xadd(key, field_values={"n": n}) for n in numbers]


def numbers(entries: Any) -> list[int]:
    return [int(entry.field_values["n"]) for entry in entries]


def test_a_stream_is_added_to_read_trimmed_and_described(server: Server) -> None:
    async def scenario(client: Any) -> None:
        ids = await add(client, 0, 1, 2, 3)
        assert numbers(await client.xrange("orders")) == [0, 1, 2, 3]
        assert numbers(await client.xrevrange("orders", end="+", start=ids[1], count=2)) == [3, 2]
        assert await client.xadd("none", field_values={"n": 1}, nomkstream=True) is None
        assert await client.xdel("orders", [ids[1]]) == 1
        assert await client.xtrim("orders", PureToken.MAXLEN, 2, trim_operator=PureToken.EQUAL) == 1
        assert await client.xlen("orders") == 2
        read = await client.xread({"orders": ids[1], "none": "0"})
        assert {key: numbers(entries) for key, entries in read.items()} == {"orders": [2, 3]}
        info = await client.xinfo_stream("orders")
        assert (info["length"], info["entries-added"], info["last-entry"].identifier) == (2, 4, ids[3])
        full = await client.xinfo_stream("orders", full=True)
        assert [entry.identifier for entry in full["entries"]] == ids[2:]

    run(server, scenario)


def test_what_is_added_wakes_a_reader_in_another_task(server: Server) -> None:
    async def scenario(client: Any) -> None:
        async def write() -> None:
            while not (await client.info("clients"))["blocked_clients"]:  # noqa: ASYNC110 - nobody tells us
                await trio.sleep(0.002)
            await add(client, 7)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            read = await client.xread({"orders": PureToken.NEW_ID}, block=20_000)
            assert numbers(read["orders"]) == [7]
        assert await client.xread({"orders": PureToken.NEW_ID}, block=1) is None

    run(server, scenario)


def test_a_consumer_goes_through_several_streams_from_where_they_end(server: Server) -> None:
    async def scenario(client: Any) -> None:
        await add(client, 1, 2)
        await add(client, 9, key="returns")
        async with Consumer(client, ["orders", "returns"], buffer_size=10, timeout=20_000) as consumer:
            await add(client, 3, 4)
            await add(client, 10, key="returns")
            seen = [await consumer.get_entry() for _ in range(3)]
            assert sorted((key, int(entry.field_values["n"])) for key, entry in seen) == [
                ("orders", 3),
                ("orders", 4),
                ("returns", 10),
            ]
        async with Consumer(client, ["orders"], orders={"identifier": "0"}) as consumer:
            assert [numbers([entry]) async for _, entry in consumer] == [[1], [2], [3], [4]]

    run(server, scenario)


def test_two_consumers_of_a_group_share_its_stream_and_acknowledge(server: Server) -> None:
    async def scenario(client: Any) -> None:
        handled: list[int] = []

        async def consume(name: str, task_status: trio.TaskStatus[None]) -> None:
            async with GroupConsumer(client, ["orders"], "workers", name, buffer_size=2, timeout=20_000) as consumer:
                task_status.started()
                async for stream, entry in consumer:
                    handled.extend(numbers([entry]))
                    await client.xack(stream, "workers", [entry.identifier])
                    if len(handled) == 30:
                        nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            await nursery.start(consume, "anna")
            await nursery.start(consume, "ben")
            await add(client, *range(30))
        assert sorted(handled) == list(range(30))
        assert (await client.xpending("orders", "workers")).pending == 0
        (group,) = await client.xinfo_groups("orders")
        assert (group["entries-read"], group["lag"]) == (30, 0)
        assert {each["name"] for each in await client.xinfo_consumers("orders", "workers")} == {"anna", "ben"}

    run(server, scenario)


def test_a_consumer_begins_with_what_it_held_and_claims_what_a_dead_one_held(server: Server) -> None:
    async def scenario(client: Any) -> None:
        assert await client.xgroup_create("orders", "workers", identifier="0", mkstream=True)
        with pytest.raises(StreamDuplicateConsumerGroupError):
            await client.xgroup_create("orders", "workers", identifier="0")
        ids = await add(client, 0, 1, 2, 3)
        for name in ("anna", "ben"):
            await client.xreadgroup("workers", name, {"orders": ">"}, count=2)

        async with GroupConsumer(client, ["orders"], "workers", "anna", start_from_backlog=True) as anna:
            assert [numbers([entry]) async for _, entry in anna] == [[0], [1]]

        summary = await client.xpending("orders", "workers")
        assert (summary.pending, dict(summary.consumers)) == (4, {"anna": 2, "ben": 2})
        held = await client.xpending("orders", "workers", start="-", end="+", count=10, idle=0, consumer="ben")
        assert [(each.identifier, each.consumer, each.delivered) for each in held] == [
            (ids[2], "ben", 1),
            (ids[3], "ben", 1),
        ]
        assert numbers(await client.xclaim("orders", "workers", "anna", 0, [ids[2]])) == [2]
        assert await client.xdel("orders", [ids[3]]) == 1
        following, claimed, gone = await client.xautoclaim("orders", "workers", "anna", 0, "-", count=10)
        assert (following, numbers(claimed), gone) == ("0-0", [0, 1, 2], (ids[3],))
        assert await client.xack("orders", "workers", ids) == 3
        assert await client.xgroup_destroy("orders", "workers") == 1

    run(server, scenario)


def test_a_pipeline_is_a_transaction(server: Server) -> None:
    async def scenario(client: Any) -> None:
        async with client.pipeline(transaction=True) as pipe:
            added = pipe.xadd("orders", field_values={"n": 1})
            pipe.xgroup_create("orders", "workers", identifier="0")
            read = pipe.xreadgroup("workers", "anna", {"orders": ">"})
            length = pipe.xlen("orders")
        assert (await read)["orders"][0].identifier == await added
        assert await length == 1

    run(server, scenario)


def test_messages_come_through_channels_and_patterns(server: Server) -> None:
    async def scenario(client: Any) -> None:
        async with client.pubsub(channels=["news"], patterns=["n*s"], ignore_subscribe_messages=True) as listener:
            assert await client.publish("news", "today") == 2
            messages: list[Any] = []
            while len(messages) < 2:
                if message := await listener.get_message():  # None for each subscription
                    messages.append(message)
            assert sorted((each["type"], each["channel"], each["data"]) for each in messages) == [
                ("message", "news", "today"),
                ("pmessage", "news", "today"),
            ]

    run(server, scenario)


def test_locks_are_taken_held_longer_and_given_back(server: Server) -> None:
    async def scenario(client: Any) -> None:
        async with Lock(client, "lock", timeout=30) as lock:
            assert await client.set("lock", "mine", condition=PureToken.NX) is False
            assert not await Lock(client, "lock", blocking=False).acquire()
            assert await lock.extend(30)
            assert await client.pttl("lock") > 30_000
        assert await client.exists(["lock"]) == 0

    run(server, scenario)


def test_a_client_goes_on_after_the_server_was_killed(lasting_server: Server) -> None:
    async def scenario(client: Any) -> None:
        ids = await add(client, 0, 1, 2)
        await client.xgroup_create("orders", "workers", identifier="0")
        await client.xreadgroup("workers", "anna", {"orders": ">"}, count=2)
        await client.xack("orders", "workers", [ids[0]])
        lasting_server.kill()
        with pytest.raises(CoredisConnectionError):
            await client.xlen("orders")
        lasting_server.start_again()
        assert numbers((await client.xreadgroup("workers", "anna", {"orders": "0"}))["orders"]) == [1]
        assert numbers((await client.xreadgroup("workers", "anna", {"orders": ">"}))["orders"]) == [2]

    run(lasting_server, scenario)
