"""The time of a tick, handed in from outside."""

from __future__ import annotations

import attrs


@attrs.frozen
class Now:
    """One reading of both clocks: ``ms`` is wall time (Unix milliseconds), ``seconds`` is monotonic."""

    ms: int
    seconds: float
