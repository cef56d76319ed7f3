"""The redo journal: an EXEC that writes to several logs survives a crash whole or not at all.

Before such a tick is appended to its logs, the journal, a log of its own, gets one record with all of it and is synced.
After a crash every part that a log lacks is appended again; where that cannot be done, because a log lost what came
before, the parts that did survive are taken back: nothing behind them had been answered as durable. Once the logs are
synced the journal is emptied; a tick that is refused takes its record back. Ticks without such an EXEC never touch it.

While a record stands, no log that it speaks of may be removed: a log that is missing counts as lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import msgpack

from storage import DiskFailed, Log, LogConfig, end_of_batches

CATALOG = 0  #: the catalog's number among the streams'

_NEVER: Final = 1 << 62
#: One segment, and no checkpoint: all of it is read at the start, and what a full disk refuses is taken back without
#: room. A checkpoint that speaks of a record would have to be replaced first.
JOURNAL_CONFIG: Final = LogConfig(segment_bytes=_NEVER, segment_ms=_NEVER, checkpoint_interval_bytes=_NEVER)


@attrs.frozen
class Part:
    """What one log is given in the tick; ``end_offset`` is the log's end before it."""

    number: int
    end_offset: int
    ms: Sequence[int]
    seqs: Sequence[int]
    payloads: Sequence[bytes]
    effects: Sequence[bytes]

    @property
    def end_behind(self) -> int:
        """The log's end after it."""
        return self.end_offset + len(self.payloads) + len(self.effects)

    def append_to(self, log: Log, now_ms: int) -> None:
        log.append(self.ms, self.seqs, self.payloads, self.effects, now_ms=now_ms)


@attrs.frozen
class BatchesPart:
    """The same as the leader's log has it: batches, and whether they begin a segment."""

    number: int
    end_offset: int
    raw: bytes
    roll: bool

    @property
    def end_behind(self) -> int:
        """The log's end after it."""
        return end_of_batches(self.raw)

    def append_to(self, log: Log, now_ms: int) -> None:
        log.append_batches(self.raw, roll=self.roll)


LogPart = Part | BatchesPart


def _part_of(fields: list[Any]) -> LogPart:
    """The opposite of ``attrs.astuple``."""
    return BatchesPart(*fields) if len(fields) == len(attrs.fields(BatchesPart)) else Part(*fields)


class Journal:
    """Owns ``DIR/journal``. ``ticks`` counts what was recorded since the start; a reopening goes on counting."""

    def __init__(self, log: Log, ticks: int) -> None:
        self.log = log
        self.ticks = ticks

    @property
    def is_empty(self) -> bool:
        return self.log.end_offset == 0

    @property
    def size(self) -> int:
        """Bytes."""
        return self.log.size

    def record(self, parts: Sequence[LogPart], now_ms: int, *, epoch: int, sync: bool) -> None:
        """Write what the tick is about to append, and sync it unless durability is not asked for.

        ``epoch`` is the one that the logs' appends are stamped with.

        Raises:
            StorageError: the tick must be refused.
        """
        tick = [now_ms, [attrs.astuple(part) for part in parts]]
        wire = msgpack.packb([*tick, epoch] if epoch else tick, use_bin_type=True)
        self.log.append((), (), (), [wire], now_ms=now_ms)
        self.ticks += 1
        if sync:
            pending = self.log.unsynced()
            try:
                pending.sync()
            except OSError as error:
                self.log.sync_failed(error)
                raise DiskFailed(f"cannot sync the journal: {error}", file=self.log.directory) from error
            self.log.synced(pending)

    def take_back(self) -> None:
        """The tick recorded last is refused."""
        self.log.truncate(self.log.end_offset - 1)

    def clear(self) -> None:
        """Every log has been synced behind what is recorded."""
        if not self.is_empty:
            self.log.truncate(0)

    def recover(self, open_log: Callable[[LogPart], Log | None]) -> int:
        """Bring the logs to where the recorded ticks are whole or absent; how many ticks were completed.

        ``open_log`` gives the log of a part, made anew if the part begins it; None where it is missing.
        """
        completed = 0
        for _, _, wire in list(self.log.controls(self.log.start_offset)):
            now_ms, parts, *epoch = msgpack.unpackb(wire, raw=False)
            targets = [(open_log(part), part) for part in map(_part_of, parts)]
            for log, _ in targets:
                if log is not None:
                    log.leader_epoch = max([log.leader_epoch, *epoch])
            completed += _complete(targets, now_ms)
        return completed

    def close(self) -> None:
        """Without a checkpoint, should a tick stand in it."""
        self.log.close_files()


def _complete(targets: list[tuple[Log | None, LogPart]], now_ms: int) -> bool:
    """Redo or undo one tick; whether anything had to be redone."""
    if all(log is not None and log.end_offset >= part.end_behind for log, part in targets):
        return False
    if any(log is None or log.end_offset < part.end_offset for log, part in targets):
        for log, part in targets:
            if log is not None and log.end_offset > part.end_offset:
                log.truncate(part.end_offset)
        return False
    for log, part in targets:
        assert log is not None
        if log.end_offset >= part.end_behind:
            continue
        if log.end_offset > part.end_offset:
            log.truncate(part.end_offset)
        part.append_to(log, now_ms)
    return True
