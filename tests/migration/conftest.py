"""Servers to move from and to, empty at the beginning of each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.migration.moving import client_of
from tests.support import servers
from tests.support.servers import Server

DEBIAN = Path("/usr/bin/redis-server")  # 7.0, where it is installed


@pytest.fixture(scope="session")
def debian_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("debian")
    server = servers.start("debian", servers.redis_like(DEBIAN, ()), directory)
    yield server
    server.stop()


@pytest.fixture(params=["redis", "valkey", *(["debian"] if shutil.which(DEBIAN) else [])])
def source(request: pytest.FixtureRequest) -> Server:
    """A server of each kind that streams are moved from."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    client_of(server.url).flushall()
    return server


@pytest.fixture
def redis_source(redis_server: Server) -> Server:
    client_of(redis_server.url).flushall()
    return redis_server


@pytest.fixture
def target(respbroker_server: Server) -> Server:
    client_of(respbroker_server.url).flushall()
    return respbroker_server
