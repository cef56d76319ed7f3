"""Pages that show a session: the commands in them are run again, and what they print is written below them.

    python -m tests.pages.sessions docs/tools.md

A page is its own source. In its code blocks a line with a prompt is a command: ``127.0.0.1:6379>`` and ``anna>`` are
redis-clis that stay connected, ``$`` is a shell. What follows up to the next prompt is their output, and is written
anew. ``<!-- until COMMAND prints TEXT -->`` between blocks waits for what the server does by itself.

The same commands print the same page: the times and IDs of a run are replaced by those of a session that began on
25 November 2025 at 18:00 UTC. IDs in commands are replaced the other way.
"""

from __future__ import annotations

import datetime
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.servers import HOST, ROOT, Server, respbroker_server

PAGES: Final = ("docs/dead-letters.md", "docs/exploring-topics.md", "docs/groups.md", "docs/tools.md")
BEGAN_MS: Final = 1_764_093_600_000
STEP_MS: Final = 250  # between IDs that the server gave
PROMPT: Final = re.compile(r"^([\w.:]+>|\$) (.*)$")
UNTIL: Final = re.compile(r"^<!-- until (.+) prints (.+) -->$")
ID: Final = re.compile(r"\b(\d{13})-(\d+)\b")
MOMENT: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z")
SECONDS_OF_PATIENCE: Final = 60.0
MILLISECONDS: Final = re.compile(r'("(?:idle|inactive)"\n *\d+\) \(integer\) )\d+')
PENDING: Final = re.compile(r'(\d+\) "\d{13}-\d+"\n +\d\) "[^"]*"\n +\d\) \(integer\) )\d+')
TOOK: Final = re.compile(r"^\(\d+\.\d\ds\)$", re.MULTILINE)  # what redis-cli adds to a reply it waited for
AGE: Final = re.compile(r"(?<=first )[\d.]+s|(?<=for )[\d.]+s|(\d\.\d| \d\d)s\b")  # in a table as wide as it may be


class Session:
    """A fresh server, the redis-clis that are connected to it, and how its times are shown."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._clis: dict[str, subprocess.Popen[str]] = {}
        self._shown: dict[tuple[int, int], str] = {}
        self._real: dict[str, str] = {}
        self._began_ms = int(time.time() * 1000)

    def close(self) -> None:
        for cli in self._clis.values():
            with cli:  # closes its pipes, which ends it
                pass

    def run(self, prompt: str, command: str) -> str:
        """What a command prints, as the page shows it."""
        command = self._as_real(command)
        printed = self._shell(command) if prompt == "$" else self._ask(prompt, command)
        return self._as_shown(printed.rstrip("\n"))

    def wait(self, command: str, expected: str) -> None:
        """Until a command prints something."""
        deadline = time.monotonic() + SECONDS_OF_PATIENCE
        while (printed := self.run("waiting>", command)) != expected:
            assert time.monotonic() < deadline, f"{command} prints {printed}, never {expected}"
            time.sleep(0.1)  # between two questions

    def _ask(self, prompt: str, command: str) -> str:
        if prompt not in self._clis:
            words = [_redis_cli(), "-h", HOST, "-p", str(self._server.port), "--no-raw"]
            self._clis[prompt] = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cli = self._clis[prompt]
        assert cli.stdin is not None
        assert cli.stdout is not None
        cli.stdin.write(f"{command}\nECHO end-of-output\n")
        cli.stdin.flush()
        lines = []
        for line in cli.stdout:
            if line == '"end-of-output"\n':
                self._let_the_clock_go_on("".join(lines))
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"redis-cli ended: {command}")

    @staticmethod
    def _let_the_clock_go_on(printed: str) -> None:
        """No two IDs of a session are of the same millisecond, so their sequence numbers are those of every run."""
        last_ms = max((int(ms) for ms, _ in ID.findall(printed)), default=0)
        while last_ms - 1000 < time.time() * 1000 < last_ms + 1:
            pass  # for a millisecond at most

    def _shell(self, command: str) -> str:
        words = shlex.split(command)
        assert words[0] == "respbroker", command
        environment = os.environ | {"RESPBROKER_URL": f"redis://{HOST}:{self._server.port}"}
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    # -- times and IDs ---------------------------------------------------------------------------------------

    def _as_real(self, command: str) -> str:
        """With the IDs of this run. Those before its beginning, which the page chose, are as long before it."""
        shift = self._began_ms - BEGAN_MS
        command = ID.sub(lambda found: self._real.get(found[0], f"{int(found[1]) + shift}-{found[2]}"), command)
        return MOMENT.sub(lambda found: _moment(found[0], shift), command)

    def _as_shown(self, printed: str) -> str:
        found = sorted({(int(ms), int(seq)) for ms, seq in ID.findall(printed)} - self._shown.keys())
        for ms, seq in found:
            if ms < self._began_ms:
                shown = f"{ms - self._began_ms + BEGAN_MS}-{seq}"
            else:
                given = sum(each >= self._began_ms for each, _ in self._shown)
                shown = f"{BEGAN_MS + STEP_MS * (given + 1)}-{seq}"
            self._shown[ms, seq], self._real[shown] = shown, f"{ms}-{seq}"
        printed = ID.sub(lambda match: self._shown[int(match[1]), int(match[2])], printed)
        printed = PENDING.sub(r"\g<1>1500", MILLISECONDS.sub(r"\g<1>1500", printed))
        printed = TOOK.sub("(2.05s)", printed)
        return AGE.sub("1.5s", printed).replace(str(self._server.port), "6379")


def _moment(text: str, shift_ms: int) -> str:
    moment = datetime.datetime.fromisoformat(text) + datetime.timedelta(milliseconds=shift_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _redis_cli() -> str:
    found = shutil.which("redis-cli")
    assert found, "redis-cli is not installed"
    return found


def written_anew(page: str, session: Session) -> str:
    """The page with the output of this run."""
    return "\n".join(_lines(page.splitlines(), session)) + "\n"


def _lines(lines: list[str], session: Session) -> Iterator[str]:
    is_session = in_block = False
    for line in lines:
        if line.startswith("```"):
            in_block, is_session = not in_block, False
            yield line
        elif in_block and (found := PROMPT.match(line)):
            is_session = True
            yield line
            yield from session.run(found[1], found[2]).splitlines()
        elif not is_session:
            if not in_block and (wait := UNTIL.match(line)):
                session.wait(wait[1], wait[2])
            yield line


def render(path: Path) -> str:
    """A page, run on a server of its own."""
    with respbroker_server() as server:
        session = Session(server)
        try:
            return written_anew(path.read_text(), session)
        finally:
            session.close()


if __name__ == "__main__":
    for name in sys.argv[1:] or PAGES:
        (ROOT / name).write_text(render(ROOT / name))
