"""Ordinary requests by hiredis, where `codec.py` is not compiled: asked only what can be checked.

hiredis reads whole batches of requests in C, but it is no border guard: it takes integers, nulls, simple strings
and nested arrays for words, knows no inline requests, and cannot tell where an incomplete request began. So its
answer is taken only where it is proven to be the same as that of `stepwise.StepwiseDecoder`.

Measured per request (XADD of 5 words with a value of 100 bytes, pipeline of 16): hiredis alone 0.23 us, with the checks
0.6 us, `bytes.split` with its checks 1.3 us, stepwise 3 us; `codec.py` 4.3 us, compiled 0.2 us.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Final

import hiredis

_MORE: Final = object()  # hiredis: nothing complete is left. RESP3 has a False of its own
_LIST: Final = {list}
_flatten = chain.from_iterable
_FRAMES: Final = re.compile(rb"[|~=]\d+\r\n")  # RESP3 frames that come out of hiredis as lists and bytes
#: hiredis makes the list before its words are there, and freeing one of 2**31 words takes it 10 seconds. No
#: request of so many words arrives in one piece, so nothing is lost.
_HUGE: Final = re.compile(rb"\*\d{6}")
_HEADER_MAX: Final = 4096
_HEADERS: Final = [len(b"$%d\r\n\r\n" % size) for size in range(_HEADER_MAX)]
_END: Final = b"_\r\n"  # fed behind the input: comes out as None, and as the last, only if all before it was whole
_ONE_MAX: Final = 512  # bytes; more than that is more likely a pipeline
#: Asked of ``bytes`` as numbers: for a byte string, ``in`` first raises and drops an error, five times the cost.
_PLUS, _BRACKET, _BAR, _TILDE, _EQUALS = b"+(|~="
_reader = hiredis.Reader(notEnoughData=_MORE)


def read_requests(data: bytes, position: int, bulk_bytes_max: int, requests: list[list[bytes]]) -> int:
    """As `respbroker.resp.codec.read_requests`; words are as small as what is read at a time, so none is too large."""
    if position:
        data = data[position:]
    words = _read_one(data)
    if words is not None:
        requests.append(words)
        return position + len(data)
    if data[:1] != b"*":
        return position
    whole = _read_whole(data) if data.endswith(b"\r\n") else None
    if whole is None:
        border = _last_start(data)
        if not border or (whole := _read_whole(data[:border])) is None:
            return position
        data = data[:border]
    requests += whole
    return position + len(data)


def _read_one(data: bytes) -> list[bytes] | None:
    """The request that ``data`` is, or None where that is not proven: the short way for clients without pipelining."""
    global _reader
    if len(data) > _ONE_MAX or data[:1] != b"*" or _HUGE.search(data):
        return None
    reader = _reader
    try:
        reader.feed(data)
        words: list[bytes] = reader.gets()
        if words is not _MORE and not reader.has_data():  # so it is one, whole, and an array by its first byte
            if words and b"".join(words) and not (_PLUS in data or _BRACKET in data or _EQUALS in data):
                return words
            return None
    except (hiredis.HiredisError, TypeError, MemoryError):
        pass
    _reader = hiredis.Reader(notEnoughData=_MORE)
    return None


def _read_whole(data: bytes) -> list[list[bytes]] | None:
    """The requests in ``data``, or None where it is not proven that they are all there and nothing else is."""
    global _reader
    if _HUGE.search(data):
        return None
    reader = _reader
    try:
        reader.feed(data)
        requests: list[list[bytes]] = list(iter(reader.gets, _MORE))
        reader.feed(_END)
        if reader.gets() is None and _are_requests(requests, data):
            return requests
    except (hiredis.HiredisError, TypeError, MemoryError):
        pass
    _reader = hiredis.Reader(notEnoughData=_MORE)
    return None


def _are_requests(requests: list[list[bytes]], data: bytes) -> bool:
    """Whether each of ``requests`` is an array of one or more bulk strings.

    Raises:
        TypeError: some are not even lists of bytes.
    """
    if set(map(type, requests)) != _LIST or not all(requests):
        return False
    b"".join(_flatten(requests))  # proves that all words are bytes
    if (_BAR in data or _TILDE in data or _EQUALS in data) and _FRAMES.search(data):
        return False
    # Simple strings and big numbers come out as bytes too, but their frames are shorter than those of bulk strings.
    return not (_PLUS in data or _BRACKET in data) or _wire_size(requests) == len(data)


def _wire_size(requests: list[list[bytes]]) -> int:
    """The size of ``requests`` written as arrays of bulk strings, in the one way there is."""
    size = 0
    for words in requests:
        size += 3 + len(str(len(words)))
        for length in map(len, words):
            size += length + (_HEADERS[length] if length < _HEADER_MAX else len(b"$%d\r\n\r\n" % length))
    return size


def _last_start(data: bytes) -> int:
    """Where the last request in ``data`` seems to start: a guess, never trusted; 0 where there is none."""
    position = len(data)
    while (position := data.rfind(b"\r\n*", 0, position)) > 0:
        if data[position + 3 : position + 4].isdigit():
            return position + 2
    return 0
