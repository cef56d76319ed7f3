"""SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, SHUTDOWN: checkpoints, and the end.

The log is durable by itself; a save writes snapshots and checkpoints of every open stream, which makes the next
start shorter and changes nothing else. It is quick, so BGSAVE and BGREWRITEAOF are done when they answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import VARIES
from respbroker.errors import ReplyError, SyntaxRefused
from respbroker.resp.replies import OK, integer, simple

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply


def save(ctx: Context, words: list[bytes]) -> Reply:
    ctx.save(background=False)
    return OK


def bgsave(ctx: Context, words: list[bytes]) -> Reply:
    if len(words) > 2 or (len(words) == 2 and words[1].lower() != b"schedule"):
        raise SyntaxRefused
    ctx.save(background=True)
    return simple(b"Background saving started")


def bgrewriteaof(ctx: Context, words: list[bytes]) -> Reply:
    ctx.save(background=True)
    return simple(b"Background append only file rewriting started")


def lastsave(ctx: Context, words: list[bytes]) -> Reply:
    return integer(ctx.facts()["rdb_last_save_time"])


def shutdown(ctx: Context, words: list[bytes]) -> Reply:
    """No reply: the connection closes when the server ends."""
    options = {word.lower() for word in words[1:]}
    if options - {b"nosave", b"save", b"now", b"force", b"abort"} or {b"nosave", b"save"} <= options:
        raise SyntaxRefused
    if b"abort" in options:
        if len(options) > 1:
            raise SyntaxRefused
        if not ctx.cancel_shutdown():
            raise ReplyError("No shutdown in progress.")
        return OK
    ctx.shut_down(save=b"nosave" not in options, now=b"now" in options, force=b"force" in options)
    return None


_LAST: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.NO_MULTI | Flag.ALLOW_BUSY
_SAVING: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.NO_ASYNC_LOADING

COMMANDS = (
    CommandSpec(
        "SAVE", 1, _SAVING | Flag.NO_MULTI, save,
        summary="Writes checkpoints, and answers when they are there.",
        group="server", complexity="O(N) where N is the number of open streams",
    ),
    CommandSpec(
        "BGSAVE", -1, _SAVING, bgsave,
        summary="Writes checkpoints.", syntax="[SCHEDULE]", group="server",
        complexity="O(N) where N is the number of open streams",
    ),
    CommandSpec(
        "BGREWRITEAOF", 1, _SAVING, bgrewriteaof,
        summary="Writes checkpoints.", group="server",
        complexity="O(N) where N is the number of open streams",
    ),
    CommandSpec(
        "LASTSAVE", 1, Flag.LOADING | Flag.STALE | Flag.FAST, lastsave,
        summary="Tells the Unix time of the last checkpoint.", group="server", categories=("admin", "dangerous"),
        tips=(VARIES,),
    ),
    CommandSpec(
        "SHUTDOWN", -1, _LAST, shutdown,
        summary="Stops the server.", syntax="[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", group="server",
        complexity="O(N) where N is the number of open streams",
    ),
)  # fmt: skip
