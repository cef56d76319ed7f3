"""What clients know of values: a few keys at a time that one of them alone changes, and all that they may hold.

Because a client goes on with its keys only while it knows what became of each change, there is at most one change of
which nobody knows, the last; what a server has must be as after some change not older than what was acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from respbroker.resp.reply_decoder import ReplyDecoder
from respbroker.streams.keyspace import Keyspace
from tests.simulation.replicas.broken import Broken
from tests.support.values import held_by

Key = tuple[int, bytes]  # database and name
Held = tuple[str, Any]  # a kind, and what is there as a plain value; of a stream the values of its entries
State = dict[Key, Held]

#: The kind of a string that expires: it may be gone at any time, for clocks jump.
LEASE: Final = "lease"
_NAMES: Final = {b"string": "string", b"hash": "hash", b"zset": "zset"}


@attrs.define(eq=False)
class Space:
    """Keys of one writer. ``versions[n]`` is what they hold after n changes.

    ``promised`` is the newest version that was acknowledged and may not be lost, ``seen`` the newest that a reader was
    told of. ``lasts_with``: the last change was answered without waiting for followers; it stands as long as this does.
    ``may_be_half``: of its last change, in several logs, some may be lost; nobody was told of that change.
    """

    name: str
    kind: str
    keys: tuple[Key, ...]
    versions: list[State] = attrs.Factory(lambda: [{}])
    promised: int = 0
    seen: int = 0
    number: int = 0  # of values that were written
    lasts_with: Any = None
    may_be_half: bool = False

    @property
    def newest(self) -> State:
        return self.versions[-1]

    def refused(self) -> None:
        """The newest change is not to be."""
        after = self.versions.pop()
        if self.seen == len(self.versions):
            raise Broken(f"values {self.name}: {after} was refused, and read")

    def acknowledged(self) -> None:
        """The newest change is for good."""
        self.promised = len(self.versions) - 1

    def find(self, found: Mapping[Key, Held | None], floor: int) -> int | None:
        """The first version, from ``floor`` on, that is as what was found at some of the keys."""
        for number in range(floor, len(self.versions)):
            version = self.versions[number]
            if all(_may_be(version.get(key), held) for key, held in found.items()):
                return number
        return None

    def check(self, where: str, found: Mapping[Key, Held | None], floor: int) -> int:
        """The same; that there is none is a broken promise."""
        number = self.find(found, floor)
        if number is None:
            older = self.find(found, 0)
            what = "never was" if older is None else f"was so after {older} changes"
            expected = [{key: version.get(key) for key in found} for version in self.versions[floor:][:3]]
            raise Broken(
                f"{where}: values {self.name} are {dict(found)}, which {what}; after {floor} of"
                f" {len(self.versions) - 1} changes they are {expected}"
            )
        return number


def _may_be(expected: Held | None, found: Held | None) -> bool:
    if expected is not None and expected[0] == LEASE:
        return found is None or found == ("string", expected[1])
    return expected == found


class Spaces:
    """Owns all that there ever were."""

    def __init__(self) -> None:
        self.all: list[Space] = []
        self._fresh = 0

    def new(self, owner: str, kind: str) -> Space:
        """Keys that nobody ever used."""
        self._fresh += 1
        name = f"{owner}.{kind}.{self._fresh}"
        databases, letters = (0,), {"counter": "a", LEASE: "a", "plain": "abc", "mixed": "abc"}.get(kind, "ab")
        if kind == "databases":
            used = sum(space.kind == kind for space in self.all)
            databases = 1 + 2 * used, 2 + 2 * used
        keys = tuple((db, f"{name}.{letter}".encode()) for db in databases for letter in letters)
        space = Space(name, kind, keys)
        self.all.append(space)
        return space

    def may_halve(self) -> None:
        """Of changes that are not acknowledged so far, half may be lost."""
        for space in self.all:
            if space.kind in ("mixed", "databases") and space.promised < len(space.versions) - 1:
                space.may_be_half = True

    def check(self, where: str, keyspace: Keyspace, *, seen: bool) -> None:
        """A server has what was acknowledged, whole, and with ``seen`` what was read."""
        for space in self.all:
            if space.may_be_half:
                continue
            space.check(where, contents(keyspace, space.keys), max(space.promised, space.seen if seen else 0))


def contents(keyspace: Keyspace, keys: Iterable[Key]) -> dict[Key, Held | None]:
    """What is at some keys, as its memory says."""
    return {(db, key): _at(keyspace, db, key) for db, key in keys}


def _at(keyspace: Keyspace, db: int, key: bytes) -> Held | None:
    value, entry = keyspace.values[db].keys.get(key), keyspace.databases[db].keys.get(key)
    if entry is None:
        return None if value is None else (_NAMES[value.kind], held_by(value))
    if value is not None:
        raise Broken(f"{key!r} is a stream and a {value.kind.decode()}")
    entries: list[Any] = []
    for stream in keyspace.streams_of(keyspace.open_key(db, key, entry)):
        ranges = stream.live_ranges(stream.first_ordinal, stream.end_ordinal)
        entries += ReplyDecoder().feed(b"".join(stream.payloads_each(ranges)))
    return "stream", [fields[1] for _, fields in entries]
