"""A team's code: orders are placed in a stream, and the workers of a group share them."""

import os

import redis

STREAM, GROUP = "orders", "workers"

Orders = list[tuple[str, dict[str, str]]]  # IDs and fields


def connect() -> redis.Redis:
    """The server that the environment names, with a stream and a group on it."""
    client = redis.Redis.from_url(os.environ["ORDERS_REDIS_URL"], protocol=2, decode_responses=True)
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as refusal:
        if not str(refusal).startswith("BUSYGROUP"):
            raise
    return client


def place(client: redis.Redis, **order: str) -> str:
    """Add an order; its ID."""
    return client.xadd(STREAM, order)


def take(client: redis.Redis, worker: str, count: int) -> Orders:
    """The oldest orders that nobody has been given."""
    return [entry for _, entries in client.xreadgroup(GROUP, worker, {STREAM: ">"}, count=count) for entry in entries]


def finish(client: redis.Redis, order_id: str) -> bool:
    """Whether it was still to be done."""
    return client.xack(STREAM, GROUP, order_id) == 1


def take_over(client: redis.Redis, worker: str, idle_ms: int) -> Orders:
    """What other workers have been given that long ago and not finished."""
    _, entries, *_ = client.xautoclaim(STREAM, GROUP, worker, idle_ms)
    return entries
