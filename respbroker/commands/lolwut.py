"""LOLWUT: a small picture, another one each time, and the version."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from respbroker.commands.arguments import parse_int
from respbroker.commands.table import CommandSpec, Flag
from respbroker.model.version import REDIS_VERSION
from respbroker.resp.replies import verbatim

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply

COLUMNS: Final = 64
ROWS: Final = 9
WATER: Final = "~-~ ~"


def lolwut(ctx: Context, words: list[bytes]) -> Reply:
    if len(words) > 2 and words[1].lower() == b"version":
        for word in words[2:]:
            parse_int(word)
    text = f"{river(ctx.random)}\nRedis ver. {REDIS_VERSION}\n"
    return verbatim(text.encode(), ctx.client.protocol)


def river(random: Random) -> str:
    """A stream winding down the page, and a log in it."""
    left, width = COLUMNS // 3, 14
    rows = []
    for _ in range(ROWS):
        left = min(max(left + random.choice((-3, -2, -1, 0, 1, 2, 3)), 2), COLUMNS - width - 4)
        width = min(max(width + random.choice((-1, 0, 1)), 9), 20)
        water = "".join(random.choice(WATER) for _ in range(width))
        rows.append(f"{_bank(random, left)}){water}({_bank(random, COLUMNS - left - width - 2)}".rstrip())
    row = random.randrange(2, ROWS - 1)
    start = rows[row].index(")") + 2
    rows[row] = f"{rows[row][:start]}(=====){rows[row][start + 7 :]}"
    return "\n".join(rows) + "\n"


def _bank(random: Random, width: int) -> str:
    return "".join(random.choices(" .,^", (60, 3, 2, 1), k=max(0, width)))


COMMANDS = (
    CommandSpec(
        "LOLWUT", -1, Flag.READONLY | Flag.FAST, lolwut,
        summary="Draws a picture and tells the version.", syntax="[VERSION version]", since="5.0.0", group="server",
    ),
)  # fmt: skip
