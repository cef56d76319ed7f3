"""Stream entry IDs: order, parsing, successor, ranges."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from respbroker.errors import InvalidStreamId

U64_MAX: Final = 2**64 - 1
U64_DIGITS: Final = 20  # a number of fewer digits is none too large


class StreamId(NamedTuple):
    """A stream entry ID, ``<ms>-<seq>``.

    Ordered first by ``ms`` (Unix time, milliseconds), then by ``seq``; both are unsigned 64-bit.
    Equal to, and ordered with, the plain tuple ``(ms, seq)`` which hot paths use instead.
    ``StreamId(0, 0)`` precedes every entry and names none.
    """

    ms: int
    seq: int

    def __bytes__(self) -> bytes:
        return b"%d-%d" % self


#: As ``StreamId(*pair)``, in half the time.
_new_id: Final[Callable[[tuple[int, int]], StreamId]] = partial(tuple.__new__, StreamId)

ZERO: Final = StreamId(0, 0)
MAX: Final = StreamId(U64_MAX, U64_MAX)


def parse_id(word: bytes, missing_seq: int = 0) -> StreamId:
    """Parse ``ms-seq`` or ``ms``; ``missing_seq`` stands in where only ``ms`` is given.

    Raises:
        InvalidStreamId: the word is not one or two unsigned 64-bit decimal numbers.
    """
    ms, dash, seq = word.partition(b"-")
    if len(ms) < U64_DIGITS > len(seq) and ms.isdigit() and seq.isdigit():  # nearly always
        return _new_id((int(ms), int(seq)))
    if dash:
        return StreamId(_parse_u64(ms), _parse_u64(seq))
    return StreamId(_parse_u64(ms), missing_seq)


def parse_range_start(word: bytes) -> StreamId:
    """The lowest ID that a range beginning with ``word`` contains (``-``, ``+``, ``(id``, ``id``).

    Raises:
        InvalidStreamId: as `parse_id`, or an exclusive bound behind the last possible ID.
    """
    if word[:1] == b"(":
        return successor(parse_id(word[1:]), InvalidStreamId("invalid start ID for the interval"))
    return _parse_bound(word, 0)


def parse_range_end(word: bytes) -> StreamId:
    """The highest ID that a range ending with ``word`` contains; a bare ``ms`` means all of it."""
    if word[:1] == b"(":
        return predecessor(parse_id(word[1:], U64_MAX), InvalidStreamId("invalid end ID for the interval"))
    return _parse_bound(word, U64_MAX)


def successor(entry_id: tuple[int, int], refusal: Exception) -> StreamId:
    """The next possible ID; raises ``refusal`` behind the last one."""
    ms, seq = entry_id
    if seq < U64_MAX:
        return StreamId(ms, seq + 1)
    if ms < U64_MAX:
        return StreamId(ms + 1, 0)
    raise refusal


def predecessor(entry_id: tuple[int, int], refusal: Exception) -> StreamId:
    """The previous possible ID; raises ``refusal`` before ``0-0``."""
    ms, seq = entry_id
    if seq > 0:
        return StreamId(ms, seq - 1)
    if ms > 0:
        return StreamId(ms - 1, U64_MAX)
    raise refusal


def _parse_bound(word: bytes, missing_seq: int) -> StreamId:
    if word == b"-":
        return ZERO
    if word == b"+":
        return MAX
    return parse_id(word, missing_seq)


def _parse_u64(digits: bytes) -> int:
    """An unsigned number as ``strtoull`` reads it: leading zeros, blanks and a plus sign are let through."""
    if not digits.isdigit():
        digits = digits.lstrip(b" \t\n\v\f\r").removeprefix(b"+")
        if not digits.isdigit():
            raise InvalidStreamId
    if len(digits) > 100:
        raise InvalidStreamId
    number = int(digits)
    if number > U64_MAX:
        raise InvalidStreamId
    return number
