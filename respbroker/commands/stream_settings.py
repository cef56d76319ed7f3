"""XCFGSET: what one stream, or every partition of a topic, remembers of its producers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import Arguments, parse_bounded
from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.errors import NoSuchKey, ReplyError, SyntaxRefused
from respbroker.resp import replies
from respbroker.sessions.client import Reply
from respbroker.streams import effects

if TYPE_CHECKING:
    from respbroker.commands.context import Context

DURATION_MAX_SECONDS: Final = 86_400
MAXSIZE_MAX_ENTRIES: Final = 10_000


def xcfgset(ctx: Context, words: list[bytes]) -> Reply:
    """A value that differs from the present one makes the stream forget all producers; the same changes nothing."""
    duration: int | None = None
    maxsize: int | None = None
    options = Arguments(words, 2)
    while options.more:
        match options.option():
            case b"IDMP-DURATION":
                refusal = f"IDMP-DURATION must be between 1 and {DURATION_MAX_SECONDS} seconds"
                duration = parse_bounded(options.value(), 1, DURATION_MAX_SECONDS, refusal)
            case b"IDMP-MAXSIZE":
                refusal = f"IDMP-MAXSIZE must be between 1 and {MAXSIZE_MAX_ENTRIES} entries"
                maxsize = parse_bounded(options.value(), 1, MAXSIZE_MAX_ENTRIES, refusal)
            case _:
                raise SyntaxRefused
    if duration is None and maxsize is None:
        raise ReplyError("At least one parameter must be specified")
    found = ctx.find(words[1])
    if found is None:
        raise NoSuchKey
    for stream in ctx.keyspace.streams_of(found):
        present = (stream.idmp.duration, stream.idmp.maxsize)
        wanted = (duration or present[0], maxsize or present[1])
        if wanted != present:
            stream.commit([effects.IDMP_CONFIGURED, *wanted])
            ctx.changed(stream.key, "xcfgset")
    return replies.OK


COMMANDS: Final = (
    CommandSpec(
        "XCFGSET",
        arity=-2,
        flags=Flag.WRITE | Flag.FAST,
        handler=xcfgset,
        summary="Sets the idempotency settings of a stream.",
        syntax="key [IDMP-DURATION duration] [IDMP-MAXSIZE maxsize]",
        since="8.6.0",
        keys=Keys(1, 1, 1),
    ),
)
