"""One producer: appends its share of the flights, a pipeline at a time. Run by the example, as a process.

The row's number is the idempotent ID. When the server dies in the middle of a pipeline, redis-py connects again and
repeats the whole of it: what had been appended is recognised, what had not is appended now.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import Final

import redis

from examples.flights.connection import STREAM, connect, supports_idempotent_append
from examples.flights.data import flights

PIPELINE: Final = 500  # requests sent together; the server must remember as many idempotent IDs of each producer


def produce(client: redis.Redis, name: str, first: int, end: int) -> None:
    """Append the flights of rows ``first <= row < end``."""
    idempotent = supports_idempotent_append(client)
    rows = flights(first, end)
    while batch := list(islice(rows, PIPELINE)):
        with client.pipeline(transaction=False) as pipeline:
            for row, fields in batch:
                idmp = (name, b"%d" % row) if idempotent else None
                pipeline.xadd(STREAM, {"row": str(row)} | fields, idmp=idmp)
            pipeline.execute()


if __name__ == "__main__":
    url, name, first, end = sys.argv[1:]
    produce(connect(url), name, int(first), int(end))
