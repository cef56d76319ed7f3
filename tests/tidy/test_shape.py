"""The shape of the source: sizes, first lines, banned calls, and the tour that is made of first lines."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for top in ("storage", "respbroker", "tests") for path in (ROOT / top).rglob("*.py"))
SOURCES = [path for path in FILES if "tests" not in path.relative_to(ROOT).parts]
LINES_MAX = 400
FUNCTION_LINES_MAX = 70
#: name: what to use instead
BANNED_BELOW_THE_EDGE = {
    "time.time": "the tick's now_ms",
    "time.monotonic": "the tick's now",
    "time.sleep": "a waiter with a deadline",
    "random.random": "the node's random.Random",
    "open": "the FileSystem port",
}
EDGE = (
    "respbroker/server",
    "respbroker/migration/command.py",
    "respbroker/migration/progress.py",
    "respbroker/testing/servers.py",
    "respbroker/cli.py",
    "storage/filesystem.py",
    "storage/inspect.py",
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_file_is_longer_than_the_ceiling(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_MAX


def test_no_two_files_of_tests_have_one_name_where_they_are_no_package() -> None:
    """pytest imports them by that name."""
    names = Counter(path.name for path in FILES if path.name.startswith("test_") and not _in_package(path))
    assert [name for name, count in names.items() if count > 1] == []


def _in_package(path: Path) -> bool:
    return (path.parent / "__init__.py").exists()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, node.name


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_module_says_in_its_first_line_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, "no docstring"
    assert docstring.splitlines()[0].endswith((".", "?", "`")), "the first line is a whole sentence"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_nothing_below_the_edge_reads_a_clock_or_opens_a_file(path: Path) -> None:
    if relative(path).startswith(EDGE):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in BANNED_BELOW_THE_EDGE, f"{name}: use {BANNED_BELOW_THE_EDGE[name]}"


def test_the_tour_shows_every_module_with_its_first_line() -> None:
    tour = (ROOT / "docs" / "tour.md").read_text()
    for path in SOURCES:
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        assert docstring is not None
        caption = docstring.splitlines()[0]
        assert re.search(rf"`{re.escape(relative(path))}`[^\n]*{re.escape(caption)}", tour), relative(path)
