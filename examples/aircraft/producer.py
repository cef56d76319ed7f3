"""The producer: every flight in the order of the year, to both topics. Run by the example, as a process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Final

import redis

from examples.aircraft.topics import FLIGHTS, KEY_FIELD, LATEST
from examples.flights.connection import connect
from examples.flights.data import flights

PIPELINE: Final = 500
UNKNOWN: Final = "unknown"  # some flights do not tell their aircraft


def rows(count: int) -> Iterator[tuple[int, dict[str, str]]]:
    """The first flights of the year with a tail number each."""
    for row, fields in flights(0, count):
        yield row, {KEY_FIELD: UNKNOWN, **fields}


def produce(client: redis.Redis, count: int) -> None:
    source = rows(count)
    while batch := list(islice(source, PIPELINE)):
        with client.pipeline(transaction=False) as pipeline:
            for row, fields in batch:
                pipeline.xadd(FLIGHTS, {KEY_FIELD: fields[KEY_FIELD], "row": row, **fields})
                pipeline.xadd(LATEST, {KEY_FIELD: fields[KEY_FIELD], "row": row, **fields})
            pipeline.execute()


if __name__ == "__main__":
    url, count = sys.argv[1:]
    produce(connect(url), int(count))
