"""The comparison as a table, as JSON, and as a chart."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from tests.benchmarks import svg
from tests.benchmarks.measure import Summary
from tests.benchmarks.peers import OURS, PEERS
from tests.benchmarks.workloads import RATE, Workload

REACHED, MISSED, NO_AIM = "yes", "no", ""
LOADER_LIMIT = 0.9  # of a core: above it the load generator may have been what was measured


@attrs.frozen
class Row:
    """One workload and what each server did."""

    workload: Workload
    summaries: Mapping[str, Summary]

    @property
    def ratio(self) -> float | None:
        """Ours to the faster peer; above 1 we are ahead, whatever is measured."""
        peers = [self.summaries[name].figure for name in PEERS if name in self.summaries]
        if OURS not in self.summaries or not peers:
            return None
        ours = self.summaries[OURS].figure
        if self.workload.figure == RATE:
            return ours / max(peers)
        return min(peers) / ours if ours else None

    @property
    def cpu_ratio(self) -> float | None:
        """The thriftier peer's CPU time for an operation to ours: what other programs on the machine disturb least."""
        peers = [self.summaries[name].cpu_per_million for name in PEERS if name in self.summaries]
        ours = self.summaries[OURS].cpu_per_million if OURS in self.summaries else 0.0
        return min(peers) / ours if ours and peers else None

    @property
    def reached(self) -> str:
        """Whether the aim is, where there is one and it can be told."""
        aim, limit = self.workload.aim, self.workload.limit
        if limit is not None and OURS in self.summaries:
            return REACHED if self.summaries[OURS].figure < limit else MISSED
        if aim is None or self.ratio is None:
            return NO_AIM
        return REACHED if self.ratio >= aim else MISSED

    @property
    def aim_text(self) -> str:
        if self.workload.limit is not None:
            return f"under {self.workload.limit:g} {self.workload.figure}"
        return "" if self.workload.aim is None else f"{self.workload.aim:g}"


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line for each workload, servers side by side."""
    lines = [
        "| workload | figure | respbroker | redis | valkey | ratio | by CPU | aim | reached |",
        "|---|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for row in rows:
        ratio, cpu_ratio = ("" if each is None else f"{each:.2f}" for each in (row.ratio, row.cpu_ratio))
        figures = " | ".join(_spread(row.summaries.get(name)) for name in (OURS, *PEERS))
        lines.append(
            f"| {row.workload.title} (`{row.workload.name}`) | {row.workload.figure} | {figures} | {ratio} | "
            f"{cpu_ratio} | {row.aim_text} | {row.reached} |"
        )
    return "\n".join(lines) + "\n"


def details(rows: Sequence[Row]) -> str:
    """Markdown: for each workload and server entries/s, latencies, CPU, memory."""
    lines = [
        "| workload | server | entries/s | p50 ms | p99 ms | CPU s per million ops | RSS MB | loader | notes |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        for name, summary in row.summaries.items():
            notes = ", ".join(f"{note} {value:.3g}" for note, value in summary.notes.items())
            if summary.loader_share > LOADER_LIMIT:
                notes += " (loader busy)"
            lines.append(
                f"| `{row.workload.name}` | {name} | {number(summary.entries_per_second)} | {summary.p50_ms:.3f} | "
                f"{summary.p99_ms:.3f} | {summary.cpu_per_million:.2f} | {summary.rss_mb:.0f} | "
                f"{summary.loader_share:.0%} | {notes} |"
            )
    return "\n".join(lines) + "\n"


def _spread(summary: Summary | None) -> str:
    if summary is None:
        return ""
    return f"{number(summary.figure)} ({number(summary.low)}–{number(summary.high)})"


def number(value: float) -> str:
    """Three digits or so: 252k, 1,633, 0.62."""
    if value >= 10_000:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cpu": models[0].partition(": ")[2] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory GB": round(memory),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load average": os.getloadavg()[0],
    }


def as_json(rows: Sequence[Row], settings: Mapping[str, Any]) -> str:
    """Everything, for whoever wants to compute with it."""
    found = [
        {
            "workload": row.workload.name,
            "title": row.workload.title,
            "figure": row.workload.figure,
            "appendfsync": row.workload.appendfsync,
            "ratio": row.ratio,
            "ratio by CPU": row.cpu_ratio,
            "aim": row.aim_text,
            "reached": row.reached,
            "servers": {name: attrs.asdict(summary) for name, summary in row.summaries.items()},
        }
        for row in rows
    ]
    return json.dumps({"machine": machine(), "settings": settings, "workloads": found}, indent=1) + "\n"


_LEFT, _WIDTH, _STEP = 330, 420, 20


def chart(rows: Sequence[Row]) -> str:
    """An SVG: a bar for each ratio on a logarithmic scale, a tick where the aim is."""
    shown = [row for row in rows if row.ratio]
    height = 50 + _STEP * len(shown)
    pieces = [svg.text(_LEFT, 14, "ratio to the faster of Redis and Valkey (logarithmic; black tick: the aim)")]
    for mark in (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50):
        x = _place(mark)
        pieces.append(svg.line(x, x, 34, height, "#888" if mark == 1 else "#ddd"))
        pieces.append(svg.text(x, 30, f"{mark:g}", anchor="middle", fill="#666"))
    for count, row in enumerate(shown):
        y = 40 + _STEP * count
        assert row.ratio is not None
        left, right = sorted((_place(1.0), _place(row.ratio)))
        colour = {REACHED: svg.GREEN, MISSED: svg.RED}.get(row.reached, svg.BLUE)
        pieces.append(svg.text(_LEFT - 8, y + 10, row.workload.title, anchor="end"))
        pieces.append(svg.bar(left, y, max(1, right - left), 13, colour))
        if row.workload.aim is not None:
            aim = _place(row.workload.aim)
            pieces.append(svg.line(aim, aim, y - 2, y + 15, "black", "2"))
        pieces.append(svg.text(_LEFT + _WIDTH + 8, y + 10, f"{row.ratio:.2f}"))
    return svg.document(_LEFT + _WIDTH + 70, height, pieces)


def _place(ratio: float) -> float:
    """Where a ratio between 0.05 and 100 stands."""
    return round(_LEFT + _WIDTH * svg.share(ratio, 0.05, 100), 1)
