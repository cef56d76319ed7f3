"""What keyspace notifications told, in a form that tests can read."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.nodes import NodeUnderTest


def listen(node: NodeUnderTest) -> Callable[[], list[str]]:
    """Turn notifications on; each call gives the events since the last, as ``event@db key``."""
    listener = node.client(3)
    node.run(listener, "CONFIG", "SET", "notify-keyspace-events", "EA")
    node.run(listener, "PSUBSCRIBE", "__keyevent@*")

    def events() -> list[str]:
        lines = node.output(listener).decode().split("\r\n")
        channels = [n for n, line in enumerate(lines) if line.startswith("__keyevent@") and not line.endswith("*")]
        return [f"{lines[n].split(':')[1]}@{lines[n][11:].split('_')[0]} {lines[n + 2]}" for n in channels]

    return events
