"""taskiq-redis: its broker on streams, its results, and workers that die."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
import redis.asyncio
from taskiq import ScheduledTask, TaskiqResultTimeoutError
from taskiq.api import run_receiver_task
from taskiq.exceptions import ResultGetError, SendTaskError
from taskiq_redis import RedisScheduleSource
from taskiq_redis.exceptions import ResultIsMissingError

from tests.applications import programs
from tests.applications.aio import run, until
from tests.applications.taskiq_app import make_broker
from tests.support.servers import Server

pytestmark = pytest.mark.filterwarnings("ignore:RedisScheduleSource is deprecated:DeprecationWarning")


@contextlib.asynccontextmanager
async def started(server: Server, *, workers: int = 0, **options: Any) -> AsyncIterator[Any]:
    """A broker, with workers in this process: a broker of its own for each."""
    async with contextlib.AsyncExitStack() as stack:
        tasks = []
        for _ in range(1 + workers):
            broker = make_broker(server.url, **options)
            await broker.startup()
            stack.push_async_callback(broker.shutdown)
            tasks.append((broker, None))
        running = [asyncio.create_task(run_receiver_task(broker, sync_workers=1)) for broker, _ in tasks[1:]]
        try:
            yield tasks[0][0]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def result_of(task: Any) -> Any:
    return await task.wait_result(check_interval=0.005, timeout=10)


def call(broker: Any, name: str, *arguments: object) -> Any:
    return broker.find_task(name).kiq(*arguments)


async def attempt(asking: Awaitable[Any]) -> Any:
    """What was answered; None if the connection had been cut, which taskiq leaves to its users."""
    try:
        return await asking
    except (ResultGetError, SendTaskError):
        return None


async def is_nobody_blocked(client: Any) -> bool:
    return bool((await client.info("clients"))["blocked_clients"] == 0)


async def until_all_done(client: Any) -> None:
    """Acknowledged, and the lock of those who claim given back."""

    async def are_done() -> bool:
        (group,) = await client.xinfo_groups("taskiq")
        return bool(group["lag"] == 0 and group["pending"] == 0 and not await client.keys("autoclaim:*"))

    await until(are_done)


def test_tasks_are_done_by_two_workers_and_their_results_are_kept(server: Server) -> None:
    async def scenario() -> None:
        async with started(server, workers=2) as broker, redis.asyncio.from_url(server.url) as client:
            tasks = [await call(broker, "add", n, 1) for n in range(50)]
            results = [await result_of(task) for task in tasks]
            assert [result.return_value for result in results] == [n + 1 for n in range(50)]
            assert not any(result.is_err for result in results)
            assert (await tasks[0].get_result()).return_value == 1  # again
            await until_all_done(client)
            assert await client.ttl(tasks[0].task_id) == -1

    run(scenario())


def test_the_error_of_a_task_is_its_result(server: Server) -> None:
    async def scenario() -> None:
        async with started(server, workers=1) as broker:
            result = await result_of(await call(broker, "fail"))
            assert result.is_err
            assert isinstance(result.error, ValueError)

    run(scenario())


def test_a_task_tells_how_far_it_is(server: Server) -> None:
    async def scenario() -> None:
        async with started(server, workers=1) as broker:
            task = await call(broker, "tell_progress")
            assert (await result_of(task)).return_value == "half"
            progress = await task.get_progress()
            assert (progress.state, progress.meta) == ("STARTED", 50)

    run(scenario())


def test_a_result_that_is_not_kept_can_be_had_once(server: Server) -> None:
    async def scenario() -> None:
        async with started(server, workers=1, results={"keep_results": False, "prefix_str": "results"}) as broker:
            task = await call(broker, "add", 1, 1)
            assert (await result_of(task)).return_value == 2
            assert not await task.is_ready()
            with pytest.raises(ResultIsMissingError):
                await broker.result_backend.get_result(task.task_id)

    run(scenario())


@pytest.mark.parametrize("life", [{"result_ex_time": 100}, {"result_px_time": 100_000}], ids=["ex", "px"])
def test_a_result_is_kept_for_a_time(server: Server, life: dict[str, int]) -> None:
    async def scenario() -> None:
        async with (
            started(server, workers=1, results=life) as broker,
            redis.asyncio.from_url(server.url) as client,
        ):
            task = await call(broker, "add", 1, 1)
            assert (await result_of(task)).return_value == 2
            assert 0 < await client.pttl(task.task_id) <= 100_000

    run(scenario())


def test_a_result_is_gone_after_its_time(server: Server) -> None:
    async def scenario() -> None:
        async with (
            started(server, workers=1, results={"result_px_time": 1}) as broker,
            redis.asyncio.from_url(server.url) as client,
        ):
            task = await call(broker, "add", 1, 1)
            await until_all_done(client)

            async def is_gone() -> bool:
                return not await task.is_ready()

            await until(is_gone)
            with pytest.raises(ResultIsMissingError):
                await broker.result_backend.get_result(task.task_id)

    run(scenario())


def test_a_task_that_nobody_does_has_no_result(server: Server) -> None:
    async def scenario() -> None:
        async with started(server, maxlen=5, approximate=False) as broker:
            for n in range(8):
                task = await call(broker, "add", n, n)
            assert not await task.is_ready()
            with pytest.raises(TaskiqResultTimeoutError):
                await task.wait_result(check_interval=0.001, timeout=0.01)
            async with redis.asyncio.from_url(server.url) as client:
                assert await client.xlen("taskiq") == 5

    run(scenario())


def test_tasks_of_another_queue_are_done_by_a_worker_that_reads_it_too(server: Server) -> None:
    async def scenario() -> None:
        async with (
            started(server, workers=1, additional_streams={"urgent": ">"}) as broker,
            redis.asyncio.from_url(server.url) as client,
        ):
            task = await broker.find_task("add").kicker().with_labels(queue_name="urgent").kiq(2, 3)
            assert (await result_of(task)).return_value == 5
            assert (await client.xlen("urgent"), await client.xlen("taskiq")) == (1, 0)

    run(scenario())


def test_what_a_killed_worker_was_doing_is_done_by_another(server: Server) -> None:
    """The first is run as users do, by `taskiq worker`, hangs in its tasks, and ends by `kill -9`."""

    async def scenario() -> None:
        async with redis.asyncio.from_url(server.url) as client:
            async with started(server) as broker:
                with programs.running(
                    "taskiq", "worker", "taskiq_app:broker", "--workers", "1", REDIS_URL=server.url, WORKERS_HANG="1"
                ) as worker:
                    tasks = [await call(broker, "hang", n) for n in range(3)]
                    for task in tasks:
                        await asyncio.to_thread(worker.wait_until_printed, task.task_id)
                    worker.kill()
            await until(lambda: is_nobody_blocked(client))  # else the dead one may still be given something
            assert (await client.xpending("taskiq", "taskiq"))["pending"] == 3
            async with started(server, workers=1, idle_timeout=1) as broker:
                last = await call(broker, "add", 1, 1)  # taskiq looks for what is idle when it was given something
                assert (await result_of(last)).return_value == 2
                assert [(await result_of(task)).return_value for task in tasks] == [0, 1, 2]
                await until_all_done(client)

    run(scenario())


def test_tasks_and_results_outlive_the_server_and_workers_go_on(lasting_server: Server) -> None:
    def start_again() -> None:
        lasting_server.kill()
        lasting_server.start_again()

    async def scenario() -> None:
        async with started(lasting_server) as broker:
            tasks = [await call(broker, "add", n, 1) for n in range(20)]
            start_again()
        async with (
            started(lasting_server, workers=1, idle_timeout=1) as broker,
            redis.asyncio.from_url(lasting_server.url) as client,
        ):
            tasks += [await call(broker, "add", 20, 1)]
            assert [(await result_of(task)).return_value for task in tasks] == [n + 1 for n in range(21)]
            await until_all_done(client)
            start_again()
            kept = [await until(lambda task=task: attempt(task.get_result())) for task in tasks]
            assert [result.return_value for result in kept] == [n + 1 for n in range(21)]
            last = await until(lambda: attempt(call(broker, "add", 21, 1)))
            assert (await result_of(last)).return_value == 22

    run(scenario())


def test_schedules_are_kept_listed_and_removed(server: Server) -> None:
    async def scenario() -> None:
        source = RedisScheduleSource(server.url, buffer_size=3)
        schedules = [
            ScheduledTask(
                task_name="add", labels={}, args=[n, 1], kwargs={}, schedule_id=f"s{n}", time=datetime.datetime.now()
            )
            for n in range(7)
        ]
        for schedule in schedules:
            await source.add_schedule(schedule)
        assert sorted((each.schedule_id, each.args) for each in await source.get_schedules()) == [
            (f"s{n}", [n, 1]) for n in range(7)
        ]
        await source.post_send(schedules[0])
        await source.delete_schedule("s6")
        assert sorted(each.schedule_id for each in await source.get_schedules()) == [f"s{n}" for n in range(1, 6)]
        await source.shutdown()

    run(scenario())
