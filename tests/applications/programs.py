"""Programs of an application's users: started as they would, watched through what they print, always ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.support.replica_sets import until

HERE = Path(__file__).parent
SCRIPTS = Path(sys.executable).parent  # where packages of this environment put their commands


@attrs.frozen(eq=False)
class Program:
    """A running program with all the processes it started."""

    process: subprocess.Popen[bytes]
    log: Path

    def printed(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")

    def wait_until_printed(self, text: str, times: int = 1) -> None:
        """Until that stands so many times in what it printed. AssertionError: it ended before, or took too long."""

        def is_there() -> bool:
            found = self.printed().count(text) >= times
            assert found or self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.printed()}"
            return found

        try:
            until(is_there, f"{text!r} printed {times} times")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.printed()}") from None

    def kill(self) -> None:
        """SIGKILL to every one of its processes: none of them says goodbye."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(*command: str | Path, cwd: Path = HERE, **environment: str) -> Iterator[Program]:
    """A program, until the way out. A name without a directory is a command of this environment."""
    words = [str(word) for word in command]
    if "/" not in words[0]:
        words[0] = str(SCRIPTS / words[0])
    with tempfile.TemporaryDirectory(prefix="application-") as place:
        log = Path(place) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                words,
                cwd=cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, so that nothing it started is left
            )
        program = Program(process, log)
        try:
            yield program
        finally:
            program.kill()
