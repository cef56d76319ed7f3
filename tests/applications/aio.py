"""Scenarios of asyncio libraries in ordinary tests: each has a limit, whatever it waits for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

LIMIT_SECONDS = 20.0
T = TypeVar("T")


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario to its end. TimeoutError: something that it waits for does not come."""
    with leftovers_ignored():
        asyncio.run(asyncio.wait_for(scenario, LIMIT_SECONDS))


@contextlib.contextmanager
def leftovers_ignored() -> Iterator[None]:
    """Take no offence at what a library leaves open when it is cut off; it is gone on the way out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


async def take(queue: asyncio.Queue[T], count: int) -> list[T]:
    """The next ``count`` things of a queue, as soon as they are there."""
    return [await queue.get() for _ in range(count)]


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Ask again and again until something in another process is so; what was answered then."""
    while not (answer := await condition()):  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.002)
    return answer
