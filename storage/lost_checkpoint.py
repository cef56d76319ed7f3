"""What the segments of a log say themselves when its checkpoint is lost: which of them count, and what was before."""

from __future__ import annotations

from collections.abc import Mapping

from storage.batch import CONTROL, GAPS, HEADER_SIZE, NO_ID, REACH, parse_header
from storage.caches import Caches
from storage.durability import start_mark
from storage.filesystem import FileSystem
from storage.index import SUMMARY_SIZE, decode_summary
from storage.names import INDEX, LOG, format_name
from storage.scan import walk
from storage.segment import Segment
from storage.sync import Mark


def covered(filesystem: FileSystem, directory: str, sizes: Mapping[int, int]) -> list[int]:
    """The segments that a cleaned one before them took in, and that a crash left there; by base offset, as ``sizes``.

    With a checkpoint recovery finds them on its way: they lie before the recovery point.
    """
    found = []
    end = 0
    for base in sorted(sizes):
        if base < end:
            found.append(base)
        else:
            end = _cleaned_end(filesystem, directory, base, sizes[base])
    return found


def _cleaned_end(filesystem: FileSystem, directory: str, base: int, size: int) -> int:
    """Where a cleaned segment ends; 0 of any other, for that took none in."""
    file = filesystem.open(f"{directory}/{format_name(base, LOG)}")
    first = parse_header(file.pread(HEADER_SIZE + REACH.size, 0))
    if first is None or not first.flags & GAPS:
        return 0
    try:
        index = filesystem.open(f"{directory}/{format_name(base, INDEX)}")
    except FileNotFoundError:
        summary = None
    else:
        summary = decode_summary(index.pread(SUMMARY_SIZE, 0))
    if summary and (summary.base_offset, summary.log_size) == (base, size) and summary.merged:
        return summary.end_offset
    return max((found.header.end_offset for found in walk(file, 0, size)), default=0)


def likely_start(first: Segment, caches: Caches) -> Mark:
    """What the first batch says of those before it: of the epoch only that it is not later, of the last ID nothing
    unless it has effects. Most logs begin with the first batch ever."""
    last_id, epoch = NO_ID, first.leader_epoch if first.base_offset else 0
    if first.base_offset:
        header = parse_header(first.open_file(caches).pread(HEADER_SIZE + REACH.size, 0))
        if header:
            epoch = header.leader_epoch
            last_id = (header.first_ms, header.first_seq) if header.kind == CONTROL else NO_ID
    return start_mark(first.base_offset, first.first_ordinal, last_id, epoch)
