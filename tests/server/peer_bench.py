"""`Peers` with a poller, a thread and a scripted node, turned by hand as the loop turns them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from respbroker.broker.clock import Now
from respbroker.model.settings import Settings
from respbroker.server.peers import Peers
from respbroker.server.poller import best_poller
from respbroker.server.worker import Worker, run_job
from respbroker.sessions.peer import Peer
from respbroker.sessions.statistics import Statistics
from tests.server.edge import TIMEOUT


class ScriptedNode:
    """Wants the peers that a test gives it, says ``greeting`` to each, and writes down what it is told."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.statistics = Statistics()
        self.wanted: list[Peer] = []
        self.greeting = b""
        self.told: list[tuple[str, Peer, Any]] = []
        self.in_tick = False

    def take_peers(self) -> list[Peer]:
        wanted, self.wanted = self.wanted, []
        return wanted

    def peer_connected(self, peer: Peer, now: Now) -> None:
        assert peer.connected
        self._tell("connected", peer, None)
        if self.greeting:
            peer.out.append(self.greeting)

    def peer_received(self, peer: Peer, replies: list[Any], now: Now) -> None:
        self._tell("received", peer, replies)

    def peer_lost(self, peer: Peer, reason: str, now: Now) -> None:
        assert not peer.connected
        self._tell("lost", peer, reason)

    def _tell(self, what: str, peer: Peer, value: Any) -> None:
        assert not self.in_tick, "told before the tick or not at all"
        self.told.append((what, peer, value))

    def replies_of(self, peer: Peer) -> list[Any]:
        return [each for what, whom, some in self.told if what == "received" and whom is peer for each in some]

    def end_of(self, peer: Peer) -> str | None:
        """Why it was lost."""
        return next((reason for what, whom, reason in self.told if what == "lost" and whom is peer), None)


class Bench:
    """``later`` is added to the clock, in seconds."""

    def __init__(self) -> None:
        self.node = ScriptedNode()
        self.later = 0.0
        self.poller = best_poller()
        self.worker = Worker("jobs", run_job, lambda: None)
        self.peers = Peers(self.node, self.poller, self.worker.submit)

    def want(self, port: int, host: str = "127.0.0.1") -> Peer:
        peer = Peer(host, port)
        self.node.wanted.append(peer)
        return peer

    def turn(self) -> None:
        """One turn of the loop, as far as peers are concerned."""
        events = self.poller.poll(0 if self.peers.next_deadline() == 0 else 0.01)
        now = Now(0, time.monotonic() + self.later)
        for fd, mask in events:
            self.peers.serve(fd, mask, now)
        for done in self.worker.take_done():
            assert done.error is None
            done.task.done(done.result)
        self.peers.before_tick(now)
        self.node.in_tick = True
        self.peers.after_tick(now.seconds)
        self.node.in_tick = False

    def until(self, condition: Callable[[], Any]) -> Any:
        """Turn until ``condition`` gives something, and give it back."""
        deadline = time.monotonic() + TIMEOUT
        while not (found := condition()):
            assert time.monotonic() < deadline, self.node.told
            self.turn()
        return found

    def connected_to(self, listener: socket.socket) -> tuple[Peer, socket.socket]:
        """A new peer, and the other side's end of its connection."""
        peer = self.want(listener.getsockname()[1])
        self.until(lambda: peer.connected)
        other, _ = listener.accept()
        other.settimeout(TIMEOUT)
        return peer, other

    def end_of(self, peer: Peer) -> str:
        """Turn until it is lost; why."""
        return str(self.until(lambda: self.node.end_of(peer)))


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    it = Bench()
    try:
        yield it
    finally:
        it.peers.close()
        it.worker.stop()
        it.poller.close()


@contextlib.contextmanager
def listening(backlog: int = 8) -> Iterator[socket.socket]:
    """A listener on a free port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        listener.settimeout(TIMEOUT)
        yield listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port
