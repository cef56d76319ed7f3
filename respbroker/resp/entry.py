"""A stream entry as it stands on the wire and in the log.

The stored payload of an entry is the very reply that XRANGE sends for it: an array of the ID and of the array
of its words. RESP2 and RESP3 frame it alike, so a read answers with slices of the log. `codec.py` writes it.

    *2\\r\\n $<n>\\r\\n <id>\\r\\n *<k>\\r\\n $<n>\\r\\n <word>\\r\\n ...
"""

from __future__ import annotations


def decode_entry(payload: bytes | memoryview) -> tuple[bytes, list[bytes]]:
    """The ID's text and the words of an entry.

    Raises:
        ValueError: ``payload`` is not what `codec.encode_entry` makes.
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


def with_words(payload: bytes, id_bulk: bytes, words: list[bytes]) -> bytes:
    """The same entry under another ID, with more words behind its own."""
    _, position = _word(payload, 4)
    count, position = _header(payload, position, b"*")
    more = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join((b"*2\r\n", id_bulk, b"*%d\r\n" % (count + len(words)), payload[position:], *more))


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
