"""The three servers with the same durability on the same disk, and what to ask of each."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from tests.benchmarks.loader import drive, request
from tests.benchmarks.measure import bytes_below, cpu_seconds, rss_mb
from tests.support import servers
from tests.support.servers import Server

NAMES = ("respbroker", "redis", "valkey")
OURS, PEERS = NAMES[0], NAMES[1:]
FIRST_MS = 1_700_000_000_000  # IDs of prepared entries count up from here, so all replies of one kind are of one size
FILL_BATCH = 200
CLIENTS_MAX = 12_000
NOTHING = b"*-1\r\n"  # what XREADGROUP says where nothing is new

PROMISES = {
    "always": "All three answer a write after it is synced.",
    "everysec": "All three answer at once and sync about once a second: a crash of the machine may lose the last "
    "second or two, a crash of the process loses nothing that was answered.",
    "no": "All three answer at once and leave syncing to the system: a crash of the process loses nothing that was "
    "answered, a crash of the machine may lose what the system had not written.",
}


@attrs.define(eq=False)
class Target:
    """A running server under measurement."""

    name: str
    server: Server

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def is_ours(self) -> bool:
        return self.name == OURS

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(self.server.process.pid)

    @property
    def rss_mb(self) -> float:
        return rss_mb(self.server.process.pid)

    @property
    def disk_bytes(self) -> int:
        """The sizes of the server's files together."""
        return bytes_below(self.server.directory)

    def call(self, *words: str | bytes | int) -> bytes:
        with self.server.connect(timeout=300) as wire:
            reply = wire.call(*words)
        assert not reply.startswith(b"-"), reply
        return reply

    def number(self, *words: str | bytes | int) -> int:
        """An integer reply."""
        return int(self.call(*words)[1:])

    def lengths(self, keys: Sequence[str], *, batch: int = 1000) -> int:
        """How many entries several streams have together."""
        with self.server.connect(timeout=300) as wire:
            parts = (keys[at : at + batch] for at in range(0, len(keys), batch))
            replies = [reply for part in parts for reply in wire.pipeline([("XLEN", key) for key in part])]
        return sum(int(reply[1:]) for reply in replies)

    def pending(self, key: str, group: str) -> int:
        """How many entries are pending in a group."""
        return int(self.call("XPENDING", key, group).split(b"\r\n")[1][1:])

    def fill(self, key: str, entries: int, value_size: int, *, batch: int = FILL_BATCH, first: int = 0) -> None:
        """Append ``entries`` with IDs ``FIRST_MS + n``, ``batch`` of them in one pipeline."""
        head, value = request("XADD", key, "?" * 15, "f", b"x" * value_size).split(b"?" * 15)
        numbers = range(FIRST_MS + first, FIRST_MS + first + entries)

        def piece(at: int, count: int) -> bytes:
            return b"".join([b"%b%d-0%b" % (head, ms, value) for ms in numbers[at : at + count]])

        whole = entries - entries % batch
        if whole:
            drive(self.port, [(piece(at, batch) for at in range(0, whole, batch))], lines=2 * batch)
        if entries % batch:
            drive(self.port, [[piece(whole, entries % batch)]], lines=2 * (entries % batch))
        assert self.number("XLEN", key) >= entries

    def fill_pending(self, key: str, group: str, entries: int, consumer: str = "c") -> None:
        """Give everything in ``key`` to one consumer."""
        self.restart_group(key, group)
        with self.server.connect(timeout=300) as wire:
            for _ in range(0, entries, 1000):
                wire.call("XREADGROUP", "GROUP", group, consumer, "COUNT", 1000, "STREAMS", key, ">")
        assert self.pending(key, group) == entries, self.pending(key, group)

    def read_once(self, key: str) -> None:
        """Read everything in ``key`` and leave nothing behind but what caches keep of it."""
        self.call("XGROUP", "CREATE", key, "passing", 0)
        read = ("XREADGROUP", "GROUP", "passing", "c", "NOACK", "COUNT", 1000, "STREAMS", key, ">")
        with self.server.connect(timeout=300) as wire:
            while wire.call(*read) != NOTHING:
                pass
        self.call("XGROUP", "DESTROY", key, "passing")

    def restart_group(self, key: str, group: str) -> None:
        """The group anew, before the first entry."""
        self.call("XGROUP", "DESTROY", key, group)
        self.call("XGROUP", "CREATE", key, group, 0)

    def restart(self) -> float:
        """kill -9, start again; the seconds until PING is answered and nothing is loading."""
        self.server.kill()
        began = time.perf_counter()
        self.server.start_again()
        return time.perf_counter() - began


def options(name: str, appendfsync: str, ours: tuple[str, ...]) -> list[str]:
    """The settings of one server; ``ours`` go to respbroker alone."""
    same = ["--appendfsync", appendfsync, "--maxclients", str(CLIENTS_MAX)]
    if name == OURS:
        return [*same, *ours]
    return [*same, "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"]


def environment() -> dict[str, str]:
    """Ours, except that Python may keep byte code.

    pip installs byte code with a package. In a checkout, on a machine that sets this variable, respbroker would compile
    150 files at every start (0.35 s), and a benchmark of restarts would be one of the compiler.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextlib.contextmanager
def running(
    root: str | None, appendfsync: str, ours: tuple[str, ...], names: tuple[str, ...]
) -> Iterator[list[Target]]:
    """Fresh servers, each in a directory of its own under ``root``; all gone afterwards."""
    with contextlib.ExitStack() as stack:
        targets = []
        for name in names:
            directory = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir=root))
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            words = options(name, appendfsync, ours)
            server = servers.running(name, *words, directory=directory, environment=environment())
            targets.append(Target(name, stack.enter_context(server)))
        yield targets
