"""Charts written by hand: the few elements that they are made of, and where a value stands on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterable

GREEN, RED, BLUE = "#3a7d44", "#c1553b", "#4a6fa5"


def document(width: float, height: float, pieces: Iterable[str]) -> str:
    """A whole SVG on white."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *pieces, "</svg>", ""])


def text(x: float, y: float, words: str, *, anchor: str = "", fill: str = "") -> str:
    return f'<text x="{x}" y="{y}"{_given("text-anchor", anchor)}{_given("fill", fill)}>{_escaped(words)}</text>'


def line(x1: float, x2: float, y1: float, y2: float, stroke: str, width: str = "") -> str:
    ends = f'x1="{x1}" x2="{x2}" y1="{y1}" y2="{y2}"'
    return f'<line {ends} stroke="{stroke}"{_given("stroke-width", width)}/>'


def bar(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"/>'


def curve(points: Iterable[tuple[float, float]], stroke: str) -> list[str]:
    """A line through the points, and a dot at each, so that one point alone is seen."""
    placed = list(points)
    path = " ".join(f"{x},{y}" for x, y in placed)
    dots = [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{stroke}"/>' for x, y in placed]
    return [f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="1.5"/>', *dots]


def share(value: float, low: float, high: float) -> float:
    """Where a value stands between two others on a logarithmic scale, 0 to 1; what is beyond them stands at the end."""
    return (math.log10(min(max(value, low), high)) - math.log10(low)) / (math.log10(high) - math.log10(low))


def _given(name: str, value: str) -> str:
    return f' {name}="{value}"' if value else ""


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
