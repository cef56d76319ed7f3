"""COMMAND: what this server says about its own commands, all of it from the command table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from respbroker.commands.command_info import categories_of, describe, document, key_flags, keys_of
from respbroker.commands.context import Context
from respbroker.commands.help import help_reply
from respbroker.commands.table import Command, CommandSpec, CommandTable, Flag
from respbroker.commands.tips import UNORDERED
from respbroker.errors import ReplyError, SyntaxRefused
from respbroker.model.glob import compile_glob
from respbroker.resp import replies
from respbroker.sessions.client import Reply


def find(commands: CommandTable, name: bytes) -> Command | None:
    """The command of that full name, ``xgroup|create`` for a subcommand."""
    container, bar, subcommand = name.lower().partition(b"|")
    command = commands.find(container)
    if command is None or not bar:
        return command
    return command.subcommands.get(subcommand)


def command(ctx: Context, words: list[bytes]) -> Reply:
    protocol = ctx.client.protocol
    return replies.array([replies.encode(describe(one, protocol), protocol) for one in ctx.commands.commands.values()])


def command_count(ctx: Context, words: list[bytes]) -> Reply:
    return replies.integer(len(ctx.commands.commands))


def command_info(ctx: Context, words: list[bytes]) -> Reply:
    if len(words) == 2:
        return command(ctx, words)
    protocol = ctx.client.protocol
    wires = []
    for name in words[2:]:
        found = find(ctx.commands, name)
        wires.append(replies.null(protocol) if found is None else replies.encode(describe(found, protocol), protocol))
    return replies.array(wires)


def command_docs(ctx: Context, words: list[bytes]) -> Reply:
    found: Iterable[Command | None] = ctx.commands.commands.values()
    if len(words) > 2:
        found = [find(ctx.commands, name) for name in words[2:]]
    protocol = ctx.client.protocol
    pages = {one.name: document(one, protocol) for one in found if one is not None}
    return replies.encode(pages, protocol)


# -- LIST ---------------------------------------------------------------------------------------------------


def command_list(ctx: Context, words: list[bytes]) -> Reply:
    wanted = parse_filter(words)
    return replies.bulk_array([one.name.encode() for one in ctx.commands.each() if wanted(one)])


def parse_filter(words: list[bytes]) -> Callable[[Command], object]:
    if len(words) == 2:
        return lambda one: True
    if len(words) != 5 or words[2].upper() != b"FILTERBY":
        raise SyntaxRefused
    wanted = words[4]
    match words[3].upper():
        case b"MODULE":
            return lambda one: False  # there are no modules
        case b"ACLCAT":
            category = "@" + wanted.decode("latin-1").lower()
            return lambda one: not one.subcommands and category in categories_of(one)
        case b"PATTERN":
            matcher = compile_glob(wanted, ignore_case=True)
            return lambda one: matcher(one.name.encode())
    raise SyntaxRefused


# -- GETKEYS ------------------------------------------------------------------------------------------------


def resolve(ctx: Context, words: list[bytes]) -> list[tuple[bytes, tuple[str, ...]]]:
    """The keys of the request ``words``, each with what would be done to it."""
    found = ctx.commands.find(words[0])
    if found is not None and found.subcommands and len(words) > 1:
        found = found.subcommands.get(words[1].lower())
    if found is None:
        raise ReplyError("Invalid command specified")
    if not any(flags != ("not_key",) for flags in key_flags(found)):
        raise ReplyError("The command has no key arguments")
    if not found.words_min <= len(words) <= found.words_max:
        raise ReplyError("Invalid number of arguments specified for command")
    try:
        keys = keys_of(found, words)
    except ReplyError:
        keys = []
    if not keys and Flag.NO_MANDATORY_KEYS not in found.flags:
        raise ReplyError("Invalid arguments specified for command")
    return keys


def command_getkeys(ctx: Context, words: list[bytes]) -> Reply:
    return replies.bulk_array([key for key, _ in resolve(ctx, words[2:])])


def command_getkeysandflags(ctx: Context, words: list[bytes]) -> Reply:
    protocol = ctx.client.protocol
    wires = []
    for key, flags in resolve(ctx, words[2:]):
        names = replies.set_([replies.simple(flag.encode()) for flag in flags], protocol)
        wires.append(replies.array([replies.bulk(key), names]))
    return replies.array(wires)


_HELP: Final = """\
(no subcommand)
    Return details about all Redis commands.
COUNT
    Return the total number of commands in this Redis server.
LIST
    Return a list of all commands in this Redis server.
INFO [<command-name> ...]
    Return details about multiple Redis commands.
    If no command names are given, documentation details for all
    commands are returned.
DOCS [<command-name> ...]
    Return documentation details about multiple Redis commands.
    If no command names are given, documentation details for all
    commands are returned.
GETKEYS <full-command>
    Return the keys from a full Redis command.
GETKEYSANDFLAGS <full-command>
    Return the keys and the access flags from a full Redis command."""


_CALM = Flag.LOADING | Flag.STALE


def _row(
    name: str, arity: int, handler: Callable[[Context, list[bytes]], Reply], summary: str, syntax: str, since: str,
    complexity: str = "O(N), N being the number of commands.", tips: tuple[str, ...] = (),
) -> CommandSpec:  # fmt: skip
    return CommandSpec(
        name, arity, _CALM, handler, summary, syntax, since, "server", complexity, ("connection",), tips=tips
    )


COMMANDS = (
    CommandSpec(
        "COMMAND", -1, _CALM, command,
        summary="Tells about all commands.",
        since="2.8.13", group="server", complexity="O(N), N being the number of commands.", categories=("connection",),
        tips=(UNORDERED,),
        subcommands=(
            _row("COUNT", 2, command_count, "Counts the commands.", "", "2.8.13", "O(1)"),
            _row(
                "INFO", -2, command_info, "Tells about some commands.", "[command-name [command-name ...]]", "2.8.13",
                tips=(UNORDERED,),
            ),
            _row(
                "DOCS", -2, command_docs, "Documents some commands.", "[command-name [command-name ...]]", "7.0.0",
                tips=(UNORDERED,),
            ),
            _row(
                "LIST", -2, command_list, "Lists the names of commands.",
                "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]", "7.0.0",
                tips=(UNORDERED,),
            ),
            _row(
                "GETKEYS", -3, command_getkeys, "Tells the keys in a request.", "command [arg [arg ...]]", "2.8.13",
                "O(N), N being the number of arguments.",
            ),
            _row(
                "GETKEYSANDFLAGS", -3, command_getkeysandflags, "Tells the keys in a request and what becomes of them.",
                "command [arg [arg ...]]", "7.0.0", "O(N), N being the number of arguments.",
            ),
            _row("HELP", 2, help_reply("COMMAND", _HELP), "Lists the subcommands.", "", "5.0.0", "O(1)"),
        ),
    ),
)  # fmt: skip
