"""Which epochs there were, who led in each, and at which position each began."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import attrs

KEPT_MAX: Final = 1000
EPOCH_MAX: Final = (1 << 32) - 1  # a batch has 32 bits for it
NODE: Final = re.compile(r"[0-9a-f]{16}")  # a node's id
_WORD: Final = re.compile(rb"([1-9][0-9]{0,18}):([0-9a-f]{16}):(0|[1-9][0-9]{0,18})")
NOTHING: Final = b"-"


class Unreadable(ValueError):
    """What was read cannot be; says why in words for people, as other ValueErrors need not."""


def shown(word: object) -> str:
    """A word for people, who are shown the beginning of a long one; whatever else may have come in its place, too."""
    return repr(word[:64])[1:] if isinstance(word, bytes) else repr(word)[:64]


@attrs.frozen
class Leadership:
    """One node leading, from its promotion or restart until the next."""

    epoch: int = attrs.field(validator=[attrs.validators.ge(1), attrs.validators.le(EPOCH_MAX)])
    leader: str = attrs.field(validator=attrs.validators.matches_re(NODE))  #: its node id
    position: int = attrs.field(validator=attrs.validators.ge(0))  #: the end of what it had when it began


def _newest(leaderships: Iterable[Leadership]) -> tuple[Leadership, ...]:
    return tuple(leaderships)[-KEPT_MAX:]


def _check_rising(_history: History, _attribute: Any, value: tuple[Leadership, ...]) -> None:
    if any(earlier.epoch >= later.epoch for earlier, later in pairwise(value)):
        raise Unreadable("epochs must rise")


@attrs.frozen
class History:
    """The leaderships that a node's records come from, oldest first; of more than 1000 the oldest are forgotten.

    A follower has its leader's history, to the word. Two nodes that have a leadership in common had the same records
    when it began.
    """

    leaderships: tuple[Leadership, ...] = attrs.field(default=(), converter=_newest, validator=_check_rising)

    @property
    def last(self) -> Leadership | None:
        return self.leaderships[-1] if self.leaderships else None

    def next_epoch(self) -> int:
        """The first epoch that none of these has. One that was promised to another is not free, though."""
        return self.leaderships[-1].epoch + 1 if self.leaderships else 1

    def begin(self, epoch: int, leader: str, position: int) -> History:
        """With one more leadership."""
        return History((*self.leaderships, Leadership(epoch, leader, position)))

    def common(self, other: History) -> int:
        """The last epoch that both had under the same leader, 0 if there is none.

        Records of later epochs are not shared, whatever their offsets. Epochs alone prove nothing: two nodes promoted
        by hand, each out of the other's sight, may have taken the same number.
        """
        both = set(self.leaderships) & set(other.leaderships)
        return max((each.epoch for each in both), default=0)

    def end_of(self, epoch: int) -> int | None:
        """The position at which the next epoch began; None if ``epoch`` is the last, or later."""
        return next((each.position for each in self.leaderships if each.epoch > epoch), None)

    def shared_end(self, other: History) -> int | None:
        """The position up to which the orders of both are the same; None: all of one is in the other."""
        common = self.common(other)
        ends = [end for end in (self.end_of(common), other.end_of(common)) if end is not None]
        return 0 if not common else min(ends, default=None)

    def dump(self) -> list[list[Any]]:
        """As JSON has it."""
        return [[each.epoch, each.leader, each.position] for each in self.leaderships]

    @classmethod
    def load(cls, rows: Sequence[Sequence[Any]]) -> History:
        """From what `dump` gave. Raises ValueError or TypeError for anything else."""
        if not all(len(row) == 3 and [type(part) for part in row] == [int, str, int] for row in rows):
            raise ValueError("a leadership is an epoch, a node id and a position")
        return cls(Leadership(*row) for row in rows)

    def format(self) -> bytes:
        """As one word: ``epoch:leader:position`` with commas between them, or ``-``."""
        words = [b"%d:%s:%d" % (each.epoch, each.leader.encode(), each.position) for each in self.leaderships]
        return b",".join(words) or NOTHING

    @classmethod
    def parse(cls, word: bytes) -> History:
        """From what `format` gave. Raises ValueError for anything else."""
        leaderships = []
        for part in word.split(b",", KEPT_MAX - 1) if word != NOTHING else ():
            match = _WORD.fullmatch(part)
            if match is None:
                raise Unreadable(f"no history of epochs: {shown(part)}")
            leaderships.append(Leadership(int(match[1]), match[2].decode(), int(match[3])))
        return cls(leaderships)
