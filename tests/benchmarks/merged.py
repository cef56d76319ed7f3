"""Several runs of the comparison as one table and one chart, from the JSON that they wrote.

    python -m tests.benchmarks.merged FILE [FILE ...] [--chart FILE]

Runs of different sizes belong together when some workloads take minutes at the size that others need.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.benchmarks.measure import Summary
from tests.benchmarks.report import Row, chart, details, table
from tests.benchmarks.workloads import WORKLOADS


def rows_of(paths: list[Path]) -> list[Row]:
    """The rows of all runs, in the order of the table of workloads; the last run that has a workload counts."""
    found: dict[str, Row] = {}
    known = {workload.name: workload for workload in WORKLOADS}
    for path in paths:
        for each in json.loads(path.read_text())["workloads"]:
            summaries = {name: Summary(**summary) for name, summary in each["servers"].items()}
            found[each["workload"]] = Row(known[each["workload"]], summaries)
    return [found[workload.name] for workload in WORKLOADS if workload.name in found]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.merged", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--chart", type=Path, metavar="FILE")
    wanted = parser.parse_args()
    rows = rows_of(wanted.files)
    print(table(rows))
    print(details(rows))
    if wanted.chart:
        wanted.chart.write_text(chart(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
