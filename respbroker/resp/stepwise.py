"""Requests from bytes, one header at a time: exact about every violation, and never holding more than arrived.

This is the arbiter: what it says is the protocol. `decoder.py` goes past it only with input of which it has
proven that the result is the same.
"""

from __future__ import annotations

import re
from typing import Final

from respbroker.errors import ProtocolError
from respbroker.resp.inline import split_line
from respbroker.resp.limits import (
    BULK_BYTES_MAX_UNAUTHENTICATED,
    LINE_BYTES_MAX,
    WORDS_MAX,
    WORDS_MAX_UNAUTHENTICATED,
    Limits,
)

_CANONICAL: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")  # the one spelling of a number that Redis reads
_INCOMPLETE: Final = -1
WORD_OVERHEAD: Final = 64  # bytes an empty word costs in memory, about
_LOGINS: Final = frozenset({b"auth", b"hello"})
STAR: Final = ord("*")


class StepwiseDecoder:
    """The input of one connection, as far as it is not a complete request.

    Lines end as Redis ends them: a header at its CR and the byte behind that, whatever it is; a word is followed
    by any two bytes; a NUL hides the end of its line.
    """

    __slots__ = ("_missing", "_open", "_open_size", "_rest", "_words", "_words_size", "authenticated", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        #: False applies the narrow limits for strangers.
        self.authenticated = True
        self._rest = b""  # an unfinished line
        self._words: list[bytes] | None = None  # of the request being read
        self._words_size = 0  # their memory
        self._missing = 0  # words it still lacks
        self._open: bytearray | None = None  # what has come of an unfinished word
        self._open_size = 0  # its size when complete, with the two bytes behind it

    @property
    def pending_bytes(self) -> int:
        """Memory held for a request that is not complete."""
        return len(self._rest) + self._words_size + (len(self._open) if self._open is not None else 0)

    @property
    def at_border(self) -> bool:
        """Whether nothing is pending: the next byte starts a request."""
        return self._words is None and not self._rest

    def step(self, data: bytes, requests: list[list[bytes]], *, to_border: bool) -> bytes:
        """Read ``data`` and append the complete requests to ``requests``.

        Returns what stands behind the first border between requests where ``to_border`` stops there, else nothing.

        Raises:
            ProtocolError: the input cannot be read any further; ``requests`` has what came before.
        """
        if self._open is not None:
            data = self._fill(self._open, data, requests)
            if to_border and self._words is None:
                return data
        elif self._rest:
            data, self._rest = self._rest + data, b""
        position, end = 0, len(data)
        while position < end:
            behind = self._advance(data, position, requests)
            if behind == _INCOMPLETE:
                if self._open is None:
                    self._rest = data[position:]
                return b""
            position = behind
            if to_border and self._words is None:
                return data[position:]
        return b""

    def _advance(self, data: bytes, position: int, requests: list[list[bytes]]) -> int:
        """Read one line or word at ``position``; the position behind it, or that it is incomplete."""
        if self._words is not None:
            return self._word(data, position, requests)
        if data[position] == STAR:
            return self._multibulk(data, position)
        return self._inline(data, position, requests)

    def _inline(self, data: bytes, position: int, requests: list[list[bytes]]) -> int:
        end = _line_end(data, position, b"\n", "too big inline request")
        if end == _INCOMPLETE:
            return end
        line = data[position : end - 1 if data[end - 1 : end] == b"\r" and end > position else end]
        if words := split_line(line):
            self._complete(words, requests)
        return end + 1

    def _multibulk(self, data: bytes, position: int) -> int:
        """The line that begins a request, ``*<words>``; a count of zero or less is a request of nothing."""
        end = _line_end(data, position, b"\r", "too big mbulk count string")
        if end == _INCOMPLETE or end + 1 == len(data):
            return _INCOMPLETE
        count = _number(data[position + 1 : end])
        if count is None or count > WORDS_MAX:
            raise ProtocolError("invalid multibulk length")
        if count > WORDS_MAX_UNAUTHENTICATED and not self.authenticated:
            raise ProtocolError("unauthenticated multibulk length")
        if count > 0:
            self._words, self._missing = [], count
        return end + 2

    def _word(self, data: bytes, position: int, requests: list[list[bytes]]) -> int:
        """One word with its header, ``$<size>``."""
        end = _line_end(data, position, b"\r", "too big bulk count string")
        if end == _INCOMPLETE or end + 1 == len(data):
            return _INCOMPLETE
        if data[position : position + 1] != b"$":
            raise ProtocolError(f"expected '$', got '{chr(data[position])}'")
        size = self._checked_size(data[position + 1 : end])
        start, behind = end + 2, end + 4 + size
        if behind > len(data):
            self._open, self._open_size = bytearray(data[start:]), size + 2
            return _INCOMPLETE
        self._take(data[start : start + size], requests)
        return behind

    def _checked_size(self, digits: bytes) -> int:
        size = _number(digits)
        if size is None or size < 0 or size > self.limits.bulk_bytes_max:
            raise ProtocolError("invalid bulk length")
        if size > BULK_BYTES_MAX_UNAUTHENTICATED and not self.authenticated:
            raise ProtocolError("unauthenticated bulk length")
        return size

    def _fill(self, word: bytearray, data: bytes, requests: list[list[bytes]]) -> bytes:
        """Add to the unfinished word; returns what stands behind it."""
        lacking = self._open_size - len(word)
        word += data[:lacking]
        if len(word) == self._open_size:
            self._open = None
            del word[-2:]
            self._take(bytes(word), requests)
        return data[lacking:]

    def _take(self, word: bytes, requests: list[list[bytes]]) -> None:
        words = self._words
        assert words is not None
        words.append(word)
        self._words_size += len(word) + WORD_OVERHEAD
        self._missing -= 1
        if not self._missing:
            self._words, self._words_size = None, 0
            self._complete(words, requests)

    def _complete(self, words: list[bytes], requests: list[list[bytes]]) -> None:
        """A stranger who logs in may send more in one breath; whoever reads the input sets ``authenticated`` anew."""
        requests.append(words)
        if not self.authenticated and words[0].lower() in _LOGINS:
            self.authenticated = True


def _line_end(data: bytes, position: int, mark: bytes, too_long: str) -> int:
    """Where ``mark`` ends the line at ``position``, or that it has not come."""
    reach = position + LINE_BYTES_MAX + 1
    end = data.find(mark, position, reach)
    if end >= 0 and data.find(b"\0", position, end) < 0:
        return end
    if len(data) >= reach:
        raise ProtocolError(too_long)
    return _INCOMPLETE


def _number(digits: bytes) -> int | None:
    return int(digits) if _CANONICAL.fullmatch(digits) else None
