"""Runs that were written as JSON come back as the same table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.measure import Sample, Summary
from tests.benchmarks.merged import rows_of
from tests.benchmarks.report import Row, as_json, chart, details, table
from tests.benchmarks.workloads import WORKLOADS


def row(name: str, *figures: float) -> Row:
    workload = next(each for each in WORKLOADS if each.name == name)
    servers = ("respbroker", "redis", "valkey")
    summaries = {server: Summary.of([Sample(figure)]) for server, figure in zip(servers, figures, strict=True)}
    return Row(workload, summaries)


def test_what_was_written_is_read_and_the_last_run_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(as_json([row("xack-1", 3, 2, 1), row("ping", 10, 20, 30)], {}))
    second.write_text(as_json([row("ping", 60, 20, 30), row("memory", 50, 300, 400)], {}))
    expected = [row("ping", 60, 20, 30), row("xack-1", 3, 2, 1), row("memory", 50, 300, 400)]
    found = rows_of([first, second])
    assert (table(found), details(found), chart(found)) == (table(expected), details(expected), chart(expected))
    assert [each.ratio for each in found] == [pytest.approx(ratio) for ratio in (2.0, 1.5, 6.0)]
