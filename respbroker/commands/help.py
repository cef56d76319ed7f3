"""Help with container commands: what every family's HELP has in common, and the refusal that points to it."""

from __future__ import annotations

from respbroker.commands.context import Context
from respbroker.commands.table import Handler
from respbroker.errors import ReplyError, quoted
from respbroker.resp import replies
from respbroker.sessions.client import Reply


def help_reply(container: str, text: str) -> Handler:
    """The handler of ``container HELP``; ``text`` has a subcommand a line, what it does indented below."""
    head = f"{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    lines = [head, *text.splitlines(), "HELP", "    Print this help."]
    wire = replies.array([replies.simple(line.encode()) for line in lines])

    def handler(ctx: Context, words: list[bytes]) -> Reply:
        return wire

    return handler


def ensure_words(words: list[bytes], most: int) -> None:
    """Refuse a subcommand with more than ``most`` words, where Redis finds that out after the arity check."""
    if len(words) > most:
        container = quoted(words[0]).upper()
        said = quoted(words[1])
        raise ReplyError(f"unknown subcommand or wrong number of arguments for '{said}'. Try {container} HELP.")


def never_run(ctx: Context, words: list[bytes]) -> Reply:
    """The handler of a container, of which only subcommands are ever run."""
    raise AssertionError(words[0])
