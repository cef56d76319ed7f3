"""Replies on their way out: appended piece by piece, and what they weigh."""

from __future__ import annotations

from collections.abc import Sequence

from respbroker.sessions.client import Output, Reply


def weight(pieces: Sequence[Output]) -> int:
    """The bytes of a reply that are in memory."""
    try:
        return sum(map(len, pieces))  # type: ignore[arg-type]  # reason: what is lazy has no length, and is rare
    except TypeError:
        return sum(len(piece) for piece in pieces if isinstance(piece, bytes | memoryview))


def extend(out: list[Output], reply: Reply) -> None:
    """Append a reply to what is to be sent."""
    if isinstance(reply, bytes):
        out.append(reply)
    elif reply is not None:
        out.extend(reply)
