"""The tools as a user calls them: words in, what is printed and the exit status out."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
import redis
from click.testing import CliRunner

from respbroker.cli import main
from tests.support.servers import Server


@attrs.frozen
class Said:
    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The lines as words; columns are at least two blanks apart, blank lines are left out."""
        return [re.split(r"  +", line.strip()) for line in self.out.splitlines() if line.strip()]

    def row(self, first: str) -> list[str]:
        """The one line that begins with that word."""
        [row] = [row for row in self.rows if row[0] == first]
        return row

    def column(self, head: str) -> list[str]:
        """What stands below a head, in the table that has it."""
        rows = self.rows
        [start] = [index for index, row in enumerate(rows) if head in row]
        place = rows[start].index(head)
        below = [row for row in rows[start + 1 :] if len(row) == len(rows[start])]
        return [row[place] for row in below]


@attrs.frozen
class Tools:
    server: Server

    def __call__(self, *words: str, answer: str = "") -> Said:
        """Run a command, whatever becomes of it; an exception that is no refusal is raised."""
        result = CliRunner(env={"RESPBROKER_URL": self.server.url}).invoke(
            main, words, input=answer, prog_name="respbroker"
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def done(self, *words: str, answer: str = "") -> Said:
        """Run a command that succeeds."""
        said = self(*words, answer=answer)
        assert (said.status, said.err) == (0, "")
        return said

    def refusal(self, *words: str) -> str:
        """The sentence of a command that cannot be done."""
        said = self(*words)
        assert (said.status, said.out) == (1, ""), said
        assert re.fullmatch(r"Error: [^\n]+\n", said.err), said.err
        return said.err.removeprefix("Error: ").strip()

    def usage(self, *words: str) -> str:
        """What a command that was called wrongly says."""
        said = self(*words)
        assert (said.status, said.out) == (2, ""), said
        assert said.err.startswith("Usage: respbroker"), said.err
        return said.err.splitlines()[-1].removeprefix("Error: ")

    def json(self, *words: str) -> Any:
        """What a program reads of a command."""
        return json.loads(self.done(*words, "--json").out)

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.server.url, decode_responses=True, socket_timeout=60)
