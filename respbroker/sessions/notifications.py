"""Keyspace notifications: which classes of events are wanted, and on which channels an event is told.

``notify-keyspace-events`` is a word of letters. ``K`` and ``E`` choose the channels, the others the events:
``__keyspace@<db>__:<key>`` carries the event's name, ``__keyevent@<db>__:<event>`` the key. Both are ordinary
channels, published like any other.
"""

from __future__ import annotations

from typing import Final

import attrs

#: The letters and what they stand for.
CLASSES: Final = {
    "g": "generic: del, rename, copy, expire, persist, …",
    "$": "strings",
    "l": "lists; there are none here, as there are no sets",
    "s": "sets",
    "h": "hashes",
    "z": "sorted sets",
    "x": "expired keys",
    "e": "evicted keys; nothing is ever evicted here",
    "t": "streams",
    "d": "modules; there are none here",
    "n": "new keys; not in A",
    "m": "keys asked for that do not exist; not in A",
}
#: What ``A`` stands for.
ALL: Final = frozenset("g$lshzxetd")

_CLASS_OF_EVENT: Final = {
    "expired": "x",
    "evicted": "e",
    "keymiss": "m",
    "new": "n",
    "set": "$",
    "incrby": "$",
    "append": "$",
}
_CLASS_OF_INITIAL: Final = {"x": "t", "h": "h", "z": "z"}


def class_of(event: str) -> str:
    """The class an event belongs to. Events of streams, hashes and sorted sets are named after their commands."""
    return _CLASS_OF_EVENT.get(event) or _CLASS_OF_INITIAL.get(event[:1], "g")


@attrs.define(eq=False)
class Notifications:
    """What is to be told. False while nothing is, so that changes need not be described at all."""

    classes: frozenset[str] = frozenset()
    on_key_channels: bool = False
    on_event_channels: bool = False

    def configure(self, letters: str) -> None:
        """Take over the setting's value, which is known to be well formed."""
        chosen = frozenset(letters)
        self.on_key_channels = "K" in chosen
        self.on_event_channels = "E" in chosen
        self.classes = (chosen | ALL if "A" in chosen else chosen) & frozenset(CLASSES)

    def __bool__(self) -> bool:
        return bool(self.classes) and (self.on_key_channels or self.on_event_channels)

    def wants(self, event: str) -> bool:
        """Whether ``event`` is told at all."""
        return class_of(event) in self.classes and (self.on_key_channels or self.on_event_channels)

    def of(self, event: str, db: int, key: bytes) -> list[tuple[bytes, bytes]]:
        """Channel and message of what is to be published for ``event`` on ``key``, in Redis' order."""
        told: list[tuple[bytes, bytes]] = []
        if class_of(event) in self.classes:
            name = event.encode()
            if self.on_key_channels:
                told.append((b"__keyspace@%d__:%b" % (db, key), name))
            if self.on_event_channels:
                told.append((b"__keyevent@%d__:%b" % (db, name), key))
        return told
