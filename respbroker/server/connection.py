"""One connection: its socket, its decoder, its unsent replies. No task of its own, no buffers while idle."""

from __future__ import annotations

import os
import socket
from typing import Final

from respbroker.model.settings import OutputLimit
from respbroker.resp.decoder import Decoder
from respbroker.resp.limits import PENDING_BYTES_MAX_UNAUTHENTICATED, Limits
from respbroker.server.outputs import Outbox, joined
from respbroker.server.poller import PEER_CLOSED, READ
from respbroker.sessions.client import Client, Output

LISTENING: Final = READ | PEER_CLOSED
#: A client that leaves this much unread is not read from until it takes some of it. Clients write a whole pipeline
#: before they read its first reply, so the mark must be far above the replies of any pipeline.
UNREAD_MAX: Final = 64 * 1024 * 1024
_LINGER_BYTES: Final = 1 << 20
_LINGER_READS: Final = 16  # a peer that goes on sending is not listened to for ever


class Connection:
    """Owned by the loop. ``mask`` is what the poller awaits of the socket; ``fd`` is -1 once closed."""

    __slots__ = ("client", "decoder", "fd", "mask", "outbox", "over_soft_since", "sock")

    def __init__(self, sock: socket.socket, client: Client, limits: Limits) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.client = client
        self.decoder = Decoder(limits)
        self.outbox: Outbox | None = None
        self.mask = LISTENING
        self.over_soft_since = 0.0  # when the soft limit was passed; 0: it is not

    @property
    def unsent_bytes(self) -> int:
        return 0 if self.outbox is None else self.outbox.size

    def send(self, pieces: list[Output]) -> int:
        """Send now what the socket takes, keep the rest in the outbox; the bytes sent.

        Raises:
            OSError: the connection is broken.
        """
        if self.outbox is not None:
            self.outbox.add(pieces)
            return 0
        data = pieces[0] if len(pieces) == 1 else joined(pieces)
        if not isinstance(data, bytes):
            self.outbox = Outbox(pieces)
            return self.flush()
        try:
            sent = os.write(self.fd, data)
        except BlockingIOError:
            sent = 0
        self.client.bytes_out += sent
        if sent < len(data):
            self.outbox = Outbox([memoryview(data)[sent:]])
        return sent

    def flush(self) -> int:
        """Send on from the outbox; the bytes sent.

        Raises:
            OSError: the connection is broken.
        """
        if self.outbox is None:
            return 0
        sent = self.outbox.send(self.sock)
        self.client.bytes_out += sent
        if not self.outbox.pieces:
            self.outbox = None
        return sent

    @property
    def may_idle(self) -> bool:
        """Whether the client is silent for a good reason."""
        client = self.client
        return client.blocked or client.subscribed or client.monitor or client.replica

    def hoards(self, limit: int) -> bool:
        """Whether the client has sent more than it may of a request that is not complete."""
        if not self.client.authenticated:
            limit = min(limit, PENDING_BYTES_MAX_UNAUTHENTICATED)
        return self.decoder.pending_bytes > limit

    def passes(self, limit: OutputLimit, now: float) -> bool:
        """Whether the client leaves more unread than ``limit`` allows."""
        unsent = self.unsent_bytes
        if limit.hard and unsent > limit.hard:
            return True
        if not limit.soft or unsent <= limit.soft:
            self.over_soft_since = 0.0
            return False
        if not self.over_soft_since:
            self.over_soft_since = now
        return now - self.over_soft_since > limit.soft_seconds

    def close(self, *, linger: bool) -> None:
        """Close the socket; with ``linger`` what was just sent is not taken back by what the peer still sends."""
        if linger:
            try:
                self.sock.shutdown(socket.SHUT_WR)
                for _ in range(_LINGER_READS):
                    if not self.sock.recv(_LINGER_BYTES):
                        break
            except OSError:  # nothing more to read, or broken anyway
                pass
        self.fd = -1
        self.outbox = None
        self.sock.close()
