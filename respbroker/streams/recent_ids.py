"""A window of ID texts to ordinals, so that acknowledging what was just read neither parses nor searches.

Clients acknowledge in about the order in which they read. The second unknown ID in a row from one chunk of 64
ordinals loads the chunk: 0.3 µs an entry, once, instead of a search for each. IDs never change their ordinals, so
nothing needs to be kept up to date; `Stream.reload` drops the window, for what was staged may then be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from respbroker.model.stream_id import parse_id

if TYPE_CHECKING:
    from respbroker.streams.stream import Stream

CHUNK_BITS: Final = 6
CHUNK: Final = 1 << CHUNK_BITS
ENTRIES_MAX: Final = 1024  # about 150 kB


class RecentIds:
    """ID text to ordinal for some chunks of a stream. Texts are canonical; others take the long way."""

    __slots__ = ("_last_missed", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}
        self._last_missed = -1

    def ordinals(self, stream: Stream, words: Sequence[bytes]) -> list[int]:
        """The ordinals of those IDs that name an entry which is, or was, here.

        Raises:
            InvalidStreamId: one of ``words`` is no ID.
        """
        known = self.known
        found = [known.get(word) for word in words]
        if None not in found:
            return found  # type: ignore[return-value]
        resolved = [
            self._find(stream, word) if ordinal is None else ordinal for ordinal, word in zip(found, words, strict=True)
        ]
        return [ordinal for ordinal in resolved if ordinal is not None]

    def _find(self, stream: Stream, word: bytes) -> int | None:
        known = self.known.get(word)
        if known is not None:  # its chunk was loaded for a word before it
            return known
        ordinal = stream.find_stored(parse_id(word))
        if ordinal is not None:
            chunk = ordinal >> CHUNK_BITS
            if chunk == self._last_missed:
                self._load(stream, chunk << CHUNK_BITS)
            self._last_missed = chunk
        return ordinal

    def _load(self, stream: Stream, start: int) -> None:
        first = max(start, stream.log.first_ordinal)
        end = min(start + CHUNK, stream.end_ordinal)
        if len(self.known) >= ENTRIES_MAX:
            self.known.clear()
        for ordinal, entry_id in enumerate(stream.ids(first, end), first):
            self.known[b"%d-%d" % entry_id] = ordinal


def ordinals_of(stream: Stream, words: Sequence[bytes]) -> list[int]:
    """`RecentIds.ordinals` of the stream's own window, made when it is first needed."""
    window: RecentIds | None = stream.recent_ids
    if window is None:
        window = stream.recent_ids = RecentIds()
    return window.ordinals(stream, words)
