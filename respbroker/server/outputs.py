"""What is still to be sent to one client: joined where small, scattered where large, lazy where huge.

`send` tries at once; what the socket does not take is kept in an `Outbox` until it is writable again. A piece may be
an iterator of pieces (a reply too large to hold): it is asked for more only as fast as the socket takes it.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

from respbroker.sessions.client import Buffer, Output

_log = logging.getLogger("respbroker.server")

PIECE_LARGE: Final = 16 * 1024  # bytes; from here on sendmsg beats copying
PIECES_MAX: Final = 512  # of one sendmsg; the system's limit is 1024
TURN_BYTES: Final = 2 * 1024 * 1024  # sent to one client before others have their turn


_HELD: Final = (bytes, memoryview)  # a piece that is none of these is lazy; asking for Iterator takes ten times as long


class Outbox:
    """The unsent pieces of one client, in order. ``size`` counts those that exist (not what is still lazy)."""

    __slots__ = ("pieces", "size")

    def __init__(self, pieces: Sequence[Output] = ()) -> None:
        self.pieces: deque[Output] = deque()
        self.size = 0
        self.add(pieces)

    def add(self, pieces: Sequence[Output]) -> None:
        for piece in pieces:
            if isinstance(piece, _HELD):
                self.size += len(piece)
            self.pieces.append(piece)

    def send(self, sock: socket.socket) -> int:
        """Send until the socket is full, all is sent, or others should have their turn; the bytes sent.

        Raises:
            OSError: the connection is broken.
        """
        total = 0
        while self.pieces and total < TURN_BYTES:
            buffers = self._next_buffers()
            if not buffers:
                continue  # a lazy piece had come to its end
            offered = sum(map(len, buffers))
            try:
                sent = sock.sendmsg(buffers)
            except BlockingIOError:
                sent = 0
            self._drop(sent)
            total += sent
            if sent < offered:
                break
        return total

    def _next_buffers(self) -> list[Buffer]:
        """The pieces to offer next; many small ones are first made into one."""
        self._unfold()
        buffers: list[Buffer] = []
        size = 0
        for piece in self.pieces:
            if not isinstance(piece, _HELD) or len(buffers) == PIECES_MAX or size > TURN_BYTES:
                break
            buffers.append(piece)
            size += len(piece)
        if len(buffers) > 1 and size < PIECE_LARGE * len(buffers):
            joined = b"".join(buffers)
            for _ in buffers:
                self.pieces.popleft()
            self.pieces.appendleft(joined)
            return [joined]
        return buffers

    def _unfold(self) -> None:
        """Take a piece out of the lazy one in front.

        Raises:
            ConnectionAbortedError: what it reads is not there any more, or damaged. Half of the reply is sent and
                nothing else can follow it.
        """
        front = self.pieces[0] if self.pieces else None
        if front is not None and not isinstance(front, _HELD):
            try:
                piece = next(front, None)
            except Exception as error:  # whatever it is, it is this connection's alone
                _log.warning("a long reply breaks off: %s", error)
                raise ConnectionAbortedError(str(error)) from error
            if piece is None:
                self.pieces.popleft()
            else:
                self.pieces.appendleft(piece)
                self.size += len(piece)

    def _drop(self, sent: int) -> None:
        """Forget what was sent."""
        self.size -= sent
        pieces = self.pieces
        while pieces:
            piece = pieces[0]
            if not isinstance(piece, _HELD) or sent < len(piece):
                break
            sent -= len(piece)
            pieces.popleft()
        if sent:
            front = pieces[0]
            assert isinstance(front, _HELD)
            pieces[0] = memoryview(front)[sent:]


def joined(pieces: list[Output]) -> bytes | None:
    """Several pieces as one buffer, where one copy of them is the cheapest way to send them; else None."""
    try:
        if len(pieces) <= 64 and max(map(len, pieces)) >= PIECE_LARGE:  # type: ignore[arg-type]
            return None
        return b"".join(pieces)  # type: ignore[arg-type]
    except TypeError:  # one of them is lazy
        return None
