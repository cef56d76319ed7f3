"""Streams with everything that is hard to move, and what a server says of them, for comparing two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import redis
from click.testing import CliRunner

from respbroker.cli import main
from respbroker.migration.facts import SAME_MS
from tests.tools.commandline import Said

#: What describes the server and not the stream.
OF_THE_SERVER = {b"radix-tree-keys", b"radix-tree-nodes", b"lag", b"seen-time", b"active-time"}
OF_IDEMPOTENCY = {b"pids-tracked", b"iids-tracked", b"iids-added", b"iids-duplicates"}

BINARY = b"\xff\x00\r\n *$"


def client_of(url: str) -> redis.Redis:
    """Replies as they come."""
    client = redis.Redis.from_url(url, protocol=2, socket_timeout=60)
    client.response_callbacks.clear()
    return client


def fill(client: redis.Redis, key: bytes | str, first: int, count: int, size: int = 8) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(first, first + count):
        pipeline.execute_command("XADD", key, f"{number}-{number % 3}", "n", str(number), "v", b"x" * size)
    pipeline.execute()


def ids(first: int, count: int) -> list[str]:
    return [f"{number}-{number % 3}" for number in range(first, first + count)]


def build(client: redis.Redis) -> None:
    """Deletions in the middle, trimmed fronts, dead consumers, pending entries without a payload, and so on."""
    send = client.execute_command
    send("SET", "a string", "is left alone")
    # Two groups that hold what was deleted and trimmed since, in the middle, at the front and at the end.
    fill(client, "holes", 1, 3000)
    send("XGROUP", "CREATE", "holes", "workers", "0")
    send("XGROUP", "CREATE", "holes", "audit", "7-0", "MKSTREAM")
    send("XREADGROUP", "GROUP", "workers", "anna", "COUNT", 2500, "STREAMS", "holes", ">")
    send("XREADGROUP", "GROUP", "workers", "bert", "COUNT", 500, "STREAMS", "holes", ">")
    send("XREADGROUP", "GROUP", "audit", BINARY, "COUNT", 20, "STREAMS", "holes", ">")
    send("XGROUP", "CREATECONSUMER", "holes", "workers", "idle")
    send("XACK", "holes", "workers", *ids(40, 1200))
    send("XCLAIM", "holes", "workers", "carl", 0, *ids(1500, 30), "TIME", 1_600_000_000_000, "RETRYCOUNT", 77)
    send("XCLAIM", "holes", "workers", "carl", 0, *ids(1540, 1), "RETRYCOUNT", 2**63 - 1)
    send("XTRIM", "holes", "MINID", "30-0")
    send("XDEL", "holes", *ids(1300, 1400), *ids(2999, 2))
    # A front of more pending entries without a payload than one reply tells.
    fill(client, "trimmed", 1, 2400)
    send("XGROUP", "CREATE", "trimmed", "g", "0")
    send("XREADGROUP", "GROUP", "g", "c", "COUNT", 2300, "STREAMS", "trimmed", ">")
    send("XTRIM", "trimmed", "MAXLEN", 50)
    # Nothing left but what is pending.
    fill(client, "emptied", 1, 5)
    send("XGROUP", "CREATE", "emptied", "g", "0")
    send("XREADGROUP", "GROUP", "g", "c", "COUNT", 3, "STREAMS", "emptied", ">")
    send("XTRIM", "emptied", "MAXLEN", 0)
    # Empty ones.
    send("XGROUP", "CREATE", "empty with group", "g", "0", "MKSTREAM")
    send("XGROUP", "CREATE", "empty", "g", "0", "MKSTREAM")
    send("XGROUP", "DESTROY", "empty", "g")
    send("XADD", "empty since", "5-5", "f", "v")
    send("XDEL", "empty since", "5-5")
    # Values and names.
    send("XADD", BINARY, "1-1", BINARY, b"", b"", b"\r\n")
    send("XADD", BINARY, "18446744073709551615-18446744073709551615", "", b"\x00" * 3_000_000)
    send("XGROUP", "CREATE", BINARY, BINARY, "$")
    fill(client, "large", 1, 40, 300_000)
    send("XGROUP", "CREATE", "large", "ahead", "99-0")
    # Counters and times.
    fill(client, "expiring", 1, 3)
    send("PEXPIRE", "expiring", 86_400_000)
    send("XADD", "set", "1-1", "f", "v")
    send("XSETID", "set", "100-7", "ENTRIESADDED", 55, "MAXDELETEDID", "50-2")


def portrait(client: redis.Redis, *, idempotency: bool = True) -> dict[bytes, Any]:
    """All that a server tells of each stream. Times of deliveries are rounded as the migration promises them."""
    names = sorted(_scan(client))
    pipeline = client.pipeline(transaction=False)
    pipeline.response_callbacks = {}
    for name in names:
        pipeline.execute_command("XINFO", "STREAM", name, "FULL", "COUNT", 0)
        pipeline.execute_command("PEXPIRETIME", name)
    replies = pipeline.execute()
    return {
        name: _of_stream(told, expires, idempotency)
        for name, told, expires in zip(names, replies[::2], replies[1::2], strict=True)
    }


def _scan(client: redis.Redis) -> Iterator[bytes]:
    cursor = b"0"
    while True:
        cursor, page = client.execute_command("SCAN", cursor, "COUNT", 1000, "TYPE", "stream")
        yield from page
        if int(cursor) == 0:
            return


def _of_stream(reply: list[Any], expires: int, idempotency: bool) -> dict[bytes, Any]:
    told = _map(reply)
    told[b"groups"] = [_map(group) for group in told[b"groups"]]
    for group in told[b"groups"]:
        group[b"consumers"] = sorted(
            (consumer[b"name"], [tuple(each[::2]) for each in consumer[b"pending"]])
            for consumer in map(_map, group[b"consumers"])
        )
        group.pop(b"nacked-count", None)
    told[b"groups"].sort(key=lambda group: group[b"name"])
    told[b"expires"] = expires
    left_out = {key for key in told if not idempotency and key.startswith(b"idmp-")}
    return {key: value for key, value in told.items() if key not in OF_IDEMPOTENCY | left_out}


def _map(flat: list[Any]) -> dict[bytes, Any]:
    told = dict(zip(flat[::2], flat[1::2], strict=True))
    return {key: value for key, value in told.items() if key not in OF_THE_SERVER}


def assert_alike(here: dict[bytes, Any], there: dict[bytes, Any]) -> None:
    """Raises AssertionError with what differs first; delivery times may be off by as much as is promised."""
    assert here.keys() == there.keys()
    for name, stream in here.items():
        other = there[name]
        for field, value in stream.items():
            if field != b"groups":
                assert value == other[field], (name, field)
        assert len(stream[b"groups"]) == len(other[b"groups"]), name
        for group, twin in zip(stream[b"groups"], other[b"groups"], strict=True):
            for field, value in group.items():
                if field != b"pending":
                    assert value == twin[field], (name, group[b"name"], field)
            this, that = group[b"pending"], twin[b"pending"]
            assert [[*each[:2], each[3]] for each in this] == [[*each[:2], each[3]] for each in that], name
            assert all(abs(a[2] - b[2]) <= SAME_MS for a, b in zip(this, that, strict=True)), name


def migrate(source: str, target: str, *words: str) -> Said:
    """Run the command in this process, whatever becomes of it; an exception that is no refusal is raised."""
    result = CliRunner().invoke(main, ["migrate", "--from", source, "--to", target, *words], prog_name="respbroker")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def migrated(source: str, target: str, *words: str) -> str:
    """Run it to a good end; what it printed."""
    said = migrate(source, target, *words)
    assert said.status == 0, said
    return said.out


def refusal(source: str, target: str, *words: str) -> str:
    """The sentence with which it refuses."""
    said = migrate(source, target, *words)
    assert said.status == 1, said
    return said.err.splitlines()[-1].removeprefix("Error: ")
