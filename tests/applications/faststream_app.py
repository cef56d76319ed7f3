"""A worker as FastStream's users write it, run by `faststream run`: orders with an even number never get done."""

from __future__ import annotations

import asyncio
import os

from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub

broker = RedisBroker(os.environ["REDIS_URL"])
app = FastStream(broker)


@broker.subscriber(stream=StreamSub("orders", group="workers", consumer=os.environ["CONSUMER"]), max_workers=4)
async def handle(number: int) -> None:
    print(f"began {number}")
    if number % 2 == 0:
        await asyncio.Event().wait()
    print(f"did {number}")
