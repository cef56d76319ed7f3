"""SLOWLOG: requests that took longer than slowlog-log-slower-than."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import I64_MAX, parse_bounded
from respbroker.commands.help import help_reply
from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import ALL_SUCCEED, SUM, TO_ALL_NODES, VARIES
from respbroker.errors import NotAnInteger, ReplyError, quoted
from respbroker.resp.replies import OK, array, bulk, bulk_array, integer

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply
    from respbroker.sessions.slowlog import SlowEntry

_COUNT_DEFAULT: Final = 10
_BAD_COUNT: Final = "count should be greater than or equal to -1"

HELP: Final = """\
GET [<count>]
    Return top <count> entries from the slowlog (default: 10, -1 mean all).
    Entries are made of:
    id, timestamp, time in microseconds, arguments array, client IP and port,
    client name
LEN
    Return the length of the slowlog.
RESET
    Reset the slowlog."""


def get(ctx: Context, words: list[bytes]) -> Reply:
    if len(words) > 3:
        raise ReplyError(f"unknown subcommand or wrong number of arguments for '{quoted(words[1])}'. Try SLOWLOG HELP.")
    count = _COUNT_DEFAULT
    if len(words) == 3:
        try:
            count = parse_bounded(words[2], -1, I64_MAX, _BAD_COUNT)
        except NotAnInteger:
            raise ReplyError(_BAD_COUNT) from None
    return array([_wire(entry) for entry in ctx.slowlog.newest(None if count < 0 else count)])


def _wire(entry: SlowEntry) -> bytes:
    return array(
        [
            integer(entry.id),
            integer(entry.unix_seconds),
            integer(entry.micros),
            bulk_array(entry.words),
            bulk(entry.address.encode()),
            bulk(entry.name),
        ]
    )


def length(ctx: Context, words: list[bytes]) -> Reply:
    return integer(len(ctx.slowlog))


def reset(ctx: Context, words: list[bytes]) -> Reply:
    ctx.slowlog.reset()
    return OK


_ADMIN: Final = Flag.ADMIN | Flag.LOADING | Flag.STALE

COMMANDS = (
    CommandSpec(
        "SLOWLOG", -2, Flag.NONE, get,
        summary="A container for commands about slow requests.",
        since="2.2.12", group="server", complexity="Depends on subcommand.",
        subcommands=(
            CommandSpec(
                "GET", -2, _ADMIN, get,
                summary="Tells the newest slow requests.", syntax="[count]",
                since="2.2.12", group="server", complexity="O(N) where N is the number of entries returned",
                tips=(TO_ALL_NODES, VARIES),
            ),
            CommandSpec(
                "LEN", 2, _ADMIN, length,
                summary="Tells how many slow requests are remembered.", since="2.2.12", group="server",
                tips=(TO_ALL_NODES, SUM, VARIES),
            ),
            CommandSpec(
                "RESET", 2, _ADMIN, reset,
                summary="Forgets the slow requests.",
                since="2.2.12", group="server", complexity="O(N) where N is the number of entries in the slowlog",
                tips=(TO_ALL_NODES, ALL_SUCCEED),
            ),
            CommandSpec(
                "HELP", 2, Flag.LOADING | Flag.STALE, help_reply("SLOWLOG", HELP),
                summary="Tells what the subcommands do.", since="6.2.0", group="server",
            ),
        ),
    ),
)  # fmt: skip
