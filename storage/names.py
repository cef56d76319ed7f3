"""File names and suffixes: format and parse, side by side.

A log directory holds, for a segment whose first record has offset *n* (20 digits, so that names sort as numbers):

====================  ==================================================================================
``n.log``             the batches: the only truth
``n.index``           sparse index and summary of a sealed segment; rebuilt when missing or damaged
``n.snapshot``        the state of whoever uses the log, as of offset *n*
``checkpoint``        where recovery starts, and the index of the active segment so far
``*.cleaned``         being written; worthless, removed when found at opening
``*.swap``            complete and synced, about to replace the plain name; finished when found at opening
``*.deleted``         on its way out; removed when found at opening
====================  ==================================================================================

Anything else is foreign: reported, never touched.
"""

from __future__ import annotations

import re

LOG = ".log"
INDEX = ".index"
SNAPSHOT = ".snapshot"
CHECKPOINT = "checkpoint"
CLEANED = ".cleaned"
SWAP = ".swap"
DELETED = ".deleted"
LOCK = "LOCK"

_NUMBERED = re.compile(r"([0-9]{20})(\.log|\.index|\.snapshot)(\.cleaned|\.swap|\.deleted)?")
_CHECKPOINT = re.compile(r"(checkpoint)()(\.cleaned|\.swap|\.deleted)?")


def format_name(offset: int, kind: str) -> str:
    """``7, ".log"`` is ``00000000000000000007.log``."""
    return f"{offset:020d}{kind}"


def parse_name(name: str) -> tuple[int, str, str] | None:
    """Offset, kind and state (empty when plain) of one of our names; None for a foreign one."""
    numbered = _NUMBERED.fullmatch(name)
    if numbered:
        return int(numbered[1]), numbered[2], numbered[3] or ""
    checkpoint = _CHECKPOINT.fullmatch(name)
    if checkpoint:
        return 0, CHECKPOINT, checkpoint[3] or ""
    return None
