"""The documentation: links lead somewhere, printed pages are as printed, commands that are named exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import Server
from tests.tidy import errors_page, tour

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
MODULE = re.compile(r"python -m ([a-z_]+(?:\.[a-z_]+)*)")
SCRIPT = re.compile(r"\.venv/bin/([a-z-]+)")
PATH = re.compile(r"`((?:docs|examples|storage|respbroker|tests)/[\w./-]*)`")
TEST_COMMAND = re.compile(r"pytest ((?:tests/[\w./-]+ ?)+)")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """The page without its code blocks, in which brackets are no links."""
    return re.sub(r"(?ms)^```.*?^```$", "", text)


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.+)$", prose(path.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> Iterator[str]:
    for target in LINK.findall(prose(path.read_text())):
        if "://" not in target:
            yield target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), link
        assert not anchor or anchor in anchors(place), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    for path in PATH.findall(page.read_text()):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_module_that_a_page_runs_can_be_run(page: Path) -> None:
    for module in MODULE.findall(page.read_text()):
        found = importlib.util.find_spec(module)
        assert found is not None, module
        if found.submodule_search_locations is not None:
            assert importlib.util.find_spec(f"{module}.__main__") is not None, module


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_test_that_a_page_runs_is_there(page: Path) -> None:
    for paths in TEST_COMMAND.findall(page.read_text()):
        for path in paths.split():
            assert (ROOT / path.rstrip(".")).exists(), path


def test_every_page_is_in_the_index() -> None:
    index = set(links(ROOT / "docs" / "index.md"))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages - {"index.md"} == index


def test_the_tour_is_the_one_printed_from_the_modules() -> None:
    assert (ROOT / "docs" / "tour.md").read_text() == tour.render(), "python -m tests.tidy.tour > docs/tour.md"


def test_the_tour_names_each_module_once() -> None:
    named = [path for chapter in tour.CHAPTERS for path, _ in chapter.modules]
    assert len(named) == len(set(named))
    assert set(named) <= set(tour.sources()), "a chapter names a module that is gone"


def test_the_errors_are_the_ones_printed_from_the_classes() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    assert page == errors_page.render(), "python -m tests.tidy.errors_page > docs/errors.md"


def test_every_error_has_advice_and_no_advice_is_left_over() -> None:
    assert set(errors_page.REPLIES) == {each.__name__ for each in errors_page.reply_errors()}
    assert set(errors_page.LOG_ERRORS) == {each.__name__ for each in errors_page.log_errors()}


def test_the_readme_installs_what_ci_installs() -> None:
    """Its second command and .ci/run are the same packages, the same extra, the same pytest."""
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    for part in ("redis-tools", "--editable '.[tests]'", "pytest -n 2"):
        assert part.replace("--editable", "-e") in readme, part
        assert part in ci, part


def test_the_program_in_the_readme_runs(respbroker_server: Server, tmp_path: Path) -> None:
    (program,) = re.findall(r"(?ms)^```python$(.*?)^```$", (ROOT / "README.md").read_text())
    assert "port=6379" in program
    path = tmp_path / "program.py"
    path.write_text(program.replace("port=6379", f"port={respbroker_server.port}"))
    with respbroker_server.connect() as wire:
        wire.call("FLUSHALL")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "lamp\n", "")


def test_the_programs_that_the_readme_calls_are_installed_by_it() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for program in set(SCRIPT.findall((ROOT / "README.md").read_text())) - {"pip", "python"}:
        assert re.search(rf'(?m)^{program} = |"{program}[>=]', project), program
