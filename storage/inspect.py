"""`python -m storage.inspect DIR`: print and check a log, or every log below a directory. Changes nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from storage.batch import CONTROL, GAPS, NO_ID, SPARSE, Header, parse_table
from storage.checkpoint import Checkpoint
from storage.errors import CorruptLog, StorageError
from storage.filesystem import FileSystem, OsFileSystem
from storage.index import Summary, decode_index
from storage.names import CHECKPOINT, INDEX, LOG, SNAPSHOT, parse_name
from storage.scan import Found, walk
from storage.snapshot import decode_snapshot

_KINDS = ("DATA", "CONTROL")


def main(arguments: list[str] | None = None, filesystem: FileSystem | None = None) -> int:
    """The command; 0 if everything is whole, 1 if something is damaged, 2 if there is no log."""
    parser = argparse.ArgumentParser(prog="python -m storage.inspect", description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--verify", action="store_true", help="read and check every batch (default: heads and sizes)")
    parser.add_argument("--records", action="store_true", help="print every record; checks every batch too")
    options = parser.parse_args(arguments)
    filesystem = filesystem or OsFileSystem()
    directories = list(_log_directories(filesystem, options.directory.rstrip("/") or "/"))
    if not directories:
        print(f"no log in {options.directory}", file=sys.stderr)
        return 2
    damaged = 0
    for directory in directories:
        report = Inspection(filesystem, directory, verify=options.verify or options.records, records=options.records)
        try:
            report.run()
        except (StorageError, OSError) as error:
            report.damage(str(error))
        damaged += report.damaged
    print(f"{len(directories)} logs, {damaged} damages")
    return 1 if damaged else 0


def _log_directories(filesystem: FileSystem, directory: str) -> Iterator[str]:
    names = [parse_name(name) for name, _ in filesystem.files(directory)]
    if any(names):
        yield directory
    for name in sorted(filesystem.directories(directory)):
        yield from _log_directories(filesystem, f"{directory}/{name}")


class Inspection:
    """One log, printed and checked file by file."""

    def __init__(self, filesystem: FileSystem, directory: str, *, verify: bool, records: bool) -> None:
        self.filesystem = filesystem
        self.directory = directory
        self.verify = verify
        self.records = records
        self.damaged = 0
        #: The segment looked at last may lack entries, and may have taken others in.
        self.cleaned = False
        self.recovery_point: tuple[int, int] | None = None

    def damage(self, text: str) -> None:
        self.damaged += 1
        print(f"  DAMAGED {text}")

    def run(self) -> None:
        """Print all of it."""
        print(f"{self.directory}:")
        files = sorted(self.filesystem.files(self.directory))
        parsed = [(name, size, parse_name(name)) for name, size in files]
        for name, _, place in parsed:
            if place and place[1] == CHECKPOINT and not place[2]:
                self._checkpoint(name)
        logs = [(place[0], name, size) for name, size, place in parsed if place and place[1:] == (LOG, "")]
        end: int | None = None
        for i, (base, name, size) in enumerate(logs):
            if end is not None and base < end and self.cleaned:
                print(f"  {name}: {size} bytes, left over from a cleaning; the next opening removes it")
                continue
            if end is not None and end != base:
                self.damage(f"{self.directory}/{name}: begins at offset {base}, the one before ends at {end}")
            end = self._segment(base, name, size, last=i == len(logs) - 1)
        if not logs:
            self.damage(f"{self.directory}: no segment")
        for name, size, place in parsed:
            if place is None:
                print(f"  {name}: {size} bytes, not ours")
            elif place[2]:
                print(f"  {name}: {size} bytes, left over; the next opening finishes or removes it")
            elif place[1] == SNAPSHOT:
                self._snapshot(name, size, place[0])

    def _read(self, name: str) -> bytes:
        return self.filesystem.read(f"{self.directory}/{name}")

    def _checkpoint(self, name: str) -> None:
        checkpoint = Checkpoint.decode(self._read(name))
        if checkpoint is None:
            self.damage(f"{self.directory}/{name}: bad checksum (the next opening scans instead)")
            return
        mark = checkpoint.mark
        self.recovery_point = (mark.base_offset, mark.position)
        print(f"  {name}: synced up to offset {mark.offset}, byte {mark.position} of segment {mark.base_offset}")

    def _snapshot(self, name: str, size: int, offset: int) -> None:
        decoded = decode_snapshot(self._read(name))
        if decoded is None or decoded[0] != offset:
            self.damage(f"{self.directory}/{name}: bad checksum")
        else:
            print(f"  {name}: state of {size} bytes as of offset {offset}")

    def _segment(self, base: int, name: str, size: int, *, last: bool) -> int | None:
        """Print a segment; its end offset if known."""
        end = None
        index = None if last else self._index(name.removesuffix(LOG) + INDEX, size)
        head = next(walk(self.filesystem.open(f"{self.directory}/{name}"), 0, size), None) if index else None
        self.cleaned = head is not None and head.header.flags & GAPS != 0
        if index:
            end = index.end_offset
            merged = ", cleaned" if self.cleaned else ", merged" if index.merged else ""
            print(f"  {name}: offsets {base} to {end}, {size} bytes, {index.batch_count} batches{merged}")
        if index is None or self.verify:
            end = self._walk(base, name, size, last=last, quiet=index is not None)
        return end

    def _index(self, name: str, log_size: int) -> Summary | None:
        try:
            decoded = decode_index(self._read(name))
        except FileNotFoundError:
            print(f"  {name}: missing; rebuilt when needed")
            return None
        if decoded is None or decoded[0].log_size != log_size:
            self.damage(f"{self.directory}/{name}: bad checksum or not of this segment (rebuilt when needed)")
            return None
        return decoded[0]

    def _walk(self, base: int, name: str, size: int, *, last: bool, quiet: bool) -> int:
        path = f"{self.directory}/{name}"
        position, end, batches, last_id = 0, base, 0, NO_ID
        entries = effects = 0
        for found in walk(self.filesystem.open(path), 0, size):
            header = found.header
            if not header.flags & SPARSE and header.base_offset != end:
                raise CorruptLog(
                    f"batch begins at {header.base_offset}", file=path, offset=end, position=found.position
                )
            if header.kind != CONTROL and (header.first_ms, header.first_seq) <= last_id:
                raise CorruptLog("IDs do not rise", file=path, offset=end, position=found.position)
            last_id = (header.last_ms, header.last_seq)
            end = max(end, header.end_offset)
            position = found.position + header.size
            self.cleaned = self.cleaned or header.flags & GAPS != 0
            batches += 1
            entries += 0 if header.kind else header.records
            effects += header.records if header.kind else 0
            if self.records:
                _print_batch(found)
        if not quiet:
            counts = f"{batches} batches, {entries} entries, {effects} effects"
            print(f"  {name}: offsets {base} to {end}, {size} bytes, {counts}")
        if entries + effects != end - base and not self.cleaned:
            self.damage(f"{path}: {entries + effects} records cover offsets {base} to {end}")
        if position != size:
            self._bad_tail(base, path, position, size, end, last=last)
        return end

    def _bad_tail(self, base: int, path: str, position: int, size: int, end: int, *, last: bool) -> None:
        place = f"at offset {end}, at byte {position} in {path}"
        if last and (self.recovery_point is None or (base, position) >= self.recovery_point):
            print(f"  torn or damaged tail of {size - position} bytes {place}; opening the log decides")
            self.damaged += 1
        else:
            self.damage(f"batch {place}")


def _print_batch(found: Found) -> None:
    header: Header = found.header
    table = parse_table(found.raw, found.at, header)
    ordinals = f"ordinal {header.ordinal}" + (f" to {header.end_ordinal}" if header.flags & GAPS else "")
    print(
        f"    byte {found.position}: {_KINDS[header.kind]} offset {header.base_offset} {ordinals}"
        f" epoch {header.leader_epoch} at {header.append_ms} ms, {header.records} records, {header.size} bytes"
    )
    start = 0
    for i, end in enumerate(table.ends):
        offset = header.base_offset + (table.deltas[i] if table.deltas else i)
        name = "effect" if header.kind else f"{table.ms[i]}-{table.seqs[i]}"
        print(f"      {offset} {name} {bytes(table.payload[start:end])!r}")
        start = end


if __name__ == "__main__":
    sys.exit(main())
