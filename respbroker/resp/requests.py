"""Requests to other servers as bytes: hiredis, wrapped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import hiredis

Word = bytes | str | int


def request(words: Sequence[Word]) -> bytes:
    """One request."""
    packed: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # typed to take one word
    return packed


def requests(many: Iterable[Sequence[Word]]) -> bytes:
    """Several, one behind the other."""
    return b"".join([request(words) for words in many])


def appends(key: bytes, entries: Iterable[Sequence[object]]) -> bytes:
    """An XADD for each entry, ``[ID, [field, value, ...]]`` as XRANGE answers it, under its own ID."""
    pack = hiredis.pack_command
    return b"".join([pack((b"XADD", key, entry_id, *fields)) for entry_id, fields in entries])  # type: ignore[misc]  # of objects
