"""A stream entry as it stands on the wire and in the log.

The stored payload of an entry is the very reply that XRANGE sends for it: an array of the ID and of the array
of its words. RESP2 and RESP3 frame it alike, so a read answers with slices of the log.

    *2\\r\\n $<n>\\r\\n <id>\\r\\n *<k>\\r\\n $<n>\\r\\n <word>\\r\\n ...
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

SMALL: Final = 1024  # sizes and numbers below it are written out beforehand
SMALL_NUMBERS: Final = tuple(b"%d" % n for n in range(SMALL))
HEADS: Final = tuple(b"$%d\r\n" % n for n in range(SMALL))  # what stands before a word of that size
BREAKS: Final = tuple(b"\r\n$%d\r\n" % n for n in range(SMALL))  # the same behind another word


def encode_id(ms: int, seq: int) -> bytes:
    """An entry's ID as a bulk string: the reply of XADD, and the first word of the entry."""
    text = _prefix(ms) + (SMALL_NUMBERS[seq] if seq < SMALL else b"%d" % seq)
    return HEADS[len(text)] + text + b"\r\n"


def encode_ids(ms: int, first: int, count: int) -> list[bytes]:
    """The same for ``ms-first``, ``ms-(first + 1)``, ..."""
    bulks: list[bytes] = []
    end = first + count
    while first < end:
        digits = len(b"%d" % first)
        stop = min(end, 10**digits)  # all below have as many
        prefix = _prefix(ms)
        head = HEADS[len(prefix) + digits] + prefix
        bulks += [b"%b%d\r\n" % (head, seq) for seq in range(first, stop)]
        first = stop
    return bulks


@lru_cache(maxsize=64)
def _prefix(ms: int) -> bytes:
    """Most entries have the time of their tick: it is written out once."""
    return b"%d-" % ms


def encode_entry(id_bulk: bytes, words: list[bytes]) -> bytes:
    """The payload of an entry; ``id_bulk`` as `encode_id` gives it, ``words`` are its fields and values, in turn."""
    if len(words) == 2:  # by far the most common entry: one field, one value
        field, value = words
        field_size, value_size = len(field), len(value)
        if field_size < SMALL and value_size < SMALL:
            return b"".join(
                (b"*2\r\n", id_bulk, b"*2\r\n", HEADS[field_size], field, BREAKS[value_size], value, b"\r\n")
            )
    body = b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])
    return b"*2\r\n%b*%d\r\n%b" % (id_bulk, len(words), body)


def encode_entries(id_bulks: list[bytes], requests: Iterable[list[bytes]], skip: int) -> list[bytes]:
    """The payload of one entry for each request; its fields and values stand behind ``skip`` other words."""
    payloads = []
    join, two = b"".join, skip + 2
    for id_bulk, words in zip(id_bulks, requests, strict=True):
        if len(words) == two:  # as in `encode_entry`, without the call
            field, value = words[skip], words[-1]
            field_size, value_size = len(field), len(value)
            if field_size < SMALL and value_size < SMALL:
                payloads.append(
                    join((b"*2\r\n", id_bulk, b"*2\r\n", HEADS[field_size], field, BREAKS[value_size], value, b"\r\n"))
                )
                continue
        payloads.append(encode_entry(id_bulk, words[skip:]))
    return payloads


def decode_entry(payload: bytes | memoryview) -> tuple[bytes, list[bytes]]:
    """The ID's text and the words of an entry.

    Raises:
        ValueError: ``payload`` is not what `encode_entry` makes.
    """
    payload = bytes(payload)
    if payload[:4] != b"*2\r\n":
        raise ValueError("an entry begins with *2")
    id_text, position = _word(payload, 4)
    count, position = _header(payload, position, b"*")
    words = []
    for _ in range(count):
        word, position = _word(payload, position)
        words.append(word)
    if position != len(payload):
        raise ValueError("bytes behind the entry")
    return id_text, words


def _header(payload: bytes, position: int, mark: bytes) -> tuple[int, int]:
    """The number behind ``mark`` at ``position``, and the position behind its line."""
    end = payload.find(b"\r\n", position)
    if payload[position : position + 1] != mark or end < 0:
        raise ValueError(f"no {mark!r} header at byte {position}")
    return int(payload[position + 1 : end]), end + 2


def _word(payload: bytes, position: int) -> tuple[bytes, int]:
    size, start = _header(payload, position, b"$")
    end = start + size
    if size < 0 or payload[end : end + 2] != b"\r\n":
        raise ValueError(f"no word of {size} bytes at byte {start}")
    return payload[start:end], end + 2
