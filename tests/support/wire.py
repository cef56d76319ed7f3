"""A raw RESP client: words go out, the exact bytes of one reply come back.

Compatibility is a matter of bytes, so nothing is decoded on the way: ``Wire.call`` returns the frame as the server
sent it. ``parse`` turns a frame into a tree and ``render`` turns a tree back into the same bytes, for the few
comparisons that must look at single fields.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from types import TracebackType

import attrs

Word = str | bytes | int

_AGGREGATES = b"*%~>|"  # arrays, maps, sets, pushes, attributes
_BULKS = b"$=!"  # bulk strings, verbatim strings, bulk errors
_LINES = b"+-:_#,("  # everything that ends with its line


class ConnectionEnded(Exception):
    """The server closed the connection; ``rest`` is what it sent of an unfinished reply."""

    def __init__(self, rest: bytes) -> None:
        super().__init__(f"connection closed by the server, unread bytes: {rest!r}")
        self.rest = rest


class NoReply(Exception):
    """No whole reply arrived in time; the caller says what it waited for."""


class NotResp(Exception):
    """The server sent bytes that are no RESP frame."""


@attrs.frozen
class Frame:
    """One RESP value: ``kind`` is its first byte, ``text`` its line or bulk (None for a null), ``items`` its members.

    A map of n pairs has 2n items. ``head`` is the header line as sent, so that rendering is exact.
    """

    kind: bytes
    head: bytes
    text: bytes | None = None
    items: tuple[Frame, ...] | None = None

    @property
    def integer(self) -> int:
        assert self.kind == b":", self
        assert self.text is not None
        return int(self.text)


def encode_word(word: Word) -> bytes:
    if isinstance(word, bytes):
        return word
    return str(word).encode("utf-8", "surrogateescape")


def encode_request(words: Iterable[Word]) -> bytes:
    """A request as clients send it: an array of bulk strings."""
    pieces = [b"$%d\r\n%b\r\n" % (len(word), word) for word in map(encode_word, words)]
    return b"*%d\r\n" % len(pieces) + b"".join(pieces)


def frame_end(buffer: bytes | bytearray, start: int = 0) -> int | None:
    """Position behind the first whole frame at ``start``; None when it has not arrived in full."""
    wanted = 1
    position = start
    while wanted:
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return None
        kind = buffer[position]
        after = line_end + 2
        if kind in _LINES:
            wanted -= 1
        elif kind in _BULKS:
            size = int(buffer[position + 1 : line_end])
            if size >= 0:
                after += size + 2
                if after > len(buffer):
                    return None
            wanted -= 1
        elif kind in _AGGREGATES:
            count = max(0, int(buffer[position + 1 : line_end]))
            wanted += count * (2 if kind in b"%|" else 1)
            wanted -= 0 if kind in b"|" else 1  # an attribute stands before the value it describes
        else:
            raise NotResp(bytes(buffer[position : position + 80]))
        position = after
    return position


def parse(data: bytes) -> Frame:
    """The tree of exactly one frame."""
    frame, end = _parse_at(data, 0)
    assert end == len(data), (data, end)
    return frame


def _parse_at(data: bytes, start: int) -> tuple[Frame, int]:
    line_end = data.index(b"\r\n", start)
    kind, head = data[start : start + 1], data[start:line_end]
    position = line_end + 2
    if kind in _LINES:
        return Frame(kind, head, text=head[1:]), position
    size = int(head[1:])
    if size < 0:
        return Frame(kind, head), position
    if kind in _BULKS:
        return Frame(kind, head, text=data[position : position + size]), position + size + 2
    items = []
    for _ in range(size * 2 if kind in b"%|" else size):
        item, position = _parse_at(data, position)
        items.append(item)
    return Frame(kind, head, items=tuple(items)), position


def render(frame: Frame) -> bytes:
    """The bytes ``parse`` was given."""
    if frame.items is not None:
        return frame.head + b"\r\n" + b"".join(render(item) for item in frame.items)
    if frame.kind in _BULKS and frame.text is not None:
        return frame.head + b"\r\n" + frame.text + b"\r\n"
    return frame.head + b"\r\n"


class Wire:
    """One connection to a server. Not thread-safe; closes itself as a context manager."""

    def __init__(self, host: str, port: int, *, timeout: float = 10.0) -> None:
        self.timeout = timeout
        self._socket = socket.create_connection((host, port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def abort(self) -> None:
        """Close with a reset, as a killed client's kernel may do."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self._socket.close()

    @property
    def local_address(self) -> str:
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send(self, *words: Word) -> None:
        self._socket.sendall(encode_request(words))

    def call(self, *words: Word) -> bytes:
        """Send one request, return the bytes of the next frame."""
        self.send(*words)
        return self.read()

    def pipeline(self, requests: Iterable[Iterable[Word]]) -> list[bytes]:
        """Send all requests in one piece, return as many frames."""
        encoded = [encode_request(words) for words in requests]
        self._socket.sendall(b"".join(encoded))
        return [self.read() for _ in encoded]

    def read(self, timeout: float | None = None) -> bytes:
        """The bytes of exactly one frame.

        Raises: ConnectionEnded when the server closes before the frame is whole, NoReply after ``timeout`` seconds.
        """
        self._socket.settimeout(self.timeout if timeout is None else timeout)
        while (end := frame_end(self._buffer)) is None:
            try:
                piece = self._socket.recv(1 << 18)
            except TimeoutError:
                raise NoReply(f"no reply in time, so far: {bytes(self._buffer)!r}") from None
            except ConnectionError:
                piece = b""
            if not piece:
                raise ConnectionEnded(bytes(self._buffer))
            self._buffer += piece
        frame = bytes(self._buffer[:end])
        del self._buffer[:end]
        return frame

    def read_to_end(self, timeout: float | None = None) -> bytes:
        """All bytes until the server closes; NoReply when it does not."""
        self._socket.settimeout(self.timeout if timeout is None else timeout)
        try:
            while piece := self._socket.recv(1 << 18):
                self._buffer += piece
        except TimeoutError:
            raise NoReply(f"still open, so far: {bytes(self._buffer)!r}") from None
        except ConnectionError:
            pass
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest
