"""Saying hello and goodbye: HELLO, AUTH, PING, ECHO, SELECT, READONLY, READWRITE, QUIT, RESET."""

from __future__ import annotations

import hmac
from typing import Final

import attrs

from respbroker.commands.arguments import Arguments, parse_int
from respbroker.commands.context import Context
from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import ALL_SUCCEED, TO_ALL_SHARDS
from respbroker.errors import (
    InvalidDbIndex,
    NoAuth,
    NoProto,
    NotAnInteger,
    ReplyError,
    SyntaxRefused,
    WrongArity,
    WrongPass,
    quoted,
)
from respbroker.model.version import REDIS_VERSION
from respbroker.resp import replies
from respbroker.sessions.client import Client, Reply, ReplyMode

I32_MAX: Final = 2**31 - 1
DEFAULT_USER: Final = b"default"
PRINTABLE: Final = bytes(range(0x21, 0x7F))  # what names of clients and libraries may consist of

_HELLO_NEEDS_AUTH: Final = (
    "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> "
    "option can be used to authenticate the client and select the RESP protocol version at the same time"
)
_NO_PASSWORD_SET: Final = (
    "AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)


def ensure_printable(word: bytes, what: str) -> None:
    """Refuse what would break a line of CLIENT LIST."""
    if word.translate(None, PRINTABLE):
        raise ReplyError(f"{what} cannot contain spaces, newlines or special characters.")


# -- HELLO ------------------------------------------------------------------------------------------------


@attrs.frozen
class Greeting:
    """HELLO, parsed. None: not said."""

    protocol: int | None = None
    credentials: tuple[bytes, bytes] | None = None
    name: bytes | None = None


def parse_hello(words: list[bytes]) -> Greeting:
    if len(words) == 1:
        return Greeting()
    protocol = parse_int(words[1], "Protocol version is not an integer or out of range")
    if protocol not in (2, 3):
        raise NoProto
    credentials = name = None
    options = Arguments(words, 2)
    while options.more:
        said = options.value()
        if said.upper() == b"AUTH" and options.left >= 2:
            credentials = (options.value(), options.value())
        elif said.upper() == b"SETNAME" and options.left >= 1:
            name = options.value()
            ensure_printable(name, "Client names")
        else:
            raise ReplyError(f"Syntax error in HELLO option '{quoted(said)}'")
    return Greeting(protocol, credentials, name)


def hello(ctx: Context, words: list[bytes]) -> Reply:
    greeting = parse_hello(words)
    client = ctx.client
    if greeting.credentials is not None:
        authenticate(ctx, *greeting.credentials)
    if not client.authenticated:
        raise NoAuth(_HELLO_NEEDS_AUTH)
    if greeting.name is not None:
        client.name = greeting.name
    if greeting.protocol is not None:
        client.protocol = greeting.protocol
        client.settle()
    facts = {
        "server": "redis",
        "version": REDIS_VERSION,
        "proto": client.protocol,
        "id": client.id,
        "mode": "standalone",
        "role": "master" if ctx.replicas.leader is None else "replica",
        "modules": [],
    }
    return replies.encode(facts, client.protocol)


# -- AUTH -------------------------------------------------------------------------------------------------


def auth(ctx: Context, words: list[bytes]) -> Reply:
    if len(words) > 3:
        raise SyntaxRefused
    if len(words) == 2 and not ctx.settings.requirepass:
        raise ReplyError(_NO_PASSWORD_SET)
    authenticate(ctx, DEFAULT_USER if len(words) == 2 else words[1], words[-1])
    return replies.OK


def authenticate(ctx: Context, user: bytes, password: bytes) -> None:
    """Let the client in. Without a password configured, the one user there is gets in with any.

    Raises:
        WrongPass: no such user, or another password; the client stays what it was.
    """
    expected = password_of(ctx)
    same = not expected or hmac.compare_digest(password, expected)
    if not same or user != DEFAULT_USER:
        raise WrongPass
    ctx.client.authenticated = True
    ctx.client.settle()


def password_of(ctx: Context) -> bytes:
    """The configured password; empty for none."""
    return ctx.settings.requirepass.encode("utf-8", "surrogateescape")


# -- the small ones ---------------------------------------------------------------------------------------


def ping(ctx: Context, words: list[bytes]) -> Reply:
    if len(words) > 2:
        raise WrongArity("ping")
    if ctx.client.confined:
        return replies.bulk_array([b"pong", words[1] if len(words) == 2 else b""])
    return replies.bulk(words[1]) if len(words) == 2 else replies.PONG


def ping_run(ctx: Context, requests: list[list[bytes]], start: int, out: list[Reply]) -> int:
    """Neighbouring ``PING``; see `RunHandler`."""
    end = start
    while end < len(requests) and len(requests[end]) == 1 and requests[end][0] == requests[start][0]:
        end += 1
    out += [replies.PONG] * (end - start)
    return end - start


def echo(ctx: Context, words: list[bytes]) -> Reply:
    return replies.bulk(words[1])


def select(ctx: Context, words: list[bytes]) -> Reply:
    index = parse_int(words[1])
    if not -I32_MAX - 1 <= index <= I32_MAX:
        raise NotAnInteger(f"value is out of range, value must between {-I32_MAX - 1} and {I32_MAX}")
    if not 0 <= index < ctx.settings.databases:
        raise InvalidDbIndex
    ctx.client.db = index
    return replies.OK


def quit_(ctx: Context, words: list[bytes]) -> Reply:
    ctx.close(ctx.client)
    return replies.OK


def readonly(ctx: Context, words: list[bytes]) -> Reply:
    """The client is content with what a follower has. Followers serve it, as they do without."""
    ctx.client.readonly = True
    return replies.OK


def readwrite(ctx: Context, words: list[bytes]) -> Reply:
    ctx.client.readonly = False
    return replies.OK


def reset(ctx: Context, words: list[bytes]) -> Reply:
    forget_session(ctx, ctx.client)
    return b"+RESET\r\n"


def forget_session(ctx: Context, client: Client) -> None:
    """Make a connection as it was when it came. The library's name and version stay: they are still true."""
    client.transaction = None
    ctx.unwatch(client)
    ctx.channels.remove_client(client)
    if client.monitor:
        ctx.set_monitor(client, on=False)
    client.db = 0
    client.protocol = 2
    client.name = b""
    client.authenticated = not ctx.settings.requirepass
    client.user = "default"
    client.no_evict = client.no_touch = client.readonly = False
    if client.reply_mode is ReplyMode.OFF:
        client.reply_mode = ReplyMode.ON
    client.settle()


_EARLY = Flag.LOADING | Flag.STALE | Flag.FAST | Flag.NO_AUTH | Flag.ALLOW_BUSY | Flag.NOSCRIPT

COMMANDS = (
    CommandSpec(
        "HELLO", -1, _EARLY, hello,
        summary="Chooses the protocol of the connection, logs in, names it; tells about the server.",
        syntax="[protover [AUTH username password] [SETNAME clientname]]",
        since="6.0.0", group="connection", categories=("connection",),
    ),
    CommandSpec(
        "AUTH", -2, _EARLY, auth,
        summary="Logs the connection in.",
        syntax="[username] password",
        group="connection", complexity="O(N), N being the number of passwords of the user.", categories=("connection",),
    ),
    CommandSpec(
        "PING", -1, Flag.FAST, ping,
        summary="Answers PONG, or the message it is given.",
        syntax="[message]", group="connection", categories=("connection",), tips=(TO_ALL_SHARDS, ALL_SUCCEED),
        run=ping_run,
    ),
    CommandSpec(
        "ECHO", 2, Flag.LOADING | Flag.STALE | Flag.FAST, echo,
        summary="Answers what it is given.",
        syntax="message", group="connection", categories=("connection",),
    ),
    CommandSpec(
        "SELECT", 2, Flag.LOADING | Flag.STALE | Flag.FAST, select,
        summary="Chooses the database of the connection.",
        syntax="index", group="connection", categories=("connection",),
    ),
    CommandSpec(
        "READONLY", 1, Flag.LOADING | Flag.STALE | Flag.FAST, readonly,
        summary="Says that this connection is content with what a replica has.",
        since="3.0.0", group="cluster", categories=("connection",),
    ),
    CommandSpec(
        "READWRITE", 1, Flag.LOADING | Flag.STALE | Flag.FAST, readwrite,
        summary="Takes READONLY back.",
        since="3.0.0", group="cluster", categories=("connection",),
    ),
    CommandSpec(
        "QUIT", -1, _EARLY, quit_,
        summary="Closes the connection behind the replies it is still owed.",
        group="connection", categories=("connection",),
    ),
    CommandSpec(
        "RESET", 1, _EARLY, reset,
        summary="Makes the connection as it was when it came.",
        since="6.2.0", group="connection", categories=("connection",),
    ),
)  # fmt: skip
