"""What tests install for themselves from a committed list, once: workers of pytest-xdist wait for one another."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


def once(place: Path, wanted: Path, lock: Path, install: Callable[[], None]) -> None:
    """Install in ``place`` what ``wanted`` lists, unless that was done before; one at a time, by the file ``lock``."""
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    installed = place / ".installed"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_text() != digest:
            install()
            installed.write_text(digest)


def run(command: Sequence[str | Path], seconds: float, directory: Path | None = None) -> None:
    """Run an installer; the test fails with what it printed if it does."""
    done = subprocess.run(
        command,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{command[0]}: {done.stdout}", pytrace=False)
