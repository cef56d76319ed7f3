"""ACL as far as it goes with one user: ``default``, who may do everything once the password is given."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from respbroker.commands.command_info import CATEGORIES, categories_of
from respbroker.commands.help import help_reply
from respbroker.commands.table import CommandSpec, Flag
from respbroker.errors import ReplyError, UnknownSubcommand, quoted
from respbroker.model.config_file import encode as encode_text
from respbroker.resp.replies import OK, Wire, bulk, bulk_array, encode, null, set_

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

USER: Final = b"default"

HELP: Final = """\
CAT [<category>]
    List all commands that belong to <category>, or all command categories
    when no category is specified.
DRYRUN <username> <command> [<arg> ...]
    Returns whether the user can execute the given command without executing the command.
GETUSER <username>
    Get the user's details.
LIST
    Show users details in config file format.
USERS
    List all the registered usernames.
WHOAMI
    Return the current connection username."""


def _digest(ctx: Context) -> str:
    """The password as it may be shown; empty where there is none."""
    password = ctx.settings.requirepass
    return hashlib.sha256(encode_text(password)).hexdigest() if password else ""


def whoami(ctx: Context, words: list[bytes]) -> Reply:
    return bulk(ctx.client.user.encode())


def users(ctx: Context, words: list[bytes]) -> Reply:
    return bulk_array([USER])


def list_(ctx: Context, words: list[bytes]) -> Reply:
    digest = _digest(ctx)
    secret = f"sanitize-payload #{digest}" if digest else "nopass sanitize-payload"
    return bulk_array([f"user default on {secret} ~* &* +@all".encode()])


def getuser(ctx: Context, words: list[bytes]) -> Reply:
    if words[2] != USER:
        return null(ctx.client.protocol)
    digest = _digest(ctx)
    flags = ["on", "sanitize-payload"] if digest else ["on", "nopass", "sanitize-payload"]
    rules = {
        "flags": Wire(set_([bulk(flag.encode()) for flag in flags], ctx.client.protocol)),
        "passwords": [digest] if digest else [],
        "commands": "+@all",
        "keys": "~*",
        "channels": "&*",
        "selectors": [],
    }
    return encode(rules, ctx.client.protocol)


def cat(ctx: Context, words: list[bytes]) -> Reply:
    if len(words) > 3:
        raise ReplyError(f"unknown subcommand or wrong number of arguments for '{quoted(words[1])}'. Try ACL HELP.")
    if len(words) == 2:
        return bulk_array([name.encode() for name in CATEGORIES])
    wanted = words[2].decode("latin-1").lower()
    if wanted not in CATEGORIES:
        raise ReplyError(f"Unknown category '{quoted(words[2])}'")
    commands = [one for one in ctx.commands.each() if not one.subcommands or one.name == "command"]
    return bulk_array([one.name.encode() for one in commands if f"@{wanted}" in categories_of(one)])


def dryrun(ctx: Context, words: list[bytes]) -> Reply:
    if words[2] != USER:
        raise ReplyError(f"User '{quoted(words[2])}' not found")
    command = ctx.commands.find(words[3])
    try:
        if command is None:
            raise UnknownSubcommand("", words[3])
        command.resolve(words[3:])
    except UnknownSubcommand:
        raise ReplyError(f"Command '{quoted(words[3])}' not found") from None
    return OK


_ADMIN: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_OPEN: Final = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE

COMMANDS = (
    CommandSpec(
        "ACL", -2, Flag.NONE, whoami,
        summary="A container for commands about users.",
        since="6.0.0", group="server", complexity="Depends on subcommand.",
        subcommands=(
            CommandSpec(
                "CAT", -2, _OPEN, cat,
                summary="Lists categories of commands, or the commands of one.", syntax="[category]",
                since="6.0.0", group="server", complexity="O(1) since the categories and commands are a fixed set.",
            ),
            CommandSpec(
                "DRYRUN", -4, _ADMIN, dryrun,
                summary="Tells whether a user might run a command.", syntax="username command [arg [arg ...]]",
                since="7.0.0", group="server",
            ),
            CommandSpec(
                "GETUSER", 3, _ADMIN, getuser,
                summary="Tells what a user may do.", syntax="username", since="6.0.0", group="server",
            ),
            CommandSpec(
                "LIST", 2, _ADMIN, list_,
                summary="Tells what each user may do.", since="6.0.0", group="server",
            ),
            CommandSpec(
                "USERS", 2, _ADMIN, users,
                summary="Lists the names of the users.", since="6.0.0", group="server",
            ),
            CommandSpec(
                "WHOAMI", 2, _OPEN, whoami,
                summary="Tells who this connection is.", since="6.0.0", group="server",
            ),
            CommandSpec(
                "HELP", 2, Flag.LOADING | Flag.STALE, help_reply("ACL", HELP),
                summary="Tells what the subcommands do.", since="6.0.0", group="server",
            ),
        ),
    ),
)  # fmt: skip
