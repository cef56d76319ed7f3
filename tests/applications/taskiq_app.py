"""Tasks as taskiq's users write them; workers are run by `taskiq worker taskiq_app:broker`, or beside the caller."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

from taskiq import Context, TaskiqDepends
from taskiq.depends.progress_tracker import ProgressTracker, TaskState
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker


def make_broker(url: str, *, results: dict[str, Any] | None = None, **options: Any) -> Any:
    """A broker with all tasks."""
    broker = RedisStreamBroker(url, **{"xread_block": 200, **options})
    broker.with_result_backend(RedisAsyncResultBackend(url, **(results or {})))

    @broker.task("add")
    async def add(a: int, b: int) -> int:
        return a + b

    @broker.task("fail")
    async def fail() -> None:
        raise ValueError("a task that fails")

    @broker.task("hang")
    async def hang(number: int, context: Annotated[Context, TaskiqDepends()]) -> int:
        """Never ends in a worker that was told so."""
        print(f"began {context.message.task_id}")
        if os.environ.get("WORKERS_HANG"):
            await asyncio.Event().wait()
        return number

    @broker.task("tell_progress")
    async def tell_progress(progress: Annotated[ProgressTracker[int], TaskiqDepends()]) -> str:
        await progress.set_progress(TaskState.STARTED, 50)
        return "half"

    return broker


if url := os.environ.get("REDIS_URL"):
    broker = make_broker(url)
