"""Work in a process of its own: `python -m respbroker.server.apart`, started for a row of jobs and gone after it.

A job that computes for a minute in a thread would take the interpreter's lock from the loop again and again. So it runs
in another process, with a low priority and with a limit on what it reads and writes. Both sides are the same
program, and the job is a frozen value, so it is sent as a pickle. The child ends when its standard input does: when the
server ends, however that happens, nobody goes on writing into its directory. It waits a while for the next job, for
starting a process stops the interpreter of the one that starts it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Final

from storage import OsFileSystem

if TYPE_CHECKING:
    from respbroker.broker.job import Job, Request

IDLE_SECONDS: Final = 10.0  # the process waits so long for another job
BYTES_PER_SECOND: Final = 256 << 20  # read and written
_SIZE: Final = struct.Struct("<Q")
_MODULE: Final = "respbroker.server.apart"


class Stopped(Exception):
    """A job was not done, for the server ends."""


class Apart:
    """Runs jobs one after the other; called from a worker thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._used_at = 0.0
        self._is_busy = False
        self._stopped = False

    def perform(self, job: Job) -> Any:
        """The result of ``job.request``.

        Raises:
            Stopped: the server is about to end.
            ChildProcessError: with the words of what was raised there, or the process ended without a result.
        """
        child = self._take_child()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            _send(child.stdin, job.request)
            result, error = _receive(child.stdout)
        except (EOFError, OSError) as broken:
            self._give_back(None)
            _end(child)
            if self._stopped:
                raise Stopped from broken
            raise ChildProcessError(f"the process ended with {child.returncode}") from broken
        if not self._give_back(child):
            _end(child)
        if error:
            raise ChildProcessError(error)
        return result

    def _give_back(self, child: subprocess.Popen[bytes] | None) -> bool:
        """The job is done; whether ``child`` is kept for the next one."""
        with self._lock:
            self._is_busy = False
            self._used_at = time.monotonic()
            if self._child is not None:
                self._child = child
            return self._child is not None

    def _take_child(self) -> subprocess.Popen[bytes]:
        """The process, started if it is not there or is about to end."""
        with self._lock:
            if self._stopped:
                raise Stopped
            child, self._child = self._child, None
            if child is not None and (child.poll() is not None or time.monotonic() > self._used_at + IDLE_SECONDS / 2):
                _end(child)
                child = None
            if child is None:
                command = [sys.executable, "-m", _MODULE]
                child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._child, self._is_busy = child, True
            return child

    def stop(self) -> None:
        """End what runs, and start nothing more; from any thread."""
        with self._lock:
            self._stopped = True
            child, self._child = self._child, None
            if child is not None:
                child.kill()
                if not self._is_busy:
                    _end(child)


class Limiter:
    """Sleeps so that no more than ``rate`` bytes a second are told of."""

    def __init__(
        self, rate: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._rate = rate
        self._clock, self._sleep = clock, sleep
        self._free_at = 0.0

    def __call__(self, size: int) -> None:
        now = self._clock()
        if self._free_at > now:
            self._sleep(self._free_at - now)
        self._free_at = max(self._free_at, now) + size / self._rate


def _send(pipe: IO[bytes], value: Any) -> None:
    wire = pickle.dumps(value)
    pipe.write(_SIZE.pack(len(wire)) + wire)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    head = pipe.read(_SIZE.size)
    if len(head) < _SIZE.size:
        raise EOFError
    return pickle.loads(pipe.read(_SIZE.unpack(head)[0]))


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
    child.wait()
    child.stdout.close()


def _take(pipe: IO[bytes], requests: queue.SimpleQueue[Any]) -> None:
    """Put what arrives into the queue; the end of the pipe is the end of the process, whatever it is doing."""
    try:
        while True:
            requests.put(_receive(pipe))
    finally:
        os._exit(1)


def main() -> None:
    """The child."""
    os.nice(10)  # enough to give way, not enough to starve
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_take, args=(sys.stdin.buffer, requests), daemon=True).start()
    limiter, filesystem = Limiter(BYTES_PER_SECOND), OsFileSystem()
    while True:
        try:
            request = requests.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            os._exit(0)  # the thread holds standard input
        result, error = None, ""
        try:
            result = request.perform(filesystem, limiter)
        except Exception as raised:
            error = str(raised) or repr(raised)
        _send(sys.stdout.buffer, (result, error))


if __name__ == "__main__":
    main()
