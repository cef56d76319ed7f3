"""The sessions that pages show are true."""

from __future__ import annotations

import shutil

import pytest

from tests.pages import sessions
from tests.support import needs
from tests.support.servers import ROOT


@pytest.mark.parametrize("page", sessions.PAGES)
def test_a_session_prints_what_the_page_shows(page):
    if shutil.which("redis-cli") is None:
        needs.missing("redis-cli")
    path = ROOT / page
    assert path.read_text() == sessions.render(path), f"python -m tests.pages.sessions {page}"
