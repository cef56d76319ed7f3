"""HELP of a container command: the same frame around every family's list of subcommands."""

from __future__ import annotations

from respbroker.commands.context import Context
from respbroker.commands.table import Handler
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
