"""The state behind a log at one offset: write, find the newest good one."""

from __future__ import annotations

import struct
from bisect import insort

import attrs
from crc32c import crc32c

from storage.errors import CorruptLog
from storage.files import disk_error, replace
from storage.filesystem import File, FileSystem
from storage.names import SNAPSHOT, format_name
from storage.sync import DirectorySync, Syncable

SNAPSHOT_MAGIC = 0x01534253  # b"SBS" and format version 1
KEPT = 2  # the newest, and one to fall back to

# Snapshot header, little-endian, 24 bytes; then the state.
_HEADER = struct.Struct(
    "<I"  # magic
    "I"  # crc      CRC32C of everything after this field
    "Q"  # offset   the state contains the effects of every record below it, and of none at or behind it
    "Q"  # size     of the state
)
HEADER_SIZE = 24
assert _HEADER.size == HEADER_SIZE


def encode_snapshot(state: bytes, offset: int) -> bytes:
    """The bytes of a snapshot file."""
    rest = struct.pack("<QQ", offset, len(state)) + state
    return struct.pack("<II", SNAPSHOT_MAGIC, crc32c(rest)) + rest


def decode_snapshot(raw: bytes) -> tuple[int, bytes] | None:
    """Offset and state; None if damaged."""
    if len(raw) < HEADER_SIZE:
        return None
    magic, crc, offset, size = _HEADER.unpack_from(raw)
    if magic != SNAPSHOT_MAGIC or len(raw) != HEADER_SIZE + size or crc32c(memoryview(raw)[8:]) != crc:
        return None
    return offset, raw[HEADER_SIZE:]


class Snapshots:
    """The snapshot files of one log. A snapshot counts for dropping records only once it is known to be synced."""

    __slots__ = ("directory", "durable_offset", "filesystem", "offsets")

    def __init__(self, filesystem: FileSystem, directory: str, offsets: list[int], durable_offset: int) -> None:
        self.filesystem = filesystem
        self.directory = directory
        self.offsets = offsets
        #: Effects below this one are in a snapshot that survives loss of power.
        self.durable_offset = durable_offset

    def path(self, offset: int) -> str:
        return f"{self.directory}/{format_name(offset, SNAPSHOT)}"

    def write(self, state: bytes, offset: int) -> tuple[Syncable, Syncable]:
        """Write it, unsynced; what must be synced for it to count."""
        path = self.path(offset)
        try:  # one that is there already may be the only one: it must not be lost with this one
            file = replace(self.filesystem, path, encode_snapshot(state, offset), sync=offset in self.offsets)
        except OSError as error:
            raise disk_error(error, path, "write the snapshot") from error
        if offset not in self.offsets:
            insort(self.offsets, offset)
        return SnapshotSync(file, offset), DirectorySync(self.filesystem, self.directory)

    def _read(self, offset: int) -> tuple[int, bytes] | None:
        try:
            decoded = decode_snapshot(self.filesystem.read(self.path(offset)))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, self.path(offset), "read the snapshot") from error
        return decoded if decoded and decoded[0] == offset else None

    @property
    def effects_from(self) -> int:
        """Effects below are in every snapshot that is kept, and there is one to fall back to."""
        kept = self.offsets[-KEPT:]
        return kept[0] if len(kept) == KEPT and kept[-1] <= self.durable_offset else 0

    def became_durable(self, offset: int) -> None:
        """A snapshot has been synced: older ones than the last `KEPT` may go."""
        self.durable_offset = max(self.durable_offset, offset)
        while len(self.offsets) > KEPT and self.offsets[KEPT - 1] <= self.durable_offset:
            self.filesystem.remove(self.path(self.offsets.pop(0)))

    def _needed(self, start_offset: int, bare_offset: int) -> int:
        """A snapshot must be from here or behind it."""
        return max(min(start_offset, self.durable_offset), bare_offset)

    def oldest(self, start_offset: int, bare_offset: int) -> int:
        """Of the first one that will do if there are no others; ``bare_offset`` if there is none."""
        needed = self._needed(start_offset, bare_offset)
        return next((offset for offset in self.offsets if offset >= needed), bare_offset)

    def newest(self, start_offset: int, bare_offset: int = 0) -> tuple[int, bytes] | None:
        """The newest good snapshot from which the stored records lead on; below ``bare_offset`` effects are missing.

        Raises:
            CorruptLog: snapshots are damaged or missing, and the records that could replace them are dropped.
        """
        needed = self._needed(start_offset, bare_offset)
        damaged = None
        for offset in reversed(self.offsets):
            decoded = self._read(offset)
            if decoded is not None and offset >= needed:
                return decoded
            damaged = damaged or (self.path(offset) if decoded is None else None)
        if needed > 0 or (damaged and start_offset > 0):
            path = damaged or self.path(max(self.durable_offset, bare_offset))
            problem = "snapshot is damaged or missing, and the records before it are dropped"
            raise CorruptLog(problem, file=path, offset=start_offset, position=0)
        return None


@attrs.frozen
class SnapshotSync:
    """A snapshot's bytes."""

    file: File
    offset: int

    def sync(self) -> None:
        self.file.sync()
