"""Inline requests: a line of words, quoted as in redis-cli."""

from __future__ import annotations

import re
from typing import Final

from respbroker.errors import ProtocolError

BLANKS: Final = b" \t\n\v\f\r"  # C's isspace: skipped before a word, wanted behind a closing quote
_PLAIN_END: Final = b" \t\n\r\0"  # what ends a bare word; \v and \f do not
_ESCAPES: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_HEX: Final = re.compile(rb"x([0-9a-fA-F]{2})")


def split_line(line: bytes) -> list[bytes]:
    """The words of a line; empty for a blank one. ``line`` has neither its end nor a NUL.

    Raises:
        ProtocolError: a quote is left open, or its end is not followed by a blank.
    """
    if b'"' not in line and b"'" not in line and b"\v" not in line and b"\f" not in line:
        return line.split()
    words: list[bytes] = []
    position, end = 0, len(line)
    while True:
        while position < end and line[position] in BLANKS:
            position += 1
        if position == end:
            return words
        word, position = _word(line, position, end)
        words.append(word)


def _word(line: bytes, position: int, end: int) -> tuple[bytes, int]:
    """The word that starts at ``position``, and the position behind it."""
    word = bytearray()
    while position < end:
        byte = line[position : position + 1]
        if byte in (b'"', b"'"):
            position = _quoted(line, position + 1, end, byte, word)
            return bytes(word), position
        if byte in _PLAIN_END:
            break
        word += byte
        position += 1
    return bytes(word), position


def _quoted(line: bytes, position: int, end: int, quote: bytes, word: bytearray) -> int:
    """Append what stands up to the closing ``quote`` to ``word``; returns the position behind it."""
    while position < end:
        byte = line[position : position + 1]
        if byte == b"\\" and (escape := _escape(line, position + 1, quote)) is not None:
            word += escape[0]
            position = escape[1]
        elif byte == quote:
            if position + 1 < end and line[position + 1] not in BLANKS:
                break
            return position + 1
        else:
            word += byte
            position += 1
    raise ProtocolError("unbalanced quotes in request")


def _escape(line: bytes, position: int, quote: bytes) -> tuple[bytes, int] | None:
    """What the backslash before ``position`` stands for, and the position behind; None: for itself."""
    following = line[position : position + 1]
    if quote == b"'":
        return (b"'", position + 1) if following == b"'" else None
    if matched := _HEX.match(line, position):
        return bytes.fromhex(matched[1].decode()), position + 3
    return (_ESCAPES.get(following, following), position + 1) if following else None
