"""MULTI, EXEC, DISCARD, WATCH, UNWATCH: queue commands, then run them with nothing in between.

Nothing runs between two commands of an EXEC for the simple reason that the node runs one request at a time; a
transaction is a list. Other clients' changes before EXEC are what WATCH is for. What may be queued at all is the
dispatcher's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.table import Command, CommandSpec, Flag, Keys
from respbroker.errors import ExecAbort, ReplyError
from respbroker.resp.replies import OK, QUEUED, null_array
from respbroker.sessions.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from respbroker.commands.context import Context
    from respbroker.commands.table import Command
    from respbroker.sessions.client import Buffer, Client, Reply


WORD_BYTES: Final = 64  # what an empty word costs in memory, about


def queue(client: Client, command: Command, words: list[bytes]) -> bytes:
    """Keep a request for EXEC, which the dispatcher has checked as if it ran now."""
    assert client.transaction is not None
    client.transaction.queue.append((command, words))
    client.transaction.size += sum(map(len, words)) + WORD_BYTES * len(words)
    return QUEUED


def _end(ctx: Context, client: Client) -> None:
    """Forget queue and watches."""
    client.transaction = None
    ctx.unwatch(client)
    client.settle()


# -- handlers --------------------------------------------------------------------------------------------------


def multi(ctx: Context, words: list[bytes]) -> Reply:
    client = ctx.client
    if client.transaction is not None:
        raise ReplyError("MULTI calls can not be nested")
    client.transaction = Transaction()
    client.settle()
    return OK


def discard(ctx: Context, words: list[bytes]) -> Reply:
    if ctx.client.transaction is None:
        raise ReplyError("DISCARD without MULTI")
    _end(ctx, ctx.client)
    return OK


def exec_(ctx: Context, words: list[bytes]) -> Reply:
    client = ctx.client
    transaction = client.transaction
    if transaction is None:
        raise ReplyError("EXEC without MULTI")
    changed = _watch_is_broken(ctx)
    _end(ctx, client)
    if transaction.broken:
        raise ExecAbort
    if changed:
        return null_array(client.protocol)
    return _run(ctx, transaction.queue)


def _watch_is_broken(ctx: Context) -> bool:
    """Also when a watched key has expired and nobody has noticed: looking makes it go, and that breaks the watch."""
    client = ctx.client
    for db, key in client.watched:
        ctx.keyspace.exists(db, key, ctx.now_ms)
    return client.watch_broken


def _run(ctx: Context, requests: list[tuple[Command, list[bytes]]]) -> Reply:
    """The replies of all requests in one array. One that fails does not stop those behind it."""
    pieces: list[Buffer] = [b"*%d\r\n" % len(requests)]
    ctx.in_exec = True
    try:
        for command, words in requests:
            pieces += _pieces(ctx.execute(command, words))
    finally:
        ctx.in_exec = False
    return pieces


def _pieces(reply: Reply) -> Iterator[Buffer]:
    """The whole reply. A lazy one is drawn out here: it must tell the state before the next request."""
    if isinstance(reply, bytes):
        yield reply
        return
    for piece in reply or ():
        if isinstance(piece, bytes | memoryview):
            yield piece
        else:
            yield from piece


def watch(ctx: Context, words: list[bytes]) -> Reply:
    client = ctx.client
    if client.transaction is not None:
        raise ReplyError("WATCH inside MULTI is not allowed")
    for key in words[1:]:
        ctx.keyspace.exists(client.db, key, ctx.now_ms)  # an expired key goes now, not under the watch
        ctx.watches.watch(client, client.db, key)
    ctx.refresh_quiet()
    return OK


def unwatch(ctx: Context, words: list[bytes]) -> Reply:
    ctx.unwatch(ctx.client)
    return OK


_FLAGS: Final = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE

COMMANDS: Final = (
    CommandSpec(
        name="MULTI",
        arity=1,
        flags=_FLAGS | Flag.FAST | Flag.ALLOW_BUSY,
        handler=multi,
        since="1.2.0",
        group="transactions",
        summary="Starts a transaction.",
    ),
    CommandSpec(
        name="EXEC",
        arity=1,
        flags=_FLAGS | Flag.SKIP_SLOWLOG,
        handler=exec_,
        since="1.2.0",
        group="transactions",
        complexity="Depends on commands in the transaction",
        summary="Executes all commands in a transaction.",
    ),
    CommandSpec(
        name="DISCARD",
        arity=1,
        flags=_FLAGS | Flag.FAST | Flag.ALLOW_BUSY,
        handler=discard,
        since="2.0.0",
        group="transactions",
        complexity="O(N), when N is the number of queued commands",
        summary="Discards a transaction.",
    ),
    CommandSpec(
        name="WATCH",
        arity=-2,
        flags=_FLAGS | Flag.FAST | Flag.ALLOW_BUSY,
        handler=watch,
        syntax="key [key ...]",
        keys=Keys(1, -1),
        since="2.2.0",
        group="transactions",
        complexity="O(1) for every key.",
        summary="Monitors changes to keys to determine the execution of a transaction.",
    ),
    CommandSpec(
        name="UNWATCH",
        arity=1,
        flags=_FLAGS | Flag.FAST | Flag.ALLOW_BUSY,
        handler=unwatch,
        since="2.2.0",
        group="transactions",
        summary="Forgets about watched keys of a transaction.",
    ),
)
