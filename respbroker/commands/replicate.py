"""REPLICATE: what other servers of the same data say to this one; docs/replication.md has the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import parse_bounded
from respbroker.commands.help import help_reply, never_run
from respbroker.commands.table import CommandSpec, Flag, Handler
from respbroker.errors import ReplyError, WrongArity
from respbroker.replication.campaign import Candidacy, Leads
from respbroker.replication.messages import Hello, Knows, Progress, parse_listing
from respbroker.replication.words import BadMessage
from respbroker.resp.replies import OK, bulk_array

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply


def hello(ctx: Context, words: list[bytes]) -> Reply:
    """A follower presents itself, and is told what to list."""
    try:
        said = Hello.parse(words[2:])
    except BadMessage as problem:
        raise ReplyError(str(problem)) from None
    return bulk_array(ctx.replicas.hello(ctx.client, said).words())


def logs(ctx: Context, words: list[bytes]) -> Reply:
    """It lists its logs. It is told what to forget when all of them have been looked at; frames follow."""
    try:
        listed = parse_listing(words[2:])
    except BadMessage as problem:
        raise ReplyError(str(problem)) from None
    ctx.replicas.listed(ctx.client, listed)
    return None


def ack(ctx: Context, words: list[bytes]) -> Reply:
    """It has taken what it was sent; nothing is answered."""
    try:
        progress = Progress.parse(words[2:])
    except BadMessage as problem:
        raise ReplyError(str(problem)) from None
    ctx.replicas.acknowledged(ctx.client, progress)
    return None


def knows(ctx: Context, words: list[bytes]) -> Reply:
    """It has written down who takes part; nothing is answered."""
    try:
        ctx.replicas.knows(ctx.client, Knows.parse(words[2:]))
    except BadMessage as problem:
        raise ReplyError(str(problem)) from None
    return None


def handover(ctx: Context, words: list[bytes]) -> Reply:
    """A follower was told to lead; a frame says when it may."""
    ctx.replicas.asked_to_hand_over(ctx.client)
    return None


def leave(ctx: Context, words: list[bytes]) -> Reply:
    """A follower is about to stop; nothing is answered."""
    ctx.replicas.left(ctx.client)
    return None


def vote(ctx: Context, words: list[bytes]) -> Reply:
    """Another node wants to lead: ``1``, or ``0`` and why not; the highest epoch that is known here, this node, and who
    takes part if the other does not know.
    """
    try:
        return ctx.replicas.vote(Candidacy.parse(words[2:]))
    except BadMessage as problem:
        raise ReplyError(str(problem)) from None


def leads(ctx: Context, words: list[bytes]) -> Reply:
    """Another node tells that it leads."""
    try:
        ctx.replicas.hear_of(Leads.parse(words[2:]))
    except BadMessage as problem:
        raise ReplyError(str(problem)) from None
    return OK


def forget(ctx: Context, words: list[bytes]) -> Reply:
    """An operator says that a server is gone for good: FORGET <host> <port>, or <node>."""
    if len(words) > 4:
        raise WrongArity("replicate|forget")
    name = words[2].decode("latin-1")
    if len(words) == 3:
        return ctx.replicas.forget(name)
    return ctx.replicas.forget((name, parse_bounded(words[3], 1, 65535, "Invalid port")))


_HELP: Final = """\
HELLO <version> <dataset> <node> <history> <position> <exact> <promised> <promised-to> <host> <port>
    A follower presents itself.
LOGS [<log> <end> <epoch> ...]
    It lists what it has; frames follow.
ACK <received> <position> <synced> <waits>
    It has taken what it was sent.
KNOWS <epoch> <number>
    It has written down who takes part.
HANDOVER
    It was told to lead: its leader is to hand over.
LEAVE
    It is about to stop: nothing is to wait for it.
VOTE <dataset> <epoch> <node> <host> <port> <level-epoch> <list-epoch> <list-number> <agreed> [<log> <end> ...]
    A node asks to lead.
LEADS <dataset> <node> <host> <port> <history>
    A node tells that it leads.
FORGET <host> <port> | <node>
    An operator says that a server is gone for good: it is a member no more."""

_PEER: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.NO_MULTI


def _row(name: str, arity: int, handler: Handler, summary: str, syntax: str, flags: Flag = _PEER) -> CommandSpec:
    return CommandSpec(
        name, arity, flags, handler, summary=summary, syntax=syntax, since="8.2.0", group="server",
        categories=("admin", "dangerous"),
    )  # fmt: skip


COMMANDS: Final = (
    CommandSpec(
        "REPLICATE", -2, Flag.NONE, never_run,
        summary="A container for what the servers of a replicated broker say to each other.", since="8.2.0",
        group="server",
        subcommands=(
            _row("HELLO", 12, hello, "A follower presents itself.",
                 "version dataset node history position exact promised promised-to host port"),
            _row("LOGS", -2, logs, "A follower lists its logs.", "[log end-offset epoch [log end-offset epoch ...]]"),
            _row("ACK", 6, ack, "A follower has taken what it was sent.", "received position synced waits",
                 _PEER | Flag.SKIP_MONITOR | Flag.SKIP_SLOWLOG | Flag.FAST),
            _row("KNOWS", 4, knows, "A follower has written down who takes part.", "epoch number"),
            _row("HANDOVER", 2, handover, "A follower was told to lead: its leader is to hand over.", ""),
            _row("LEAVE", 2, leave, "A follower is about to stop: nothing is to wait for it.", ""),
            _row("VOTE", -11, vote, "A node asks to lead.",
                 "dataset epoch node host port level-epoch list-epoch list-number agreed"
                 " [log end-offset [log end-offset ...]]", _PEER | Flag.BLOCKING),
            _row("LEADS", 7, leads, "A node tells that it leads.", "dataset node host port history"),
            _row("FORGET", -3, forget, "Takes a server that is gone for good out of the members.",
                 "<host port | node>", _PEER | Flag.BLOCKING),
            CommandSpec(
                "HELP", 2, Flag.LOADING | Flag.STALE, help_reply("REPLICATE", _HELP),
                summary="Returns helpful text about the different subcommands.", since="8.2.0", group="server",
            ),
        ),
    ),
)  # fmt: skip
