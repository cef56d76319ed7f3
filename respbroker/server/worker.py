"""A thread that does slow things one after the other and wakes the loop when each is done."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple


class Done(NamedTuple):
    """``task`` as it was submitted, and its result or what it raised."""

    task: Any
    result: Any
    error: Exception | None


class Worker:
    """Runs ``perform(task)`` in its own thread; ``wake`` is called from there after each and must be thread-safe.

    An error of a task is a result like any other: the loop decides what it means.
    """

    def __init__(self, name: str, perform: Callable[[Any], Any], wake: Callable[[], None]) -> None:
        self._perform = perform
        self._wake = wake
        self._tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._done: deque[Done] = deque()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, task: Any) -> None:
        self._tasks.put(task)

    def take_done(self) -> list[Done]:
        """What was finished since the last call."""
        done = []
        while self._done:
            done.append(self._done.popleft())
        return done

    def stop(self) -> None:
        """Let it finish what was submitted, and wait for that."""
        self._tasks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                done = Done(task, self._perform(task), None)
            except Exception as error:
                done = Done(task, None, error)
            self._done.append(done)
            self._wake()


def run_job(job: Any) -> Any:
    """Perform one job of the node's housekeeping."""
    return job.run()
