# cython: language_level=3, annotation_typing=False, boundscheck=False, wraparound=False, nonecheck=False
"""The innermost loops of the wire: ordinary requests out of bytes, entries and their IDs into bytes.

This file runs as it stands. Where a C compiler was found when the package was installed, the very same file was
compiled with the types in `codec.pxd`, and Python imports that instead; `COMPILED` says which one runs. Everything here
is a pure function, so that one set of tests runs on both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

COMPILED: Final = not __file__.endswith(".py")

#: What stands before a word of that size.
HEADS: Final = tuple([b"$%d\r\n" % n for n in range(1024)])
# Compiled, these names are C variables, which Python does not see.
_SMALL: Final = 1024  # sizes below it are written out beforehand
_HEADS: Final = HEADS
_BREAKS: Final = tuple([b"\r\n$%d\r\n" % n for n in range(_SMALL)])  # a head behind another word
_COUNTS: Final = tuple([b"*%d" % n for n in range(_SMALL)])  # what is in front of so many words
_ENDS_MAX: Final = 4096
_BULK_ID_MAX: Final = 48  # bytes of an ID as a bulk string
_ENDS: Final = tuple([b"%d\r\n" % n for n in range(_ENDS_MAX)])  # how an ID with that sequence number ends
_LEADS: Final = tuple([b"%d" % n for n in range(_ENDS_MAX)])  # its digits but the last three
_TAILS: Final = tuple([b"%03d\r\n" % n for n in range(1000)])  # these
_POWERS: Final = tuple([10**n for n in range(19)])
_STRIDE: Final = 4096  # a sequence number modulo this tells the partition, see `respbroker.streams.topic`


def read_requests(data: bytes, position: int, bulk_bytes_max: int, requests: list[list[bytes]]) -> int:
    """Append the requests that stand at ``position`` to ``requests``, as long as they are whole and ordinary.

    An ordinary request is an array of one or more bulk strings, with numbers as one writes them. Returns where the
    first begins that is not: what that is, is for others to say.
    """
    raw = data  # when compiled, a pointer
    end = len(data)
    while position < end and raw[position] == 42:  # *
        missing, at = _number(raw, position + 1, end)
        if missing <= 0:
            return position
        words: list[bytes] = []
        while missing:
            if at >= end or raw[at] != 36:  # $
                return position
            size, at = _number(raw, at + 1, end)
            stop = at + size
            if size < 0 or size > bulk_bytes_max or stop + 2 > end or raw[stop] != 13 or raw[stop + 1] != 10:
                return position
            words.append(raw[at:stop])
            at = stop + 2
            missing -= 1
        requests.append(words)
        position = at
    return position


def _number(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at ``at`` and the position behind its line; (-1, 0) where there is none in its usual form."""
    value = 0
    first = at
    while at < end and 48 <= raw[at] <= 57 and at - first < 11:  # more digits than any size has
        value = value * 10 + raw[at] - 48
        at += 1
    if at == first or at + 1 >= end or raw[at] != 13 or raw[at + 1] != 10:
        return -1, 0
    if raw[first] == 48 and at - first > 1:
        return -1, 0
    return value, at + 2


def count_entries(requests: list[list[bytes]], start: int, skip: int) -> int:
    """How many requests from ``start`` on begin with the same ``skip`` words as the first, fields and values behind."""
    head = requests[start]
    end = len(requests)
    at = start
    while at < end:
        words = requests[at]
        size = len(words) - skip
        if size < 2 or size & 1:
            break
        same = 0
        while same < skip and words[same] == head[same]:
            same += 1
        if same < skip:
            break
        at += 1
    return at - start


def values_of(requests: list[list[bytes]], start: int, count: int, skip: int, field: bytes) -> list[bytes | None]:
    """What ``count`` requests from ``start`` on have in that field, first come first; None for one without it."""
    values: list[bytes | None] = []
    end = start + count
    while start < end:
        words = requests[start]
        start += 1
        at = skip
        size = len(words)
        while at < size and words[at] != field:
            at += 2
        values.append(words[at + 1] if at < size else None)
    return values


def usual_range(words: list[bytes]) -> tuple[bytes, tuple[int, int], int] | None:
    """Key, ID and count of ``XRANGE key ms-seq + COUNT n``; None where it is written in any other way."""
    if len(words) != 6 or words[3] != b"+" or (words[4] != b"COUNT" and words[4].upper() != b"COUNT"):
        return None
    return _wanted(words[1], words[2], words[5], 0)


def usual_read(words: list[bytes]) -> tuple[bytes, tuple[int, int], int] | None:
    """The same for ``XREAD COUNT n STREAMS key ms-seq``: the ID is the least that is above the one given."""
    if len(words) != 6 or (words[1] != b"COUNT" and words[1].upper() != b"COUNT"):
        return None
    if words[3] != b"STREAMS" and words[3].upper() != b"STREAMS":
        return None
    return _wanted(words[4], words[5], words[2], 1)


def _wanted(key: bytes, entry_id: bytes, count: bytes, step: int) -> tuple[bytes, tuple[int, int], int] | None:
    ms, _, seq = entry_id.partition(b"-")
    if len(ms) > 19 or len(seq) > 19 or len(count) > 9 or count[:1] == b"0":
        return None
    if not (ms.isdigit() and seq.isdigit() and count.isdigit()):
        return None
    return key, (int(ms), int(seq) + step), int(count)  # a sequence number one too high compares as it should


def encode_id(ms: int, seq: int) -> bytes:
    """An entry's ID as a bulk string: the reply of XADD, and the first word of the entry."""
    text = _prefix(ms) + b"%d" % seq
    return _HEADS[len(text)] + text + b"\r\n"


def encode_ids(ms: int, first: int, count: int) -> list[bytes]:
    """The same for ``ms-first``, ``ms-(first + 1)``, ..."""
    bulks: list[bytes] = []
    end = first + count
    prefix = _prefix(ms)
    while first < end:
        digits = len(b"%d" % first)
        stop = min(end, 10**digits)  # all below have as many
        head = _HEADS[len(prefix) + digits] + prefix
        if stop <= _ENDS_MAX:
            bulks += [head + number for number in _ENDS[first:stop]]
        else:
            bulks += [b"%b%d\r\n" % (head, seq) for seq in range(first, stop)]
        first = stop
    return bulks


def encode_bulk_ids(ms: bytes, seqs: bytes, before: bytes, after: bytes) -> bytes:
    """IDs as bulk strings, each between ``before`` and ``after``; the columns hold 64-bit numbers, little-endian.

    `respbroker.resp.ids` has a quicker way for where this is not compiled.
    """
    count = len(ms) // 8
    before_size = len(before)
    after_size = len(after)
    out = bytearray(count * (before_size + after_size + _BULK_ID_MAX))
    raw = out  # when compiled, these are pointers
    raw_ms = ms
    raw_seqs = seqs
    at = 0
    for place in range(count):
        first = _read(raw_ms, 8 * place)
        second = _read(raw_seqs, 8 * place)
        at = _copy(raw, at, before, before_size)
        raw[at] = 36  # $
        at = _line(raw, _write(raw, at + 1, _digits(first) + 1 + _digits(second)))
        at = _write(raw, at, first)
        raw[at] = 45  # -
        at = _line(raw, _write(raw, at + 1, second))
        at = _copy(raw, at, after, after_size)
    del out[at:]
    return bytes(out)


def _read(raw: bytes, at: int) -> int:
    """A 64-bit number, little-endian."""
    value = 0
    for place in range(8):
        value = value << 8 | raw[at + 7 - place]
    return value


def _copy(raw: bytearray, at: int, source: bytes, size: int) -> int:
    """Put ``source`` at ``at``; what lies behind it."""
    for place in range(size):
        raw[at + place] = source[place]
    return at + size


def _line(raw: bytearray, at: int) -> int:
    raw[at] = 13
    raw[at + 1] = 10
    return at + 2


def _digits(value: int) -> int:
    count = 1
    while value >= 10:
        value //= 10
        count += 1
    return count


def _write(raw: bytearray, at: int, value: int) -> int:
    """Put a number at ``at``; what lies behind it."""
    end = at + _digits(value)
    place = end
    while place > at:
        place -= 1
        raw[place] = 48 + value % 10
        value //= 10
    return end


@lru_cache(maxsize=64)
def _prefix(ms: int) -> bytes:
    """Most entries have the time of their tick: it is written out once."""
    return b"%d-" % ms


def encode_entry(id_bulk: bytes, words: list[bytes], skip: int) -> bytes:
    """The payload of an entry, see `respbroker.resp.entry`; its fields and values stand behind ``skip`` other words."""
    count = len(words) - skip
    if count == 2:  # by far the most common entry: one field, one value
        field = words[skip]
        value = words[skip + 1]
        field_size = len(field)
        value_size = len(value)
        if field_size < _SMALL and value_size < _SMALL:
            return b"".join(
                (b"*2\r\n", id_bulk, b"*2\r\n", _HEADS[field_size], field, _BREAKS[value_size], value, b"\r\n")
            )
    pieces = [b"*2\r\n", id_bulk, _COUNTS[count] if count < _SMALL else b"*%d" % count]
    end = len(words)
    while skip < end:
        word = words[skip]
        size = len(word)
        pieces.append(_BREAKS[size] if size < _SMALL else b"\r\n$%d\r\n" % size)
        pieces.append(word)
        skip += 1
    pieces.append(b"\r\n")
    return b"".join(pieces)


def encode_entries(id_bulks: list[bytes], requests: list[list[bytes]], start: int, skip: int) -> list[bytes]:
    """One payload for each ID, of the requests from ``start`` on."""
    payloads: list[bytes] = []
    at = start
    for id_bulk in id_bulks:
        words = requests[at]
        at += 1
        if len(words) == skip + 2:  # as in `encode_entry`, without the call
            field = words[skip]
            value = words[skip + 1]
            if len(field) < _SMALL and len(value) < _SMALL:
                head, gap = _HEADS[len(field)], _BREAKS[len(value)]
                payloads.append(b"".join((b"*2\r\n", id_bulk, b"*2\r\n", head, field, gap, value, b"\r\n")))
                continue
        payloads.append(encode_entry(id_bulk, words, skip))
    return payloads


def spread_entries(
    requests: list[list[bytes]],
    start: int,
    skip: int,
    indexes: list[int],
    ms: int,
    seq: int,
    seqs: list[list[int]],
    payloads: list[list[bytes]],
    id_bulks: list[bytes],
) -> int:
    """Entries of the requests from ``start`` on for several partitions, ``indexes`` says which; the last sequence.

    Their IDs rise over all partitions above ``ms-seq`` (-1: above none), and each tells its partition. What is for
    partition ``i`` is appended to ``seqs[i]`` and ``payloads[i]``, the IDs of all to ``id_bulks``. Sequences have at
    most 18 digits; the caller sees to that.
    """
    prefix = _prefix(ms)
    most = 0
    head = b""
    at = start
    for index in indexes:
        seq += 1 + (index - seq - 1) % _STRIDE
        if seq >= most:  # with more digits
            digits = len(b"%d" % seq)
            head = _HEADS[len(prefix) + digits] + prefix
            most = _POWERS[digits]
        lead = seq // 1000
        if 0 < lead < _ENDS_MAX:
            id_bulk = b"".join((head, _LEADS[lead], _TAILS[seq - 1000 * lead]))
        else:
            id_bulk = b"%b%d\r\n" % (head, seq)
        column = seqs[index]
        column.append(seq)
        row = payloads[index]
        row.append(encode_entry(id_bulk, requests[at], skip))
        id_bulks.append(id_bulk)
        at += 1
    return seq
