"""ioredis 5 and 6 against Redis and respbroker: streams, groups, blocking reads, pipelines, a server killed."""

from __future__ import annotations

import pytest

from tests.applications.node.programs import Node
from tests.support.servers import Server

CHECKS = (
    "streams",
    "groups",
    "blocking",
    "pipelines",
    "automaticPipelines",
    "transactions",
    "messages",
    "keys",
    "values",
)

every_way = pytest.mark.parametrize(("package", "protocol"), [("ioredis", 2), ("ioredis6", 2), ("ioredis6", 3)])


@pytest.mark.parametrize("check", CHECKS)
@every_way
def test_ioredis_finds_what_it_expects(node: Node, server: Server, package: str, protocol: int, check: str) -> None:
    node.program("ioredis.mjs", package).ask(check, url=server.url, protocol=protocol)


@every_way
def test_the_server_knows_ioredis_by_its_name(node: Node, server: Server, package: str, protocol: int) -> None:
    """It sends SELECT, CLIENT SETNAME, CLIENT SETINFO and INFO before the first command, and waits for the last."""
    found = node.program("ioredis.mjs", package).ask("handshake", url=server.url[:-1] + "3", protocol=protocol)
    assert found == {"name": "shop", "database": "3", "library": "ioredis", "protocol": protocol}


@every_way
def test_ioredis_waits_on_after_its_server_was_killed(
    node: Node, lasting_server: Server, package: str, protocol: int
) -> None:
    program = node.program("ioredis.mjs", package)
    program.ask("beforeTheKill", url=lasting_server.url, protocol=protocol)
    lasting_server.kill()
    lasting_server.start_again()
    found = program.ask("afterTheKill")
    assert found["handed"] == [["s", [["1-2", ["n", "2"]]]]]
    assert found["own"] == [["s", [["1-1", ["n", "1"]], ["1-2", ["n", "2"]]]]]
    assert set(found["heard"]) == {"back"}
