"""A partition seen as a stream: its entries, length, groups and the changes staged for the next append.

What a tick appends or changes is visible at once to later requests of the same tick: entries wait in three parallel
lists behind the log's end, effects in a fourth, and `flush` turns all of it into one write. State changes only
through `effects.apply`; the methods named by verbs here decide what the effect is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any

import msgpack

from respbroker.streams import effects
from respbroker.streams.deletions import Deletions
from respbroker.streams.effects import Effect
from respbroker.streams.group import Group
from respbroker.streams.idmp import IdempotencyMaps
from respbroker.streams.journal import Part
from storage import Log

Id = tuple[int, int]
Range = tuple[int, int]  # ordinals, half-open
ZERO: Id = (0, 0)
Buffer = bytes | memoryview
_SNAPSHOT_VERSION = 1


class Stream:
    """One stream. The log and the staged lists hold its entries; everything else is state rebuilt from effects.

    ``first_ordinal <= live entries < end_ordinal``; ``deletions`` lie in between. ``last_id`` is the last generated
    ID, of an entry that may be gone. ``entries_added`` is ``end_ordinal + added_bias`` (XSETID may set it at will).
    ``node_origin`` is where the grid of nodes begins that ``~`` trims by. ``recent_ids`` is a cache of XACK.
    ``detached`` keeps the IDs of pending entries whose segment was dropped. ``snapshot_mark`` tells of the last
    snapshot its offset, and ``first_ordinal`` as it was then.
    """

    __slots__ = (
        "_acks",
        "_acks_group",
        "_effects",
        "_ms",
        "_on_dirty",
        "_payloads",
        "_seqs",
        "_staged_from",
        "added_bias",
        "db",
        "deletions",
        "detached",
        "end_ordinal",
        "first_ordinal",
        "groups",
        "idmp",
        "is_dirty",
        "key",
        "last_id",
        "log",
        "max_deleted_id",
        "node_origin",
        "number",
        "recent_ids",
        "snapshot_due",
        "snapshot_mark",
    )

    def __init__(
        self,
        db: int,
        key: bytes,
        number: int,
        log: Log,
        idmp_defaults: tuple[int, int],
        on_dirty: Callable[[Stream], None],
    ) -> None:
        self.db, self.key, self.number, self.log = db, key, number, log
        self._on_dirty = on_dirty
        self.groups: dict[bytes, Group] = {}
        self.deletions = Deletions()
        self.idmp = IdempotencyMaps(*idmp_defaults)
        self.detached: dict[int, Id] = {}
        self.first_ordinal = 0
        self.added_bias = 0
        self.node_origin = 0
        self.recent_ids: Any = None
        self.last_id: Id = ZERO
        self.max_deleted_id: Id = ZERO
        self.snapshot_due = 0
        self.snapshot_mark = 0, 0
        self._ms: list[int] = []
        self._seqs: list[int] = []
        self._payloads: list[bytes] = []
        self._effects: list[bytes] = []
        self._acks: list[int] = []
        self._acks_group: bytes | None = None
        self.is_dirty = False
        self._restore()
        self._staged_from = self.end_ordinal

    # -- questions -------------------------------------------------------------------------------------------

    @property
    def length(self) -> int:
        """Live entries (XLEN)."""
        return self.end_ordinal - self.first_ordinal - len(self.deletions)

    @property
    def entries_added(self) -> int:
        return self.end_ordinal + self.added_bias

    @property
    def highest_id(self) -> Id:
        """The ID of the last entry that is stored, live or not: what is appended next must be above it."""
        return (self._ms[-1], self._seqs[-1]) if self._ms else self.log.last_id or ZERO

    def is_live(self, ordinal: int) -> bool:
        return self.first_ordinal <= ordinal < self.end_ordinal and ordinal not in self.deletions

    def ordinal_of(self, entry_id: Id) -> int:
        """The first ordinal in ``[first_ordinal, end_ordinal]`` whose ID is at or behind ``entry_id``."""
        if entry_id > self.last_id:
            return self.end_ordinal
        if self._ms:
            low = bisect_left(self._ms, entry_id[0])
            high = bisect_left(self._ms, entry_id[0] + 1, low)
            place = bisect_left(self._seqs, entry_id[1], low, high)
            if place:
                return self._staged_from + place
        return max(self.log.ordinal_of(entry_id), self.first_ordinal)

    def find_live(self, entry_id: Id) -> int | None:
        """The ordinal of the live entry with that ID."""
        ordinal = self.find_stored(entry_id)
        return ordinal if ordinal is not None and self.is_live(ordinal) else None

    def find_stored(self, entry_id: Id) -> int | None:
        """The ordinal of an entry with that ID that is, or was, here, as long as its ID is known."""
        if self._ms and entry_id >= (self._ms[0], self._seqs[0]):
            ordinal = self.ordinal_of(entry_id)
            return ordinal if ordinal < self.end_ordinal and self.id_at(ordinal) == entry_id else None
        found = self.log.find(entry_id)
        if found is None and self.detached:
            return next((o for o, known in self.detached.items() if known == entry_id), None)
        return found

    def id_at(self, ordinal: int) -> Id:
        """The ID of an entry that is, or was, here."""
        if ordinal >= self._staged_from:
            place = ordinal - self._staged_from
            return self._ms[place], self._seqs[place]
        if self.detached and ordinal < self.log.first_ordinal:
            return self.detached[ordinal]
        return self.log.id_at(ordinal)

    def ids(self, first: int, end: int) -> list[Id]:
        """The IDs of ``[first, end)``, which must be stored or staged."""
        known: list[Id] = []
        if first < self._staged_from:
            known.extend(zip(*self.log.ids(first, min(end, self._staged_from)), strict=True))
        if end > self._staged_from:
            low = max(first - self._staged_from, 0)
            high = end - self._staged_from
            known.extend(zip(self._ms[low:high], self._seqs[low:high], strict=True))
        return known

    def first_live(self) -> int | None:
        """The ordinal of the first live entry."""
        first = self.deletions.next_live(self.first_ordinal) if self.deletions else self.first_ordinal
        return first if first < self.end_ordinal else None

    def last_live(self) -> int | None:
        """The ordinal of the last live entry."""
        last = self.deletions.previous_live(self.end_ordinal - 1) if self.deletions else self.end_ordinal - 1
        return last if last >= self.first_ordinal else None

    def live_ranges(self, first: int, end: int, count: int | None = None) -> list[Range]:
        """The first ``count`` live entries of ``[first, end)`` as ranges of ordinals, in order."""
        first, end = max(first, self.first_ordinal), min(end, self.end_ordinal)
        if first >= end or count == 0:
            return []
        if not self.deletions:
            return [(first, end if count is None else min(end, first + count))]
        ranges: list[Range] = []
        for low, high in self.deletions.live_ranges(first, end):
            if count is not None:
                high = min(high, low + count)
                count -= high - low
            ranges.append((low, high))
            if count == 0:
                break
        return ranges

    def last_live_ranges(self, first: int, end: int, count: int | None = None) -> list[Range]:
        """The last ``count`` live entries of ``[first, end)`` as ranges of ordinals, still in rising order."""
        first, end = max(first, self.first_ordinal), min(end, self.end_ordinal)
        if first >= end or count == 0:
            return []
        if count is None:
            return self.live_ranges(first, end)
        if not self.deletions:
            return [(max(first, end - count), end)]
        start = self.deletions.nth_live_before(end, count, first)
        return self.live_ranges(start, end)

    def payloads(self, ranges: Iterable[Range]) -> list[Buffer]:
        """The entries of these ranges as they go out in a reply, as few buffers as it costs nothing to have."""
        pieces: list[Buffer] = []
        for first, end in ranges:
            if first < self._staged_from:
                pieces.extend(self.log.read(first, min(end, self._staged_from)))
            if end > self._staged_from:
                low = max(first - self._staged_from, 0)
                pieces.append(b"".join(self._payloads[low : end - self._staged_from]))
        return pieces

    def payloads_some(self, first: int, end: int, bytes_max: int) -> tuple[list[Buffer], int]:
        """The entries from ``first`` on, about ``bytes_max`` of them or up to ``end``; and where they stop."""
        staged_from = self._staged_from
        if first < staged_from:
            return self.log.read_some(first, min(end, staged_from), bytes_max)
        return [b"".join(self._payloads[first - staged_from : end - staged_from])], end

    def payloads_each(self, ranges: Iterable[Range]) -> list[bytes]:
        """The same, one ``bytes`` an entry."""
        entries: list[bytes] = []
        for first, end in ranges:
            if first < self._staged_from:
                entries.extend(self.log.read_each(first, min(end, self._staged_from)))
            if end > self._staged_from:
                entries.extend(self._payloads[max(first - self._staged_from, 0) : end - self._staged_from])
        return entries

    def sizes(self, first: int, end: int) -> list[int]:
        """Bytes of each entry's payload in ``[first, end)``."""
        sizes: list[int] = []
        if first < self._staged_from:
            sizes.extend(self.log.sizes(first, min(end, self._staged_from)))
        if end > self._staged_from:
            low = max(first - self._staged_from, 0)
            sizes.extend(map(len, self._payloads[low : end - self._staged_from]))
        return sizes

    # -- changes ---------------------------------------------------------------------------------------------

    def append(self, entry_id: Id, payload: bytes) -> None:
        """Stage an entry; its ID is above ``last_id``."""
        self._ms.append(entry_id[0])
        self._seqs.append(entry_id[1])
        self._payloads.append(payload)
        self.last_id = entry_id
        self.end_ordinal += 1
        if not self.is_dirty:
            self.is_dirty = True
            self._on_dirty(self)

    def extend(self, ms: int, first_seq: int, payloads: Sequence[bytes]) -> None:
        """Stage entries with the IDs ``ms-first_seq``, ``ms-(first_seq + 1)``, ..., all above ``last_id``."""
        count = len(payloads)
        self._ms += [ms] * count
        self._seqs += range(first_seq, first_seq + count)
        self._payloads += payloads
        self.last_id = (ms, first_seq + count - 1)
        self.end_ordinal += count
        if not self.is_dirty:
            self.is_dirty = True
            self._on_dirty(self)

    def commit(self, effect: Effect) -> None:
        """Apply an effect and stage it."""
        effects.apply(self, effect)
        if self._acks:
            self._close_acks()
        self._effects.append(effects.pack(effect))
        if not self.is_dirty:
            self.is_dirty = True
            self._on_dirty(self)

    def acknowledge(self, group: Group, ordinals: Sequence[int]) -> int:
        """Take entries off the pending list of ``group``; how many were on it.

        Neighbouring acknowledgements of one group in one tick become one effect.
        """
        removed = group.pending.acknowledge(ordinals)
        if removed:
            self._stage_acks(group, ordinals)
        return removed

    def acknowledge_each(self, group: Group, ordinals: Sequence[int | None]) -> list[int]:
        """The same one by one: 1 for each that was on the list, else 0; None was not."""
        removed = group.pending.acknowledge_each(ordinals)
        if any(removed):
            self._stage_acks(group, compress(ordinals, removed))  # type: ignore[arg-type]  # reason: None was not removed
        return removed

    def _stage_acks(self, group: Group, ordinals: Iterable[int]) -> None:
        if self._acks_group is not group.name:
            self._close_acks()
            self._acks_group = group.name
        self._acks.extend(ordinals)
        if not self.is_dirty:
            self.is_dirty = True
            self._on_dirty(self)

    def trim(self, first_ordinal: int) -> None:
        """Everything below ``first_ordinal`` is gone."""
        self.commit([effects.TRIMMED, first_ordinal, first_ordinal >= self.end_ordinal])

    def delete(self, ordinals: Sequence[int]) -> None:
        """These live entries, in any order, are gone. A dead front is trimmed away."""
        self.remove(ordinals, max(self.max_deleted_id, self.id_at(max(ordinals))))

    def remove(self, ordinals: Sequence[int], max_deleted_id: Id | None = None) -> None:
        """The same, but trimming does not count as deleting: ``max_deleted_id`` stays unless given."""
        self.commit([effects.DELETED, _as_ranges(sorted(ordinals)), *(max_deleted_id or self.max_deleted_id)])
        first = self.deletions.next_live(self.first_ordinal)
        if first > self.first_ordinal:
            self.trim(min(first, self.end_ordinal))

    def _detach(self) -> None:
        """Remember the IDs of pending entries that are trimmed away, for their segments may go."""
        pending = (each for group in self.groups.values() for each, *_ in group.pending.iterate(0, self.first_ordinal))
        self.detached = {ordinal: self.id_at(ordinal) for ordinal in pending}

    # -- the log behind it -------------------------------------------------------------------------------------

    def flush(self, now_ms: int) -> None:
        """Append what is staged: one write.

        Raises:
            StorageError: nothing was written; the caller must `reload`.
        """
        if self._acks:
            self._close_acks()
        self.log.append(self._ms, self._seqs, self._payloads, self._effects, now_ms=now_ms)
        self._forget_staged()

    def staged(self) -> Part:
        """What `flush` will append, for the journal."""
        if self._acks:
            self._close_acks()
        return Part(self.number, self.log.end_offset, self._ms, self._seqs, self._payloads, self._effects)

    def reload(self) -> None:
        """Forget memory, staged changes too, and recover the state from the log."""
        self.groups.clear()
        self.deletions = Deletions()
        self.idmp = IdempotencyMaps(*self.idmp.defaults)
        self.detached.clear()
        self.first_ordinal = self.added_bias = self.node_origin = 0
        self.recent_ids = None
        self.last_id = self.max_deleted_id = ZERO
        self._restore()
        self._forget_staged()

    def snapshot(self) -> bytes:
        """The state behind the log at its end, for `_restore`; nothing may be staged."""
        assert not self.is_dirty
        self._detach()
        return msgpack.packb(  # type: ignore[no-any-return]
            [
                _SNAPSHOT_VERSION,
                self.first_ordinal,
                self.node_origin,
                self.added_bias,
                self.last_id,
                self.max_deleted_id,
                self.deletions.dump(),
                self.idmp.dump(),
                [group.dump() for group in self.groups.values()],
                list(self.detached.items()),
            ],
            use_bin_type=True,
        )

    def _restore(self) -> None:
        """Newest snapshot, then the control records behind it, then the IDs of data behind that."""
        newest = self.log.newest_snapshot()
        self.end_ordinal = self.log.end_ordinal
        offset = self.log.start_offset
        if newest is not None:
            offset, state = newest
            self._load(msgpack.unpackb(state, use_list=True, raw=False, strict_map_key=False))
            self.snapshot_mark = offset, self.first_ordinal
        for _, _, wire in self.log.controls(offset):
            effects.apply(self, effects.unpack(wire))
        if self.log.last_id is not None:
            self.last_id = max(self.last_id, self.log.last_id)

    def _load(self, state: list[Any]) -> None:
        version, self.first_ordinal, self.node_origin, self.added_bias, *rest = state
        assert version == _SNAPSHOT_VERSION, f"snapshot version {version}"
        last_id, max_deleted, deletions, idmp, groups, detached = rest
        self.last_id, self.max_deleted_id = tuple(last_id), tuple(max_deleted)
        self.deletions = Deletions.load(deletions)
        self.idmp = IdempotencyMaps.load(idmp)
        self.groups = {group.name: group for group in map(Group.load, groups)}
        self.detached = {ordinal: tuple(entry_id) for ordinal, entry_id in detached}

    def _close_acks(self) -> None:
        if self._acks:
            self._effects.append(effects.pack([effects.ACKNOWLEDGED, self._acks_group, self._acks]))
            self._acks = []
        self._acks_group = None

    def _forget_staged(self) -> None:
        self._ms, self._seqs, self._payloads = [], [], []
        self._effects, self._acks = [], []
        self._acks_group = None
        self._staged_from = self.end_ordinal = self.log.end_ordinal
        self.is_dirty = False


def _as_ranges(ordinals: Sequence[int]) -> list[list[int]]:
    """Rising ordinals as half-open ranges."""
    ranges: list[list[int]] = []
    for ordinal in ordinals:
        if ranges and ranges[-1][1] == ordinal:
            ranges[-1][1] = ordinal + 1
        else:
            ranges.append([ordinal, ordinal + 1])
    return ranges
