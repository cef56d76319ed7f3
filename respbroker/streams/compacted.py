"""How far a stream has been compacted."""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen
class Compacted:
    """What the last round left. Entries below ``end_ordinal`` are clean: each of them is the last one of its key, up to
    there; those behind are dirty."""

    end_ordinal: int
    #: Append time of the earliest tombstone among the clean ones, as far as it is known; None if there is none.
    next_tombstone_ms: int | None
    #: When that was.
    time_ms: int


NEVER: Final = Compacted(0, None, 0)
