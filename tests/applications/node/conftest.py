"""Packages of node, as `npm ci` puts them there from the committed lock file."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

from tests.applications.node.programs import DIRECTORY, Node
from tests.support import needs

INSTALL_SECONDS: Final = 90.0
PLACE: Final = DIRECTORY / "node_modules"


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """Starts programs of node; those that a test leaves running are ended at the end of the run."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            needs.missing(f"{program}, of node 20 or newer")
    _install()
    node = Node()
    yield node
    node.stop()


def _install() -> None:
    """`npm ci`, unless what is there came from the same lock file. Workers of pytest-xdist wait for one another."""
    wanted = hashlib.sha256((DIRECTORY / "package-lock.json").read_bytes()).hexdigest()
    installed = PLACE / ".installed"
    with (DIRECTORY / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed.exists() and installed.read_text() == wanted:
            return
        done = subprocess.run(
            ["npm", "ci", "--prefer-offline"],
            cwd=DIRECTORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"npm ci: {done.stdout}", pytrace=False)
        installed.write_text(wanted)
