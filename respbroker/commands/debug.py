"""DEBUG: what tests of clients use of it.

Unlike in Redis, SLEEP holds up only the connection that asks, never the node: whoever uses it to stall a whole
server must stop the process instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from respbroker.commands.delays import answer_later
from respbroker.commands.help import help_reply
from respbroker.commands.table import CommandSpec, Flag
from respbroker.errors import ReplyError, quoted
from respbroker.resp.replies import OK, error_line

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

_NOT_ALLOWED: Final = (
    'DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local '
    "connection, otherwise you need to set this option in the configuration file, and then restart the server."
)
_SECONDS: Final = re.compile(rb"\s*([0-9]+\.?[0-9]*|\.[0-9]+)")
_SECONDS_MAX: Final = 1e9

HELP: Final = """\
ERROR <text>
    Answer an error with this text, as a test of a client wants it.
JMAP
    Do nothing: there is no heap map to write.
LOADAOF
    Forget what is in memory and recover everything from disk.
RELOAD [option ...]
    The same; the options MERGE, NOFLUSH and NOSAVE change nothing.
SET-ACTIVE-EXPIRE <0|1>
    Set it to 0 to disable looking for expired keys that nobody asks for.
SLEEP <seconds>
    Answer after <seconds>. Decimals allowed. Other connections are served meanwhile."""

_help = help_reply("DEBUG", HELP)


def debug(ctx: Context, words: list[bytes]) -> Reply:
    enabled = ctx.settings.enable_debug_command
    if enabled == "no" or (enabled == "local" and not is_local(ctx.client.address)):
        raise ReplyError(_NOT_ALLOWED)
    found = _SUBCOMMANDS.get(words[1].lower())
    if found is None or not found[0] <= len(words) <= found[1]:
        name = quoted(words[1])
        raise ReplyError(f"unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP.")
    return found[2](ctx, words)


def is_local(address: str) -> bool:
    """Whether a client is on this very machine: loopback or a Unix socket."""
    return address.startswith(("127.", "[::1]:", "/")) or not address


def _sleep(ctx: Context, words: list[bytes]) -> Reply:
    match = _SECONDS.match(words[2])
    seconds = min(float(match[1]), _SECONDS_MAX) if match else 0.0
    return answer_later(ctx, seconds * 1000, lambda: OK) if seconds else OK


def _reload(ctx: Context, words: list[bytes]) -> Reply:
    if any(word.lower() not in (b"merge", b"noflush", b"nosave") for word in words[2:]):
        raise ReplyError("DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    for database in ctx.keyspace.visible if ctx.watches else ():  # WATCH sees every key go, though it comes back
        for key in ctx.keyspace.all_names(database.index):
            ctx.watches.touched(database.index, key)
    ctx.reload()
    return OK


def _set_active_expire(ctx: Context, words: list[bytes]) -> Reply:
    ctx.active_expire = bool(words[2].strip().isdigit() and int(words[2]))
    return OK


def _error(ctx: Context, words: list[bytes]) -> Reply:
    return error_line(words[2].decode("latin-1"))


def _jmap(ctx: Context, words: list[bytes]) -> Reply:
    return OK


_ANY: Final = 1 << 30

#: Fewest and most words, DEBUG itself counted, and what to do.
_SUBCOMMANDS: Final[dict[bytes, tuple[int, int, Callable[[Context, list[bytes]], Reply]]]] = {
    b"error": (3, 3, _error),
    b"help": (2, 2, _help),
    b"jmap": (2, 2, _jmap),
    b"loadaof": (2, 2, _reload),
    b"reload": (2, _ANY, _reload),
    b"set-active-expire": (3, 3, _set_active_expire),
    b"sleep": (3, 3, _sleep),
}

COMMANDS = (
    CommandSpec(
        "DEBUG", -2, Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE, debug,
        summary="A container for what tests need.", group="server", complexity="Depends on subcommand.",
    ),
)  # fmt: skip
