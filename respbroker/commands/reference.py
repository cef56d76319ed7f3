"""docs/commands.md, printed from the command table: ``python -m respbroker.commands.reference > docs/commands.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from respbroker.commands.command_info import categories_of, flag_names
from respbroker.commands.table import Command, CommandTable
from respbroker.model.version import REDIS_VERSION

#: Groups in the order of the page, with their headings.
GROUPS: Final = {
    "stream": "Streams",
    "generic": "Keys",
    "string": "Strings",
    "hash": "Hashes",
    "sorted-set": "Sorted sets",
    "scripting": "Lock scripts",
    "transactions": "Transactions",
    "pubsub": "Publish and subscribe",
    "connection": "Connections",
    "server": "The server",
}

_HEAD: Final = f"""\
# Commands

Every command this server knows, printed from its command table. Replies and refusals are those of Redis
{REDIS_VERSION}; [differences](differences.md) lists where they are not. Anything else is answered with
`ERR unknown command`.
"""


def page(commands: CommandTable) -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_body(list(commands.commands.values()))])


def _body(commands: list[Command]) -> Iterator[str]:
    known = [command.spec.group for command in commands]
    for group in [*GROUPS, *sorted(set(known) - set(GROUPS))]:
        if group not in known:
            continue
        yield f"## {GROUPS.get(group, group.capitalize())}\n"
        for command in sorted((one for one in commands if one.spec.group == group), key=lambda one: one.name):
            yield from _section(command)


def _section(command: Command) -> Iterator[str]:
    yield f"### {command.spec.name}\n"
    yield f"{command.spec.summary} {_facts(command)}\n"
    if command.subcommands:
        yield from _subcommands(command.spec.name, command.subcommands.values())
    else:
        yield f"    {_line(command.spec.name, command.spec.syntax)}\n"


def _subcommands(container: str, subcommands: Iterable[Command]) -> Iterator[str]:
    for command in subcommands:
        yield f"* `{_line(f'{container} {command.spec.name}', command.spec.syntax)}`  "
        yield f"  {command.spec.summary} {_facts(command)}"
    yield ""


def _facts(command: Command) -> str:
    if command.subcommands:
        return f"Since {command.spec.since}."
    flags = ", ".join(flag_names(command)) or "none"
    return f"Since {command.spec.since}; {command.spec.complexity.rstrip('.')}; flags {flags}; {_acl(command)}."


def _acl(command: Command) -> str:
    return " ".join(categories_of(command))


def _line(name: str, syntax: str) -> str:
    return f"{name} {syntax}".rstrip()


if __name__ == "__main__":
    from respbroker.commands.catalogue import ALL_COMMANDS

    print(page(CommandTable(ALL_COMMANDS)), end="")
