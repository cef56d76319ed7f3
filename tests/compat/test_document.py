"""The document says what the code does."""

from __future__ import annotations

from pathlib import Path

from tests.compat import document

DOCUMENT = Path(__file__).parents[2] / "docs" / "compatibility.md"


def test_the_document_is_what_the_tables_say() -> None:
    expected = document.document() + "\n"
    assert DOCUMENT.read_text() == expected, "run: python -m tests.compat.document > docs/compatibility.md"
