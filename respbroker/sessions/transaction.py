"""Commands queued between MULTI and EXEC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from respbroker.commands.table import Command


@attrs.define
class Transaction:
    """``size`` is the memory of the queued words, about.

    ``broken`` after a command that could not be queued: EXEC then refuses the whole.
    """

    queue: list[tuple[Command, list[bytes]]] = attrs.Factory(list)
    size: int = 0
    broken: bool = False
