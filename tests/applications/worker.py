"""A program in another language that a test asks: a line of JSON out, a line of JSON back."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pytest

ANSWER_SECONDS: Final = 30.0
END_SECONDS: Final = 10.0


class Worker:
    """The program ``command``, started in ``directory``. It ends when its input does, so at the latest with us."""

    def __init__(self, command: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.command = list(command)
        self._process = subprocess.Popen(
            self.command,
            cwd=directory,
            env=None if environment is None else {**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._unread = bytearray()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(self, check: str, **given: Any) -> Any:
        """What its function ``check`` found. Its failure, which names the place over there, fails the test."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # how it ended is told where its answer is missing
            self._process.stdin.write(json.dumps({"check": check, **given}).encode() + b"\n")
        reply = json.loads(self._read_line(check))
        if "failed" in reply:
            pytest.fail(f"{' '.join(self.command)}: {check}: {reply['failed']}", pytrace=False)
        return reply["found"]

    def _read_line(self, check: str) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + ANSWER_SECONDS
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
            if not piece:  # a late answer must not be taken for that of the next question
                self.kill()
                how = f"ended with {self._process.returncode}" if ready else f"no answer in {ANSWER_SECONDS:.0f} s"
                pytest.fail(f"{' '.join(self.command)}: {check}: {how}", pytrace=False)
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return bytes(line)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self.stop()

    def stop(self) -> None:
        """End it: its input ends, and if that is not enough by force."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
