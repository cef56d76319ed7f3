"""The parts of an assignment: which entries are pending since when and for how many deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Part = tuple[int, int, int, int]  # first, end, delivery time in ms, delivery count


def joined(parts: Iterable[Part]) -> list[list[Any]]:
    """Parts as the effect ASSIGNED holds them, ``[[first, end], time_ms, count]``; neighbours that agree are one."""
    whole: list[list[Any]] = []
    for first, end, time_ms, count in parts:
        if whole and whole[-1][0][1] == first and whole[-1][1] == time_ms and whole[-1][2] == count:
            whole[-1][0][1] = end
        else:
            whole.append([[first, end], time_ms, count])
    return whole
