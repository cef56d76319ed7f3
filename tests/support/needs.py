"""What a test needs beside this project: a person may run without it, continuous integration may not."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

#: Set by continuous integration services. Whatever is missing there makes tests fail: a skip is easily overlooked.
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def missing(what: str) -> NoReturn:
    """Skip the running test for want of ``what``; fail it in continuous integration."""
    if IN_CI:
        pytest.fail(f"missing: {what}", pytrace=False)
    pytest.skip(f"missing: {what}")
