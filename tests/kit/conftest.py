"""The user's project of a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.write("pytest.ini", "[pytest]\n")
    return project
