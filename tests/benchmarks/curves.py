"""What was measured at rising sizes, as tables, as JSON, and as a chart of three panels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tests.benchmarks import svg
from tests.benchmarks.peers import NAMES
from tests.benchmarks.report import machine, number


@attrs.frozen
class Point:
    """One server at one size; a figure that says nothing at that size is None."""

    server: str
    size: int
    figures: Mapping[str, float | None]


@attrs.define
class Curve:
    """What grows, what is measured of it, and which of the figures the chart shows."""

    name: str
    title: str
    columns: Sequence[str]
    charted: str
    points: list[Point] = attrs.field(factory=list)

    @property
    def extremes(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The powers of ten around all sizes and around all charted figures."""
        found = [place for name in NAMES for place in self.line(name)]
        return _decades([size for size, _ in found]), _decades([figure for _, figure in found])

    def line(self, server: str) -> list[tuple[float, float]]:
        """Sizes and charted figures of one server, where there are any above 0."""
        return [(p.size, figure) for p in self.points if p.server == server and (figure := p.figures[self.charted])]


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """The powers of ten around some values; never the same one twice."""
    low = math.floor(math.log10(min(values, default=1)))
    return 10.0**low, 10.0 ** max(low + 1, math.ceil(math.log10(max(values, default=1))))


def row(curve: Curve, point: Point) -> str:
    """A line of the table."""
    figures = (point.figures[column] for column in curve.columns)
    shown = " | ".join("" if figure is None else number(figure) for figure in figures)
    return f"| {point.size:,} | {point.server} | {shown} |"


def table(curve: Curve) -> str:
    """Markdown: servers below each other for each size."""
    lines = [
        f"| {curve.name} | server | {' | '.join(curve.columns)} |",
        f"|---:|---|{'---:|' * len(curve.columns)}",
    ]
    ordered = sorted(curve.points, key=lambda point: (point.size, NAMES.index(point.server)))
    return "\n".join([f"**{curve.title}**", "", *lines, *(row(curve, point) for point in ordered), ""])


def as_json(curves: Sequence[Curve], settings: Mapping[str, Any]) -> str:
    """Everything, for whoever wants to compute with it."""
    found = [attrs.asdict(curve) for curve in curves]
    return json.dumps({"machine": machine(), "settings": settings, "curves": found}, indent=1) + "\n"


_COLOURS = dict(zip(NAMES, (svg.GREEN, svg.RED, svg.BLUE), strict=True))
_WIDTH, _HEIGHT, _LEFT, _TOP, _STEP = 220, 170, 46, 46, 290


def chart(curves: Sequence[Curve]) -> str:
    """An SVG: a panel for each curve, both scales logarithmic, a line for each server."""
    pieces = []
    for place, name in enumerate(NAMES):
        pieces.append(svg.bar(_LEFT + 90 * place, 6, 10, 10, _COLOURS[name]))
        pieces.append(svg.text(_LEFT + 90 * place + 14, 15, name))
    for count, curve in enumerate(curves):
        pieces += _panel(curve, _LEFT + _STEP * count)
    return svg.document(_STEP * len(curves), _TOP + _HEIGHT + 30, pieces)


def _panel(curve: Curve, left: int) -> list[str]:
    sizes, figures = curve.extremes
    bottom = _TOP + _HEIGHT

    def x(size: float) -> float:
        return round(left + _WIDTH * svg.share(size, *sizes), 1)

    def y(figure: float) -> float:
        return round(bottom - _HEIGHT * svg.share(figure, *figures), 1)

    pieces = [svg.text(left, _TOP - 8, f"{curve.charted} by {curve.name}")]
    for mark in _marks(sizes):
        pieces.append(svg.line(x(mark), x(mark), _TOP, bottom, "#ddd"))
        pieces.append(svg.text(x(mark), bottom + 15, _short(mark), anchor="middle", fill="#666"))
    for mark in _marks(figures):
        pieces.append(svg.line(left, left + _WIDTH, y(mark), y(mark), "#ddd"))
        pieces.append(svg.text(left - 6, y(mark) + 4, _short(mark), anchor="end", fill="#666"))
    for name in NAMES:
        if found := curve.line(name):
            pieces += svg.curve([(x(size), y(figure)) for size, figure in found], _COLOURS[name])
    return pieces


def _marks(extremes: tuple[float, float]) -> list[float]:
    low, high = (round(math.log10(value)) for value in extremes)
    return [10.0**power for power in range(low, high + 1)]


def _short(mark: float) -> str:
    """1, 100, 10k, 1M."""
    for unit, sign in ((1e6, "M"), (1e3, "k")):
        if mark >= unit:
            return f"{mark / unit:g}{sign}"
    return f"{mark:g}"
