"""ID texts that are likely to be acknowledged soon, with their ordinals, so that XACK neither parses nor searches.

Clients acknowledge in about the order in which they read. An unknown ID is searched for; if it is one of several in a
request, or the second from its chunk of 64 ordinals, or follows the chunk loaded last, its chunk is loaded, at 0.3 µs
an entry. What was asked for leaves the window. IDs never change their ordinals, so nothing needs to be kept up to
date; `Stream.reload` drops the window, for what was staged may then be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from respbroker.errors import InvalidStreamId
from respbroker.model.stream_id import parse_id

if TYPE_CHECKING:
    from respbroker.streams.stream import Stream

CHUNK_BITS: Final = 6
ENTRIES_MAX: Final = 16384  # about 2 MB; what is acknowledged leaves, so only disorder gets there
MISSED_MAX: Final = 256


class RecentIds:
    """ID text to ordinal, for some chunks of a stream. Texts are canonical; others take the long way."""

    __slots__ = ("_following", "_missed", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}
        self._missed: set[int] = set()  # chunks from which one unknown ID was asked for
        self._following = -1  # the first ordinal behind the chunk loaded last

    def take(self, stream: Stream, words: Sequence[bytes]) -> list[int]:
        """The ordinals of those IDs that name an entry which is, or was, here.

        Raises:
            InvalidStreamId: one of ``words`` is no ID.
        """
        pop = self.known.pop
        many = len(words) > 1
        ordinals: list[int] = []
        for word in words:
            known = pop(word, None)
            if known is None:  # its chunk is loaded, and so the next ones are known
                known = self._find(stream, word, many)
            if known is not None:
                ordinals.append(known)
        return ordinals

    def each(self, stream: Stream, words: Sequence[bytes]) -> list[int | None]:
        """The ordinal of each ID, None where no such entry is or was here; ends before a word that is no ID."""
        pop = self.known.pop
        ordinals: list[int | None] = []
        try:
            for word in words:
                known = pop(word, None)
                ordinals.append(self._find(stream, word, many=True) if known is None else known)
        except InvalidStreamId:
            pass
        return ordinals

    def _find(self, stream: Stream, word: bytes, many: bool) -> int | None:
        ordinal = stream.find_stored(parse_id(word))
        if ordinal is not None:
            chunk = ordinal >> CHUNK_BITS
            if many or ordinal == self._following or chunk in self._missed:
                self._missed.discard(chunk)
                self._load(stream, chunk << CHUNK_BITS, (chunk + 1) << CHUNK_BITS)
                self.known.pop(word, None)
            else:
                if len(self._missed) >= MISSED_MAX:
                    self._missed.clear()
                self._missed.add(chunk)
        return ordinal

    def _load(self, stream: Stream, first: int, end: int) -> None:
        first, end = max(first, stream.log.first_ordinal), min(end, stream.end_ordinal)
        self._following = end
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
