"""Consumers of a group ``g`` on the topic ``orders``, each with a connection of its own, and what to ask about them."""

from __future__ import annotations

from typing import Any

from tests.support.asking import NOTHING, Asker, asker, ids
from tests.support.nodes import NodeUnderTest

CREATE = "XTOPIC CREATE orders PARTITIONS {} CONFIG key.field k group.mode {}"


class Consumer:
    """One consumer, and its connection to a node without sockets."""

    def __init__(self, node: NodeUnderTest, name: str) -> None:
        self.node, self.name = node, name
        self.ask: Asker = asker(node)

    def read(self, options: str = "", key: str = "orders", start: str = ">") -> Any:
        """The entries it was given; None for none, NOTHING while it waits."""
        return self._entries(self.ask(f"XREADGROUP GROUP g {self.name} {options} STREAMS {key} {start}"))

    def heard(self) -> Any:
        """The entries that came while it waited."""
        return self._entries(self.ask.heard())

    @staticmethod
    def _entries(reply: Any) -> Any:
        return reply if reply in (NOTHING, None) or isinstance(reply, str) else reply[0][1]

    def got(self, options: str = "") -> list[str]:
        """What was in the entries it was given."""
        return values(self.read(options))

    def ack(self, entries: list[Any]) -> Any:
        return self.ask(f"XACK orders g {' '.join(ids(entries))}")

    def leave(self) -> None:
        """Its connection is closed."""
        self.node.node.disconnect(self.ask.client)


def values(entries: list[Any] | None) -> list[str]:
    """The value of the first field of each entry."""
    return [entry[1][1] for entry in entries or []]


def put(ask: Asker, partition: int, *numbers: object) -> list[str]:
    """Add entries to one partition; their IDs."""
    return [ask(f"XADD orders/{partition} * n {number}") for number in numbers]


def partitions(ask: Asker) -> dict[str, list[int]]:
    """The partitions of each owner in the group."""
    found = ask.node.node.find(b"orders").groups.get(b"g")  # type: ignore[union-attr]
    owners = found.ownership.owners if found else ()
    return {name.decode(): [p for p, owner in enumerate(owners) if owner == name] for name in set(owners) - {None}}


def moving(ask: Asker) -> dict[int, bytes]:
    """The partitions that are draining, and to whom they go."""
    return ask.node.node.find(b"orders").groups[b"g"].ownership.moving  # type: ignore[union-attr]


def pass_time(node: NodeUnderTest, milliseconds: int) -> None:
    node.clock.advance(milliseconds)
    node.tick()
