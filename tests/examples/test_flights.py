"""The examples with the flights, each with the first thousands of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def output_of(module: str, directory: Path) -> str:
    """What an example prints; with it end the server, the producers and the consumers that it started."""
    command = [sys.executable, "-m", module, "--quick", "--dir", str(directory)]
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


@pytest.mark.timeout(240)
def test_no_flight_is_lost_though_a_consumer_and_the_server_are_killed(tmp_path):
    output = output_of("examples.flights", tmp_path)
    assert "killed consumer-1 with -9" in output
    assert "killed the server with -9" in output
    assert "every flight was handled, none is missing" in output


@pytest.mark.timeout(240)
def test_flights_of_each_aircraft_are_handled_in_order_though_a_consumer_is_killed(tmp_path):
    output = output_of("examples.aircraft", tmp_path)
    assert "killed consumer-2 with -9" in output
    assert re.search(r"aircraft with flights out of order +│ 0 ", output), output
    assert re.search(r"compacted from 12,000 entries to [0-9,]+", output), output
    assert "each aircraft's flights were handled in order" in output
