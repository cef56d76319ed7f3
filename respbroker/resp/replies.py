"""Replies as wire bytes, for RESP2 and RESP3.

There are no reply objects: a reply *is* its bytes, and a handler returns them. Functions whose bytes depend
on the protocol take it as their last argument (2 or 3); all others are the same in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from respbroker.errors import ReplyError
from respbroker.resp.floats import digits_of

OK: Final = b"+OK\r\n"
PONG: Final = b"+PONG\r\n"
QUEUED: Final = b"+QUEUED\r\n"
EMPTY_ARRAY: Final = b"*0\r\n"
ZERO: Final = b":0\r\n"
ONE: Final = b":1\r\n"
NULL_BULK_2: Final = b"$-1\r\n"
NULL_ARRAY_2: Final = b"*-1\r\n"
NULL_3: Final = b"_\r\n"

SMALL: Final = 1024  # numbers below it have their wire form prebuilt: lengths, counts, small integers
_INTEGERS: Final = tuple(b":%d\r\n" % n for n in range(SMALL))


class Wire(bytes):
    """Bytes that are a reply already; `encode` passes them on as they are."""

    __slots__ = ()


class Simple(bytes):
    """Bytes that `encode` sends as a simple string (``+...``)."""

    __slots__ = ()


# -- the same in both protocols ------------------------------------------------------------------------


def integer(n: int) -> bytes:
    return _INTEGERS[n] if 0 <= n < SMALL else b":%d\r\n" % n


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def text(value: str) -> bytes:
    """A bulk string from text, in UTF-8."""
    return bulk(value.encode())


def simple(value: bytes) -> bytes:
    return b"+%b\r\n" % value


def array(wires: Sequence[bytes]) -> bytes:
    """An array of replies which are wire bytes already."""
    return b"*%d\r\n%b" % (len(wires), b"".join(wires))


def bulk_array(values: Sequence[bytes]) -> bytes:
    """An array of bulk strings."""
    return bulk_array_start(len(values), values)


def bulk_array_start(count: int, values: Sequence[bytes]) -> bytes:
    """An array of ``count`` bulk strings as far as the first ones, which are given here."""
    return b"*%d\r\n%b" % (count, bulks(values))


def bulks(values: Iterable[bytes]) -> bytes:
    """Bulk strings in a row."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(value), value) for value in values])


def bulk_pieces(buffers: Sequence[bytes]) -> list[bytes]:
    """A bulk string of all these buffers, none of which is copied."""
    return [b"$%d\r\n" % sum(map(len, buffers)), *buffers, b"\r\n"]


def integer_array(values: Iterable[int]) -> bytes:
    wires = [b":%d\r\n" % n for n in values]
    return b"*%d\r\n%b" % (len(wires), b"".join(wires))


def error(refusal: ReplyError) -> bytes:
    """``-CODE text``; CR and LF become blanks, so a quoted word can never start a second reply."""
    return error_line(f"{refusal.code} {refusal.text}")


def error_line(line: str) -> bytes:
    """An error reply from its whole line, code included."""
    try:
        wire = line.encode("latin-1")
    except UnicodeEncodeError:  # a text of ours, not a client's word
        wire = line.encode()
    return b"-%b\r\n" % wire.translate(_BLANK_LINE_ENDS)


_BLANK_LINE_ENDS: Final = bytes(32 if n in b"\r\n" else n for n in range(256))


# -- different in RESP3 ----------------------------------------------------------------------------------


def null(protocol: int) -> bytes:
    return NULL_3 if protocol == 3 else NULL_BULK_2


def bulk_or_null(text: bytes | None, protocol: int) -> bytes:
    return null(protocol) if text is None else bulk(text)


def null_array(protocol: int) -> bytes:
    return NULL_3 if protocol == 3 else NULL_ARRAY_2


def map_(pairs: Sequence[tuple[bytes, bytes]], protocol: int) -> bytes:
    """A map from pairs of wire bytes; a flat array in RESP2."""
    body = b"".join([key + value for key, value in pairs])
    return b"%%%d\r\n%b" % (len(pairs), body) if protocol == 3 else b"*%d\r\n%b" % (2 * len(pairs), body)


def set_(wires: Sequence[bytes], protocol: int) -> bytes:
    return b"%b%d\r\n%b" % (b"~" if protocol == 3 else b"*", len(wires), b"".join(wires))


def push(wires: Sequence[bytes], protocol: int) -> bytes:
    return b"%b%d\r\n%b" % (b">" if protocol == 3 else b"*", len(wires), b"".join(wires))


def double(value: float, protocol: int) -> bytes:
    """A number as `digits_of` writes it; a bulk string in RESP2."""
    digits = digits_of(value)
    return b",%b\r\n" % digits if protocol == 3 else bulk(digits)


def boolean(value: bool, protocol: int) -> bytes:
    if protocol == 3:
        return b"#t\r\n" if value else b"#f\r\n"
    return ONE if value else ZERO


def verbatim(value: bytes, protocol: int, kind: bytes = b"txt") -> bytes:
    """Text for people (INFO, LATENCY DOCTOR, ...); a bulk string in RESP2."""
    return b"=%d\r\n%b:%b\r\n" % (len(value) + 4, kind, value) if protocol == 3 else bulk(value)


def encode(value: object, protocol: int) -> bytes:
    """A reply from a plain Python value, nested as deep as it is.

    int → integer, bytes and str → bulk, list and tuple → array, dict → map, set → set, bool → boolean,
    float → double, None → null; `Wire` as it is, `Simple` as a simple string, a `ReplyError` as an error.
    """
    match value:
        case Wire():
            return value
        case Simple():
            return simple(value)
        case bytes():
            return bulk(value)
        case str():
            return text(value)
        case bool():
            return boolean(value, protocol)
        case int():
            return integer(value)
        case None:
            return null(protocol)
        case float():
            return double(value, protocol)
        case list() | tuple():
            return array([encode(item, protocol) for item in value])
        case Mapping():
            return map_([(encode(key, protocol), encode(item, protocol)) for key, item in value.items()], protocol)
        case set() | frozenset():
            return set_([encode(item, protocol) for item in value], protocol)
        case ReplyError():
            return error(value)
    raise TypeError(f"no wire form for {type(value).__name__}")
