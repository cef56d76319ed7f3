"""The loop in a thread, serving a toy node on a free port."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import attrs
import trio

from respbroker.model.settings import Settings
from respbroker.server.listener import listen
from respbroker.server.loop import Loop
from tests.server.toy_node import ToyNode

TIMEOUT = 20.0  # seconds after which a test that waits in vain fails


@attrs.define
class Edge:
    node: ToyNode
    loop: Loop
    port: int

    def connect(self, **options: int) -> socket.socket:
        peer = socket.socket()
        for name, value in options.items():
            peer.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        peer.settimeout(TIMEOUT)
        peer.connect(("127.0.0.1", self.port))
        return peer


@contextlib.contextmanager
def edge(*overrides: tuple[str, str], node: ToyNode | None = None, clients_max: int = 20_000) -> Iterator[Edge]:
    settings = Settings.load("", [("port", "0"), *overrides])
    toy = node or ToyNode()
    toy.settings = settings
    listeners = listen(settings)
    loop = Loop(toy, listeners, clients_max)
    thread = threading.Thread(target=trio.run, args=(loop.run,))
    thread.start()
    try:
        yield Edge(toy, loop, listeners[0].getsockname()[1])
    finally:
        loop.stop()
        thread.join()
        loop.close()


def receive(peer: socket.socket, size: int) -> bytes:
    """Exactly ``size`` bytes."""
    received = bytearray()
    while len(received) < size:
        chunk = peer.recv(min(1 << 20, size - len(received)))
        assert chunk, f"closed after {bytes(received[:200])!r}"
        received += chunk
    return bytes(received)


def receive_all(peer: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while chunk := peer.recv(1 << 20):
            received += chunk
    return bytes(received)


def ask(peer: socket.socket, sent: bytes, expected: bytes) -> None:
    peer.sendall(sent)
    assert receive(peer, len(expected)) == expected
