"""MONITOR: every command as it was run, for whoever looks on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from respbroker.commands.context import Context
from respbroker.commands.table import Command, CommandSpec, Flag
from respbroker.errors import ReplyError
from respbroker.resp import replies
from respbroker.sessions.client import Client, Reply
from respbroker.sessions.secrets import redact

_NOT_SHOWN: Final = Flag.ADMIN | Flag.SKIP_MONITOR

_ESCAPES: Final = [b"\\x%02x" % n if not 0x20 <= n < 0x7F else bytes([n]) for n in range(256)]
for _plain, _escaped in zip(b'\\"\n\r\t\a\b', (b"\\\\", b'\\"', b"\\n", b"\\r", b"\\t", b"\\a", b"\\b"), strict=True):
    _ESCAPES[_plain] = _escaped


def monitor(ctx: Context, words: list[bytes]) -> Reply:
    if ctx.in_exec:
        raise ReplyError("MONITOR isn't allowed for DENY BLOCKING client")
    if ctx.client.monitor:
        return None  # as Redis: no second OK
    ctx.set_monitor(ctx.client, on=True)
    return replies.OK


def refuse_to_monitor(command: Command) -> None:
    """Raise ReplyError where ``command`` is closed to a client that monitors: all that touch keys are."""
    if command.flags & (Flag.WRITE | Flag.READONLY):
        raise ReplyError("Replica can't interact with the keyspace")


def feed_monitors(ctx: Context, monitors: Iterable[Client], command: Command, words: list[bytes]) -> None:
    """Show the command just run (its database is the one it left behind) to all who look on."""
    if command.flags & _NOT_SHOWN and command.spec.group != "scripting":  # a script's flag speaks of what it calls
        return
    line = monitor_line(ctx.now_ms, ctx.client, redact(words))
    for onlooker in monitors:
        ctx.push(onlooker, line)


def monitor_line(now_ms: int, client: Client, words: list[bytes]) -> bytes:
    """``+<unix seconds> [<db> <address>] "<word>" …``."""
    seconds, ms = divmod(now_ms, 1000)
    shown = b" ".join([quoted_word(word) for word in words])
    return b"+%d.%06d [%d %b] %b\r\n" % (seconds, ms * 1000, client.db, client.address.encode(), shown)


def quoted_word(word: bytes) -> bytes:
    """A word in quotes, all in printable ASCII."""
    return b'"%b"' % b"".join([_ESCAPES[byte] for byte in word])


COMMANDS = (
    CommandSpec(
        "MONITOR", 1, Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE, monitor,
        summary="Shows every command that the server runs from now on.",
        group="server",
    ),
)  # fmt: skip
