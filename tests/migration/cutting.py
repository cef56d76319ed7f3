"""A door to a server that shuts after so many bytes: what a network, or a killed process, does to a migration."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

import attrs

from tests.support.servers import HOST


@attrs.define
class Door:
    """Passes bytes on in both directions. ``open_for`` counts down with what clients send; None passes everything."""

    port: int
    open_for: int | None = None
    passed: int = 0

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def pass_some(self, data: bytes) -> bytes:
        """As much of it as may still pass."""
        if self.open_for is not None:
            data = data[: self.open_for]
            self.open_for -= len(data)
        self.passed += len(data)
        return data


@contextlib.contextmanager
def door_to(port: int, tls: ssl.SSLContext | None = None) -> Iterator[Door]:
    """A door that is open; with ``tls`` it speaks that to clients, as stunnel does in front of a server."""
    with socket.create_server((HOST, 0)) as listener:
        door = Door(listener.getsockname()[1])
        threading.Thread(target=_serve, args=(listener, port, door, tls), daemon=True).start()
        yield door
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread


def _serve(listener: socket.socket, port: int, door: Door, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        if tls is not None:
            client = tls.wrap_socket(client, server_side=True)
        server = socket.create_connection((HOST, port))
        threading.Thread(target=_back, args=(server, client), daemon=True).start()
        threading.Thread(target=_there, args=(client, server, door), daemon=True).start()


def _there(client: socket.socket, server: socket.socket, door: Door) -> None:
    """Everything that passed is answered before the door shuts, so the server has done it."""
    with contextlib.suppress(OSError):
        while data := client.recv(1 << 16):
            some = door.pass_some(data)
            server.sendall(some)
            if len(some) < len(data):
                break
        server.shutdown(socket.SHUT_WR)


def _back(server: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := server.recv(1 << 16):
            client.sendall(data)
    for each in (server, client):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
