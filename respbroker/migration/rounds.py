"""A whole migration: which streams there are, pass after pass over all of them, until both sides are level."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import attrs

from respbroker.migration.comparing import Compared, compare
from respbroker.migration.driver import Driver
from respbroker.migration.facts import StreamFacts
from respbroker.migration.link import Link, scan
from respbroker.migration.memo import MemoFile
from respbroker.migration.moving import Move, in_the_way, move
from respbroker.migration.turns import Request, done
from respbroker.tools.connection import Failed

AT_ONCE: Final = 1000  # short requests in one piece


@attrs.frozen
class Pass:
    """What one pass over all streams did. ``lost`` counts pending entries that the target did not take."""

    streams: int
    changed: int
    lost: int


class Migration:
    """Two servers, and the streams of the source that match."""

    def __init__(self, source: Link, target: Link, memo: MemoFile, *, replaces: bool) -> None:
        self.source, self.target = source, target
        self.driver = Driver(source, target)
        self.left_out: list[bytes] = []  # topics of several partitions
        self._memo = memo
        self._replaces = replaces
        self._known: dict[bytes, StreamFacts] = {}  # as the source was when each stream's last pass began
        self._gone: set[bytes] = set()  # what the source deleted meanwhile

    @property
    def match(self) -> bytes:
        return self._memo.memo.match

    def names(self) -> list[bytes]:
        """The streams of the source that match."""
        found = scan(self.source, self.match)
        topics = _topics(self.source)
        self.left_out = [name for name in found if name in topics]
        return [name for name in found if name not in topics]

    def entries_to_copy(self) -> int:
        """About how many entries the first pass will add."""
        names = self.names()
        counts = [0, 0]
        for index, (link, some) in enumerate(
            ((self.source, names), (self.target, [name for name in names if name in self._memo.memo.streams]))
        ):
            replies = _ask_in_pieces(link, [(b"XLEN", name) for name in some])
            counts[index] = sum(reply for reply in replies if isinstance(reply, int))
        return max(counts[0] - counts[1], 0)

    def run_pass(self, after_turn: Callable[[], None], *, thorough: bool) -> Pass:
        """Move all that changed since the last pass, or, if ``thorough``, look at everything again."""
        self.target.ask((b"PING",))  # it may end connections that are idle, as this one is while nothing changes
        names = self.names()
        new = {name for name in names if name not in self._memo.memo.streams}
        self._take(sorted(new))
        gone = sorted(self._known.keys() - {*names, *self.left_out})
        moves = (
            Move(name, self.source.side, self.target.side, name in new, self._known.get(name), thorough)
            for name in [*names, *gone]
        )
        changed = lost = 0
        for moved in self.driver.run(map(move, moves), after_turn):
            changed += moved.is_changed
            lost += moved.lost
            if moved.facts is None:
                self._known.pop(moved.key, None)
                self._gone.add(moved.key)
            else:
                self._known[moved.key] = moved.facts
        return Pass(len(names), changed, lost)

    @property
    def stale(self) -> list[bytes]:
        """What an earlier migration brought to the target and the source has not any more; it is left alone."""
        return sorted(self._memo.memo.streams - self._known.keys() - self._gone)

    def _take(self, names: Sequence[bytes]) -> None:
        """Make sure that the target has none of these, and remember them as ours before the first is touched."""
        replies = _ask_in_pieces(self.target, [(b"EXISTS", name) for name in names])
        taken = [name for name, exists in zip(names, done(replies, b"EXISTS"), strict=True) if exists]
        if taken and not self._replaces:
            raise Failed(in_the_way(taken))
        done(_ask_in_pieces(self.target, [(b"DEL", name) for name in taken]), b"DEL")
        self._memo.add(names)

    def compare(self, after_turn: Callable[[], None]) -> Iterator[Compared]:
        """All streams of the source, in no order."""
        names = self.names()
        yield from self.driver.run((compare(name, self.source.side, self.target.side) for name in names), after_turn)


def _topics(link: Link) -> set[bytes]:
    """The topics of several partitions, which no other server knows."""
    if b"xtopic" not in link.side.commands:
        return set()
    [found] = done(link.ask((b"XTOPIC", b"LIST")), b"XTOPIC")
    told = (dict(zip(topic[::2], topic[1::2], strict=True)) for topic in found)
    return {topic[b"name"] for topic in told if topic[b"partitions"] > 1}


def _ask_in_pieces(link: Link, requests: Sequence[Request]) -> list[Any]:
    replies: list[Any] = []
    for start in range(0, len(requests), AT_ONCE):
        replies += link.ask(*requests[start : start + AT_ONCE])
    return replies
