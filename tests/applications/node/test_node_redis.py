"""node-redis 5 and 6 against Redis and respbroker: streams, groups, blocking reads, transactions, a server killed."""

from __future__ import annotations

from typing import Final

import pytest

from tests.applications.node.programs import Node
from tests.support.servers import Server

CHECKS: Final = ("streams", "groups", "blocking", "pipelines", "transactions", "messages", "keys", "values")
NATURAL: Final = {"redis5": 2, "redis": 3}  # the protocol that each speaks unless told otherwise

both_protocols = pytest.mark.parametrize("protocol", [2, 3])
both_versions = pytest.mark.parametrize("package", NATURAL)


@pytest.mark.parametrize("check", CHECKS)
@both_protocols
@both_versions
def test_node_redis_finds_what_it_expects(node: Node, server: Server, package: str, protocol: int, check: str) -> None:
    node.program("node_redis.mjs", package).ask(check, url=server.url, protocol=protocol)


@both_protocols
@both_versions
def test_the_server_knows_node_redis_by_its_name(node: Node, server: Server, package: str, protocol: int) -> None:
    found = node.program("node_redis.mjs", package).ask("handshake", url=server.url, protocol=protocol)
    assert found == {"library": "node-redis", "version": found["version"], "protocol": protocol, "database": 0}
    assert found["version"].split(".")[0] == {"redis5": "5", "redis": "6"}[package]


@both_versions
def test_node_redis_goes_on_after_its_server_was_killed(node: Node, lasting_server: Server, package: str) -> None:
    program = node.program("node_redis.mjs", package)
    program.ask("beforeTheKill", url=lasting_server.url, protocol=NATURAL[package])
    lasting_server.kill()
    lasting_server.start_again()
    found = program.ask("afterTheKill")
    assert found == {"broken": "Socket closed unexpectedly", "own": ["1-1"], "rest": ["1-2", "1-3"]}
