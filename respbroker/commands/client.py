"""CLIENT: who is connected, under which name, and what may be done to them.

Client-side caching (TRACKING and its kin) is not offered: a client that asks for it is told that there is no such
subcommand, and goes on without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from respbroker.commands.arguments import I64_MAX, Arguments, parse_int, parse_timeout_ms
from respbroker.commands.connection import DEFAULT_USER, ensure_printable
from respbroker.commands.context import Context
from respbroker.commands.help import ensure_words, help_reply, never_run
from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import ALL_SUCCEED, TO_ALL_NODES, VARIES
from respbroker.errors import ReplyError, SyntaxRefused, Unblocked, quoted
from respbroker.resp import replies
from respbroker.sessions.client import Client, Reply, ReplyMode
from respbroker.sessions.listing import client_class, describe

Wanted = Callable[[Client], bool]

_CLASSES: Final = {
    b"NORMAL": "normal", b"PUBSUB": "pubsub", b"REPLICA": "replica", b"SLAVE": "replica", b"MASTER": "master",
}  # fmt: skip


def parse_class(word: bytes) -> str:
    """A class of clients. That of masters is empty, for a leader is no client."""
    name = _CLASSES.get(word.upper())
    if name is None:
        raise ReplyError(f"Unknown client type '{quoted(word)}'")
    return name


def parse_switch(word: bytes) -> bool:
    """ON or OFF."""
    said = word.upper()
    if said not in (b"ON", b"OFF"):
        raise SyntaxRefused
    return said == b"ON"


# -- oneself ------------------------------------------------------------------------------------------------


def client_id(ctx: Context, words: list[bytes]) -> Reply:
    return replies.integer(ctx.client.id)


def client_info(ctx: Context, words: list[bytes]) -> Reply:
    return replies.verbatim(describe(ctx.client, ctx.now) + b"\n", ctx.client.protocol)


def client_getname(ctx: Context, words: list[bytes]) -> Reply:
    name = ctx.client.name
    return replies.bulk(name) if name else replies.null(ctx.client.protocol)


def client_setname(ctx: Context, words: list[bytes]) -> Reply:
    ensure_printable(words[2], "Client names")
    ctx.client.name = words[2]
    return replies.OK


def client_setinfo(ctx: Context, words: list[bytes]) -> Reply:
    option, value = words[2].lower(), words[3]
    if option not in (b"lib-name", b"lib-ver"):
        raise ReplyError(f"Unrecognized option '{quoted(words[2])}'")
    ensure_printable(value, quoted(words[2]))
    if option == b"lib-name":
        ctx.client.library_name = value
    else:
        ctx.client.library_version = value
    return replies.OK


def client_reply(ctx: Context, words: list[bytes]) -> Reply:
    client, said = ctx.client, words[2].upper()
    if said == b"ON":
        client.reply_mode = ReplyMode.ON
    elif said == b"OFF":
        client.reply_mode = ReplyMode.OFF
    elif said != b"SKIP":
        raise SyntaxRefused
    elif client.reply_mode is not ReplyMode.OFF:
        client.reply_mode = ReplyMode.SKIP_NEXT
    client.settle()
    return replies.OK if said == b"ON" else None


def client_no_evict(ctx: Context, words: list[bytes]) -> Reply:
    ctx.client.no_evict = parse_switch(words[2])
    return replies.OK


def client_no_touch(ctx: Context, words: list[bytes]) -> Reply:
    ctx.client.no_touch = parse_switch(words[2])
    return replies.OK


# -- LIST ---------------------------------------------------------------------------------------------------


def client_list(ctx: Context, words: list[bytes]) -> Reply:
    wanted = parse_list_filter(words)
    lines = [describe(client, ctx.now) + b"\n" for client in ctx.clients.values() if not client.kill and wanted(client)]
    return replies.verbatim(b"".join(lines), ctx.client.protocol)


def parse_list_filter(words: list[bytes]) -> Wanted:
    """Which clients ``CLIENT LIST`` is to show: all, those of a class, or those with certain IDs."""
    if len(words) == 2:
        return lambda client: True
    option = words[2].upper()
    if option == b"TYPE" and len(words) == 4:
        name = parse_class(words[3])
        return lambda client: client_class(client) == name
    if option == b"ID" and len(words) > 3:
        ids = {parse_int(word, "Invalid client ID") for word in words[3:]}
        return lambda client: client.id in ids
    raise SyntaxRefused


# -- KILL ---------------------------------------------------------------------------------------------------


@attrs.define
class KillFilter:
    """Conditions that a client must all meet to be killed; None: no condition."""

    id: int | None = None
    class_name: str | None = None
    address: str | None = None
    local_address: str | None = None
    user: str | None = None
    age_min: int | None = None  #: seconds
    skip: Client | None = None

    def covers(self, client: Client, now: float) -> bool:
        return (
            client is not self.skip
            and not client.kill  # it is as good as gone
            and self.id in (None, client.id)
            and self.class_name in (None, client_class(client))
            and self.address in (None, client.address)
            and self.local_address in (None, client.local_address)
            and self.user in (None, client.user)
            and (self.age_min is None or int(now - client.connected_at) >= self.age_min)
        )


def parse_kill_filter(words: list[bytes], asking: Client) -> KillFilter:
    """The new form: pairs of a condition and its value, where a later one replaces an earlier."""
    wanted = KillFilter(skip=asking)
    options = Arguments(words, 2)
    while options.more:
        option, value = options.option(), options.value()
        match option:
            case b"ID":
                wanted.id = parse_from_one(value, "client-id")
            case b"TYPE":
                wanted.class_name = parse_class(value)
            case b"ADDR":
                wanted.address = value.decode("latin-1")
            case b"LADDR":
                wanted.local_address = value.decode("latin-1")
            case b"USER":
                if value != DEFAULT_USER:
                    raise ReplyError(f"No such user '{quoted(value)}'")
                wanted.user = value.decode()
            case b"MAXAGE":
                parse_int(value, "maxage is not an integer or out of range")
                wanted.age_min = parse_from_one(value, "maxage")
            case b"SKIPME":
                if value.upper() not in (b"YES", b"NO"):
                    raise SyntaxRefused
                wanted.skip = asking if value.upper() == b"YES" else None
            case _:
                raise SyntaxRefused
    return wanted


def parse_from_one(word: bytes, what: str) -> int:
    refusal = f"{what} should be greater than 0"
    number = parse_int(word, refusal)
    if not 1 <= number <= I64_MAX:
        raise ReplyError(refusal)
    return number


def client_kill(ctx: Context, words: list[bytes]) -> Reply:
    by_address = len(words) == 3
    if by_address:
        wanted = KillFilter(address=words[2].decode("latin-1"))
    else:
        wanted = parse_kill_filter(words, ctx.client)
    victims = [client for client in ctx.clients.values() if wanted.covers(client, ctx.now)]
    if by_address and not victims:
        raise ReplyError("No such client")
    for client in victims:
        ctx.close(client, at_once=client is not ctx.client)
    return replies.OK if by_address else replies.integer(len(victims))


# -- others -------------------------------------------------------------------------------------------------


def client_pause(ctx: Context, words: list[bytes]) -> Reply:
    ensure_words(words, 4)
    mode = words[3].upper() if len(words) == 4 else b"ALL"
    if mode not in (b"WRITE", b"ALL"):
        raise ReplyError("CLIENT PAUSE mode must be WRITE or ALL")
    timeout_ms = parse_timeout_ms(words[2], ctx.now_ms)
    ctx.pause(ctx.now + timeout_ms / 1000, writes_only=mode == b"WRITE")
    return replies.OK


def client_unpause(ctx: Context, words: list[bytes]) -> Reply:
    ctx.unpause()
    return replies.OK


def client_unblock(ctx: Context, words: list[bytes]) -> Reply:
    ensure_words(words, 4)
    reason = words[3].upper() if len(words) == 4 else b"TIMEOUT"
    if reason not in (b"TIMEOUT", b"ERROR"):
        raise ReplyError("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    client = ctx.clients.get(parse_int(words[2]))
    if client is None or not client.blocked or client.lingering:
        return replies.ZERO
    ctx.unblock(client, None if reason == b"TIMEOUT" else replies.error(Unblocked()))
    return replies.ONE


_HELP: Final = """\
GETNAME
    Return the name of the current connection.
ID
    Return the ID of the current connection.
INFO
    Return information about the current client connection.
KILL <ip:port>
    Kill connection made from <ip:port>.
KILL <option> <value> [<option> <value> [...]]
    Kill connections. Options are:
    * ADDR <ip:port>
      Kill connections made from the specified address
    * LADDR <ip:port>
      Kill connections made to specified local address
    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)
      Kill connections by type.
    * USER <username>
      Kill connections authenticated by <username>.
    * SKIPME (YES|NO)
      Skip killing current connection (default: yes).
    * ID <client-id>
      Kill connections by client id.
    * MAXAGE <maxage>
      Kill connections older than the specified age.
LIST [options ...]
    Return information about client connections. Options:
    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)
      Return clients of specified type.
    * ID <client-id> [<client-id> ...]
      Return clients of specified ids.
UNPAUSE
    Stop the current client pause, resuming traffic.
PAUSE <timeout> [WRITE|ALL]
    Suspend all, or just write, clients for <timeout> milliseconds.
REPLY (ON|OFF|SKIP)
    Control the replies sent to the current connection.
SETNAME <name>
    Assign the name <name> to the current connection.
SETINFO <option> <value>
    Set client meta attr. Options are:
    * LIB-NAME: the client lib name.
    * LIB-VER: the client lib version.
UNBLOCK <clientid> [TIMEOUT|ERROR]
    Unblock the specified blocked client.
NO-EVICT (ON|OFF)
    Protect current client connection from eviction.
NO-TOUCH (ON|OFF)
    Will not touch LRU/LFU stats when this mode is on."""


_SELF = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_POWER = _SELF | Flag.ADMIN
_ALL_CLIENTS = "O(N), N being the number of clients."
_CLASS = "<NORMAL | MASTER | REPLICA | PUBSUB>"


def _row(
    name: str, arity: int, flags: Flag, handler: Callable[[Context, list[bytes]], Reply], summary: str, syntax: str,
    since: str, complexity: str = "O(1)", tips: tuple[str, ...] = (),
) -> CommandSpec:  # fmt: skip
    return CommandSpec(
        name, arity, flags, handler, summary, syntax, since, "connection", complexity, ("connection",), tips=tips
    )


COMMANDS = (
    CommandSpec(
        "CLIENT", -2, Flag.NONE, never_run,
        summary="A container for what concerns connections.",
        since="2.4.0", group="connection", complexity="Depends on subcommand.",
        subcommands=(
            _row("ID", 2, _SELF, client_id, "Tells the ID of the connection.", "", "5.0.0"),
            _row("INFO", 2, _SELF, client_info, "Tells about the connection.", "", "6.2.0", tips=(VARIES,)),
            _row(
                "LIST", -2, _POWER, client_list, "Tells about all connections.",
                f"[TYPE {_CLASS}] [ID client-id [client-id ...]]", "2.4.0", _ALL_CLIENTS,
                tips=(VARIES,),
            ),
            _row("GETNAME", 2, _SELF, client_getname, "Tells the name of the connection.", "", "2.6.9"),
            _row(
                "SETNAME", 3, _SELF, client_setname, "Names the connection.", "connection-name", "2.6.9",
                tips=(TO_ALL_NODES, ALL_SUCCEED),
            ),
            _row(
                "SETINFO", 4, _SELF, client_setinfo, "Tells the server which library the client uses.",
                "<LIB-NAME libname | LIB-VER libver>", "7.2.0",
                tips=(TO_ALL_NODES, ALL_SUCCEED),
            ),
            _row(
                "KILL", -3, _POWER, client_kill, "Closes connections.",
                f"<ip:port | [ID client-id] [TYPE {_CLASS}] [USER username] [ADDR ip:port] [LADDR ip:port] "
                "[SKIPME <YES | NO>] [MAXAGE maxage]>", "2.4.0", _ALL_CLIENTS,
            ),
            _row(
                "PAUSE", -3, _POWER, client_pause, "Holds back all commands, or those that write.",
                "timeout [WRITE | ALL]", "3.0.0",
            ),
            _row("UNPAUSE", 2, _POWER, client_unpause, "Ends what CLIENT PAUSE began.", "", "6.2.0", _ALL_CLIENTS),
            _row("REPLY", 3, _SELF, client_reply, "Turns replies on and off.", "<ON | OFF | SKIP>", "3.2.0"),
            _row(
                "UNBLOCK", -3, _POWER, client_unblock, "Ends the waiting of a client.",
                "client-id [TIMEOUT | ERROR]", "5.0.0",
            ),
            _row(
                "NO-EVICT", 3, _POWER, client_no_evict, "Notes that the connection should not be evicted.",
                "<ON | OFF>", "7.0.0",
            ),
            _row(
                "NO-TOUCH", 3, _SELF, client_no_touch, "Lets the connection use keys without renewing their idle time.",
                "<ON | OFF>", "7.2.0",
            ),
            _row(
                "HELP", 2, Flag.LOADING | Flag.STALE, help_reply("CLIENT", _HELP), "Lists the subcommands.", "",
                "5.0.0",
            ),
        ),
    ),
)  # fmt: skip
