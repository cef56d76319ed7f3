"""A leader with a follower, of one program; or the leader alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from tests.benchmarks.peers import OURS, Target, environment, options
from tests.benchmarks.scenarios import KEY
from tests.support import servers
from tests.support.servers import HOST

LEVEL_SECONDS = 600.0
#: Redis waits five seconds for further replicas before it begins to copy; and what a replica missed is to fit.
_REDIS = ("--repl-diskless-sync-delay", "0", "--repl-backlog-size", "64mb")


@attrs.define(eq=False)
class Pair:
    """Two servers under measurement."""

    leader: Target
    follower: Target | None

    @property
    def name(self) -> str:
        return self.leader.name

    @property
    def follower_cpu_seconds(self) -> float:
        return self.follower.cpu_seconds if self.follower else 0.0

    def length(self) -> int:
        return self.leader.number("XLEN", KEY)

    def clear(self) -> None:
        """Drop the stream, on both."""
        self.leader.call("DEL", KEY)
        self.wait()

    def wait(self) -> None:
        """Until the follower has everything."""
        if self.follower is not None:
            self.follower_is_level()

    def follower_is_level(self) -> None:
        """A WAIT of a connection counts that connection's writes, so it writes something."""
        with self.leader.server.connect(timeout=LEVEL_SECONDS) as wire:
            wire.call("XADD", "mark", "MAXLEN", "1", "*", "f", "v")
            reply = wire.call("WAIT", 1, 0)
        assert reply == b":1\r\n", reply

    def place(self, leader: Sequence[int], follower: Sequence[int]) -> None:
        """On which cores they run, threads that there are and threads that come."""
        for target, cores in ((self.leader, leader), (self.follower, follower)):
            if target is not None:
                for task in os.listdir(f"/proc/{target.server.process.pid}/task"):
                    os.sched_setaffinity(int(task), cores)


@contextlib.contextmanager
def pair(name: str, root: Path | None, ours: tuple[str, ...] = (), *, follower: bool) -> Iterator[Pair]:
    """A fresh leader, and a level follower if there is to be one; ``ours`` are settings of respbroker alone."""
    with contextlib.ExitStack() as stack:
        leader = stack.enter_context(target(name, root, ours))
        found = Pair(leader, None)
        if follower:
            found.follower = stack.enter_context(target(name, root, ours))
            follow(found.follower, leader)
            until_level(found.follower)
        yield found


@contextlib.contextmanager
def target(name: str, root: Path | None, ours: tuple[str, ...] = ()) -> Iterator[Target]:
    """One server with ``appendfsync everysec`` in a directory of its own, which goes afterwards."""
    directory = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir=root))
    words = options(name, "everysec", ours) + ([] if name == OURS else list(_REDIS))
    try:
        with servers.running(name, *words, directory=directory, environment=environment()) as server:
            yield Target(name, server)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def follow(follower: Target, leader: Target) -> None:
    """Make one server follow the other."""
    follower.call("REPLICAOF", HOST, leader.port)


def until_level(follower: Target) -> None:
    """Until the follower has what the leader had, as it says itself."""
    deadline = time.monotonic() + LEVEL_SECONDS
    with follower.server.connect(timeout=LEVEL_SECONDS) as wire:
        while True:
            facts = wire.call("INFO", "replication")
            level = b"slave_in_sync:1" if follower.is_ours else b"master_link_status:up"
            if level in facts:
                return
            assert time.monotonic() < deadline, facts
            time.sleep(0.01)  # between two looks at another process
