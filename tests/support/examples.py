"""An example that is a program of several processes, run as its reader would run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def output_of(module: str, *arguments: object) -> str:
    """What an example prints; with it end every process that it started."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "120"}
    example = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = example.communicate(timeout=220)
    except subprocess.TimeoutExpired:
        os.killpg(example.pid, signal.SIGKILL)
        output, _ = example.communicate()
    assert example.returncode == 0, output
    return output
