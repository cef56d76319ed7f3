"""docs/configuration.md and docs/topics.md agree with the tables of settings."""

from __future__ import annotations

from pathlib import Path

from respbroker.model.settings import SETTINGS
from respbroker.model.settings_page import render
from tests.tidy import topic_table

TOPICS = Path(__file__).resolve().parents[2] / "docs" / "topics.md"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def test_the_page_is_the_one_printed_from_the_table() -> None:
    assert PAGE.read_text() == render(), "python -m respbroker.model.settings_page > docs/configuration.md"


def test_the_table_of_topic_settings_is_the_one_printed() -> None:
    assert topic_table.render() in TOPICS.read_text(), "python -m tests.tidy.topic_table"


def test_the_page_has_a_line_for_every_setting() -> None:
    page = render()
    assert all(f"| `{name}` |" in page for name in SETTINGS)
