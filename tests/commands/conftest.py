"""The node that a command's tests ask, where it needs no settings of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.nodes import NodeUnderTest, open_node


@pytest.fixture
def node(tmp_path: Path) -> NodeUnderTest:
    return open_node(tmp_path)
