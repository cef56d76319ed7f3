"""The flights example, with the first twenty thousand flights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_flight_is_lost_though_a_consumer_and_the_server_are_killed(tmp_path):
    command = [sys.executable, "-m", "examples.flights", "--quick", "--dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed consumer-1 with -9" in done.stdout
    assert "killed the server with -9" in done.stdout
    assert "every flight was handled, none is missing" in done.stdout
