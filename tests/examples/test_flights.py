"""The flights example, with the first twenty thousand flights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_flight_is_lost_though_a_consumer_and_the_server_are_killed(tmp_path):
    command = [sys.executable, "-m", "examples.flights", "--quick", "--dir", str(tmp_path)]
    example = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = example.communicate(timeout=110)
    except subprocess.TimeoutExpired:
        os.killpg(example.pid, signal.SIGKILL)  # with the server, the producers and the consumers it started
        output, _ = example.communicate()
    assert example.returncode == 0, output
    assert "killed consumer-1 with -9" in output
    assert "killed the server with -9" in output
    assert "every flight was handled, none is missing" in output
