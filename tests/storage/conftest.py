"""What the tests of storage share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--storage-seeds", type=int, default=2, help="survivals tried at each cut of the crash tests")
