"""From ID texts to ordinals for XACK, with as little parsing and searching as can be.

Clients acknowledge what they read, mostly in the order in which they read it. So many IDs at once are first taken for
those of neighbours: the first one is looked up, the texts from there on are written out at once and compared with what
came; the text behind them is remembered, for there the next request begins.

Otherwise IDs come in about that order, and texts of the neighbourhood are kept with their ordinals. An unknown ID is
searched for; if it is one of several in a request, or the second from its chunk of 64 ordinals, or follows the chunk
loaded last, its chunk is loaded, at 0.3 µs an entry. What was asked for leaves the window. IDs never change their
ordinals, so nothing needs to be kept up to date; `Stream.reload` drops the window, for what was staged may then be
lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from respbroker.errors import InvalidStreamId
from respbroker.model.stream_id import parse_id
from respbroker.resp.ids import join_ids

if TYPE_CHECKING:
    from respbroker.streams.stream import Stream

CHUNK_BITS: Final = 6
ENTRIES_MAX: Final = 16384  # about 2 MB; what is acknowledged leaves, so only disorder gets there
MISSED_MAX: Final = 256
NEIGHBOURS_MIN: Final = 16  # fewer are looked up faster one by one
MS_DIGITS: Final = 13  # of a time in milliseconds, until the year 2286


class RecentIds:
    """ID text to ordinal, for some chunks of a stream. Texts are canonical; others take the long way."""

    __slots__ = ("_following", "_missed", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, int] = {}
        self._missed: set[int] = set()  # chunks from which one unknown ID was asked for
        self._following = -1  # the first ordinal behind the chunk loaded last

    def take(self, stream: Stream, words: Sequence[bytes]) -> Sequence[int]:
        """The ordinals of those IDs that name an entry which is, or was, here.

        Raises:
            InvalidStreamId: one of ``words`` is no ID.
        """
        many = len(words) > 1
        if many and (neighbours := self._neighbours(stream, words)):
            return neighbours
        pop = self.known.pop
        ordinals: list[int] = []
        for word in words:
            known = pop(word, None)
            if known is None:  # its chunk is loaded, and so the next ones are known
                known = self._find(stream, word, many)
            if known is not None:
                ordinals.append(known)
        return ordinals

    def each(self, stream: Stream, words: Sequence[bytes]) -> Sequence[int | None]:
        """The ordinal of each ID, None where no such entry is or was here; ends before a word that is no ID."""
        pop = self.known.pop
        ordinals: list[int | None] = []
        try:
            if neighbours := self._neighbours(stream, words):
                return neighbours
            for word in words:
                known = pop(word, None)
                ordinals.append(self._find(stream, word, many=True) if known is None else known)
        except InvalidStreamId:
            pass
        return ordinals

    def _neighbours(self, stream: Stream, words: Sequence[bytes]) -> range | None:
        """The ordinals of ``words``, if they are the IDs of neighbouring entries in their order."""
        count = len(words)
        if count < NEIGHBOURS_MIN:
            return None
        first, last = self.known.get(words[0]), self.known.get(words[-1])
        if last is not None and last + 1 - count != first:  # a sign of another order
            return None
        times = [words[place][:MS_DIGITS] for place in (0, count // 3, 2 * count // 3, -1)]
        if times != sorted(times):  # another one, before anything is searched for
            return None
        if first is None:
            first = stream.find_stored(parse_id(words[0]))
        if first is None or first < stream.log.first_ordinal or first + count > stream.end_ordinal:
            return None
        ms, seqs = stream.id_columns(first, min(first + count + 1, stream.end_ordinal))
        if words[-1] != b"%d-%d" % (ms[count - 1], seqs[count - 1]):
            self.known[words[0]] = first
            return None
        if len(ms) > count:  # what is likely to be the first one next time
            self._remember([b"%d-%d" % (ms.pop(), seqs.pop())], first + count)
        # No word of them all can hold a blank: there are as many in our text as between the words.
        if join_ids(ms, seqs) != b"%b " % b" ".join(words):
            self.known[words[0]] = first
            return None
        self.known.pop(words[0], None)
        return range(first, first + count)

    def _find(self, stream: Stream, word: bytes, many: bool) -> int | None:
        ordinal = stream.find_stored(parse_id(word))
        if ordinal is not None and ordinal >= stream.log.first_ordinal:  # of what was dropped no neighbours are known
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
        self._remember(join_ids(*stream.id_columns(first, end)).split(), first)

    def _remember(self, texts: list[bytes], first: int) -> None:
        if len(self.known) >= ENTRIES_MAX:
            self.known.clear()
        self.known.update(zip(texts, range(first, first + len(texts)), strict=True))


def window_of(stream: Stream) -> RecentIds:
    """The stream's own window, made when it is first needed."""
    window: RecentIds | None = stream.recent_ids
    if window is None:
        window = stream.recent_ids = RecentIds()
    return window
