"""What clients were told, as they saw it: the only thing that promises are checked against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.topics import AGED, LINGERING, SIZED
from tests.simulation.replicas.value_spaces import Spaces

ORDERS_PARTITIONS: Final = 3
#: Keys that entries are in; an entry of ``orders`` is in one of its partitions.
KEYS: Final = (
    *("s0", "s1", "trimmed", "work", "fast", "temp"),
    *(f"orders/{number}" for number in range(ORDERS_PARTITIONS)),
)
FREE: Final = frozenset({"fast", "temp"})  # nothing is promised of their entries
TOPIC_KEYS: Final = (AGED, SIZED, LINGERING)
Id = tuple[int, int]


def parse_id(word: bytes) -> Id:
    ms, _, seq = word.partition(b"-")
    return int(ms), int(seq)


@attrs.define(eq=False)
class Write:
    """One entry that a client wanted to add, in one attempt or several with IDMP.

    ``ids`` are those that it was answered with. ``counts``: it was promised, by what the settings say, that the entry
    stays. ``twin``: the other entry of the same EXEC; ``may_be_half``: one may be there without the other.
    """

    stream: str
    value: bytes
    began: float
    idempotent: bool = False
    ids: list[Id] = attrs.Factory(list)
    ended: float = float("inf")
    counts: bool = True
    refused: bool = False  # every attempt was
    twin: Write | None = None
    may_be_half: bool = False


class History:
    """Owns all that clients did and saw. ``keys``: where entries may be, ``topics`` among them or not."""

    def __init__(self, *, topics: bool = False) -> None:
        self.keys = (*KEYS, *TOPIC_KEYS) if topics else KEYS
        self.writes: list[Write] = []
        self.by_value: dict[bytes, Write] = {}
        #: (key, ID) to the value read there, by a reply that counts.
        self.seen: dict[tuple[str, Id], bytes] = {}
        #: Entries of ``work``: who was given them as new, and since when they are acknowledged.
        self.delivered: dict[Id, str] = {}
        self.acknowledged: dict[Id, float] = {}
        self.let_go: set[Id] = set()  # that somebody asked to acknowledge, answered or not
        self.replies = 0
        self.errors: dict[str, int] = {}
        self.spaces = Spaces()

    def began(self, write: Write) -> Write:
        self.writes.append(write)
        self.by_value[write.value] = write
        return write

    def added(self, write: Write, entry_id: Id, now: float, counts: bool) -> None:
        """A client was told that its entry is there."""
        if counts and write.counts and write.ids and write.ids[-1] != entry_id and write.stream not in FREE:
            raise Broken(f"{write.stream}: {write.value[:24]!r} was acknowledged as {write.ids[-1]} and as {entry_id}")
        write.ids.append(entry_id)
        write.ended = min(write.ended, now)
        write.counts = write.counts and counts

    def may_halve(self) -> None:
        """Of an EXEC that is not acknowledged so far, half may be lost."""
        for write in self.writes:
            write.may_be_half = write.may_be_half or not (write.ids and write.counts)
        self.spaces.may_halve()

    def read(self, key: str, entries: list[tuple[Id, bytes]], counts: bool) -> None:
        """A client was given entries."""
        ids = [entry_id for entry_id, _ in entries]
        if ids != sorted(set(ids)):
            raise Broken(f"{key}: IDs do not rise: {ids}")
        for entry_id, value in entries:
            write = self.by_value.get(value)
            if write is None or write.stream not in (key, key.partition("/")[0]):
                raise Broken(f"{key} has an entry that nobody added there: {entry_id} {value[:24]!r}")
            if write.refused:
                raise Broken(f"{key} has an entry that was refused: {entry_id} {value[:24]!r}")
            if not counts or key in FREE:
                continue
            known = self.seen.setdefault((key, entry_id), value)
            if known != value:
                raise Broken(f"{key}: {entry_id} was {known[:24]!r} and is {value[:24]!r}")

    def gave(self, consumer: str, ids: list[Id], asked_at: float, counts: bool, *, new: bool) -> None:
        """A consumer was given entries of the group."""
        for entry_id in ids:
            if not counts:
                continue
            if self.acknowledged.get(entry_id, float("inf")) < asked_at:
                raise Broken(f"work: {entry_id} was given to {consumer} when it was acknowledged")
            if new and entry_id in self.delivered:
                raise Broken(f"work: {entry_id} was given to {self.delivered[entry_id]} and to {consumer} as new")
            if new:
                self.delivered[entry_id] = consumer

    def acked(self, entry_id: Id, now: float, counts: bool) -> None:
        """An acknowledgement of an entry of the group was answered."""
        if counts:
            self.acknowledged.setdefault(entry_id, now)

    def promised(self) -> Iterator[tuple[Write, Id]]:
        """The entries that must be there."""
        for write in self.writes:
            if write.ids and write.counts and write.stream not in FREE:
                yield write, write.ids[0]
