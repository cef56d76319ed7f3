"""A consumer of a group: its name and when it was last seen."""

from __future__ import annotations

from typing import Any

import attrs

NEVER = -1


@attrs.define
class Consumer:
    """One named reader. What is pending with it is in the group's ``PendingEntries``.

    ``seen_ms`` is its last attempt to read or claim, ``active_ms`` the last one that gave it entries (``NEVER`` before
    the first). Both are wall time in milliseconds.
    """

    name: bytes
    seen_ms: int
    active_ms: int = NEVER

    def dump(self) -> list[Any]:
        return [self.name, self.seen_ms, self.active_ms]

    @classmethod
    def load(cls, state: list[Any]) -> Consumer:
        return cls(*state)
