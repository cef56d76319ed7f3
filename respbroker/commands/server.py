"""TIME: the server's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.commands.table import CommandSpec, Flag
from respbroker.commands.tips import VARIES
from respbroker.resp.replies import bulk_array

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Reply


def time(ctx: Context, words: list[bytes]) -> Reply:
    seconds, ms = divmod(ctx.now_ms, 1000)
    return bulk_array([b"%d" % seconds, b"%d" % (ms * 1000)])


COMMANDS = (
    CommandSpec(
        "TIME", 1, Flag.LOADING | Flag.STALE | Flag.FAST, time,
        summary="Tells the server's clock: Unix seconds, and microseconds.", since="2.6.0", group="server",
        tips=(VARIES,),
    ),
)  # fmt: skip
