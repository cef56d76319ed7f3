"""A request that tells when it runs and then never ends, for the tests of `respbroker.server.apart`."""

from __future__ import annotations

import threading
from pathlib import Path

import attrs

from storage import FileSystem, Pace


@attrs.frozen
class Sleeper:
    """Opens a named pipe, which wakes whoever waits at its other end."""

    pipe: str

    def perform(self, filesystem: FileSystem, pace: Pace) -> None:
        with Path(self.pipe).open("wb"):
            threading.Event().wait()
