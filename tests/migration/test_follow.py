"""`respbroker migrate --follow`: it keeps up with a source that is in use, and ends when both are level."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from tests.migration.following import Following, at_work, produce
from tests.migration.moving import assert_alike, build, client_of, fill, ids, portrait
from tests.support import servers
from tests.support.servers import Server


@pytest.fixture
def follow() -> Iterator[type[Following] | object]:
    started: list[Following] = []

    def start(*arguments: object) -> Following:
        started.append(Following(*arguments))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for each in started:
        each.kill()


def test_what_changes_at_the_source_changes_in_the_target(source: Server, target: Server, follow) -> None:
    client = client_of(source.url)
    send = client.execute_command
    build(client)
    following = follow(source, target, "--verify")
    following.wait_for("level:")
    fill(client, "holes", 3001, 3000)
    fill(client, "new", 1, 10)
    send("XGROUP", "CREATE", "new", "g", "0")
    send("XREADGROUP", "GROUP", "g", "c", "COUNT", 5, "STREAMS", "new", ">")
    send("XREADGROUP", "GROUP", "workers", "dora", "COUNT", 2800, "STREAMS", "holes", ">")
    send("XACK", "holes", "workers", *ids(1450, 3000))
    send("XDEL", "holes", *ids(4000, 700))
    send("XTRIM", "holes", "MINID", "1235-0")
    send("XGROUP", "DESTROY", "holes", "audit")
    send("XGROUP", "DELCONSUMER", "holes", "workers", "idle")
    send("DEL", "large")
    send("EXPIRE", "set", 500_000)
    following.wait_for("the source is written to")
    following.wait_for("level:")
    out = following.end()
    assert "level, and settled" in out
    assert "Both sides are alike" in out
    assert_alike(portrait(client, idempotency=False), portrait(client_of(target.url), idempotency=False))


def test_the_last_pass_settles_what_no_counter_shows(redis_source: Server, target: Server, follow) -> None:
    client = client_of(redis_source.url)
    fill(client, "s", 1, 100)
    client.execute_command("XGROUP", "CREATE", "s", "g", "0")
    client.execute_command("XREADGROUP", "GROUP", "g", "a", "COUNT", 50, "STREAMS", "s", ">")
    following = follow(redis_source, target)
    following.wait_for("level:")
    client.execute_command("XCLAIM", "s", "g", "a", 0, *ids(10, 5), "RETRYCOUNT", 9, "IDLE", 100_000)
    assert "level, and settled" in following.end()
    assert_alike(portrait(client, idempotency=False), portrait(client_of(target.url), idempotency=False))


def test_under_aproducer_and_aconsumer_nothing_is_lost(redis_source: Server, target: Server, follow) -> None:
    client = client_of(redis_source.url)
    client.execute_command("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    with at_work(redis_source.url) as stop:
        following = follow(redis_source, target, "--verify")
        following.wait_for("Following.")
        while int(client.execute_command("XINFO", "STREAM", "s")[11]) < 3000:  # entries-added
            stop.wait(0.01)
    out = following.end()
    assert "Both sides are alike" in out
    assert_alike(portrait(client, idempotency=False), portrait(client_of(target.url), idempotency=False))


def test_a_time_of_expiry_that_is_known_only_about_changes_nothing(target: Server, follow) -> None:
    with servers.redis_server("--rename-command", "PEXPIRETIME", "") as old:
        client = client_of(old.url)
        fill(client, "s", 1, 3)
        client.execute_command("PEXPIRE", "s", 500_000)
        following = follow(old, target)
        following.wait_for("level:")
        assert "level, and settled" in following.end()


def test_a_target_that_ends_idle_connections_keeps_this_one(redis_source: Server, follow) -> None:
    client = client_of(redis_source.url)
    fill(client, "s", 1, 3)
    with servers.redis_server("--timeout", "1") as target:
        following = follow(redis_source, target)
        following.wait_for("level:")
        while not _ages(target, at_least=4):
            threading.Event().wait(0.1)  # between two looks
        fill(client, "s", 4, 3)
        following.wait_for("level:")
        assert "level, and settled" in following.end()
        assert client_of(target.url).execute_command("XLEN", "s") == 6


def _ages(server: Server, at_least: int) -> list[int]:
    """The ages in seconds of a server's connections, of those that are old enough."""
    clients = client_of(server.url).execute_command("CLIENT", "LIST").decode().splitlines()
    ages = [int(word.removeprefix("age=")) for line in clients for word in line.split() if word.startswith("age=")]
    return [age for age in ages if age >= at_least]


def test_a_source_that_is_still_written_to_is_not_called_level(redis_source: Server, target: Server, follow) -> None:
    stop = threading.Event()
    writer = threading.Thread(target=produce, args=(redis_source.url, stop))
    writer.start()
    try:
        following = follow(redis_source, target)
        following.wait_for("Following.")
        following.process.send_signal(signal.SIGTERM)
        _, err = following.process.communicate(timeout=60)
    finally:
        stop.set()
        writer.join()
    assert following.process.returncode == 1
    assert "Error: not level: 1 stream changed during the last pass. Stop producers and consumers" in err
