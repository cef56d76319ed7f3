"""redlock over ioredis against Redis and respbroker: its scripts are known, for one resource and for several."""

from __future__ import annotations

import pytest

from tests.applications.node.programs import Node
from tests.support.servers import Server


@pytest.mark.parametrize("check", ["oneResource", "severalResources", "anothersLock"])
def test_redlock_finds_what_it_expects(node: Node, server: Server, check: str) -> None:
    node.program("redlock.mjs").ask(check, url=server.url)
