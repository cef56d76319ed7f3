"""TIME, ROLE, WAIT and WAITAOF: the clock, the part this node plays, what is safe on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import parse_bounded, parse_int, parse_positive, parse_timeout_ms
from respbroker.commands.delays import answer_later
from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import LEAST, TO_ALL_SHARDS, VARIES
from respbroker.resp.replies import ZERO, array, bulk, bulk_array, integer

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply


def time(ctx: Context, words: list[bytes]) -> Reply:
    seconds, ms = divmod(ctx.now_ms, 1000)
    return bulk_array([b"%d" % seconds, b"%d" % (ms * 1000)])


def role(ctx: Context, words: list[bytes]) -> Reply:
    return array([bulk(b"master"), integer(0), array([])])


def wait(ctx: Context, words: list[bytes]) -> Reply:
    """Without replicas none can acknowledge, so there is nothing to wait for once the time is over."""
    replicas = parse_int(words[1])
    timeout_ms = parse_timeout_ms(words[2], ctx.now_ms)
    return ZERO if replicas <= 0 else answer_later(ctx, timeout_ms, lambda: ZERO)


def waitaof(ctx: Context, words: list[bytes]) -> Reply:
    """Answers ``[1, 0]`` once the local disk has everything this client wrote; replicas are waited for in vain."""
    local = parse_bounded(words[1], 0, 1, "value is out of range, value must between 0 and 1")
    replicas = parse_positive(words[2])
    timeout_ms = parse_timeout_ms(words[3], ctx.now_ms)
    if replicas > 0:
        return answer_later(ctx, timeout_ms, lambda: _synced_now(ctx))
    return ctx.wait_for_sync(local, timeout_ms)


def _synced_now(ctx: Context) -> bytes:
    reply = ctx.wait_for_sync(0, 0)
    assert isinstance(reply, bytes), "nothing to wait for"
    return reply


_FACT: Final = Flag.LOADING | Flag.STALE | Flag.FAST

COMMANDS = (
    CommandSpec(
        "TIME", 1, _FACT, time,
        summary="Tells the server's clock: Unix seconds, and microseconds.", since="2.6.0", group="server",
        tips=(VARIES,),
    ),
    CommandSpec(
        "ROLE", 1, _FACT | Flag.NOSCRIPT, role,
        summary="Tells the part this server plays in replication.",
        since="2.8.12", group="server", categories=("admin", "dangerous"),
    ),
    CommandSpec(
        "WAIT", 3, Flag.BLOCKING, wait,
        summary="Waits until replicas have the writes of this connection.", syntax="numreplicas timeout",
        since="3.0.0", group="generic", categories=("connection",), tips=(TO_ALL_SHARDS, LEAST),
    ),
    CommandSpec(
        "WAITAOF", 4, Flag.BLOCKING, waitaof,
        summary="Waits until the writes of this connection are synced here and on replicas.",
        syntax="numlocal numreplicas timeout", since="7.2.0", group="generic", categories=("connection",),
        tips=(TO_ALL_SHARDS, LEAST),
    ),
)  # fmt: skip
