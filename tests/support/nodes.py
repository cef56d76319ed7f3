"""Nodes without sockets: start one on a directory, connect clients, run requests, read the wire bytes of replies."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import attrs

from respbroker.broker.clock import Now
from respbroker.broker.node import Node
from respbroker.model.settings import Settings
from respbroker.sessions.client import Client
from storage import FileSystem, OsFileSystem


@attrs.define
class TestClock:
    """Both clocks of a node under test; they move only when told."""

    ms: int = 1_700_000_000_000
    seconds: float = 1000.0

    __test__ = False

    def advance(self, milliseconds: int) -> None:
        self.ms += milliseconds
        self.seconds += milliseconds / 1000

    def now(self) -> Now:
        return Now(self.ms, self.seconds)


@attrs.define
class NodeUnderTest:
    """A node with its clock; every `run` is one tick."""

    node: Node
    clock: TestClock

    __test__ = False

    def client(self, protocol: int = 2) -> Client:
        """A connected client."""
        client = self.node.connect(self.clock.now(), "127.0.0.1:50000", "127.0.0.1:6379", 8)
        client.protocol = protocol
        return client

    def run(self, client: Client, *words: bytes | str | int) -> bytes:
        """Run one request in a tick of its own; the bytes sent to this client, empty if it waits."""
        return self.pipeline(client, [words])

    def pipeline(self, client: Client, requests: Iterable[Iterable[bytes | str | int]]) -> bytes:
        """Run several requests in one tick."""
        self.tick([(client, [list(map(_word, words)) for words in requests])])
        return self.output(client)

    def tick(self, batch: list[tuple[Client, list[list[bytes]]]] | None = None) -> None:
        """One tick with whatever arrived; syncs and jobs are done at once."""
        self.node.tick(batch or [], self.clock.now())
        self.node.take_outputs()
        if self.node.durability.needs_sync:
            request = self.node.durability.take_syncs()
            for file in request.files:
                file.sync()
            self.node.durability.synced(request)
        for job in self.node.housekeeping.take_jobs():
            job.done(job.run())

    def kill(self) -> None:
        """End the node as kill -9 would: only the directory's lock is given back."""
        self.node._lock.release()

    def output(self, client: Client) -> bytes:
        """What was sent to the client since it was last asked for."""
        out, client.out = client.out, []
        return b"".join(_flat(out))


def open_node(directory: str | Path, filesystem: FileSystem | None = None, **settings: object) -> NodeUnderTest:
    """A node on ``directory``; ``settings`` by attribute name."""
    clock = TestClock()
    configured = Settings.load("", [(name.replace("_", "-"), str(value)) for name, value in settings.items()])
    node = Node(filesystem or OsFileSystem(), str(directory), configured, clock.now(), clock=time.perf_counter, seed=1)
    return NodeUnderTest(node, clock)


def settle(node: NodeUnderTest, rounds: int = 4) -> None:
    """Let time pass, so that what is due is done."""
    for _ in range(rounds):
        node.clock.advance(10_001)
        for _ in range(8):
            node.clock.advance(101)
            node.tick()


def _word(word: bytes | str | int) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


def _flat(out: Iterable[object]) -> Iterable[bytes]:
    for piece in out:
        if isinstance(piece, bytes | memoryview):
            yield bytes(piece)
        else:
            yield from map(bytes, piece)  # type: ignore[call-overload]
