"""FastStream: subscribers of streams, plain and in groups, batches, redelivery, requests with replies."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import redis.asyncio
from faststream import AckPolicy, FastStream
from faststream.redis import RedisBroker, RedisStreamMessage, StreamSub
from faststream.redis.parser import BinaryMessageFormatV1
from pydantic import BaseModel

from tests.applications import programs
from tests.applications.aio import run, take, until
from tests.support.servers import Server


class Order(BaseModel):
    number: int
    item: str = "lamp"


async def until_blocked(client: Any, count: int = 1) -> None:
    """Until so many readers wait in the server: what is published from now on they get."""

    async def are_blocked() -> bool:
        return bool((await client.info("clients"))["blocked_clients"] >= count)

    await until(are_blocked)


async def pending(client: Any, group: str = "workers") -> int:
    return int((await client.xpending("orders", group))["pending"])


async def are_pending(client: Any, count: int) -> bool:
    return await pending(client) == count


async def until_acknowledged(client: Any) -> None:
    await until(lambda: are_pending(client, 0))


async def in_flight(url: str) -> list[int]:
    """Orders in replies that the end of the server cut off: they are pending with anna, who reads on behind them."""
    async with redis.asyncio.from_url(url, protocol=2) as client:
        ((_, entries),) = await client.xreadgroup("workers", "anna", {"orders": "0"})
    return [json.loads(BinaryMessageFormatV1.parse(fields[b"__data__"])[0])["number"] for _, fields in entries]


def of_group(consumer: str, **options: Any) -> StreamSub:
    return StreamSub("orders", group="workers", consumer=consumer, last_id="0", **options)


def test_a_plain_subscriber_gets_models_headers_and_ids_of_what_is_published_while_it_waits(server: Server) -> None:
    async def scenario() -> None:
        broker, received = RedisBroker(server.url), asyncio.Queue[Any]()

        @broker.subscriber(stream=StreamSub("orders", polling_interval=20_000))
        async def handle(order: Order, message: RedisStreamMessage) -> None:
            received.put_nowait((order, message.headers["shop"], message.correlation_id, message.raw_message))

        async with broker, redis.asyncio.from_url(server.url) as client:
            await broker.publish(Order(number=0), stream="orders")
            await broker.start()
            await until_blocked(client)
            entry_id = await broker.publish(
                Order(number=1), stream="orders", headers={"shop": "north"}, correlation_id="c-1"
            )
            order, shop, correlation, raw = await received.get()
            assert (order, shop, correlation) == (Order(number=1), "north", "c-1")
            assert raw["message_ids"] == [entry_id]

    run(scenario())


def test_two_consumers_of_a_group_share_the_stream_and_acknowledge_what_they_handled(server: Server) -> None:
    async def scenario() -> None:
        broker, received = RedisBroker(server.url), asyncio.Queue[tuple[str, int]]()

        @broker.subscriber(stream=of_group("anna", max_records=5))
        async def anna(order: Order) -> None:
            received.put_nowait(("anna", order.number))

        @broker.subscriber(stream=of_group("ben", max_records=5))
        async def ben(order: Order) -> None:
            received.put_nowait(("ben", order.number))

        async with broker, redis.asyncio.from_url(server.url) as client:
            for number in range(30):
                await broker.publish(Order(number=number), stream="orders")
            await broker.start()
            handled = await take(received, 30)
            assert sorted(number for _, number in handled) == list(range(30))
            await until_acknowledged(client)
            (group,) = await client.xinfo_groups("orders")
            assert (group["consumers"], group["entries-read"], group["lag"]) == (2, 30, 0)

    run(scenario())


def test_a_batch_subscriber_gets_lists_and_acknowledges_each_at_once(server: Server) -> None:
    async def scenario() -> None:
        broker, received = RedisBroker(server.url), asyncio.Queue[list[int]]()

        @broker.subscriber(stream=of_group("anna", batch=True, max_records=4))
        async def handle(orders: list[Order]) -> None:
            received.put_nowait([order.number for order in orders])

        async with broker, redis.asyncio.from_url(server.url) as client:
            async with client.pipeline() as pipe:
                for number in range(10):
                    await broker.publish(Order(number=number), stream="orders", pipeline=pipe)
                assert len(await pipe.execute()) == 10
            await broker.start()
            assert await take(received, 3) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
            await until_acknowledged(client)

    run(scenario())


def test_what_a_consumer_failed_at_is_given_to_one_that_claims(server: Server) -> None:
    """With min_idle_time a subscriber reads by XAUTOCLAIM alone."""

    async def scenario() -> None:
        broker, failed, claimed = RedisBroker(server.url), asyncio.Queue[int](), asyncio.Queue[Any]()
        first = broker.subscriber(stream=of_group("anna"), ack_policy=AckPolicy.NACK_ON_ERROR)
        second = broker.subscriber(
            stream=StreamSub("orders", group="workers", consumer="ben", min_idle_time=1, polling_interval=10)
        )

        @first
        async def fail(order: Order) -> None:
            failed.put_nowait(order.number)
            if order.number % 2:
                raise ValueError("an odd order")

        @second
        async def claim(order: Order, message: RedisStreamMessage) -> None:
            claimed.put_nowait((order.number, await message.get_delivery_count()))

        async with broker, redis.asyncio.from_url(server.url) as client:
            for number in range(4):
                await broker.publish(Order(number=number), stream="orders")
            await first.start()
            assert await take(failed, 4) == [0, 1, 2, 3]
            await until(lambda: are_pending(client, 2))
            await second.start()
            assert await take(claimed, 2) == [(1, 2), (3, 2)]
            await until_acknowledged(client)

    run(scenario())


def test_a_subscriber_without_acknowledgements_leaves_nothing_pending(server: Server) -> None:
    async def scenario() -> None:
        broker, received = RedisBroker(server.url), asyncio.Queue[int]()

        @broker.subscriber(stream=StreamSub("orders", group="workers", consumer="anna", no_ack=True))
        async def handle(order: Order) -> None:
            received.put_nowait(order.number)

        async with broker, redis.asyncio.from_url(server.url) as client:
            await broker.start()
            await until_blocked(client)
            await broker.publish(Order(number=7), stream="orders")
            assert await received.get() == 7
            assert await pending(client) == 0

    run(scenario())


def test_a_request_over_a_stream_is_answered_through_a_channel(server: Server) -> None:
    async def scenario() -> None:
        broker = RedisBroker(server.url)

        @broker.subscriber(stream=of_group("anna"))
        async def double(number: int) -> int:
            return 2 * number

        async with broker:
            await broker.start()
            answers = await asyncio.gather(*(broker.request(n, stream="orders", timeout=20.0) for n in range(8)))
            assert [await answer.decode() for answer in answers] == [2 * n for n in range(8)]

    run(scenario())


def test_a_handler_publishes_to_the_next_stream_which_is_kept_short(server: Server) -> None:
    async def scenario() -> None:
        broker, done = RedisBroker(server.url), asyncio.Queue[int]()

        @broker.subscriber(stream=of_group("anna"))
        @broker.publisher(stream=StreamSub("bills", maxlen=100))
        async def bill(order: Order) -> Order:
            return order

        @broker.subscriber(stream=StreamSub("bills", last_id="0"))
        async def count(bill: Order) -> None:
            done.put_nowait(bill.number)

        async with broker, redis.asyncio.from_url(server.url) as client:
            for number in range(300):
                await broker.publish(Order(number=number), stream="orders", maxlen=10_000)
            await broker.start()
            assert (await take(done, 300))[-1] == 299
            assert await client.xlen("orders") == 300
            assert 100 <= await client.xlen("bills") < 300  # `MAXLEN ~` drops whole nodes

    run(scenario())


def test_a_subscriber_without_a_handler_is_asked_for_one_message_after_the_other(server: Server) -> None:
    async def scenario() -> None:
        broker = RedisBroker(server.url)
        plain = broker.subscriber(stream=StreamSub("orders", last_id="0"))
        group = broker.subscriber(stream=of_group("anna"))
        async with broker:
            for number in range(3):
                await broker.publish(number, stream="orders")
            await broker.start()
            first = await plain.get_one(timeout=5)
            assert first is not None
            assert await first.decode() == 0
            taken = []
            async for message in group:
                await message.ack()
                taken.append(await message.decode())
                if len(taken) == 3:
                    break
            assert taken == [0, 1, 2]
            assert await group.get_one(timeout=0.01) is None

    run(scenario())


def test_an_application_ends_when_its_group_is_gone(server: Server) -> None:
    """FastStream looks for NOGROUP in the refusal."""

    async def scenario() -> None:
        broker = RedisBroker(server.url)
        app = FastStream(broker)

        @broker.subscriber(stream=StreamSub("orders", group="workers", consumer="anna", polling_interval=20_000))
        async def handle(order: Order) -> None: ...

        async with redis.asyncio.from_url(server.url) as client:
            running = asyncio.create_task(app.run())
            await until_blocked(client)
            await client.delete("orders")
            await running

    run(scenario())


def test_subscribers_go_on_after_the_server_was_killed_and_nothing_acknowledged_is_lost(lasting_server: Server) -> None:
    async def scenario() -> None:
        broker, received = RedisBroker(lasting_server.url), asyncio.Queue[int]()

        @broker.subscriber(stream=of_group("anna"))
        async def handle(order: Order) -> None:
            received.put_nowait(order.number)

        async with broker, redis.asyncio.from_url(lasting_server.url) as client:
            await broker.publish(Order(number=0), stream="orders")
            await broker.start()
            assert await received.get() == 0
            await until_acknowledged(client)
            for number in range(1, 10):
                await broker.publish(Order(number=number), stream="orders")
            lasting_server.kill()
            with pytest.raises(redis.ConnectionError):
                await broker.publish(Order(number=99), stream="orders")
            lasting_server.start_again()
            await broker.publish(Order(number=10), stream="orders")
            handled = []
            while 10 not in handled:
                handled.append(await received.get())
            handled += await in_flight(lasting_server.url)
            assert sorted(set(handled)) == list(range(1, 11))

    run(scenario())


def test_what_a_killed_worker_held_is_given_to_another(server: Server) -> None:
    """The worker is run as users do, by `faststream run`, and ended by `kill -9`."""

    async def scenario() -> None:
        broker, claimed = RedisBroker(server.url), asyncio.Queue[int]()

        @broker.subscriber(
            stream=StreamSub("orders", group="workers", consumer="ben", min_idle_time=1, polling_interval=10)
        )
        async def claim(number: int) -> None:
            claimed.put_nowait(number)

        async with broker, redis.asyncio.from_url(server.url) as client:
            await client.xgroup_create("orders", "workers", mkstream=True)
            with programs.running(
                "faststream", "run", "faststream_app:app", REDIS_URL=server.url, CONSUMER="anna"
            ) as worker:
                for number in range(4):
                    await broker.publish(number, stream="orders")
                await asyncio.to_thread(worker.wait_until_printed, "began", 4)
                await until(lambda: are_pending(client, 2))  # the others are done, and acknowledged
                worker.kill()
            await broker.start()
            assert await take(claimed, 2) == [0, 2]
            await until_acknowledged(client)

    run(scenario())


def test_one_reader_for_new_and_abandoned_orders_where_the_server_has_xreadgroup_claim(server: Server) -> None:
    """FastStream's claim_min_idle_time is refused by Redis 8.2, as it should be: the option came with 8.4."""

    async def scenario() -> None:
        broker, received = RedisBroker(server.url), asyncio.Queue[Any]()
        app = FastStream(broker)

        @broker.subscriber(stream=StreamSub("orders", group="workers", consumer="ben", claim_min_idle_time=1))
        async def handle(number: int, message: RedisStreamMessage) -> None:
            received.put_nowait((number, message.raw_message["delivery_counts"]))

        async with redis.asyncio.from_url(server.url) as client:
            await client.xgroup_create("orders", "workers", mkstream=True)
            await broker.connect()
            await broker.publish(1, stream="orders")
            await client.xreadgroup("workers", "anna", {"orders": ">"})
            await broker.publish(2, stream="orders")
            running = asyncio.create_task(app.run())
            if server.name == "respbroker":
                assert await take(received, 2) == [(1, [1]), (2, [0])]
                await until_acknowledged(client)
                app.exit()
            await running
            assert await pending(client) == (server.name == "redis")

    run(scenario())
