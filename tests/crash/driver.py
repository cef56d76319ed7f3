"""A node with its edge but without sockets and threads: ticks, syncs, jobs, and replies that wait for the disk."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import attrs

from respbroker.broker.node import Node
from respbroker.model.settings import Settings
from respbroker.server.commit import OutputCommit, Sending
from respbroker.sessions.client import Client
from storage import FileSystem
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import TestClock

DIRECTORY = "/data"
Requests = list[list[bytes]]


@attrs.define(eq=False)
class Line:
    """What stands for the connections: they are closed as one when a sync fails."""

    client: Client


SETTINGS = {
    "segment.bytes": "1500",
    "stream-node-max-entries": "4",
    "notify-keyspace-events": "",
    "save": "",
}


def open_node(filesystem: FileSystem, clock: TestClock, **settings: str) -> Node:
    """A node on ``DIRECTORY`` with small segments."""
    pairs = SETTINGS | {name.replace("_", "-"): value for name, value in settings.items()}
    loaded = Settings.load("", list(pairs.items()))
    return Node(filesystem, DIRECTORY, loaded, clock.now(), clock=lambda: 0.0, seed=1)


class Driver:
    """Runs ticks as the server's loop does.

    Time is counted in *steps*: each is one flush, at the end of a tick or before a checkpoint in its middle. Syncs
    and jobs take a while, as they do in their threads: the next tick may come first. What comes when is drawn from the
    seed.
    """

    def __init__(self, filesystem: MemoryFileSystem, policy: str, seed: int) -> None:
        self.disk = filesystem
        self.clock = TestClock()
        self.policy = policy
        self.node = open_node(filesystem, self.clock, appendfsync=policy)
        self.commit = OutputCommit(self.node.durability, self._start_sync)
        self.rng = random.Random(seed)
        self.clients = [self._connect() for _ in range(3)]
        self._line = Line(self.clients[-1])
        self.steps = 0  # written whole
        self.answered = 0  # replies up to this step have left
        self.synced = 0  # everything up to this step was synced
        self.before_flush: Callable[[], None] = lambda: None
        self.after_flush: Callable[[], None] = lambda: None
        self._sync: Any = None
        self.failed_sync: OSError | None = None
        self.events_at_failure = 0
        self._jobs: list[Any] = []
        self._flush = self.node.durability.flush
        self.node.durability.flush = self._counted_flush  # type: ignore[method-assign]

    def _counted_flush(self, batch: Any = (), *, midway: bool = False) -> None:
        self.before_flush()
        self._flush(batch, midway=midway)
        self.steps += 1
        self.after_flush()

    def _connect(self) -> Client:
        return self.node.connect(self.clock.now(), "127.0.0.1:50000", "127.0.0.1:6379", 8)

    def tick(self, batch: list[tuple[int, Requests]]) -> list[bytes]:
        """One turn of the loop; the replies by client, whether they may leave yet or not."""
        self.clock.advance(30)
        self.node.tick([(self.clients[index], requests) for index, requests in batch], self.clock.now())
        self.node.take_outputs()
        replies = [_taken(client) for client in self.clients]
        released = self.commit.after_tick([Sending(self._line, [self.steps], False)], self.policy, self.clock.seconds)  # type: ignore[arg-type, list-item]
        self._release(released)
        self._jobs += self.node.housekeeping.take_jobs()
        self._let_threads_run()
        return replies

    def pass_time(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

    def settle(self) -> None:
        """Let everything come to its end."""
        for _ in range(4):
            self.tick([])
            self._finish_sync()
            self._finish_jobs()

    def _let_threads_run(self) -> None:
        if self.rng.random() < 0.6:
            self._finish_sync()
        if self.rng.random() < 0.6:
            self._finish_jobs()

    def _start_sync(self, request: Any) -> None:
        self._sync = self.steps, request

    def _finish_sync(self) -> None:
        while self._sync is not None:
            (step, request), self._sync = self._sync, None
            try:
                for file in request.files:
                    file.sync()
            except OSError as error:
                self.failed_sync = error
                self.commit.finished(error)
                return
            self._release(self.commit.finished(None))
            self.synced = max(self.synced, step)
            if self.policy == "always":
                self.commit.start_due(self.policy, self.clock.seconds)

    def fail_syncs(self) -> None:
        """Let a sync come back, which fails."""
        self._finish_sync()
        assert self.failed_sync is not None
        self.events_at_failure = self.disk.events

    def _finish_jobs(self) -> None:
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.done(job.run())

    def _release(self, released: list[Sending]) -> None:
        for sending in released:
            self.answered = max(self.answered, int(sending.pieces[0]))  # type: ignore[call-overload]


def _taken(client: Client) -> bytes:
    out, client.out = client.out, []
    return b"".join(bytes(piece) for piece in out)  # type: ignore[arg-type]
