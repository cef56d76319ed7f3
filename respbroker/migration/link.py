"""One connection to a server of a migration: made by redis-py, then driven by hand, many requests at a time.

redis-py knows URLs, TLS, users and databases. It takes microseconds to pack a request and to read a reply, and a
migration has several for every entry; so once connected, its socket is used directly.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from respbroker.migration.facts import ASKED_FOR, Side
from respbroker.migration.turns import Request, done, said
from respbroker.resp.reply_decoder import ErrorReply, ReplyDecoder, ReplyViolation
from respbroker.resp.requests import requests as packed
from respbroker.tools.connection import REPLY_SECONDS, Failed, connect, in_sentences, without_password

if TYPE_CHECKING:
    import redis

RECEIVE_BYTES: Final = 1 << 20
SEND_BYTES: Final = 1 << 16


class Link:
    """A connected server. Replies come in the order of requests: who sent takes a ticket, and is answered by it."""

    def __init__(self, url: str, database: int | None = None) -> None:
        self.place = without_password(url)
        self.unanswered = 0  # requests that were sent and whose replies have not come
        self._tickets: deque[Ticket] = deque()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._decoder = ReplyDecoder()
        with in_sentences(self.place):
            self._client = _client(url, database)
            self._connection = self._client.connection_pool.get_connection()
            self._socket = cast(socket.socket, self._connection._sock)  # redis-py does not read from it any more
        self._socket.settimeout(REPLY_SECONDS)
        self.side, self.identity = self._find_out()

    def close(self) -> None:
        self._connection.disconnect()  # type: ignore[no-untyped-call]  # of redis-py

    def send(self, raw: bytes, count: int) -> Ticket:
        """Send ``count`` requests: at once if they are many bytes, else together with what follows, or with `flush`."""
        ticket = Ticket(count)
        self._tickets.append(ticket)
        self.unanswered += count
        self._unsent.append(raw)
        self._unsent_bytes += len(raw)
        if self._unsent_bytes > SEND_BYTES:
            self.flush()
        return ticket

    def flush(self) -> None:
        raw = b"".join(self._unsent)
        self._unsent, self._unsent_bytes = [], 0
        with in_sentences(self.place):
            self._socket.sendall(raw)

    def receive(self, ticket: Ticket) -> list[Any]:
        """The replies to what was sent with this ticket; those to what was sent before come first."""
        if self._unsent:
            self.flush()
        while not ticket.is_answered:
            with in_sentences(self.place):
                data = self._socket.recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("it closed the connection")
            self._hand_out(data)
        return ticket.replies

    def ask(self, *requests: Request) -> list[Any]:
        return self.receive(self.send(packed(requests), len(requests)))

    def _hand_out(self, data: bytes) -> None:
        try:
            replies = self._decoder.feed(data)
        except ReplyViolation as error:
            raise Failed(f"what the server at {self.place} answers cannot be read: {error}") from None
        self.unanswered -= len(replies)
        position = 0
        while position < len(replies):
            ticket = self._tickets[0]
            taken = replies[position : position + ticket.count - len(ticket.replies)]
            ticket.replies += taken
            position += len(taken)
            if ticket.is_answered:
                self._tickets.popleft()

    def _find_out(self) -> tuple[Side, tuple[bytes, int]]:
        """What the server can do, and which one it is, whatever it was called in the URL."""
        replies = self.ask((b"COMMAND", b"INFO", *ASKED_FOR), (b"INFO", b"server"))
        for reply in replies:
            if isinstance(reply, ErrorReply):
                raise Failed(f"the server at {self.place} refuses: {said(reply)}")
        known, info = replies
        side = Side(frozenset(name for name, row in zip(ASKED_FOR, known, strict=True) if row))
        run = next((line for line in info.splitlines() if line.startswith(b"run_id:")), self.place.encode())
        return side, (run, self._connection.db)


class Ticket:
    """Requests that were sent together."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.replies: list[Any] = []

    @property
    def is_answered(self) -> bool:
        return len(self.replies) == self.count


def _client(url: str, database: int | None) -> redis.Redis:
    client = connect(url)
    chosen = client.connection_pool.connection_kwargs
    chosen["protocol"] = 2  # Redis 5 knows no other
    if database is not None:
        chosen["db"] = database
    return client


def scan(link: Link, pattern: bytes) -> list[bytes]:
    """The names of all streams that match, sorted. Never KEYS, which holds up a server for as long as it takes."""
    names: set[bytes] = set()
    cursor = b"0"
    by_type = True
    while True:
        words: Sequence[bytes | int] = (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", 1000)
        [reply] = link.ask((*words, b"TYPE", b"stream") if by_type else words)
        if isinstance(reply, ErrorReply) and by_type:
            by_type = False  # Redis 5
            continue
        cursor, page = done([reply], b"SCAN")[0]
        if page and not by_type:
            types = link.ask(*((b"TYPE", name) for name in page))
            page = [name for name, kind in zip(page, types, strict=True) if kind == b"stream"]
        names.update(page)
        if int(cursor) == 0:
            return sorted(names)
