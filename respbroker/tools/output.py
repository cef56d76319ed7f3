"""What the tools print: tables for people, JSON for programs, and names that a shell takes back."""

from __future__ import annotations

import base64
import json
import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

NOTHING: Final = "-"
_SAFE: Final = re.compile(r"[\w@%+=:,./-]+")


def shown(raw: bytes) -> str:
    """A name as one word of a shell's command line: bare, in quotes, or as ``$'caf\\xe9'``."""
    found = _text(raw)
    if found is not None and found.isprintable():
        return found if _SAFE.fullmatch(found) else shlex.quote(found)
    return "$'" + "".join(_escaped(byte) for byte in raw) + "'"


def _escaped(byte: int) -> str:
    char = chr(byte)
    if char in "\\'":
        return "\\" + char
    return char if 32 <= byte < 127 else f"\\x{byte:02x}"


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def text(raw: bytes) -> str:
    """Bytes as they are where they are text, else as `shown`."""
    found = _text(raw)
    return shown(raw) if found is None else found


def named(field: str, raw: bytes) -> dict[str, str]:
    """A name as a field of JSON. One that is not UTF-8 is there as a reader sees it, and exactly in base64."""
    if _text(raw) is not None:
        return {field: text(raw)}
    return {field: shown(raw), f"{field}_base64": base64.b64encode(raw).decode()}


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as what is in them. A ``>`` before a head sets its column to the right; None is a dash.

    A column of nothing but dashes is left out.
    """
    rows = list(rows)
    kept = [index for index in range(len(heads)) if not rows or any(row[index] is not None for row in rows)]
    heads, rows = [heads[index] for index in kept], [[row[index] for index in kept] for row in rows]
    right = [head.startswith(">") for head in heads]
    lines = [[head.removeprefix(">") for head in heads]]
    lines += [[NOTHING if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            " " * (width - _width(cell)) + cell if at_right else cell + " " * (width - _width(cell))
            for cell, width, at_right in zip(line, widths, right, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def _width(cell: str) -> int:
    """Columns of a terminal."""
    if cell.isascii():
        return len(cell)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in cell
    )


def count(number: int, noun: str) -> str:
    """``1 entry``, ``2 entries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def size(number: int) -> str:
    """Bytes, in the largest unit of which there is one."""
    value, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float | None) -> str | None:
    """``0.3s``, ``12s``, ``3m20s``, ``2h05m``, ``3d04h``: two units at most."""
    if seconds is None:
        return None
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for unit, smaller, length, part in (("d", "h", 86400, 3600), ("h", "m", 3600, 60), ("m", "s", 60, 1)):
        if whole >= length:
            return f"{whole // length}{unit}{whole % length // part:02d}{smaller}"
    return f"{whole}s"


def ranges(numbers: Sequence[int]) -> str | None:
    """``0-3,7`` of rising numbers; None of none."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in spans) or None
