"""Each numbered example, run as its reader would run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
LINES_MAX = 60

#: What each example is to say, in this order (other lines may stand between).
SAYS = {
    "01_append_and_read": ["'celsius': '17.5'", "behind the first: 2", "the newest: 18.5", "left after trimming: 2"],
    "02_consumer_group": [
        "anna was given 0 1 2",
        "bert was given 3 4 5",
        "anna still has 2",
        "pending in the group: 2",
        "not yet given to anyone: 0",
    ],
    "03_claim_after_crash": [
        "unlucky has been given 3 mails",
        "heir takes over reader-0@example.org",
        "heir takes over reader-1@example.org",
        "heir takes over reader-2@example.org",
        "the next one was delivered 1 time, to heir",
    ],
    "04_blocking_readers": ["three porters heard first ground second", "nobody rang: []"],
    "05_idempotent_producer": [
        "the same entry: True",
        "another producer, another entry: True",
        "entries: 3",
        "remembers 1000 for 300 seconds",
    ],
    "06_storage_alone": [
        "records: 600 from (86400, 0) to (864059, 0)",
        "the first three of day 3: tick 259200 tick 259201 tick 259202",
        "after the crash: 600 records",
        "freed something: True - day 5 is still there: True",
    ],
}


def output_of(name: str, *arguments: str) -> str:
    """What the example prints; fails with what it says when it fails."""
    command = [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_says(name: str, output: str) -> None:
    position = 0
    for text in SAYS[name]:
        found = output.find(text, position)
        assert found >= 0, f"{text!r} is not in\n{output[position:]}"
        position = found + len(text)


@pytest.mark.parametrize("name", [name for name in SAYS if name != "06_storage_alone"])
def test_an_example_says_what_it_should(name, respbroker_server):
    assert_says(name, output_of(name, respbroker_server.url))


def test_the_storage_example_needs_no_server(tmp_path):
    assert_says("06_storage_alone", output_of("06_storage_alone", str(tmp_path / "log")))


def test_every_numbered_example_is_run_here_and_short():
    paths = sorted(EXAMPLES.glob("[0-9]*.py"))
    assert [path.stem for path in paths] == sorted(SAYS)
    for path in paths:
        assert len(path.read_text().splitlines()) <= LINES_MAX, path
