"""iredis' command in an environment of its own, made once from the committed list of packages."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
PLACE: Final = HERE.parents[2] / ".applications" / "iredis"  # of the checkout; not below tests, whose files are ours
INSTALL_SECONDS: Final = 100.0


@pytest.fixture(scope="session")
def iredis() -> Path:
    """The command. Its environment is made anew when the list has changed; workers of pytest-xdist wait for one."""
    wanted = hashlib.sha256((HERE / "requirements.txt").read_bytes()).hexdigest()
    installed = PLACE / ".installed"
    PLACE.parent.mkdir(exist_ok=True)
    with PLACE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_text() != wanted:
            _install()
            installed.write_text(wanted)
    return PLACE / "bin" / "iredis"


def _install() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    venv.create(PLACE)  # without a pip of its own: ours installs into it
    command = [sys.executable, "-m", "pip", "--python", PLACE / "bin" / "python", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-compile", "-r", HERE / "requirements.txt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"pip install: {done.stdout}", pytrace=False)
