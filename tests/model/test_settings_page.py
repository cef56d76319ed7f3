"""docs/configuration.md agrees with the table of settings."""

from __future__ import annotations

from pathlib import Path

from respbroker.model.settings import SETTINGS
from respbroker.model.settings_page import render

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def test_the_page_is_the_one_printed_from_the_table() -> None:
    assert PAGE.read_text() == render(), "python -m respbroker.model.settings_page > docs/configuration.md"


def test_the_page_has_a_line_for_every_setting() -> None:
    page = render()
    assert all(f"| `{name}` |" in page for name in SETTINGS)
