"""What stands around the entries in a reply of XREAD and XREADGROUP."""

from __future__ import annotations

from collections.abc import Sequence

from respbroker.sessions.client import Output


def framed(served: Sequence[tuple[bytes, list[Output]]], protocol: int) -> list[Output]:
    """Keys with their entries: pairs in an array, or a map in RESP3."""
    head = b"%%%d\r\n" if protocol == 3 else b"*%d\r\n"
    pair = b"$%d\r\n%b\r\n" if protocol == 3 else b"*2\r\n$%d\r\n%b\r\n"
    key, entries = served[0]
    pieces: list[Output] = [head % len(served) + pair % (len(key), key), *entries]
    for key, entries in served[1:]:
        pieces.append(pair % (len(key), key))
        pieces.extend(entries)
    return pieces


def head_of_one(key: bytes, protocol: int) -> bytes:
    """What stands before the entries where they are of one key only."""
    return (b"%%1\r\n$%d\r\n%b\r\n" if protocol == 3 else b"*1\r\n*2\r\n$%d\r\n%b\r\n") % (len(key), key)
