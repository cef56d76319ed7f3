"""node-redis and ioredis at a server that asks for a password, in a database that is not the first."""

from __future__ import annotations

import pytest

from tests.applications.credentials import IN_URL
from tests.applications.node.programs import Node
from tests.support.servers import HOST, Server

every_client = pytest.mark.parametrize(
    ("program", "package", "protocol"),
    [
        ("node_redis.mjs", "redis5", 2),
        ("node_redis.mjs", "redis5", 3),
        ("node_redis.mjs", "redis", 2),
        ("node_redis.mjs", "redis", 3),
        ("ioredis.mjs", "ioredis", 2),
        ("ioredis.mjs", "ioredis6", 2),
        ("ioredis.mjs", "ioredis6", 3),
    ],
)


@every_client
def test_who_knows_the_password_is_let_in(
    node: Node, guarded_server: Server, program: str, package: str, protocol: int
) -> None:
    for user in ("", "default"):
        url = f"redis://{user}:{IN_URL}@{HOST}:{guarded_server.port}/2"
        found = node.program(program, package).ask("handshake", url=url, protocol=protocol)
        assert (int(found["database"]), found["protocol"]) == (2, protocol)


@every_client
def test_who_does_not_is_refused(node: Node, guarded_server: Server, program: str, package: str, protocol: int) -> None:
    worker = node.program(program, package)
    wrong = worker.ask("refusal", url=f"redis://:guessed@{HOST}:{guarded_server.port}", protocol=protocol)
    assert wrong.split()[0] in {"WRONGPASS", "NOAUTH"}, wrong
    none = worker.ask("refusal", url=guarded_server.url, protocol=protocol)
    assert none.startswith("NOAUTH"), none
