"""edx-event-bus-redis: Django services that send events to a stream and consume them, by their own commands."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import AbstractContextManager
from typing import Any

import redis

from tests.applications import programs
from tests.applications.programs import HERE, Program
from tests.support.replica_sets import until
from tests.support.servers import Server

PLACE = HERE / "edx"
STREAM, GROUP = "test-logins", "greeters"
EVENT = "org.openedx.learning.auth.session.login.completed.v1"


def log_in(server: Server, *names: str) -> None:
    """These users log in; what the service sent is in the stream when this returns."""
    program = [sys.executable, "edx_logins.py", *names]
    environment = {"DJANGO_SETTINGS_MODULE": "edx_settings", "REDIS_URL": server.url, "PRODUCES": "1", "PATH": ""}
    subprocess.run(program, cwd=PLACE, env=environment, check=True, timeout=60)


def consumer(server: Server, name: str, hangs: str = "", **extra: Any) -> AbstractContextManager[Program]:
    words = ["-m", "django", "consume_events", "-t", "logins", "-g", GROUP]
    options = json.dumps({"consumer_name": name, **extra})
    environment = {"DJANGO_SETTINGS_MODULE": "edx_settings", "REDIS_URL": server.url, "PYTHONPATH": ".", "HANGS": hangs}
    return programs.running(sys.executable, *words, "--extra", options, cwd=PLACE, **environment)


def pending(client: redis.Redis) -> dict[str, int]:
    """How many events each consumer holds."""
    held = client.xpending(STREAM, GROUP)["consumers"]
    return {each["name"].decode(): each["pending"] for each in held}


def test_events_are_consumed_and_what_a_killed_consumer_held_is_consumed_by_another(server: Server) -> None:
    with redis.Redis.from_url(server.url) as client:
        log_in(server, "anna", "fail", "hang", "ben")
        with consumer(server, "first", hangs="1", check_backlog=True) as first:
            first.wait_until_printed("began hang")
            assert f"welcomed anna {EVENT}" in first.printed()
            assert "a receiver that fails" in first.printed()
            first.kill()
        assert pending(client) == {"first": 1}  # what failed is acknowledged too
        with consumer(server, "second", check_backlog=True, claim_msgs_older_than=1) as second:
            second.wait_until_printed("welcomed ben")
            assert second.printed().index("welcomed hang") < second.printed().index("welcomed ben")
            until(lambda: not pending(client), "all acknowledged")
        (group,) = client.xinfo_groups(STREAM)
        assert (group["entries-read"], group["lag"]) == (4, 0)

        (_, (failed, _), *_) = client.xrange(STREAM)
        with consumer(server, "third", last_read_msg_id=failed.decode()) as third:
            third.wait_until_printed("welcomed ben")
            assert "welcomed hang" in third.printed()
            assert "anna" not in third.printed()


def test_a_consumer_that_ends_with_the_server_goes_on_when_both_are_started_again(lasting_server: Server) -> None:
    """It takes a lost connection for fatal: whoever runs it starts it again."""
    log_in(lasting_server, "anna", "ben")
    with redis.Redis.from_url(lasting_server.url) as client:
        entries = client.xrange(STREAM)
        client.xdel(STREAM, entries[1][0])
        with consumer(lasting_server, "first", check_backlog=True) as first:
            first.wait_until_printed("welcomed anna")
            until(lambda: not pending(client), "acknowledged")
            client.close()
            lasting_server.kill()
            assert first.process.wait(30) == 0
        lasting_server.start_again()
        client.xadd(STREAM, entries[1][1])
        with consumer(lasting_server, "first", check_backlog=True) as first:
            first.wait_until_printed("welcomed ben")
            assert "anna" not in first.printed()
