"""The pytest plugin: its options, and the fixtures `respbroker_server`, `redis_server` and `both_servers`.

Starting a respbroker takes a good part of a second, emptying one a few milliseconds. So a server is started by the
first test that wants it, kept to the end of the run, and made as new before each test; one that a test has stopped, or
left so that this is not possible, is replaced. With pytest-xdist each worker has its own.

Whoever does not use the fixtures pays for a few lines: nothing else is imported before a test asks for a server.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from .servers import Server

NAMES: Final = ("redis", "respbroker")
LOG_TAIL: Final = 4000  # characters in the report of a failed test
_IN_USE: Final = pytest.StashKey[
    list[tuple["Server", int]]
]()  # servers of a test, and the length of their logs before it


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    group = parser.getgroup("respbroker", "the same test on Redis and respbroker")
    group.addoption("--redis-server", metavar="PATH", help="the redis-server to test against")
    parser.addini("respbroker_require_redis", "without a redis-server fail, instead of skipping", "bool", default=False)
    parser.addini(
        "respbroker_url_variables", "environment variables that hold the URL of a test's server", "args", default=[]
    )
    _leave_assertions_alone(pluginmanager)


def _leave_assertions_alone(pluginmanager: pytest.PytestPluginManager) -> None:
    """Take the server and the log out of what pytest rewrites.

    It rewrites the assertions of everything that is installed with a plugin, to explain them. Ours are invariants on
    hot paths: who tests with a node or a log in the same process shall run the code that is run otherwise.
    """
    marked: set[str] = getattr(pluginmanager.rewrite_hook, "_must_rewrite", set())
    marked -= {"respbroker", "storage"}


class Servers:
    """The servers of a run: at most one of each name."""

    def __init__(self, redis_server: str | None) -> None:
        self._redis_server = redis_server
        self._running: dict[str, Server] = {}

    def fresh(self, name: str) -> Server:
        """The one of that name, as new."""
        from redis import RedisError

        server = self._running.get(name)
        if server is not None:
            try:
                server.reset()
            except RedisError:
                del self._running[name]
                server.stop()
            else:
                return server
        self._running[name] = server = self._start(name)
        return server

    def _start(self, name: str) -> Server:
        from .servers import start_redis, start_respbroker

        return start_respbroker() if name == "respbroker" else start_redis(self._redis_server)

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()


@pytest.fixture(scope="session")
def _respbroker_servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    servers = Servers(pytestconfig.getoption("--redis-server"))
    yield servers
    servers.stop()


@pytest.fixture
def respbroker_server(
    request: pytest.FixtureRequest, _respbroker_servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A respbroker without any data."""
    yield from _serve("respbroker", request, _respbroker_servers, monkeypatch)


@pytest.fixture
def redis_server(
    request: pytest.FixtureRequest, _respbroker_servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A redis-server without any data. Where none is found the test is skipped, or fails (respbroker_require_redis)."""
    yield from _serve("redis", request, _respbroker_servers, monkeypatch)


@pytest.fixture(params=NAMES)
def both_servers(
    request: pytest.FixtureRequest, _respbroker_servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """The test runs twice: with a redis-server, then with a respbroker."""
    yield from _serve(request.param, request, _respbroker_servers, monkeypatch)


def _serve(
    name: str, request: pytest.FixtureRequest, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    from .finding import NotFound

    try:
        server = servers.fresh(name)
    except NotFound as refusal:
        if request.config.getini("respbroker_require_redis"):
            pytest.fail(str(refusal), pytrace=False)
        pytest.skip(str(refusal))
    for variable in request.config.getini("respbroker_url_variables"):
        monkeypatch.setenv(variable, server.url)
    request.node.stash.setdefault(_IN_USE, []).append((server, server.log.stat().st_size))
    yield server
    server.close_clients()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failed test's report what its servers have printed since it began."""
    report = yield
    if report.failed:
        for server, since in item.stash.get(_IN_USE, []):
            if server.log.exists() and (text := server.printed(since)[-LOG_TAIL:].strip()):
                report.sections.append((f"log of {server.program}", text))
    return report
