"""Servers to test against: processes on free ports, in directories that are removed, emptied between tests.

A server counts as started when it answers with the directory that it was given, so that no other one is taken for it.
It ends with its owner, at the latest with this process.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import attendant
from .finding import find_redis

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 30.0
ATTEMPTS: Final = 5  # a port that was free may be taken by the time the server asks for it
PAUSE_SECONDS: Final = 0.02  # between two questions whether it is there

Command = Callable[[int, Path], list[str]]  # of a server, for a port and a directory


class NotStarted(Exception):
    """The server ended, or did not answer in time; the message holds what it printed."""


@attrs.define(eq=False)
class Server:
    """A running server: ``name`` is "redis" or "respbroker", ``program`` what runs. Its owner calls ``stop``."""

    name: str
    program: str
    port: int
    place: Path  # directory of all that is its own; removed by ``stop``
    process: subprocess.Popen[bytes]
    host: str = HOST
    _clients: list[redis.Redis] = attrs.field(factory=list, init=False, repr=False)
    _control: redis.Redis = attrs.field(init=False, repr=False)  # one connection, which outlives CONFIG SET requirepass
    _settings: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)  # as they were at the start

    def __attrs_post_init__(self) -> None:
        self._control = redis.Redis(host=HOST, port=self.port, decode_responses=True, retry=Retry(NoBackoff(), 0))

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    @property
    def log(self) -> Path:
        """What it prints."""
        return log_of(self.place)

    def client(self, **options: Any) -> redis.Redis:
        """A client of redis-py with these options, which is closed behind the test."""
        client = redis.Redis(host=self.host, port=self.port, **options)
        self._clients.append(client)
        return client

    def close_clients(self) -> None:
        """Close what ``client`` gave out."""
        while self._clients:
            self._clients.pop().close()

    def reset(self) -> None:
        """Make it as it was at the start: no keys, no other connection, settings as they were.

        Raises:
            redis.RedisError: it cannot be brought back to that; start another one.
        """
        self._control.client_unpause()  # else FLUSHALL would wait
        for kind in ("normal", "pubsub"):
            self._control.client_kill_filter(_type=kind)
        self._control.flushall()
        now = self._ask_settings()
        for name, value in self._settings.items():
            if now.get(name) != value:
                self._control.config_set(name, value)

    def _ask_settings(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in self._control.config_get("*").items()}

    def stop(self) -> None:
        """End it, and remove all that it wrote."""
        self.close_clients()
        self._control.close()
        self.process.terminate()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        shutil.rmtree(self.place, ignore_errors=True)

    def wait_until_serving(self) -> None:
        """Until it answers, which settings it has too.

        Raises:
            NotStarted: it does not.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise NotStarted(f"{self.program} ended with status {self.process.returncode}:\n{self.printed()}")
            try:
                self._settings = self._ask_settings()
            except redis.RedisError:
                time.sleep(PAUSE_SECONDS)
                continue
            if Path(self._settings["dir"]).resolve() == data_of(self.place).resolve():
                return
            time.sleep(PAUSE_SECONDS)  # somebody else's: ours is about to say that the port is in use
        raise NotStarted(f"{self.program} did not answer within {START_SECONDS:.0f} s:\n{self.printed()}")

    def printed(self, since: int = 0) -> str:
        """What it has printed, from that byte on."""
        return self.log.read_bytes()[since:].decode("utf-8", "replace")


def data_of(place: Path) -> Path:
    """The directory of a server's data."""
    return place / "data"


def log_of(place: Path) -> Path:
    """The file of what a server prints."""
    return place / "log"


def start_redis(given: str | None = None, *options: str) -> Server:
    """A redis-server that saves nothing: the program ``given``, or the one that is found.

    Raises:
        NotFound: there is none.
        NotStarted: it does not run.
    """
    program = str(find_redis(given))

    def command(port: int, data: Path) -> list[str]:
        fixed = ["--bind", HOST, "--port", str(port), "--dir", str(data), "--save", "", "--appendonly", "no"]
        return [program, *fixed, *options]

    return _start("redis", program, command)


def start_respbroker(*options: str) -> Server:
    """A respbroker of this environment; ``options`` as for `respbroker serve`."""

    def command(port: int, data: Path) -> list[str]:
        fixed = ["--host", HOST, "--port", str(port), "--dir", str(data)]
        return [sys.executable, "-m", "respbroker", "serve", *fixed, *options]

    return _start("respbroker", "respbroker", command)


@contextlib.contextmanager
def running(name: str, *options: str) -> Iterator[Server]:
    """A "redis" or a "respbroker" of one's own, with further options; stopped and removed on the way out."""
    starts = {"redis": lambda: start_redis(None, *options), "respbroker": lambda: start_respbroker(*options)}
    server = starts[name]()
    try:
        yield server
    finally:
        server.stop()


def _start(name: str, program: str, command: Command) -> Server:
    for attempt in range(1, ATTEMPTS + 1):
        port = _free_port()
        place = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        data_of(place).mkdir()
        process = _spawn(command(port, data_of(place)), place)
        server = Server(name, program, port, place, process)
        try:
            server.wait_until_serving()
        except BaseException as refusal:  # Ctrl-C too must leave nothing behind
            was_port_taken = isinstance(refusal, NotStarted) and "in use" in str(refusal)
            server.stop()
            if was_port_taken and attempt < ATTEMPTS:
                continue
            raise
        return server
    raise AssertionError("the last attempt returns or raises")


def _spawn(command: list[str], place: Path) -> subprocess.Popen[bytes]:
    with log_of(place).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(attendant.__file__), str(place), *command],
            cwd=place,  # not the tester's, whose modules may be named as ours
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tester, who then ends us in good order
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
