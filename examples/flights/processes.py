"""The processes of the example: started, killed, and never left behind."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

ROOT: Final = Path(__file__).resolve().parents[2]
HOST: Final = "127.0.0.1"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0


@attrs.define
class Server:
    """A server on a directory and a port of its own, which can be killed and started again."""

    directory: Path
    port: int = attrs.Factory(lambda: free_port())
    process: subprocess.Popen[bytes] | None = None
    options: tuple[str, ...] = ()
    _started: float = 0.0

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def start(self) -> float:
        """Start it and wait until it answers; the seconds that took."""
        self.launch()
        return self.wait()

    def launch(self) -> None:
        """Start it."""
        self._started = time.monotonic()
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "respbroker", "serve", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--dir", str(self.directory / "data"), *self.options], cwd=ROOT, stdout=log, stderr=log
            )

    def wait(self) -> float:
        """Until it answers; the seconds since it was started."""
        assert self.process is not None
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() - self._started > START_SECONDS:
                raise SystemExit(f"The server did not start:\n{self.log.read_text()}")
            time.sleep(0.02)
        return time.monotonic() - self._started

    def _answers(self) -> bool:
        try:
            return bool(redis.Redis(host=HOST, port=self.port, retry=Retry(NoBackoff(), 0)).ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """SIGKILL: it can say or write nothing more."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """The clean end, with force if need be."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def run_module(name: str, *arguments: object, package: str = "examples.flights") -> subprocess.Popen[bytes]:
    """A module of an example as a process."""
    command = [sys.executable, "-m", f"{package}.{name}", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


def check(process: subprocess.Popen[bytes]) -> None:
    """Give up when a process that should still run, or have ended well, has failed."""
    if process.poll():
        assert process.stderr is not None
        raise SystemExit(f"{process.args!r} failed:\n{process.stderr.read().decode()}")


@contextlib.contextmanager
def ending(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """On the way out, end those of ``processes`` that still run."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.communicate()
