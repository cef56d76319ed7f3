"""A segmented log as a library: the public names.

>>> from storage import Log, LogConfig, OsFileSystem
>>> log = Log.open(OsFileSystem(), directory, LogConfig())
>>> log.append([1000, 1000], [0, 1], [b"first", b"second"], now_ms=1000)
2
>>> log.read_each(log.ordinal_of((1000, 1)), log.end_ordinal)
[b'second']
>>> pending = log.unsynced(); pending.sync(); log.synced(pending)
>>> log.close()
"""

from storage.caches import Caches
from storage.compaction import CompactionConfig, Dead, groups
from storage.config import LogConfig
from storage.errors import (
    CorruptBatch,
    CorruptLog,
    DiskFailed,
    DiskFull,
    LogLocked,
    LogPoisoned,
    MissingLog,
    MissingSegment,
    NotABatchBorder,
    NotContiguous,
    Outdated,
    OutOfRange,
    StorageError,
)
from storage.filesystem import FileSystem, OsFileSystem
from storage.index import Summary
from storage.log import Log, Origin
from storage.merge import Selection
from storage.raw import end_of_batches
from storage.raw_reader import RawChunk, RawReader
from storage.recovery import RecoveryReport
from storage.rewrite import Pace, RewriteJob, Sealed, rewrite
from storage.scan import Effect
from storage.survey import Survey, survey
from storage.sync import ManySync, Syncable, Unsynced

__all__ = [
    "Caches",
    "CompactionConfig",
    "CorruptBatch",
    "CorruptLog",
    "Dead",
    "DiskFailed",
    "DiskFull",
    "Effect",
    "FileSystem",
    "Log",
    "LogConfig",
    "LogLocked",
    "LogPoisoned",
    "ManySync",
    "MissingLog",
    "MissingSegment",
    "NotABatchBorder",
    "NotContiguous",
    "Origin",
    "OsFileSystem",
    "OutOfRange",
    "Outdated",
    "Pace",
    "RawChunk",
    "RawReader",
    "RecoveryReport",
    "RewriteJob",
    "Sealed",
    "Selection",
    "StorageError",
    "Summary",
    "Survey",
    "Syncable",
    "Unsynced",
    "end_of_batches",
    "groups",
    "rewrite",
    "survey",
]
