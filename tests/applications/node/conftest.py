"""Packages of node, as `npm ci` puts them there from the committed lock file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Final

import pytest

from tests.applications.node.programs import DIRECTORY, Node
from tests.support import installing, needs

INSTALL_SECONDS: Final = 90.0
PLACE: Final = DIRECTORY / "node_modules"


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """Starts programs of node; those that a test leaves running are ended at the end of the run."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            needs.missing(f"{program}, of node 20 or newer")
    installing.once(PLACE, DIRECTORY / "package-lock.json", DIRECTORY / ".install.lock", _install)
    node = Node()
    yield node
    node.stop()


def _install() -> None:
    installing.run(["npm", "ci", "--prefer-offline"], INSTALL_SECONDS, DIRECTORY)
