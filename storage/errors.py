"""What can go wrong with a log, grouped by who must act."""

from __future__ import annotations


class StorageError(Exception):
    """Something is wrong with a log; names the file, and the offset and byte position where they are known.

    ``problem`` is the sentence without the place, for those who print the place their own way.
    """

    def __init__(
        self, problem: str, *, file: str | None = None, offset: int | None = None, position: int | None = None
    ) -> None:
        super().__init__(problem, file, offset, position)
        self.problem = problem
        self.file = file
        self.offset = offset
        self.position = position

    def __str__(self) -> str:
        places = []
        if self.offset is not None:
            places.append(f"at offset {self.offset}")
        if self.position is not None:
            places.append(f"at byte {self.position}")
        if self.file is not None:
            places.append(f"in {self.file}")
        return f"{self.problem} ({', '.join(places)})" if places else self.problem


# The operator must act: bytes that were once good are not, or are gone. Nothing is ever deleted because of it.
class CorruptLog(StorageError):
    """Bytes that should be there and valid are not."""


class MissingLog(StorageError):
    """A log that should exist has no segment on disk."""


class MissingSegment(CorruptLog):
    """The segment that should begin at ``offset`` is gone; ``file`` is its name."""


class LogLocked(StorageError):
    """Another process holds the directory."""


# The operator must act, and then it goes on: the log is as it was before the refused call.
class DiskFull(StorageError):
    """There was no room for the write; nothing of it is in the log."""


# The disk failed a write or a sync. What is on it is unknown, so nothing more is appended until the log is reopened.
class DiskFailed(StorageError):
    """A read, write or sync failed with an error other than "full"."""


class LogPoisoned(StorageError):
    """An earlier write or sync failed; the log refuses appends until it is opened again."""


# The caller must act.
class NotABatchBorder(StorageError):
    """A log can be cut, and read as it is, only where an append began; ``restart_offset`` is such a place before it."""

    restart_offset = 0


class NotContiguous(StorageError):
    """Whole batches do not continue the log they were to be appended to; nothing was written."""


class CorruptBatch(StorageError):
    """What was to be appended as it is, is not whole intact batches; nothing was written."""


class Outdated(StorageError):
    """What a reader stands in was rewritten, dropped or cut meanwhile: another reader must be made."""


class OutOfRange(StorageError):
    """Records were asked for that the log does not hold."""
