"""Programs of node, one process for each file and its words, kept for the tests that come after."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.applications.worker import Worker

DIRECTORY: Final = Path(__file__).parent


class Node:
    """Starts programs; ``stop`` ends them all."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, ...], Worker] = {}

    def start(self, *words: str) -> Worker:
        """A process of its own; the caller stops it."""
        return Worker(["node", *words], DIRECTORY)

    def program(self, *words: str) -> Worker:
        """The process that is running for these words, or a new one."""
        if words not in self._running or self._running[words].has_ended:
            self._running[words] = self.start(*words)
        return self._running[words]

    def stop(self) -> None:
        while self._running:
            self._running.popitem()[1].stop()
