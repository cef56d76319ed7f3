"""What a key can hold besides a stream: a string, a hash, a sorted set.

A hash and a sorted set are made of *members*, each with a payload: a field's value, or a score as text. What changes
them goes through `respbroker.values.database.ValueDatabase`, which remembers what is to be written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import ClassVar, Final

import attrs
from sortedcontainers import SortedList

#: Kinds by the names that TYPE tells.
STRING: Final = b"string"
HASH: Final = b"hash"
SORTED_SET: Final = b"zset"

_EMBEDDED_BYTES: Final = 44  # of a string that Redis keeps in one piece with its object
_PACKED_FIELDS, _PACKED_SCORES = 512, 128  # members that Redis keeps in a listpack (hash-max-listpack-entries, ...)
_PACKED_BYTES: Final = 64  # and how long each may be
_INTEGER: Final = re.compile(rb"-?[1-9][0-9]{0,18}|0")

_KEY_BYTES: Final = 250  # what a value takes besides its bytes: object, dictionary slot, name (sys.getsizeof, 3.11)
_MEMBER_BYTES: Final = {HASH: 170, SORTED_SET: 260}


@attrs.define(eq=False)
class Text:
    """A string. Times in Unix milliseconds, ``expires_ms`` 0 for never; ``place`` is SCAN's."""

    kind: ClassVar[bytes] = STRING

    data: bytes
    place: int
    expires_ms: int = 0
    used_ms: int = 0

    def copy(self, place: int, now_ms: int) -> Text:
        return Text(self.data, place, self.expires_ms, now_ms)

    @property
    def encoding(self) -> bytes:
        """What OBJECT ENCODING tells, by Redis' default limits; nothing here depends on it."""
        if _INTEGER.fullmatch(self.data) and -(1 << 63) <= int(self.data) < 1 << 63:
            return b"int"
        return b"embstr" if len(self.data) <= _EMBEDDED_BYTES else b"raw"

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return _KEY_BYTES + len(self.data)


@attrs.define(eq=False)
class Hash:
    """Fields and their values, in the order in which they came."""

    kind: ClassVar[bytes] = HASH

    place: int
    expires_ms: int = 0
    used_ms: int = 0
    fields: dict[bytes, bytes] = attrs.field(factory=dict)

    def names(self) -> Iterator[bytes]:
        """The members."""
        return iter(self.fields)

    @property
    def count(self) -> int:
        return len(self.fields)

    def has(self, member: bytes) -> bool:
        return member in self.fields

    def payload(self, member: bytes) -> bytes | None:
        """What the log is told of a member; None if there is none."""
        return self.fields.get(member)

    def put(self, member: bytes, payload: bytes) -> None:
        self.fields[member] = payload

    def discard(self, member: bytes) -> None:
        self.fields.pop(member, None)

    def copy(self, place: int, now_ms: int) -> Hash:
        return Hash(place, self.expires_ms, now_ms, dict(self.fields))

    @property
    def encoding(self) -> bytes:
        packed = self.count <= _PACKED_FIELDS and all(len(f) <= _PACKED_BYTES >= len(v) for f, v in self.fields.items())
        return b"listpack" if packed else b"hashtable"

    @property
    def size(self) -> int:
        words = sum(len(field) + len(value) for field, value in self.fields.items())
        return _KEY_BYTES + words + self.count * _MEMBER_BYTES[HASH]


def encode_score(score: float) -> bytes:
    """A score as the payload of a member: the shortest text that means the very same number."""
    return repr(score).encode()


@attrs.define(eq=False)
class SortedSet:
    """Members in the order of their scores, and of their bytes where the scores are equal."""

    kind: ClassVar[bytes] = SORTED_SET

    place: int
    expires_ms: int = 0
    used_ms: int = 0
    _scores: dict[bytes, float] = attrs.field(factory=dict)
    _order: SortedList[tuple[float, bytes]] | None = None  # made when it is first asked for, and kept from then on

    def __iter__(self) -> Iterator[tuple[bytes, float]]:
        """Members with their scores, in order."""
        return ((member, score) for score, member in self.ordered)

    def __len__(self) -> int:
        return len(self._scores)

    def score(self, member: bytes) -> float | None:
        return self._scores.get(member)

    @property
    def ordered(self) -> SortedList[tuple[float, bytes]]:
        """Scores with their members, in order; to be looked at only."""
        if self._order is None:
            self._order = SortedList((score, member) for member, score in self._scores.items())
        return self._order

    def rank_of_score(self, score: float, *, behind: bool = False) -> int:
        """How many members have a lower score; with ``behind``, those that have this one are counted too."""
        if behind:
            if score == math.inf:
                return len(self)
            score = math.nextafter(score, math.inf)
        return int(self.ordered.bisect_left((score, b"")))

    def count(self, low: float, high: float) -> int:
        """How many members have a score from ``low`` to ``high``, both included."""
        return max(0, self.rank_of_score(high, behind=True) - self.rank_of_score(low))

    def names(self) -> Iterator[bytes]:
        return iter(self._scores)

    def has(self, member: bytes) -> bool:
        return member in self._scores

    def payload(self, member: bytes) -> bytes | None:
        score = self._scores.get(member)
        return None if score is None else encode_score(score)

    def put(self, member: bytes, payload: bytes) -> None:
        score = float(payload)
        if self._order is not None:
            self._forget(member)
            self._order.add((score, member))
        self._scores[member] = score

    def discard(self, member: bytes) -> None:
        if self._order is not None:
            self._forget(member)
        self._scores.pop(member, None)

    def _forget(self, member: bytes) -> None:
        score = self._scores.get(member)
        if score is not None and self._order is not None:
            self._order.remove((score, member))

    def copy(self, place: int, now_ms: int) -> SortedSet:
        return SortedSet(place, self.expires_ms, now_ms, dict(self._scores))

    @property
    def encoding(self) -> bytes:
        packed = len(self) <= _PACKED_SCORES and all(len(member) <= _PACKED_BYTES for member in self._scores)
        return b"listpack" if packed else b"skiplist"

    @property
    def size(self) -> int:
        return _KEY_BYTES + sum(map(len, self._scores)) + len(self) * _MEMBER_BYTES[SORTED_SET]


Members = Hash | SortedSet
Value = Text | Members

#: The kinds that have members.
MEMBERS: Final[dict[bytes, type[Hash] | type[SortedSet]]] = {HASH: Hash, SORTED_SET: SortedSet}
