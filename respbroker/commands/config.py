"""CONFIG: settings seen and changed while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.commands.help import help_reply
from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import ALL_SUCCEED, TO_ALL_NODES
from respbroker.errors import SyntaxRefused
from respbroker.model.config_file import encode
from respbroker.resp.replies import OK, bulk, map_

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

HELP: Final = """\
GET <pattern>
    Return parameters matching the glob-like <pattern> and their values.
SET <directive> <value>
    Set the configuration <directive> to <value>.
RESETSTAT
    Reset statistics reported by the INFO command.
REWRITE
    Rewrite the configuration file."""


def get(ctx: Context, words: list[bytes]) -> Reply:
    pairs = ctx.settings.get(*words[2:])
    wires = [(bulk(name.encode("latin-1")), bulk(encode(value))) for name, value in pairs]
    return map_(wires, ctx.client.protocol)


def set_(ctx: Context, words: list[bytes]) -> Reply:
    if len(words) % 2:
        raise SyntaxRefused
    changed = ctx.settings.set_many(list(zip(words[2::2], words[3::2], strict=True)))
    for attribute in changed:
        ctx.apply_setting(attribute)
    return OK


def rewrite(ctx: Context, words: list[bytes]) -> Reply:
    ctx.rewrite_config()
    return OK


def resetstat(ctx: Context, words: list[bytes]) -> Reply:
    ctx.statistics.reset()
    for command in ctx.commands.each():
        command.calls = command.rejected_calls = command.failed_calls = 0
        command.seconds = 0.0
    return OK


_ADMIN: Final = Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE

COMMANDS = (
    CommandSpec(
        "CONFIG", -2, Flag.NONE, get,
        summary="A container for commands about settings.",
        since="2.0.0", group="server", complexity="Depends on subcommand.",
        subcommands=(
            CommandSpec(
                "GET", -3, _ADMIN, get,
                summary="Tells the values of settings.", syntax="parameter [parameter ...]",
                since="2.0.0", group="server", complexity="O(N) when N is the number of parameters",
            ),
            CommandSpec(
                "SET", -4, _ADMIN, set_,
                summary="Changes settings, all that are named or none.", syntax="parameter value [parameter value ...]",
                since="2.0.0", group="server", complexity="O(N) when N is the number of parameters",
                tips=(TO_ALL_NODES, ALL_SUCCEED),
            ),
            CommandSpec(
                "REWRITE", 2, _ADMIN, rewrite,
                summary="Writes the present settings into the configuration file.", since="2.8.0", group="server",
                tips=(TO_ALL_NODES, ALL_SUCCEED),
            ),
            CommandSpec(
                "RESETSTAT", 2, _ADMIN, resetstat,
                summary="Sets the counters of INFO to zero.", since="2.0.0", group="server",
                tips=(TO_ALL_NODES, ALL_SUCCEED),
            ),
            CommandSpec(
                "HELP", 2, Flag.LOADING | Flag.STALE, help_reply("CONFIG", HELP),
                summary="Tells what the subcommands do.", since="5.0.0", group="server",
            ),
        ),
    ),
)  # fmt: skip
