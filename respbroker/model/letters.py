"""Dead letters: what they tell of the entries that they are made of, and in which fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

SUFFIX: Final = b".dlq"
TOO_OFTEN, FATAL = b"max.deliveries", b"fatal"
#: In this order, behind the fields of the entry.
FIELDS: Final = (
    b"dlq.topic",
    b"dlq.partition",
    b"dlq.id",
    b"dlq.group",
    b"dlq.consumer",
    b"dlq.deliveries",
    b"dlq.reason",
)
_WORDS: Final = 2 * len(FIELDS)


@attrs.frozen
class Origin:
    """Where a letter is from. ``consumer`` is who held the entry last, empty if it had been given up."""

    topic: bytes
    partition: bytes
    entry_id: bytes
    group: bytes
    consumer: bytes
    deliveries: bytes
    reason: bytes

    @property
    def words(self) -> list[bytes]:
        """`FIELDS` with their values."""
        return [word for pair in zip(FIELDS, attrs.astuple(self), strict=True) for word in pair]


def open_letter(words: Sequence[bytes]) -> tuple[list[bytes], Origin] | None:
    """The words of the entry, and its origin; None if these are not the words of a letter."""
    own = words[-_WORDS:]
    if len(words) <= _WORDS or tuple(own[::2]) != FIELDS:
        return None
    return list(words[:-_WORDS]), Origin(*own[1::2])
