"""The tools, and an empty server for them."""

from __future__ import annotations

import pytest

from tests.support.servers import Server
from tests.tools.commandline import Tools


@pytest.fixture
def tools(respbroker_server: Server) -> Tools:
    tools = Tools(respbroker_server)
    with tools.client as client:
        client.flushall()
    return tools


@pytest.fixture
def client(tools: Tools):
    with tools.client as client:
        yield client
