"""The redo journal: an EXEC that writes to several streams survives a crash whole or not at all.

Before such a tick is appended to its logs, the journal, a log of its own, gets one record with all of it and is synced.
After a crash every part that a log lacks is appended again; where that cannot be done, because a log lost what came
before, the parts that did survive are taken back: nothing behind them had been answered as durable. Once the logs are
synced the journal is emptied. Ticks without such an EXEC never touch it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import msgpack

from storage import Log

CATALOG = 0  #: the catalog's number among the streams'


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


class Journal:
    """Owns ``DIR/journal``."""

    def __init__(self, log: Log) -> None:
        self._log = log

    @property
    def is_empty(self) -> bool:
        return self._log.end_offset == 0

    def record(self, parts: Sequence[Part], now_ms: int, *, sync: bool) -> None:
        """Write what the tick is about to append, and sync it unless durability is not asked for."""
        wire = msgpack.packb([now_ms, [attrs.astuple(part) for part in parts]], use_bin_type=True)
        self._log.append((), (), (), [wire], now_ms=now_ms)
        if sync:
            pending = self._log.unsynced()
            pending.sync()
            self._log.synced(pending)

    def clear(self) -> None:
        """Every log has been synced behind what is recorded."""
        if not self.is_empty:
            self._log.truncate(0)

    def recover(self, open_log: Callable[[int], Log | None]) -> int:
        """Bring the logs to where the recorded ticks are whole or absent; how many ticks were completed.

        ``open_log`` gives the log of a stream by number, None where the stream is gone.
        """
        completed = 0
        for _, _, wire in list(self._log.controls(self._log.start_offset)):
            now_ms, parts = msgpack.unpackb(wire, raw=False)
            completed += _complete([(open_log(part[0]), Part(*part)) for part in parts], now_ms)
        self.clear()
        return completed

    def close(self) -> None:
        self._log.close()


def _complete(targets: list[tuple[Log | None, Part]], now_ms: int) -> bool:
    """Redo or undo one tick; whether anything had to be redone."""
    present: list[tuple[Any, Part]] = [(log, part) for log, part in targets if log is not None]
    lacking = [(log, part) for log, part in present if log.end_offset < part.end_behind]
    if not lacking:
        return False
    if any(log.end_offset < part.end_offset for log, part in lacking):
        for log, part in present:
            if log.end_offset > part.end_offset:
                log.truncate(part.end_offset)
        return False
    for log, part in lacking:
        if log.end_offset > part.end_offset:
            log.truncate(part.end_offset)
        log.append(part.ms, part.seqs, part.payloads, part.effects, now_ms=now_ms)
    return True
