"""The command that measures how cost grows, at sizes that take seconds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks.growth import steps
from tests.support import needs
from tests.support.servers import ROOT

SMALL = "--most-entries 1000 --most-streams 10 --most-connections 10 --scale 0.01 --servers respbroker"


def test_three_tables_and_three_panels_come_of_tiny_sizes(tmp_path: Path) -> None:
    if not (shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")):
        needs.missing("redis-benchmark")
    found, drawn = tmp_path / "growth.json", tmp_path / "growth.svg"
    options = [*SMALL.split(), "--directory", tmp_path, "--json", found, "--chart", drawn]
    command = [sys.executable, "-m", "tests.benchmarks.growth", *map(str, options)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    curves = {curve["name"]: curve for curve in json.loads(found.read_text())["curves"]}
    sizes = {name: [point["size"] for point in curve["points"]] for name, curve in curves.items()}
    assert sizes == {"entries": [1000], "streams": [1, 10], "connections": [1, 10]}
    for curve in curves.values():
        assert curve["title"] in done.stdout
        for point in curve["points"]:
            assert list(point["figures"]) == curve["columns"]
            assert all(figure is None or figure > 0 for figure in point["figures"].values()), point
    assert len(ElementTree.parse(drawn).findall("{*}polyline")) == 3
    assert list(tmp_path.iterdir()) in ([found, drawn], [drawn, found])  # nothing of the servers stays


@pytest.mark.parametrize(
    ("first", "most", "sizes"),
    [(1, 1000, [1, 10, 100, 1000]), (1, 20, [1, 10, 20]), (1, 1, [1]), (10_000, 500, [500])],
)
def test_sizes_are_powers_of_ten_and_the_largest_that_was_asked_for(first: int, most: int, sizes: list[int]) -> None:
    assert steps(first, most) == sizes
