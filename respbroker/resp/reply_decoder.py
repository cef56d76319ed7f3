"""Replies from other servers: hiredis, wrapped.

The other side is one that this server was told to trust with its data, so this guards against accidents: a server
that does not speak RESP, or says too much at once.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import hiredis

PENDING_BYTES_MAX: Final = 1 << 30  # what a leader wrote in one tick comes as one reply
_MORE: Final = object()  # hiredis: nothing complete is left. RESP3 has a False of its own


class ReplyViolation(Exception):
    """What arrived is no reply; nothing that follows can be read."""


@attrs.frozen
class ErrorReply:
    """A refusal as the other server words it, ``-CODE text``."""

    code: str
    text: str

    @classmethod
    def parse(cls, line: str) -> ErrorReply:
        code, _, text = line.partition(" ")
        return cls(code, text)

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class ReplyDecoder:
    """The replies of one connection; how the input is cut into pieces makes no difference.

    Statuses and bulk strings are bytes, integers are ints, arrays are lists, nulls are None, errors are `ErrorReply`
    (inside of arrays too).
    """

    def __init__(self, pending_bytes_max: int = PENDING_BYTES_MAX) -> None:
        # hiredis is typed to want an exception here, and takes any value.
        self._reader = hiredis.Reader(replyError=ErrorReply.parse, notEnoughData=_MORE)  # type: ignore[arg-type]  # takes functions too
        self._pending_bytes_max = pending_bytes_max
        self._pending_bytes = 0  # what has come since the last reply was complete, and what came with its end

    @property
    def is_within(self) -> bool:
        """Whether what was fed ends within a reply."""
        return self._reader.has_data()

    def feed(self, data: bytes) -> list[Any]:
        """The replies completed by ``data``, in order.

        Raises:
            ReplyViolation: this is not RESP, or a reply grows beyond the limit. Replies before it are lost with it.
        """
        reader = self._reader
        try:
            reader.feed(data)
            replies = list(iter(reader.gets, _MORE))
        except hiredis.HiredisError as error:
            raise ReplyViolation(str(error)) from None
        if replies:
            self._pending_bytes = 0
        self._pending_bytes += len(data)
        if self._pending_bytes > self._pending_bytes_max and not replies:
            raise ReplyViolation(f"a reply is larger than {self._pending_bytes_max} bytes")
        return replies
