"""One record at each offset: what all replicas in sync had once no server has otherwise, or elsewhere, later."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

from storage.batch import CONTROL, DATA, parse_table
from storage.scan import Found, effects_of, walk
from tests.simulation.replicas.broken import Broken
from tests.support.memory_filesystem import MemoryFileSystem

_LOG: Final = re.compile(r"/data/(?:catalog|streams/(\d{10}))/\d{20}\.log")
Ends = dict[int, int]  # by number of a log; 0 is the catalog


class Offsets:
    """Owns a checksum of each record that is for good."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], int] = {}

    def learn(self, where: str, disk: MemoryFileSystem, ends: Ends) -> None:
        """What lies below these ends is for good."""
        for number, offset, checksum in _records(disk):
            if offset < ends.get(number, 0):
                known = self._known.setdefault((number, offset), checksum)
                if known != checksum:
                    raise Broken(f"{where}: log {number} has another record at offset {offset} than it had")

    @property
    def count(self) -> int:
        return len(self._known)


def ends_of(disk: MemoryFileSystem) -> Ends:
    """Where each log ends, by its files."""
    ends: Ends = {}
    for number, offset, _ in _records(disk):
        ends[number] = max(ends.get(number, 0), offset + 1)
    return ends


def _records(disk: MemoryFileSystem) -> Iterator[tuple[int, int, int]]:
    """Log, offset and checksum of every record; in each file the offsets of entries rise, and those of effects."""
    for path in sorted(disk.names):
        match = _LOG.fullmatch(path)
        if match is None:
            continue
        file, last = disk.open(path), {DATA: -1, CONTROL: -1}
        for found in walk(file, 0, file.size()):
            kind = found.header.kind
            for offset, record in _in(found):
                if offset <= last[kind]:
                    raise Broken(f"{path}: offset {offset} comes behind {last[kind]}")
                last[kind] = offset
                yield int(match[1] or 0), offset, zlib.crc32(record)


def _in(found: Found) -> Iterator[tuple[int, bytes]]:
    if found.header.kind == CONTROL:
        yield from ((effect.offset, effect.effect) for effect in effects_of(found))
        return
    table, start = parse_table(found.raw, found.at, found.header), 0
    for place, end in enumerate(table.ends):
        offset = found.header.base_offset + (table.deltas[place] if table.deltas else place)
        record = b"%d-%d " % (table.ms[place], table.seqs[place]) + bytes(table.payload[start:end])
        yield offset, record
        start = end
