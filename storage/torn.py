"""Torn tail or damage: what a bad batch behind the recovery point is.

Both look like a bad checksum. What tells them apart is what follows. After a crash the bytes that were not yet synced
may be missing from any point on, and, since a disk writes sectors in any order, whole sectors may be missing in the
middle: they read as zeros. A flipped bit leaves neither. So:

1. nothing valid follows: torn;
2. something valid follows, and a sector of zeros (or the end of the file) stands where the bad batch should be: torn;
3. something valid follows, and nothing is missing: damage.

Where the machine ran on, for only a process died, nothing is missing but the end of its last write. Then nothing need
follow: a batch of which all bytes are there is damaged.
"""

from __future__ import annotations

from crc32c import crc32c

from storage.batch import CRC_START, HEADER_SIZE, REACH, Header, is_intact, parse_header
from storage.filesystem import File

SECTOR = 512  # what a disk writes whole or not at all
_MAGIC = b"SBL\x01"


def is_damage(file: File, position: int, size: int, offset: int, ordinal: int, *, followed: bool, ran_on: bool) -> bool:
    """Judge the bad batch at ``position`` of a file of ``size`` bytes; ``offset`` and ``ordinal`` should begin there.

    ``followed`` says that the log goes on in a next segment, ``ran_on`` that the machine did since it was written.
    """
    raw = file.pread(size - position, position)
    header = parse_header(raw)
    if header and (header.base_offset, header.ordinal) != (offset, ordinal):
        header = None
    if header and _size_lies(raw, header):
        return True
    follower = _follower(raw, header, offset, ordinal)
    if follower is None:
        if not (followed or (ran_on and len(raw) >= HEADER_SIZE + REACH.size)):
            return False
        follower = len(raw)
    if follower == len(raw) and (header.size > len(raw) if header else not ran_on):
        return False  # the file ends early
    return not _has_hole(raw, position, follower)


def _follower(raw: bytes, header: Header | None, offset: int, ordinal: int) -> int | None:
    """Where the next valid batch of this log begins in ``raw``; bytes inside the bad batch are not looked at if its
    header says where it ends, for a payload may hold anything, also a batch."""
    start = header.size if header else 1
    while (start := raw.find(_MAGIC, start)) >= 0:
        found = parse_header(raw, start)
        if found and found.base_offset > offset and found.ordinal >= ordinal and is_intact(raw, start, found):
            return start
        start += 1
    return None


def _size_lies(raw: bytes, header: Header) -> bool:
    """True if the batch is whole up to some other batch or the end, and only its size field is bad."""
    end = len(raw)
    while end > CRC_START:
        if crc32c(memoryview(raw)[CRC_START:end]) == header.crc:
            return True
        end = raw.rfind(_MAGIC, 0, end)
    return False


def _has_hole(raw: bytes, position: int, stop: int) -> bool:
    """True if zeros stand from the bad batch's start, or from a sector's start, to the end of that sector or file."""
    end = SECTOR - position % SECTOR
    start = 0
    while min(end, len(raw)) <= stop and start < stop:
        if not any(raw[start:end]):
            return True
        start, end = end, end + SECTOR
    return False
