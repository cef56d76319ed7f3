"""How producers and consumers connect: redis-py, told to be patient while the server is away."""

from __future__ import annotations

from typing import Final

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError
from redis.retry import Retry

STREAM: Final = "flights"
GROUP: Final = "handlers"


def connect(url: str) -> redis.Redis:
    """A client that repeats a request for about a minute before it gives up."""
    patience = Retry(ExponentialBackoff(cap=0.25, base=0.01), retries=240)
    return redis.Redis.from_url(url, retry=patience, retry_on_error=[BusyLoadingError], decode_responses=True)


def supports_idempotent_append(client: redis.Redis) -> bool:
    """Whether XADD knows IDMP (Redis 8.6 and later, respbroker)."""
    return bool(client.command_list(pattern="xcfgset"))
