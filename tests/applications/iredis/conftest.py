"""iredis' command in an environment of its own, made once from the committed list of packages."""

from __future__ import annotations

import shutil
import sys
import venv
from pathlib import Path
from typing import Final

import pytest

from tests.support import installing

HERE: Final = Path(__file__).parent
PLACE: Final = HERE.parents[2] / ".applications" / "iredis"  # of the checkout; not below tests, whose files are ours
INSTALL_SECONDS: Final = 100.0


@pytest.fixture(scope="session")
def iredis() -> Path:
    """The command. Its environment is made anew when the list has changed; workers of pytest-xdist wait for one."""
    PLACE.parent.mkdir(exist_ok=True)
    installing.once(PLACE, HERE / "requirements.txt", PLACE.with_suffix(".lock"), _install)
    return PLACE / "bin" / "iredis"


def _install() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    venv.create(PLACE)  # without a pip of its own: ours installs into it
    command = [sys.executable, "-m", "pip", "--python", PLACE / "bin" / "python", "install", "--quiet", "--no-deps"]
    installing.run([*command, "--no-compile", "-r", HERE / "requirements.txt"], INSTALL_SECONDS)
