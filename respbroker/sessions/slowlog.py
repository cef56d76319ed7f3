"""The last requests that took longer than wanted, newest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.sessions.secrets import redact

if TYPE_CHECKING:
    from respbroker.sessions.client import Client

WORDS_MAX: Final = 32  # of a request that are kept, the note about the others included
WORD_SIZE_MAX: Final = 128


@attrs.frozen
class SlowEntry:
    """One slow request. ``id`` rises over the life of the node, also across SLOWLOG RESET."""

    id: int
    unix_seconds: int
    micros: int
    words: tuple[bytes, ...]
    address: str
    name: bytes


class SlowLog:
    """Bounded; the words kept of an entry are bounded as well, so that a huge request costs little here."""

    def __init__(self, limit: int = 128) -> None:
        self._entries: deque[SlowEntry] = deque()
        self._limit = limit
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._entries)

    def resize(self, limit: int) -> None:
        """slowlog-max-len: keep no more than ``limit`` entries."""
        self._limit = limit
        while len(self._entries) > limit:
            self._entries.pop()

    def add(self, now_ms: int, seconds: float, words: Sequence[bytes], client: Client) -> None:
        """Remember a request; the oldest entry goes if there are too many. Passwords are never kept."""
        entry = SlowEntry(
            self._next_id, now_ms // 1000, int(seconds * 1e6), shortened(words), client.address, client.name
        )
        self._next_id += 1
        self._entries.appendleft(entry)
        if len(self._entries) > self._limit:
            self._entries.pop()

    def newest(self, count: int | None) -> list[SlowEntry]:
        """Up to ``count`` entries, all for None."""
        return list(islice(self._entries, count))

    def reset(self) -> None:
        """Forget all entries."""
        self._entries.clear()


def shortened(words: Sequence[bytes]) -> tuple[bytes, ...]:
    """What is kept of a request: its first words, cut, and notes of what is left out."""
    kept = words if len(words) <= WORDS_MAX else words[: WORDS_MAX - 1]
    cut = [_cut(word) for word in redact(kept)]
    if len(words) > WORDS_MAX:
        cut.append(b"... (%d more arguments)" % (len(words) - WORDS_MAX + 1))
    return tuple(cut)


def _cut(word: bytes) -> bytes:
    if len(word) <= WORD_SIZE_MAX:
        return bytes(word)
    return bytes(word[:WORD_SIZE_MAX]) + b"... (%d more bytes)" % (len(word) - WORD_SIZE_MAX)
