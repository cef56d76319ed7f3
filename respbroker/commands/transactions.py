"""MULTI, EXEC, DISCARD, WATCH, UNWATCH: queue commands, then run them with nothing in between.

Nothing runs between two commands of an EXEC for the simple reason that the node runs one request at a time; a
transaction is a list. Other clients' changes before EXEC are what WATCH is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.table import CommandSpec, Flag, Keys
from respbroker.errors import ExecAbort, ReplyError
from respbroker.resp.replies import OK, QUEUED, error, null_array
from respbroker.sessions.transaction import Transaction

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.commands.table import Command
    from respbroker.sessions.client import Buffer, Client, Reply

#: Commands that a client in MULTI runs at once; the dispatcher queues all others.
NEVER_QUEUED: Final = frozenset({"multi", "exec", "discard", "watch", "quit", "reset"})


# -- what the dispatcher does with a client in MULTI -----------------------------------------------------------


def queue(client: Client, command: Command, words: list[bytes]) -> bytes:
    """Keep a checked request for EXEC."""
    assert client.transaction is not None
    client.transaction.queue.append((command, words))
    return QUEUED


def refuse(client: Client) -> None:
    """A request was refused before it could be queued: EXEC will refuse the whole. Nothing outside MULTI."""
    if client.transaction is not None:
        client.transaction.broken = True


def abort(ctx: Context, refusal: ReplyError) -> ExecAbort:
    """EXEC itself was refused (its arity, memory, disk): the transaction is over, and the client is told why."""
    end(ctx, ctx.client)
    return ExecAbort(f"Transaction discarded because of: {refusal.text}")


def end(ctx: Context, client: Client) -> None:
    """Forget queue and watches: DISCARD, RESET and the end of every EXEC."""
    client.transaction = None
    ctx.watches.unwatch(client)
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
    end(ctx, ctx.client)
    return OK


def exec_(ctx: Context, words: list[bytes]) -> Reply:
    client = ctx.client
    transaction = client.transaction
    if transaction is None:
        raise ReplyError("EXEC without MULTI")
    changed = _watch_is_broken(ctx)
    end(ctx, client)
    if transaction.broken:
        raise ExecAbort
    if changed:
        return null_array(client.protocol)
    return _run(ctx, [words for _, words in transaction.queue])


def _watch_is_broken(ctx: Context) -> bool:
    """Also when a watched key has expired and nobody has noticed: looking makes it go, and that breaks the watch."""
    client = ctx.client
    for db, key in client.watched:
        ctx.keyspace.exists(db, key, ctx.now_ms)
    return client.watch_broken


def _run(ctx: Context, requests: list[list[bytes]]) -> Reply:
    """The replies of all requests in one array. One that fails does not stop those behind it."""
    pieces: list[Buffer] = [b"*%d\r\n" % len(requests)]
    ctx.in_exec = True
    try:
        for words in requests:
            pieces += _pieces(_execute(ctx, words))
    finally:
        ctx.in_exec = False
    return pieces


def _execute(ctx: Context, words: list[bytes]) -> Reply:
    try:
        return ctx.execute(words)
    except ReplyError as refusal:
        return error(refusal)


def _pieces(reply: Reply) -> list[Buffer]:
    """A lazy reply is drawn out here: it must tell the state before the next request."""
    if reply is None:
        return []
    return [reply] if isinstance(reply, bytes) else list(reply)


def watch(ctx: Context, words: list[bytes]) -> Reply:
    client = ctx.client
    if client.transaction is not None:
        raise ReplyError("WATCH inside MULTI is not allowed")
    for key in words[1:]:
        ctx.keyspace.exists(client.db, key, ctx.now_ms)  # an expired key goes now, not under the watch
        ctx.watches.watch(client, client.db, key)
    return OK


def unwatch(ctx: Context, words: list[bytes]) -> Reply:
    ctx.watches.unwatch(ctx.client)
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
