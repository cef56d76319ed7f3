"""Where a sync runs: in a thread of its own, or at once at the end of the turn if the disk is quick.

Handing a sync to a thread lets the next ticks run meanwhile, and costs two changes of threads, both of which want the
interpreter's lock. On a disk that syncs in less than that costs it is better to wait for it, as Redis does; and so
it is where all who have asked for anything since the sync before wait for this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from respbroker.server.worker import Done, Worker

if TYPE_CHECKING:
    from respbroker.broker.durability import SyncRequest

QUICK_SECONDS: Final = 0.001  # nobody else waits longer than that for a sync that runs at once
BEARABLE_SECONDS: Final = 0.02  # the same where nobody else is known to be there
_FIRST_GUESS: Final = 1.0  # seconds: the first syncs go to the thread
_WEIGHT: Final = 0.5  # of the newest sync in what is expected of the next


class Syncs:
    """Owns the thread that syncs, and what is known of the disk's pace."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._worker = Worker("respbroker-sync", sync_timed, wake)
        self._expected = _FIRST_GUESS  # seconds

    def pace(self) -> float:
        """How many seconds the next sync is expected to take."""
        return self._expected

    def is_quick(self, *, alone: bool) -> bool:
        """Whether a sync of a log or two is better waited for than handed over; ``alone``: by all who were served."""
        return self._expected < (BEARABLE_SECONDS if alone else QUICK_SECONDS)

    def start(self, request: SyncRequest) -> None:
        """Sync in the thread; `take_done` will tell."""
        self._worker.submit(request)

    def take_done(self) -> list[Done]:
        """What the thread has finished since the last call."""
        done = self._worker.take_done()
        for each in done:
            if each.error is None:
                self._learn(each.result)
        return done

    def perform(self, request: SyncRequest) -> None:
        """Sync here and now.

        Raises:
            OSError: something could not be synced.
        """
        self._learn(sync_timed(request))

    def _learn(self, seconds: float) -> None:
        self._expected += _WEIGHT * (seconds - self._expected)

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
