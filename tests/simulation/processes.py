"""A consumer's process in the simulation: it reads, handles what it was given in order, and acknowledges.

It is the program a user would write: after connecting it first reads what it holds already (ID 0), then what is new.
It may hang with its connection open, lose the connection without noticing that others take over (a zombie), give
entries back, or die with everything it had in its hands.
"""

from __future__ import annotations

import random
from typing import Any

import attrs

from respbroker.sessions.client import Client
from tests.support.asking import NOTHING, Asker
from tests.support.nodes import NodeUnderTest

GROUP, TOPIC = "g", "orders"


@attrs.frozen
class Item:
    """One entry: the count of its key says where it belongs."""

    entry_id: str
    key: str
    count: int

    @classmethod
    def of(cls, entry: list[Any]) -> Item:
        _, key, _, count = entry[1]
        return cls(entry[0], key, int(count))


@attrs.define(eq=False)
class Process:
    """One process; ``client`` is None while it is not connected."""

    name: str
    count: int  #: entries asked for at a time
    blocks: bool
    noisy: bool  #: acknowledges in disorder
    client: Client | None = None
    in_hand: list[Item] = attrs.field(factory=list)  #: given, and not acknowledged; the handled ones too
    handled: int = 0  #: so many of them
    recovering: bool = True  #: reads what it holds already
    waiting: bool = False
    hangs_until: float = 0.0
    fenced: bool = False  #: its session ended while it had something in hand: that is others' now, and it does not know

    def ask(self, node: NodeUnderTest, line: str) -> Any:
        assert self.client is not None
        return Asker(node, self.client)(line)

    def heard(self, node: NodeUnderTest) -> Any:
        """What has come while it waited."""
        assert self.client is not None
        return Asker(node, self.client).heard()

    def ahead_line(self) -> str:
        """A request for more while it still has something in its hands."""
        return f"XREADGROUP GROUP {GROUP} {self.name} COUNT {self.count} STREAMS {TOPIC} >"

    def read_line(self, rng: random.Random) -> str:
        """The next request for entries."""
        if self.recovering:
            return f"XREADGROUP GROUP {GROUP} {self.name} COUNT {self.count} STREAMS {TOPIC} 0"
        if rng.random() < 0.05:
            return f"XAUTOCLAIM {TOPIC} {GROUP} {self.name} 0 0 COUNT {self.count}"
        options = f"COUNT {self.count}"
        if self.blocks:
            options += f" BLOCK {rng.choice((0, 500, 20_000))}"
        if rng.random() < 0.1:
            options += f" CLAIM {rng.choice((0, 1000, 100_000))}"
        return f"XREADGROUP GROUP {GROUP} {self.name} {options} STREAMS {TOPIC} >"

    def take(self, line: str, reply: Any) -> list[Item]:
        """What the reply gives; empty if it is nothing, or not there yet."""
        if reply == NOTHING:
            self.waiting = True
            return []
        self.waiting = False
        assert not isinstance(reply, str), f"{line}: {reply}"
        if line.startswith("XAUTOCLAIM"):
            entries = reply[1]
        else:
            entries = reply[0][1] if reply else []
        if self.recovering and not entries:
            self.recovering = False
        return [Item.of(entry) for entry in entries]

    def acknowledge(self, rng: random.Random) -> list[Item]:
        """What it acknowledges now, of what it has handled."""
        done = self.in_hand[: self.handled]
        if self.noisy and done:
            done = rng.sample(done, rng.randint(1, len(done)))
        self.in_hand = [item for item in self.in_hand if item not in done]
        self.handled -= len(done)
        self.fenced = self.fenced and bool(self.in_hand)
        return done

    def begin_anew(self) -> None:
        """It does not know what it held."""
        self.drop()
        self.waiting, self.recovering = False, True

    def drop(self) -> None:
        """It has nothing in its hands any more."""
        self.in_hand, self.handled, self.fenced = [], 0, False
