"""The values of one database: what each key holds, and which records are to be written for what has changed.

A change is made at once, and the names of the records it concerns are remembered; `take_records` then says what each of
them is *now*. So whatever a tick does to a name is one record, and no change has to say how it came about.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from respbroker.values.expiries import Expiries
from respbroker.values.kinds import MEMBERS, STRING, Hash, Members, SortedSet, Text, Value
from respbroker.values.records import (
    head_name,
    head_payload,
    member_name,
    parse_head,
    parse_name,
    words_of,
)

if TYPE_CHECKING:
    from respbroker.values.places import ValuePlaces


class ValueDatabase:
    """Owns ``keys``. ``number`` is that of the log which holds the records, 0 while there is none.

    ``order`` is a cache of a running SCAN, see `respbroker.streams.key_order`. Members that were read before the head
    of their key wait in ``_early``: a head is written anew when its expiry changes, and compaction keeps that one.
    """

    __slots__ = ("_early", "_expiries", "_heads", "_members", "_on_change", "_places", "keys", "number", "order")

    def __init__(self, places: ValuePlaces, on_change: Callable[[ValueDatabase], None], number: int = 0) -> None:
        self.keys: dict[bytes, Value] = {}
        self.number = number
        self.order: Any = None
        self._places = places
        self._on_change = on_change
        self._expiries = Expiries(self.keys)
        self._heads: dict[bytes, None] = {}
        self._members: dict[tuple[bytes, bytes], None] = {}
        self._early: dict[bytes, dict[bytes, bytes]] = {}

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def is_changed(self) -> bool:
        """Whether there are records to be written."""
        return bool(self._heads or self._members)

    @property
    def expires_count(self) -> int:
        """Keys with an expiry."""
        return sum(1 for value in self.keys.values() if value.expires_ms)

    def expired(self, now_ms: int, limit: int) -> list[bytes]:
        """Up to ``limit`` keys whose time has come."""
        return self._expiries.due(now_ms, limit)

    # -- changes -------------------------------------------------------------------------------------------------

    def set_text(self, key: bytes, data: bytes, expires_ms: int, now_ms: int) -> None:
        """The key holds this string, whatever it held before."""
        value = self.keys.get(key)
        if type(value) is Text:
            value.data, value.expires_ms, value.used_ms = data, expires_ms, now_ms
        elif value is None:
            self.keys[key] = Text(data, self._places.take(), expires_ms, now_ms)
        else:
            self._touch_members(key, value)
            self.keys[key] = Text(data, value.place, expires_ms, now_ms)
        if expires_ms:
            self._expiries.note(expires_ms, key)
        self._touch(key)

    def put_member(self, key: bytes, kind: bytes, member: bytes, payload: bytes, now_ms: int) -> None:
        """The member is in the key's value, which is of that kind, or new."""
        value = self.keys.get(key)
        if value is None:
            value = self.keys[key] = MEMBERS[kind](self._places.take())
            self._touch(key)
        assert not isinstance(value, Text)
        assert value.kind == kind
        value.used_ms = now_ms
        value.put(member, payload)
        self._touch_member(key, member)

    def remove_member(self, key: bytes, member: bytes) -> bool:
        """The member is gone, and with the last one the key; whether it was there."""
        value = self.keys.get(key)
        if value is None or isinstance(value, Text) or not value.has(member):
            return False
        value.discard(member)
        self._touch_member(key, member)
        if not any(True for _ in value.names()):
            del self.keys[key]
            self._touch(key)
        return True

    def set_expiry(self, key: bytes, expires_ms: int) -> None:
        """The key expires then; 0: never."""
        self.keys[key].expires_ms = expires_ms
        if expires_ms:
            self._expiries.note(expires_ms, key)
        self._touch(key)

    def remove(self, key: bytes) -> Value | None:
        """Take a key away; what it held."""
        value = self.keys.pop(key, None)
        if value is not None:
            self._touch_members(key, value)
            self._touch(key)
        return value

    def drop_strays(self) -> int:
        """Remove members that were read and whose key never came; how many."""
        strays = [(key, member) for key, members in self._early.items() for member in members]
        for key, member in strays:
            self._touch_member(key, member)
        self._early = {}
        return len(strays)

    def put(self, key: bytes, value: Value) -> None:
        """The key holds this value, which no other key has."""
        self.remove(key)
        self.keys[key] = value
        if value.expires_ms:
            self._expiries.note(value.expires_ms, key)
        self._touch(key)
        self._touch_members(key, value)

    def copy_of(self, value: Value, now_ms: int) -> Value:
        """The same under a place of its own."""
        return value.copy(self._places.take(), now_ms)

    def _touch(self, key: bytes) -> None:
        if not (self._heads or self._members):
            self._on_change(self)
        self._heads[key] = None

    def _touch_member(self, key: bytes, member: bytes) -> None:
        if not (self._heads or self._members):
            self._on_change(self)
        self._members[key, member] = None

    def _touch_members(self, key: bytes, value: Value) -> None:
        if not isinstance(value, Text):
            for member in value.names():
                self._touch_member(key, member)

    # -- records -------------------------------------------------------------------------------------------------

    def take_records(self) -> list[list[bytes]]:
        """The words of an entry for each name that was changed, heads before their members."""
        records = [words_of(head_name(key), self._head_of(key)) for key in self._heads]
        records += [words_of(member_name(*each), self._payload_of(*each)) for each in self._members]
        self.forget_changes()
        return records

    def forget_changes(self) -> None:
        """Nothing is to be written."""
        self._heads, self._members = {}, {}

    def _head_of(self, key: bytes) -> bytes | None:
        value = self.keys.get(key)
        if value is None:
            return None
        data = value.data if isinstance(value, Text) else b""
        return head_payload(value.kind, value.expires_ms, value.place, data)

    def _payload_of(self, key: bytes, member: bytes) -> bytes | None:
        value = self.keys.get(key)
        return None if value is None or isinstance(value, Text) else value.payload(member)

    def apply(self, name: bytes, payload: bytes | None, now_ms: int) -> bytes:
        """Change as a record says that is in the log; the key it is of. Raises ValueError."""
        key, member = parse_name(name)
        if member is not None:
            self._apply_member(key, member, payload)
        elif payload is None:
            self.keys.pop(key, None)
        else:
            self._apply_head(key, payload, now_ms)
        return key

    def _apply_head(self, key: bytes, payload: bytes, now_ms: int) -> None:
        kind, expires_ms, place, data = parse_head(payload)
        self._places.taken(place)
        value = self.keys.get(key)
        if kind == STRING:
            self.keys[key] = Text(data, place, expires_ms, now_ms)
        elif value is not None and value.kind == kind:
            value.expires_ms, value.place = expires_ms, place
        else:
            self.keys[key] = fresh = MEMBERS[kind](place, expires_ms, now_ms)
            for member, early in self._early.pop(key, {}).items():
                with suppress(ValueError):  # of what the key held before: another record of the member is to come
                    fresh.put(member, early)
        if expires_ms:
            self._expiries.note(expires_ms, key)

    def _apply_member(self, key: bytes, member: bytes, payload: bytes | None) -> None:
        value = self.keys.get(key)
        if isinstance(value, Hash | SortedSet):
            self._change_member(value, member, payload)
        elif payload is not None:
            self._early.setdefault(key, {})[member] = payload
        elif key in self._early:
            self._early[key].pop(member, None)

    @staticmethod
    def _change_member(value: Members, member: bytes, payload: bytes | None) -> None:
        if payload is None:
            value.discard(member)
        else:
            value.put(member, payload)
