"""How long commands take: commandstats, latencystats, the slow log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from respbroker.commands.table import Flag

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.commands.table import Command
    from respbroker.sessions.client import Client


class Timing:
    """Accounts for finished commands. A *run* is one command, or neighbouring calls of one that were served at once.

    The clock is handed in: a measurement decides nothing, so that a simulated node may give a clock that stands still.
    """

    def __init__(self, node: Node, clock: Callable[[], float]) -> None:
        self._node = node
        self.clock = clock

    def account(self, client: Client, command: Command, words: list[bytes], calls: int, seconds: float) -> None:
        """``calls`` of ``command``, the last one with ``words``, took ``seconds`` together."""
        command.calls += calls
        command.seconds += seconds
        node = self._node
        statistics = node.statistics
        statistics.commands_processed += calls
        if statistics.tracking:
            statistics.histogram_of(command.name).add(seconds / calls, calls)
        if 0 <= node.slow_seconds <= seconds and Flag.SKIP_SLOWLOG not in command.flags:
            node.slowlog.add(node.now_ms, seconds, words, client)
        if 0 < node.latency_threshold_seconds <= seconds:
            node.latency.add("fast-command" if command.is_fast else "command", node.now_ms, seconds)
