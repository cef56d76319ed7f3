"""What the commands of strings, hashes and sorted sets have in common: reading, dropping what is empty, and their rows.

A key holds one kind of value. Looking one up as another kind raises WrongType, before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from respbroker.commands.table import CommandSpec, Flag, Handler, Keys, RunHandler
from respbroker.errors import WrongType

if TYPE_CHECKING:
    from respbroker.commands.context import Context

V = TypeVar("V")

READ: Final = Flag.READONLY
READ_FAST: Final = Flag.READONLY | Flag.FAST
WRITE_FAST: Final = Flag.WRITE | Flag.FAST  # frees memory, or needs none to speak of
GROW: Final = Flag.WRITE | Flag.DENYOOM
GROW_FAST: Final = GROW | Flag.FAST

ONE_KEY: Final = Keys()


def read(ctx: Context, look_up: Callable[[bytes], V | None], key: bytes) -> V | None:
    """The value at ``key`` for a command that only reads: counted as a hit or a miss, a hit of the wrong kind too."""
    try:
        found = look_up(key)
    except WrongType:
        ctx.count_lookup(True)
        raise
    ctx.count_lookup(found is not None)
    return found


def changed_twice(ctx: Context, key: bytes, first: str, second: str) -> None:
    """One change of a key that is told as two events."""
    ctx.changed(key, first)
    ctx.changed(key, second)
    ctx.dirty -= 1


class Rows:
    """The rows of one family of commands, most of which differ in few things."""

    def __init__(self, group: str, category: str) -> None:
        self._group = group
        self._category = category

    def row(
        self,
        name: str,
        arity: int,
        flags: Flag,
        handler: Handler,
        summary: str,
        syntax: str = "key",
        since: str = "2.0.0",
        complexity: str = "O(1)",
        keys: Keys = ONE_KEY,
        tips: tuple[str, ...] = (),
        run: RunHandler | None = None,
    ) -> CommandSpec:
        """A row of the table, see `CommandSpec`."""
        return CommandSpec(
            name=name,
            arity=arity,
            flags=flags,
            handler=handler,
            summary=summary,
            syntax=syntax,
            since=since,
            group=self._group,
            complexity=complexity,
            categories=(self._category,),
            keys=keys,
            tips=tips,
            run=run,
        )
