"""Replies made of a stream's entries, or of their IDs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from respbroker.resp import replies
from respbroker.sessions.client import Buffer, Output
from respbroker.streams.runs import consecutive
from storage import OutOfRange

if TYPE_CHECKING:
    from respbroker.streams.merged import Merged
    from respbroker.streams.stream import Id, Range, Stream

EAGER_BYTES: Final = 16 << 20  # what a reply may hold in memory before the rest is read as it is sent
JOIN_MAX: Final = 64 << 10  # a reply of one or two pieces up to this size is cheaper copied than sent in pieces
_STARTS_COUNT: Final = 1001
_STARTS: Final = tuple([b"*%d\r\n" % number for number in range(_STARTS_COUNT)])
CHUNK_BYTES: Final = 1 << 20  # read at a time of that rest, about
CHUNK_MAX: Final = 1000  # entries read at a time backwards
CHUNK_FIRST: Final = 32  # so many at first, while nobody knows their size


def reply_of_ranges(stream: Stream, ranges: list[Range], head: bytes = b"") -> bytes | list[Output]:
    """The array of these live entries behind ``head``: in one piece where that is small."""
    if len(ranges) == 1:  # nothing was deleted in between: nearly always
        return reply_of_range(stream, *ranges[0], head)
    return [head, *array_of_ranges(stream, ranges)]


def reply_of_range(stream: Stream, first: int, end: int, head: bytes = b"") -> bytes | list[Output]:
    """The same for the live entries ``[first, end)``."""
    pieces, place = stream.payloads_some(first, end, CHUNK_BYTES)
    if place == end:
        return joined(head, end - first, pieces)
    return [head, *array_of_ranges(stream, [(first, end)])]


def joined(head: bytes, number: int, pieces: list[Buffer]) -> bytes | list[Output]:
    """The array of ``number`` entries behind ``head``."""
    start = _STARTS[number] if number < _STARTS_COUNT else b"*%d\r\n" % number
    if len(pieces) < 3 and len(pieces[-1]) + len(pieces[0]) <= JOIN_MAX:
        return b"".join((head, start, *pieces))
    return [head + start, *pieces]


def array_of_ranges(stream: Stream, ranges: list[Range]) -> list[Output]:
    """The array of these live entries. What a long one holds beyond some megabytes is read while it is sent."""
    count = 0
    for first, end in ranges:
        count += end - first
    pieces: list[Output] = [b"*%d\r\n" % count]
    return _eager(pieces, stream.payloads_in_pieces(ranges, CHUNK_BYTES))


def array_of_ranges_backwards(stream: Stream, ranges: list[Range]) -> list[Output]:
    """The same with the last entry first."""
    count = sum(end - first for first, end in ranges)
    return _eager([b"*%d\r\n" % count], _chunks_backwards(stream, ranges))


def array_of_merged(merged: Merged[Stream]) -> list[Output]:
    """The array of the entries of several streams."""
    return _eager([b"*%d\r\n" % merged.count], merged.pieces())


def _eager(pieces: list[Output], chunks: Iterator[list[Buffer]]) -> list[Output]:
    """``pieces`` with the first megabytes of ``chunks`` behind them, and a source of the rest."""
    size = 0
    for chunk in chunks:
        pieces.extend(chunk)
        size += sum(map(len, chunk))
        if size > EAGER_BYTES:
            pieces.append(chain.from_iterable(chunks))
            break
    return pieces


def _chunks_backwards(stream: Stream, ranges: list[Range]) -> Iterator[list[Buffer]]:
    step = CHUNK_FIRST
    for first, end in reversed(ranges):
        while first < end:
            start = max(first, end - step)
            entries = stream.payloads_each([(start, end)])
            if len(entries) != end - start:
                raise OutOfRange("entries were cleaned away while they were read", file=stream.log.directory)
            chunk = b"".join(reversed(entries))
            yield [chunk]
            end, step = start, max(1, min(CHUNK_MAX, CHUNK_BYTES * (end - start) // len(chunk)))


def array_of_entries(stream: Stream, ordinals: Sequence[int]) -> list[Output]:
    """Live entries in the order given, as XRANGE has them."""
    return [b"*%d\r\n" % len(ordinals), *stream.payloads(consecutive(ordinals))]


def array_of_ids(stream: Stream, ordinals: Sequence[int]) -> list[Output]:
    """The IDs of live entries in the order given."""
    texts = [b"%d-%d" % each for first, end in consecutive(ordinals) for each in stream.ids(first, end)]
    return [replies.bulk_array(texts)]


def known_ids(stream: Stream, first: int, end: int) -> list[Id]:
    """The IDs of entries in ``[first, end)`` that are, or were, here."""
    if first < stream.log.first_ordinal:
        return [stream.id_at(ordinal) for ordinal in range(first, end)]
    return stream.ids(first, end)
