"""The compacted topic: waiting until it was compacted, and reading it back as a table."""

from __future__ import annotations

import time
from typing import Any, Final

import redis

from examples.aircraft.producer import rows
from examples.aircraft.topics import KEY_FIELD, LATEST

PAGE: Final = 1000
PATIENCE_SECONDS: Final = 60.0


def compacted(client: redis.Redis, before: int) -> tuple[int, int]:
    """Entries written, and those left once cleaning has taken the first away and come to rest."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    last = before
    while time.monotonic() < deadline:
        now = client.xlen(LATEST)
        if now == last < before:
            break
        last = now
        time.sleep(12 if now < before else 0.5)  # the server looks every ten seconds
    return before, client.xlen(LATEST)


def last_flights(client: redis.Redis) -> dict[str, dict[str, str]]:
    """The table: for each key the last entry, as any reader of a compacted topic makes it."""
    table: dict[str, dict[str, str]] = {}
    start = "-"
    while page := entries(client, start):
        for _, fields in page:
            table[fields[KEY_FIELD]] = fields
        start = f"({page[-1][0]}"
    return table


def entries(client: redis.Redis, start: str) -> list[Any]:
    page: list[Any] = client.xrange(LATEST, start, "+", count=PAGE)
    return page


def table_is_right(table: dict[str, dict[str, str]], count: int) -> bool:
    """Whether it holds the last flight of each aircraft, and no other."""
    expected = {fields[KEY_FIELD]: str(row) for row, fields in rows(count)}
    return {aircraft: fields["row"] for aircraft, fields in table.items()} == expected
