"""Something slow for a thread or another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from storage import FileSystem, Pace


class Request(Protocol):
    """Work described by plain values: it can be sent to another process."""

    def perform(self, filesystem: FileSystem, pace: Pace) -> Any:
        """Do it; ``pace`` is told of every so many bytes read or written, and may take its time."""


@attrs.define(eq=False)
class Job:
    """``run`` touches no state of the node, ``done`` gets its result in a later tick, ``failed`` what it raised.

    A job with a ``request`` may be given to another process: then ``request.perform`` is called there instead.
    """

    name: str
    run: Callable[[], Any]
    done: Callable[[Any], None] = lambda result: None
    failed: Callable[[Exception], None] = lambda error: None
    request: Request | None = None
