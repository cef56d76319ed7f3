"""A server that does nothing: how fast the load generator is when the server costs next to nothing.

It answers each piece that arrives with the same prepared bytes, whatever was asked.
"""

from __future__ import annotations

import multiprocessing
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from tests.support.servers import HOST


@contextmanager
def null_peer(reply: bytes) -> Iterator[int]:
    """The port of a null peer in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(reply, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def _serve(reply: bytes, started: Connection) -> None:
    listener = socket.create_server((HOST, 0))
    started.send(listener.getsockname()[1])
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    sockets: dict[int, socket.socket] = {}
    while True:
        for fd, _ in epoll.poll():
            if fd == listener.fileno():
                sock, _ = listener.accept()
                sockets[sock.fileno()] = sock
                epoll.register(sock.fileno(), select.EPOLLIN)
            elif sockets[fd].recv(1 << 16):
                sockets[fd].sendall(reply)
            else:
                epoll.unregister(fd)
                sockets.pop(fd).close()
