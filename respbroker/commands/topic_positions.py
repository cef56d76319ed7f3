"""XTOPIC POSITION: how many entries of a stream lie before and behind an ID, and which ID is so many entries away.

It is what a group is moved by: XINFO GROUPS tells where the group is, this how far it would go. Nothing is read but
numbers, so a stream of any length answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.errors import NoSuchKey, SyntaxRefused
from respbroker.model.stream_id import parse_id
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams.references import behind

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.stream import Stream


def position(ctx: Context, words: list[bytes]) -> Reply:
    stream = ctx.lookup_to_read(words[2])
    if stream is None:
        raise NoSuchKey
    entry_id = stream.last_id if words[3] == b"$" else parse_id(words[3])
    shift = _parse_shift(words)
    end = _shifted(stream, stream.ordinal_of(behind(entry_id)), shift)
    up_to = _live(stream, stream.first_ordinal, end)
    last = stream.last_live_ranges(stream.first_ordinal, end, 1)
    fields = {
        "id": b"%d-%d" % stream.id_at(last[0][0]) if last else b"0-0",
        "entries-up-to": up_to,
        "entries-behind": stream.length - up_to,
    }
    return replies.encode(fields, ctx.client.protocol)


def _parse_shift(words: list[bytes]) -> int:
    shift = 0
    options = Arguments(words, 4)
    while options.more:
        if options.option() != b"BY":
            raise SyntaxRefused
        shift = parse_int(options.value())
    return shift


def _shifted(stream: Stream, end: int, shift: int) -> int:
    """The ordinal that lies ``shift`` live entries from ``end``, or where there are no more."""
    if shift > 0:
        ranges = stream.live_ranges(end, stream.end_ordinal, shift)
        return ranges[-1][1] if ranges else end
    if shift < 0:
        ranges = stream.last_live_ranges(stream.first_ordinal, end, -shift)
        return ranges[0][0] if ranges else end
    return end


def _live(stream: Stream, first: int, end: int) -> int:
    if first >= end:
        return 0
    return end - first - stream.deletions.count_between(first, end)


POSITION: Final = CommandSpec(
    "POSITION",
    arity=-4,
    flags=Flag.READONLY,
    handler=position,
    summary="Tells how many entries lie up to and behind an ID, or behind the one so many entries away from it.",
    syntax="key id [BY entries]",
    since="8.10.0",
    complexity="O(log(N)+M) where N is the number of entries and M that of the deleted ones that are passed.",
    keys=Keys(2, 2, 1),
)
