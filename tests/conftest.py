"""What all tests share: running servers, and their logs when a test fails."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # so that a plain `pytest` finds `tests.support` as `python -m pytest` does
    sys.path.insert(0, str(ROOT))

from tests.support import needs, servers  # noqa: E402
from tests.support.servers import Server  # noqa: E402

#: So many more open files than after the last collection, and it is time for another.
FILES, FILES_MORE = Path("/proc/self/fd"), 200
LOG_TAIL = 4000  # characters of each server's log in the report of a failed test


def _session_server(name: str) -> Iterator[Server]:
    try:
        servers.command_for(name)
    except servers.NotInstalled as missing:
        needs.missing(f"{name}, from {missing}")
    with servers.running(name) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """A redis-server 8.2 for the whole run; a test that uses it begins with FLUSHALL."""
    yield from _session_server("redis")


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    """A valkey-server 9.1 for the whole run."""
    yield from _session_server("valkey")


@pytest.fixture(scope="session")
def respbroker_server() -> Iterator[Server]:
    """Our server for the whole run. Tests that stop it or change its settings start one of their own."""
    yield from _session_server("respbroker")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    if open_files() > item.config.stash.get(_FILES_LEFT, 0) + FILES_MORE:
        gc.collect()  # nodes of tests that are over: whoever uses select() after them needs small numbers
        item.config.stash[_FILES_LEFT] = open_files()
    item.stash[_LOG_STARTS] = {server.log_path: server.log_path.stat().st_size for server in servers.RUNNING}
    return (yield)


_LOG_STARTS = pytest.StashKey[dict[Path, int]]()
_FILES_LEFT = pytest.StashKey[int]()


def open_files() -> int:
    return len(os.listdir(FILES)) if FILES.is_dir() else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failed test's report what the running servers logged since it began."""
    report = yield
    if report.failed:
        starts = item.stash.get(_LOG_STARTS, {})
        for server in servers.RUNNING:
            text = server.log_text(since=starts.get(server.log_path, 0))[-LOG_TAIL:]
            if text.strip():
                report.sections.append((f"log of {server.name} on port {server.port}", text))
    return report


@pytest.fixture(scope="session")
def second_redis() -> Iterator[Server]:
    """Another redis-server 8.2, for tests that ask whether a comparison holds between equals."""
    yield from _session_server("redis")
