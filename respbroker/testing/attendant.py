"""A program that runs a server for as long as whoever started it lives: `python attendant.py DIRECTORY COMMAND...`.

Its standard input is a pipe that nobody writes to. When the other side is gone, however that happened, or we are told
to end, it ends the server and removes its directory. That works alike on every system, and without running Python
between fork and exec, which a tester with threads is warned of.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import FrameType

STOP_SECONDS = 10.0  # before force


def attend(directory: str, command: Sequence[str]) -> None:
    """Run ``command`` until our input ends, SIGTERM comes, or it ends by itself; then ``directory`` stays."""
    signal.signal(signal.SIGTERM, _leave)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    leaving = threading.Event()
    threading.Thread(target=_follow, args=(server, leaving), daemon=True).start()
    try:
        sys.stdin.buffer.read()
    finally:
        leaving.set()
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _leave(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _follow(server: subprocess.Popen[bytes], leaving: threading.Event) -> None:
    """End when the server does, with its status: the input is still being waited for."""
    status = server.wait()
    if not leaving.is_set():
        os._exit(status & 0xFF)


if __name__ == "__main__":
    attend(sys.argv[1], sys.argv[2:])
