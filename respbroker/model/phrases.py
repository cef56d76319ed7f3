"""What several parts say to people in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

FEW: Final = 5  # of many that are named


def few(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more
