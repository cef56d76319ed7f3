"""The two servers of every test here: a redis-server 8.2, by which the test is known to be sound, and ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.applications.credentials import PASSWORD
from tests.support import servers
from tests.support.servers import Server

KINDS = ("redis", "respbroker")
LASTING = {  # nothing that was answered is lost when they are killed
    "redis": ("--appendonly", "yes", "--appendfsync", "always"),
    "respbroker": ("--appendfsync", "always"),
}


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Server:
    """An empty server of each kind. It is shared by the whole run: whoever stops it takes ``lasting_server``."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    server.call("FLUSHALL")
    return server


@pytest.fixture(scope="session")
def lasting_redis() -> Iterator[Server]:
    with servers.running("redis", *LASTING["redis"]) as server:
        yield server


@pytest.fixture(scope="session")
def lasting_respbroker() -> Iterator[Server]:
    with servers.running("respbroker", *LASTING["respbroker"]) as server:
        yield server


@pytest.fixture(params=KINDS)
def lasting_server(request: pytest.FixtureRequest) -> Server:
    """An empty server that a test may kill and start again on the same port, with the same files.

    Not in a thread: Linux ends a server with the thread that has started it.
    """
    server: Server = request.getfixturevalue(f"lasting_{request.param}")
    if server.has_ended():
        server.start_again()
    server.call("FLUSHALL")
    return server


@pytest.fixture(scope="session")
def guarded_redis() -> Iterator[Server]:
    with servers.running("redis", "--requirepass", PASSWORD) as server:
        yield server


@pytest.fixture(scope="session")
def guarded_respbroker() -> Iterator[Server]:
    with servers.running("respbroker", "--requirepass", PASSWORD) as server:
        yield server


@pytest.fixture(params=KINDS)
def guarded_server(request: pytest.FixtureRequest) -> Server:
    """A server that asks for ``PASSWORD``. What a test leaves there stays: it takes keys or a database of its own."""
    server: Server = request.getfixturevalue(f"guarded_{request.param}")
    return server
