"""Walking the batches of a segment in order, each verified, a window of the file at a time."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from crc32c import crc32c

from storage.batch import (
    CONTROL,
    CRC_START,
    DATA,
    ENTRY_TABLE,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    Header,
    Table,
    is_intact,
    parse_header,
    parse_table,
)
from storage.filesystem import File

WINDOW = 256 << 10  # bytes read at once
_SMALL = 4 << 10  # a batch of less is taken together with its neighbours
_RUN = 32 << 10  # of so many bytes together


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
        raw = _window(file, position, end)
        header = parse_header(raw)
        at = 0
        while header is not None and is_intact(raw, at, header):
            yield Found(position + at, header, raw, at)
            at += header.size
            header = parse_header(raw, at)
        if not at:
            return
        position += at


def _window(file: File, position: int, end: int) -> bytes:
    """What is read at a time: a window of the file, or the whole of a larger batch, unless it ends behind ``end``."""
    raw = file.pread(min(WINDOW, end - position), position)
    header = parse_header(raw)
    if header is not None and len(raw) < header.size <= end - position:
        raw = file.pread(header.size, position)
    return raw


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


class Taken(NamedTuple):
    """What a rewrite takes in at once: a batch, or a run of small ones as if they had been written as one."""

    end: int  # position behind it
    header: Header
    table: Table


def take_all(file: File, end: int) -> Iterator[Taken]:
    """The batches from a segment's beginning on, as `walk` gives them, but runs of small DATA batches joined."""
    position = 0
    while position < end:
        raw = _window(file, position, end)
        at = 0
        while True:
            run = _run_at(raw, at)
            if run is not None:
                at = run.end
                yield run._replace(end=position + at)
                continue
            header = parse_header(raw, at)
            if header is None or not is_intact(raw, at, header):
                break
            table = parse_table(raw, at, header)
            at += header.size
            yield Taken(position + at, header, table)
        if not at:
            return
        position += at


def _run_at(raw: bytes, at: int) -> Taken | None:
    """The run of small plain DATA batches at a place in ``raw``, each verified; its ``end`` is a place there."""
    view = memoryview(raw)
    unpack = HEADER.unpack_from
    ends, ms, seqs = array("I"), array("Q"), array("Q")
    payloads: list[memoryview] = []
    first: tuple[int, ...] = ()
    epoch = base = ordinal = size = append_ms = 0
    limit = at + _RUN
    while at < limit and at + HEADER_SIZE <= len(raw):
        head = unpack(raw, at)
        if head[13] or head[14] or head[0] != MAGIC or head[1] > _SMALL:
            break
        count, stop = head[11], at + head[1]
        start = at + HEADER_SIZE + ENTRY_TABLE * count
        if stop > len(raw) or start > stop or not count or crc32c(view[at + CRC_START : stop]) != head[2]:
            break
        if not first:
            first = head
            epoch, base, ordinal = head[3:6]
        elif (epoch, base, ordinal) != head[3:6]:
            break
        append_ms = head[6]
        if count == 1:
            ends.append(size + stop - start)
            ms.append(head[7])
            seqs.append(head[8])
        else:
            table = at + HEADER_SIZE
            columns = table + 4 * count
            ends.extend([size + each for each in view[table:columns].cast("I")])
            ms.frombytes(view[columns : columns + 8 * count])
            seqs.frombytes(view[columns + 8 * count : start])
        payloads.append(view[start:stop])
        size += stop - start
        base += count
        ordinal += count
        at = stop
    if not first:
        return None
    count = len(ends)
    header = Header(
        MAGIC, HEADER_SIZE + ENTRY_TABLE * count + size, 0, epoch, first[4], first[5], append_ms,
        first[7], first[8], ms[-1], seqs[-1], count, count, DATA, 0, 0,
    )  # fmt: skip
    none = memoryview(b"")
    payload = memoryview(b"".join(payloads))
    return Taken(at, header, Table(memoryview(ends), memoryview(ms), memoryview(seqs), none, none, none, payload))
