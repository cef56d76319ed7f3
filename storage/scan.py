"""Walking the batches of a segment in order, each verified, a window of the file at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from storage.batch import CONTROL, Header, is_intact, parse_header, parse_table
from storage.filesystem import File

WINDOW = 256 << 10  # bytes read at once


class Found(NamedTuple):
    """An intact batch: its place in the file, and its bytes from ``raw[at]``."""

    position: int
    header: Header
    raw: bytes
    at: int


def walk(file: File, start: int, end: int) -> Iterator[Found]:
    """The batches between two positions; stops silently before the first that is not whole and intact."""
    position = start
    while position < end:
        raw = file.pread(min(WINDOW, end - position), position)
        header = parse_header(raw)
        if header is not None and header.size > len(raw):
            if header.size > end - position:
                return
            raw = file.pread(header.size, position)
        at = 0
        while header is not None and is_intact(raw, at, header):
            yield Found(position + at, header, raw, at)
            at += header.size
            header = parse_header(raw, at)
        if not at:
            return
        position += at


class Effect(NamedTuple):
    """A CONTROL record."""

    offset: int
    append_ms: int
    effect: bytes


def effects_of(found: Found) -> Iterator[Effect]:
    """The records of a CONTROL batch."""
    header = found.header
    assert header.kind == CONTROL
    table = parse_table(found.raw, found.at, header)
    start = 0
    for i, end in enumerate(table.ends):
        offset = header.base_offset + (table.deltas[i] if table.deltas else i)
        append_ms = table.times[i] if table.times else header.append_ms
        yield Effect(offset, append_ms, bytes(table.payload[start:end]))
        start = end
