"""A user's project: a few test files in a directory, run by a pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import attrs

from tests.support.servers import redis_binary


@attrs.frozen
class Outcome:
    """What the user's pytest printed, and how it ended."""

    status: int
    output: str

    def counts(self) -> dict[str, int]:
        """The numbers in its last line."""
        last = self.output.strip().splitlines()[-1]
        return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", last)}


@attrs.frozen
class Project:
    """Files under ``place``; warnings are errors, and the redis-server is the one of this project's own tests."""

    place: Path

    def write(self, name: str, text: str) -> None:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *options: str, environment: dict[str, str] | None = None) -> Outcome:
        command = [sys.executable, "-m", "pytest", "-W", "error", "-rs", "-p", "no:cacheprovider", *options]
        found = {"RESPBROKER_REDIS_SERVER": str(redis_binary())}
        done = subprocess.run(
            command,
            cwd=self.place,
            env={**os.environ, **(found if environment is None else environment)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)
