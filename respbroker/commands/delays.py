"""Replies that come later and wait for no key; those among them that wait for nothing but the time."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.sessions.client import Client, Reply


class KeylessWait:
    """What is the same in every `BlockedRequest` that waits for no key: no change of one serves it."""

    __slots__ = ()

    def retry(self, ctx: Context) -> Reply:
        return None

    @property
    def exhausts(self) -> object:
        return None

    @property
    def outlasts_values(self) -> bool:
        return True

    def retry_ms(self, ctx: Context) -> int | None:
        return None


@attrs.frozen
class Delay(KeylessWait):
    """A request that blocks its client until its time is over, then gives ``reply()``."""

    reply: Callable[[], bytes]

    def timed_out(self, client: Client) -> bytes:
        return self.reply()


def answer_later(ctx: Context, milliseconds: float, reply: Callable[[], bytes]) -> Reply:
    """Answer ``reply()`` in so many milliseconds; 0: never, only the client's end or CLIENT UNBLOCK ends it.

    Inside EXEC nothing may wait, so the answer is given at once.
    """
    if ctx.in_exec:
        return reply()
    ctx.block(Delay(reply), [], ceil(milliseconds))
    return None
