"""Where a sync runs: in a thread of its own, or at once at the end of the turn if the disk is quick.

Handing a sync to a thread lets the next ticks run meanwhile, and costs two changes of threads, both of which want the
interpreter's lock. On a disk that syncs in less than that costs it is better to wait for it, as Redis does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from respbroker.server.worker import Done, Worker
from storage import ManySync

if TYPE_CHECKING:
    from respbroker.broker.durability import SyncRequest

QUICK_SECONDS: Final = 0.001  # nobody else waits longer than that for a sync that runs at once
FILES_MAX: Final = 2  # synced at once; more take longer than the last ones did
_FIRST_GUESS: Final = 1.0  # seconds: the first syncs go to the thread
_WEIGHT: Final = 0.5  # of the newest sync in what is expected of the next


class Syncs:
    """Owns the thread that syncs. One request at a time is under way."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._worker = Worker("respbroker-sync", sync_timed, wake)
        self._at_once: SyncRequest | None = None
        self._expected = _FIRST_GUESS  # seconds

    def start(self, request: SyncRequest) -> None:
        """Sync; `take_done` will tell."""
        few = len(request.files) <= FILES_MAX and not any(isinstance(file, ManySync) for file in request.files)
        if few and self._expected < QUICK_SECONDS:
            self._at_once = request
        else:
            self._worker.submit(request)

    def take_done(self) -> list[Done]:
        """What was finished since the last call, and what can be finished at once."""
        done = self._worker.take_done()
        request, self._at_once = self._at_once, None
        if request is not None:
            try:
                done.append(Done(request, sync_timed(request), None))
            except OSError as error:
                done.append(Done(request, None, error))
        for each in done:
            if each.error is None:
                self._expected += _WEIGHT * (each.result - self._expected)
        return done

    def stop(self) -> None:
        """Wait for what was started."""
        self._worker.stop()


def sync_files(request: SyncRequest) -> None:
    """Sync the files and directories of a request, in their order.

    Raises:
        OSError: one of them could not be synced.
    """
    for file in request.files:
        file.sync()


def sync_timed(request: SyncRequest) -> float:
    """The same; the seconds it took."""
    began = time.perf_counter()
    sync_files(request)
    return time.perf_counter() - began
