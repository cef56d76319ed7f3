"""A leader with its followers, and the redis-sentinels that watch them, as processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from tests.support import servers
from tests.support.servers import HOST, Server
from tests.support.wire import ConnectionEnded, NoReply, parse

SET_NAME = "orders"  # what sentinels call the servers they watch
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.02  # between two looks at something that happens elsewhere


def until(condition: Callable[[], bool], what: str = "", seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is so, looking again and again. AssertionError: it was not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds: {what or condition}"
        time.sleep(LOOK_SECONDS)


def info(server: Server, section: str = "replication", password: str = "") -> dict[str, str]:
    """A section of INFO; empty if the server does not answer."""
    try:
        with server.connect(timeout=5.0) as wire:
            if password:
                wire.call("AUTH", password)
            text = parse(wire.call("INFO", section)).text or b""
    except (OSError, ConnectionEnded, NoReply):
        return {}
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


@attrs.frozen
class ReplicaSet:
    """Servers of the same data; any of them may lead."""

    servers: list[Server]
    password: str = ""

    def info(self, server: Server) -> dict[str, str]:
        return info(server, password=self.password)

    def leads(self, server: Server) -> bool:
        """Whether it leads, with a follower."""
        return self.info(server).get("role") == "master"

    def leaders(self) -> list[Server]:
        return [server for server in self.servers if self.leads(server)]

    def wait_until_in_sync(self, count: int | None = None) -> Server:
        """The one leader, as soon as so many servers are in sync (itself included)."""
        wanted = str(len(self.servers) if count is None else count)

        def is_whole() -> bool:
            leaders = self.leaders()
            return len(leaders) == 1 and self.info(leaders[0]).get("in_sync_replicas") == wanted

        until(is_whole, f"one leader with {wanted} servers in sync")
        return self.leaders()[0]

    def is_in_sync(self, server: Server) -> bool:
        """Whether it follows, and its leader counts it in."""
        return self.info(server).get("slave_in_sync") == "1"


@contextlib.contextmanager
def replica_set(directory: Path, *options: str, count: int = 3, password: str = "") -> Iterator[ReplicaSet]:
    """So many servers with the same options, the first of which leads; all are in sync."""
    if password:
        options = (*options, "--requirepass", password, "--masterauth", password)
    with contextlib.ExitStack() as stack:
        started: list[Server] = []
        for index in range(count):
            where = directory / f"server-{index}"
            where.mkdir()
            follow = ("--replicaof", HOST, str(started[0].port)) if started else ()
            started.append(servers.start("respbroker", servers.command_for("respbroker", (*options, *follow)), where))
            stack.callback(started[-1].stop)
        together = ReplicaSet(started, password)
        if count > 1:
            together.wait_until_in_sync()
        yield together


@contextlib.contextmanager
def sentinels(
    directory: Path, leader_port: int, *, down_after_ms: int = 1000, failover_timeout_ms: int = 6000, password: str = ""
) -> Iterator[list[Server]]:
    """Three redis-sentinels that watch a leader and have found each other and its followers."""
    lines = [
        f"sentinel monitor {SET_NAME} {HOST} {leader_port} 2",
        f"sentinel down-after-milliseconds {SET_NAME} {down_after_ms}",
        f"sentinel failover-timeout {SET_NAME} {failover_timeout_ms}",
        *([f"sentinel auth-pass {SET_NAME} {password}"] if password else []),
    ]
    with contextlib.ExitStack() as stack:
        started: list[Server] = []
        for index in range(3):
            where = directory / f"sentinel-{index}"
            where.mkdir()
            started.append(servers.start("sentinel", _sentinel(lines), where))
            stack.callback(started[-1].stop)
        yield started


def _sentinel(lines: list[str]) -> Callable[[int, Path], list[str]]:
    def command(port: int, directory: Path) -> list[str]:
        file = directory / "sentinel.conf"
        file.write_text("\n".join([f"port {port}", f"bind {HOST}", f"dir {directory}", *lines, ""]))
        return [str(servers.redis_binary()), str(file), "--sentinel"]

    return command
