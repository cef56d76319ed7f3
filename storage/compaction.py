"""Which records a compaction keeps, and which segments it rewrites. Pure.

At least the last entry of each key is kept. A *tombstone*, an entry that says that its key is gone, is kept like any
other until ``delete_retention_ms`` after its append, so that those who follow the log see it, and then goes itself.

Entries are *dirty* until they have been through a compaction once. Dirty ones are put into a map from key to the last
ordinal, in order: an entry that is replaced there is superseded. When the map is full the round ends there, and what
follows stays dirty until the next one. Then the clean ones before are looked up in it. So memory is bounded however
many keys there are, and each round gets further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Protocol

import attrs
from attrs.validators import and_, ge, le

#: Memory of one key in the map: the key's object, its ordinal, and its share of a dictionary that has just grown.
BYTES_PER_KEY = 224
_KEY_MAX = 32  # longer keys are told apart by 128 bits of a hash
_SHARE = and_(ge(0.0), le(1.0))
DAY_MS = 24 * 60 * 60 * 1000

#: From the payloads of neighbouring entries, and where each ends, their keys, and which of them are tombstones. An
#: entry without a key is None; it is kept for ever.
KeysOf = Callable[[memoryview, Sequence[int]], "tuple[Sequence[bytes | None], Iterable[int]]"]


class Marks(Protocol):
    """A set of ordinals."""

    def update(self, ordinals: Iterable[int], /) -> object:
        """Add them."""

    def range_cardinality(self, first: int, end: int, /) -> int:
        """How many of ``first ≤ ordinal < end`` are in it."""


@attrs.frozen
class CompactionConfig:
    """When and how much is compacted."""

    #: Share of the sealed bytes that must be dirty. (Kafka: min.cleanable.dirty.ratio)
    min_cleanable_dirty_ratio: float = attrs.field(default=0.5, validator=_SHARE)
    #: How long a tombstone stays after its append. (Kafka: delete.retention.ms)
    delete_retention_ms: int = attrs.field(default=DAY_MS, validator=ge(0))
    #: Memory for the map of keys, at most: 1 200 000 keys. (Kafka: log.cleaner.dedupe.buffer.size)
    map_bytes: int = attrs.field(default=256 << 20, validator=ge(BYTES_PER_KEY))
    #: A segment is rewritten when this share of its bytes is dead.
    min_dead_ratio: float = attrs.field(default=0.05, validator=_SHARE)

    @property
    def keys_max(self) -> int:
        return self.map_bytes // BYTES_PER_KEY


class Compaction:
    """One round: first all dirty entries in order, as many as the map takes, then the clean ones before them.

    Neither is told of entries that are gone already.
    """

    def __init__(self, dead: Marks, keys_max: int, tombstones_before_ms: int) -> None:
        """What is found to be superseded is added to ``dead``; and tombstones appended before that time."""
        self._dead = dead
        self._last: dict[bytes, int] = {}
        self._tombstones: dict[bytes, tuple[int, int]] = {}  # of dirty keys: ordinal, append time
        self._keys_max = keys_max
        self._before_ms = tombstones_before_ms
        #: Append time of the earliest tombstone that stays; None if none does.
        self.next_tombstone_ms: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether what is dirty must wait for the next round."""
        return len(self._last) + len(self._tombstones) >= self._keys_max

    @property
    def keys_count(self) -> int:
        return len(self._last)

    def add_dirty(
        self, ordinals: Sequence[int], keys: Sequence[bytes | None], tombstones: Iterable[int], append_ms: int
    ) -> None:
        """The next dirty entries; ``tombstones`` are places in ``keys``."""
        last = self._last
        before_of = last.get
        dead: list[int] = []
        for ordinal, key in zip(ordinals, keys, strict=True):
            if key is None:
                continue
            if len(key) > _KEY_MAX:
                key = digest(key)
            before = before_of(key)
            if before is not None:
                dead.append(before)
            last[key] = ordinal
        for place in tombstones:
            key = keys[place]
            assert key is not None
            self._tombstones[key if len(key) <= _KEY_MAX else digest(key)] = (ordinals[place], append_ms)
        if dead:
            self._dead.update(dead)

    def end_dirty(self) -> None:
        """No more dirty entries: what of the last ones is a tombstone goes if its time has come."""
        last = self._last
        left = [(ordinal, ms) for key, (ordinal, ms) in self._tombstones.items() if last[key] == ordinal]
        self._tombstones.clear()
        self._bury(left)

    def add_clean(
        self, ordinals: Sequence[int], keys: Sequence[bytes | None], tombstones: Iterable[int], append_ms: int
    ) -> None:
        """Entries from before the first dirty one, in any order."""
        last = self._last
        dead: list[int] = []
        for ordinal, key in zip(ordinals, keys, strict=True):
            if key is not None and (key in last or (len(key) > _KEY_MAX and digest(key) in last)):
                dead.append(ordinal)
        if dead:
            self._dead.update(dead)
        gone = set(dead)
        left = [ordinals[place] for place in tombstones]
        self._bury([(ordinal, append_ms) for ordinal in left if ordinal not in gone])

    def _bury(self, tombstones: Sequence[tuple[int, int]]) -> None:
        before_ms = self._before_ms
        self._dead.update([ordinal for ordinal, ms in tombstones if ms < before_ms])
        for _, ms in tombstones:
            if ms >= before_ms and (self.next_tombstone_ms is None or ms < self.next_tombstone_ms):
                self.next_tombstone_ms = ms


def digest(key: bytes) -> bytes:
    """What stands for a long key: longer than any short one, so never equal to one."""
    return bytes(_KEY_MAX - 15) + blake2b(key, digest_size=16).digest()


@attrs.frozen
class Dead:
    """Of a sealed segment: its bytes, and how many of them are of entries that are gone."""

    size: int
    dead: int
    #: Whether it may become one with the segment before it.
    joins: bool = True
    #: Whether reading it costs more than it would if its batches were merged.
    small_batches: bool = False


def groups(segments: Sequence[Dead], segment_bytes: int, min_dead_ratio: float) -> list[range]:
    """Which neighbours to rewrite as one, by their places; what is in no group stays as it is.

    A group is rewritten if much of one of its segments is dead, or if it makes a small segment of several.
    """
    found: list[range] = []
    start = 0
    while start < len(segments):
        end, left = start, 0
        while end < len(segments):
            size = segments[end].size - segments[end].dead
            if end > start and (left + size > segment_bytes or not segments[end].joins):
                break
            left += size
            end += 1
        group = segments[start:end]
        is_worth = any(each.small_batches or each.dead > each.size * min_dead_ratio for each in group)
        if is_worth or (len(group) > 1 and left * 2 <= segment_bytes):
            found.append(range(start, end))
        start = end
    return found
