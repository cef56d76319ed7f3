"""Publish and subscribe: channels, patterns over channels, shard channels, and PUBSUB, which tells about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from respbroker.commands.context import Context
from respbroker.commands.help import ensure_words, help_reply, never_run
from respbroker.commands.table import Command, CommandSpec, Flag, Handler, Keys
from respbroker.errors import ReplyError
from respbroker.model.glob import compile_glob
from respbroker.resp import replies
from respbroker.sessions.channels import Kind, subscriptions
from respbroker.sessions.client import Client, Reply

#: All that RESP2 lets a subscriber do: its replies can be told from messages.
_OPEN_TO_SUBSCRIBERS: Final = frozenset({
    "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe", "ping", "quit", "reset",
})  # fmt: skip


def refuse_while_subscribed(command: Command) -> None:
    """Raise ReplyError where ``command`` is closed to a `Client.confined` client."""
    if command.name not in _OPEN_TO_SUBSCRIBERS:
        raise ReplyError(
            f"Can't execute '{command.name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
            "are allowed in this context"
        )


# -- subscribing --------------------------------------------------------------------------------------------


def subscribing(kind: Kind) -> Handler:
    """The handler of SUBSCRIBE, PSUBSCRIBE or SSUBSCRIBE."""

    def handler(ctx: Context, words: list[bytes]) -> Reply:
        client, frames = ctx.client, []
        for name in words[1:]:
            ctx.channels.subscribe(kind, client, name)
            frames.append(_confirmation(kind, client, b"subscribe", name))
        return _confirmed(ctx, frames)

    return handler


def unsubscribing(kind: Kind) -> Handler:
    """The handler of the opposites; without names it is about all of them."""

    def handler(ctx: Context, words: list[bytes]) -> Reply:
        client, frames = ctx.client, []
        names: Iterable[bytes | None] = words[1:] or list(subscriptions(kind, client)) or [None]
        for name in names:
            if name is not None:
                ctx.channels.unsubscribe(kind, client, name)
            frames.append(_confirmation(kind, client, b"unsubscribe", name))
        return _confirmed(ctx, frames)

    return handler


def _confirmation(kind: Kind, client: Client, verb: bytes, name: bytes | None) -> bytes:
    count = len(client.shard_channels) if kind is Kind.SHARD else client.subscriptions_count
    subject = replies.null(client.protocol) if name is None else replies.bulk(name)
    return replies.push([replies.bulk(kind.value + verb), subject, replies.integer(count)], client.protocol)


def _confirmed(ctx: Context, frames: list[bytes]) -> Reply:
    """A frame for each name, as one reply; CLIENT REPLY does not silence them, for they are pushes."""
    client, wire = ctx.client, b"".join(frames)
    client.settle()
    if client.replies_suppressed:
        ctx.push(client, wire)
        return None
    return wire


# -- publishing ---------------------------------------------------------------------------------------------


def publish(ctx: Context, words: list[bytes]) -> Reply:
    ctx.replicas.published(words[1], words[2], sharded=False)
    return replies.integer(ctx.channels.publish(words[1], words[2], ctx.push))


def spublish(ctx: Context, words: list[bytes]) -> Reply:
    ctx.replicas.published(words[1], words[2], sharded=True)
    return replies.integer(ctx.channels.publish_to_shard(words[1], words[2], ctx.push))


# -- PUBSUB -------------------------------------------------------------------------------------------------


def active_channels(kind: Kind) -> Handler:
    """The handler of PUBSUB CHANNELS or SHARDCHANNELS."""

    def handler(ctx: Context, words: list[bytes]) -> Reply:
        ensure_words(words, 3)
        wanted: Callable[[bytes], object] = compile_glob(words[2]) if len(words) == 3 else lambda name: True
        return replies.bulk_array([name for name in ctx.channels.listeners(kind) if wanted(name)])

    return handler


def subscriber_counts(kind: Kind) -> Handler:
    """The handler of PUBSUB NUMSUB or SHARDNUMSUB."""

    def handler(ctx: Context, words: list[bytes]) -> Reply:
        listeners = ctx.channels.listeners(kind)
        wires = []
        for name in words[2:]:
            wires += [replies.bulk(name), replies.integer(len(listeners.get(name, ())))]
        return replies.array(wires)

    return handler


def pattern_count(ctx: Context, words: list[bytes]) -> Reply:
    return replies.integer(len(ctx.channels.patterns))


_HELP: Final = """\
CHANNELS [<pattern>]
    Return the currently active channels matching a <pattern> (default: '*').
NUMPAT
    Return number of subscriptions to patterns.
NUMSUB [<channel> ...]
    Return the number of subscribers for the specified channels, excluding
    pattern subscriptions(default: no channels).
SHARDCHANNELS [<pattern>]
    Return the currently active shard level channels matching a <pattern> (default: '*').
SHARDNUMSUB [<shardchannel> ...]
    Return the number of subscribers for the specified shard level channel(s)"""


_TALK = Flag.PUBSUB | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_TELL = Flag.PUBSUB | Flag.LOADING | Flag.STALE | Flag.FAST
_ASK = Flag.PUBSUB | Flag.LOADING | Flag.STALE
_SHARD_KEYS = Keys(1, -1, 1)  # no keys, but a cluster sends the command where keys of that name would be


def _row(
    name: str, arity: int, flags: Flag, handler: Handler, summary: str, syntax: str, since: str, **rest: object
) -> CommandSpec:
    return CommandSpec(name, arity, flags, handler, summary, syntax, since, "pubsub", **rest)  # type: ignore[arg-type]  # names and types are the class's


COMMANDS = (
    _row(
        "SUBSCRIBE", -2, _TALK, subscribing(Kind.CHANNEL), "Listens to channels.", "channel [channel ...]", "2.0.0",
        complexity="O(N), N being the number of channels.",
    ),
    _row(
        "UNSUBSCRIBE", -1, _TALK, unsubscribing(Kind.CHANNEL), "Stops listening to channels, or to all of them.",
        "[channel [channel ...]]", "2.0.0", complexity="O(N), N being the number of channels.",
    ),
    _row(
        "PSUBSCRIBE", -2, _TALK, subscribing(Kind.PATTERN), "Listens to all channels that match patterns.",
        "pattern [pattern ...]", "2.0.0", complexity="O(N), N being the number of patterns.",
    ),
    _row(
        "PUNSUBSCRIBE", -1, _TALK, unsubscribing(Kind.PATTERN), "Stops listening to patterns, or to all of them.",
        "[pattern [pattern ...]]", "2.0.0", complexity="O(N), N being the number of patterns.",
    ),
    _row(
        "SSUBSCRIBE", -2, _TALK, subscribing(Kind.SHARD), "Listens to shard channels.",
        "shardchannel [shardchannel ...]", "7.0.0", complexity="O(N), N being the number of shard channels.",
        keys=_SHARD_KEYS,
    ),
    _row(
        "SUNSUBSCRIBE", -1, _TALK, unsubscribing(Kind.SHARD), "Stops listening to shard channels, or to all of them.",
        "[shardchannel [shardchannel ...]]", "7.0.0", complexity="O(N), N being the number of shard channels.",
        keys=_SHARD_KEYS,
    ),
    _row(
        "PUBLISH", 3, _TELL, publish, "Sends a message to whoever listens to a channel.", "channel message", "2.0.0",
        complexity="O(N+M), N being the listeners of the channel and M all patterns listened to.",
    ),
    _row(
        "SPUBLISH", 3, _TELL, spublish, "Sends a message to whoever listens to a shard channel.",
        "shardchannel message", "7.0.0", complexity="O(N), N being the listeners of the shard channel.",
        keys=Keys(1, 1, 1),
    ),
    _row(
        "PUBSUB", -2, Flag.NONE, never_run, "A container for questions about subscriptions.", "", "2.8.0",
        complexity="Depends on subcommand.",
        subcommands=(
            _row(
                "CHANNELS", -2, _ASK, active_channels(Kind.CHANNEL), "Lists the channels somebody listens to.",
                "[pattern]", "2.8.0", complexity="O(N), N being the number of such channels.",
            ),
            _row(
                "NUMSUB", -2, _ASK, subscriber_counts(Kind.CHANNEL), "Counts the listeners of channels.",
                "[channel [channel ...]]", "2.8.0", complexity="O(N), N being the number of channels asked for.",
            ),
            _row("NUMPAT", 2, _ASK, pattern_count, "Counts the patterns somebody listens to.", "", "2.8.0"),
            _row(
                "SHARDCHANNELS", -2, _ASK, active_channels(Kind.SHARD), "Lists the shard channels somebody listens to.",
                "[pattern]", "7.0.0", complexity="O(N), N being the number of such channels.",
            ),
            _row(
                "SHARDNUMSUB", -2, _ASK, subscriber_counts(Kind.SHARD), "Counts the listeners of shard channels.",
                "[shardchannel [shardchannel ...]]", "7.0.0",
                complexity="O(N), N being the number of channels asked for.",
            ),
            _row(
                "HELP", 2, Flag.LOADING | Flag.STALE, help_reply("PUBSUB", _HELP), "Lists the subcommands.", "",
                "6.2.0",
            ),
        ),
    ),
)  # fmt: skip
