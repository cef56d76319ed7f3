"""One base offset: its file of batches and its sparse index."""

from __future__ import annotations

from storage.batch import Id
from storage.block import Block, Unlike, decode_block
from storage.caches import Caches
from storage.errors import CorruptLog, DiskFailed
from storage.filesystem import File, FileSystem
from storage.index import IndexBuilder, SparseIndex, Summary, decode_index, encode_index
from storage.names import INDEX, LOG, format_name
from storage.scan import walk

_INDEX_KEY = -1  # beside block positions in the cache


class Segment:
    """The records ``base_offset ≤ offset < end_offset``. The numbers are kept true by `Log`, which alone writes.

    A sealed segment has no index of its own: it is loaded when a read needs it, and forgotten with the cache.
    """

    __slots__ = (
        "bare",
        "base_offset",
        "batch_count",
        "cleaned",
        "directory",
        "end_offset",
        "end_ordinal",
        "entry_ms",
        "file",
        "filesystem",
        "first_append_ms",
        "first_ordinal",
        "index",
        "interval",
        "last_append_ms",
        "last_id",
        "leader_epoch",
        "merged",
        "number",
        "path",
        "size",
        "used",
    )

    def __init__(
        self, filesystem: FileSystem, directory: str, base_offset: int, first_ordinal: int, last_id: Id, number: int
    ) -> None:
        self.filesystem = filesystem
        self.directory = directory
        self.path = f"{directory}/{format_name(base_offset, LOG)}"
        self.base_offset = base_offset
        self.end_offset = base_offset
        self.first_ordinal = first_ordinal
        self.end_ordinal = first_ordinal
        #: The last entry ID of the log up to the end of this segment.
        self.last_id = last_id
        self.first_append_ms = 0
        self.last_append_ms = 0
        #: When some entry was appended; 0 if nobody looked. The last one is not older.
        self.entry_ms = 0
        #: Of the last batch, here or before.
        self.leader_epoch = 0
        #: Bytes of whole batches; anything behind is not part of the log.
        self.size = 0
        self.batch_count = 0
        self.merged = False
        self.bare = False
        #: There are cleaned batches in it, and so no others.
        self.cleaned = False
        #: None when sealed.
        self.index: SparseIndex | None = None
        self.interval = 0
        self.number = number
        self.file: File | None = None
        self.used = False

    def __repr__(self) -> str:
        return f"<Segment {self.base_offset}..{self.end_offset} {self.size} bytes>"

    def release(self) -> None:
        self.file = None

    def open_file(self, caches: Caches) -> File:
        """The file, opened if need be."""
        self.used = True
        return self.file or caches.open(self.filesystem, self)

    def pread(self, caches: Caches, size: int, position: int) -> bytes:
        """Exactly ``size`` bytes.

        Raises:
            CorruptLog: the file ends before.
            DiskFailed: the disk cannot read them.
        """
        try:
            raw = self.open_file(caches).pread(size, position)
        except OSError as error:
            raise DiskFailed(f"cannot read: {error}", file=self.path, position=position) from error
        if len(raw) != size:
            raise CorruptLog("file is shorter than it was", file=self.path, position=position + len(raw))
        return raw

    # Index and blocks.
    def load_index(self, caches: Caches) -> SparseIndex:
        """The sparse index: in memory, from its file, or rebuilt from the log."""
        if self.index is not None:
            return self.index
        found = caches.get((self.number, _INDEX_KEY))
        if found is None:
            found = self._read_index()
            if found is None:
                found = self.rebuild_index(caches)
            caches.put((self.number, _INDEX_KEY), found, 40 * len(found) + 600)
        assert isinstance(found, SparseIndex)
        return found

    def _read_index(self) -> SparseIndex | None:
        try:
            decoded = decode_index(self.filesystem.read(f"{self.directory}/{format_name(self.base_offset, INDEX)}"))
        except OSError:
            return None
        return decoded[1] if decoded and decoded[0] == self.summary() else None

    def rebuild_index(self, caches: Caches) -> SparseIndex:
        """The index from the batches themselves. It may name other borders than the one before, whose blocks go."""
        self.number = caches.number()
        caches.recent = None
        builder = IndexBuilder(self.interval)
        position = 0
        for found in walk(self.open_file(caches), 0, self.size):
            builder.see(found.position, found.header)
            position = found.position + found.header.size
        if position != self.size:
            raise CorruptLog("batch is damaged", file=self.path, position=position)
        return builder.index

    def block(self, caches: Caches, number: int) -> Block:
        """Block ``number``, from the cache or verified from disk; its second reader puts it into the cache."""
        index = self.load_index(caches) if self.index is None else self.index
        position = index.positions[number]
        key = (self.number, position)
        block: Block | None = caches.get(key)
        if block is None:
            try:
                block = self._read_block(caches, index, number)
            except Unlike:
                if self.index is not None:
                    raise CorruptLog(
                        "no batch of the index is here", file=self.path, offset=index.offsets[number], position=position
                    ) from None
                return self._block_of_rebuilt(caches, index.ordinals[number])
            if self.index is None or number < len(index) - 1:  # else appends go into it still
                caches.put_again(key, block, block.cost)
        return block

    def _read_block(self, caches: Caches, index: SparseIndex, number: int) -> Block:
        position = index.positions[number]
        end = index.positions[number + 1] if number + 1 < len(index) else self.size
        raw = self.pread(caches, end - position, position)
        return decode_block(raw, position, self.path, index, number)

    def _block_of_rebuilt(self, caches: Caches, ordinal: int) -> Block:
        index = self.rebuild_index(caches)
        caches.put((self.number, _INDEX_KEY), index, 40 * len(index) + 600)
        return self._read_block(caches, index, index.block_of_ordinal(ordinal))

    # Summary.
    def summary(self) -> Summary:
        """The numbers, frozen."""
        return Summary(
            self.base_offset,
            self.end_offset,
            self.first_ordinal,
            self.end_ordinal,
            self.last_id[0],
            self.last_id[1],
            self.first_append_ms,
            self.last_append_ms,
            self.size,
            self.batch_count,
            self.leader_epoch,
            self.merged,
            self.bare,
            self.cleaned,
        )

    def adopt(self, summary: Summary) -> None:
        """Take the numbers of a summary of this segment."""
        self.end_offset = summary.end_offset
        self.first_ordinal = summary.first_ordinal
        self.end_ordinal = summary.end_ordinal
        self.last_id = (summary.last_ms, summary.last_seq)
        self.first_append_ms = summary.first_append_ms
        self.last_append_ms = summary.last_append_ms
        self.size = summary.log_size
        self.batch_count = summary.batch_count
        self.leader_epoch = summary.leader_epoch
        self.merged = summary.merged
        self.bare = summary.bare
        self.cleaned = summary.cleaned

    def encode_index(self, index: SparseIndex) -> bytes:
        """The bytes of its index file."""
        return encode_index(self.summary(), index)
