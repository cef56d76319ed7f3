"""ID texts that are likely to be acknowledged soon, with their ordinals, so that XACK neither parses nor searches.

Clients acknowledge in about the order in which they read. The second unknown ID from one chunk of 128 ordinals loads
the chunk, at 0.3 µs an entry, instead of a search for each; and what was asked for leaves the window. IDs never change
their ordinals, so nothing needs to be kept up to date; `Stream.reload` drops the window, for what was staged may then
be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from respbroker.model.stream_id import parse_id

if TYPE_CHECKING:
    from respbroker.streams.stream import Stream

CHUNK_BITS: Final = 7
CHUNK: Final = 1 << CHUNK_BITS
ENTRIES_MAX: Final = 2048  # about 300 kB; what is acknowledged leaves, so it rarely gets there
MISSED_MAX: Final = 64


class RecentIds:
    """ID text to ordinal, for some chunks of a stream. Texts are canonical; others take the long way."""

    __slots__ = ("_missed", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}
        self._missed: set[int] = set()  # chunks from which one unknown ID was asked for

    def take(self, stream: Stream, words: Sequence[bytes]) -> list[int]:
        """The ordinals of those IDs that name an entry which is, or was, here.

        Raises:
            InvalidStreamId: one of ``words`` is no ID.
        """
        pop = self.known.pop
        found = [pop(word, None) for word in words]
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
            if chunk in self._missed:
                self._missed.remove(chunk)
                self._load(stream, ordinal, (chunk + 1) << CHUNK_BITS)
            else:
                if len(self._missed) >= MISSED_MAX:
                    self._missed.clear()
                self._missed.add(chunk)
        return ordinal

    def _load(self, stream: Stream, first: int, end: int) -> None:
        first, end = max(first, stream.log.first_ordinal), min(end, stream.end_ordinal)
        if len(self.known) >= ENTRIES_MAX:
            self.known.clear()
        texts = [b"%d-%d" % entry_id for entry_id in stream.ids(first, end)]
        self.known.update(zip(texts, range(first, end), strict=True))


def window_of(stream: Stream) -> RecentIds:
    """The stream's own window, made when it is first needed."""
    window: RecentIds | None = stream.recent_ids
    if window is None:
        window = stream.recent_ids = RecentIds()
    return window
