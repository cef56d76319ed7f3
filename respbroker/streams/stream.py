"""A partition seen as a stream: its entries, length, groups and the changes staged for the next append.

What a tick appends or changes is visible at once to later requests of the same tick: entries wait in three parallel
lists behind the log's end, effects in a fourth, and `flush` turns all of it into one write. State changes only
through `effects.apply`; the methods named by verbs here decide what the effect is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgpack
from sortedcontainers import SortedDict

from respbroker.model.topic_settings import DEFAULTS, TopicSettings
from respbroker.streams import effects
from respbroker.streams.compacted import NEVER, Compacted
from respbroker.streams.deletions import Deletions
from respbroker.streams.effects import Effect
from respbroker.streams.group import Group
from respbroker.streams.idmp import IdempotencyMaps
from respbroker.streams.journal import Part
from respbroker.streams.runs import as_range
from respbroker.streams.stream_entries import ZERO, Id, Range, StreamEntries
from storage import Log

if TYPE_CHECKING:
    from respbroker.streams.topic import Topic

_SNAPSHOT_VERSION = 2  # since 2 `compacted` is the last value
#: What most streams have; never added to.
NOTHING_DETACHED: Final = SortedDict()

__all__ = ["Id", "Range", "Stream"]


class Stream(StreamEntries):
    """One stream. The log and the staged lists hold its entries; everything else is state rebuilt from effects.

    ``first_ordinal <= live entries < end_ordinal``; ``deletions`` lie in between. ``last_id`` is the last generated
    ID, of an entry that may be gone. ``entries_added`` is ``end_ordinal + added_bias`` (XSETID may set it at will).
    ``node_origin`` is where the grid of nodes begins that ``~`` trims by. ``recent_ids`` is a cache of XACK.
    ``detached`` keeps the IDs of pending entries whose segment was dropped. ``snapshot_mark`` tells of the last
    snapshot its offset, and ``first_ordinal`` as it was then. ``topic`` is the topic of several partitions whose number
    ``partition`` this is, None for a stream by itself. ``guarded`` says that an XADD is not just appended: its topic
    lingers or has a schema. Since it was opened, ``dead_letters`` were sent, and groups lost ``unread_lost`` entries
    by retention before they had read them.
    """

    __slots__ = (
        "_acks",
        "_acks_group",
        "_effects",
        "_ms",
        "_on_dirty",
        "_payloads",
        "_seqs",
        "_settings",
        "_staged_from",
        "added_bias",
        "compacted",
        "db",
        "dead_letters",
        "deletions",
        "detached",
        "end_ordinal",
        "first_ordinal",
        "groups",
        "guarded",
        "idmp",
        "is_dirty",
        "key",
        "last_id",
        "log",
        "max_deleted_id",
        "node_origin",
        "number",
        "partition",
        "recent_ids",
        "snapshot_due",
        "snapshot_mark",
        "topic",
        "unread_lost",
    )

    def __init__(
        self,
        db: int,
        key: bytes,
        number: int,
        log: Log,
        idmp_defaults: tuple[int, int],
        on_dirty: Callable[[Stream], None],
        settings: TopicSettings = DEFAULTS,
    ) -> None:
        self.db, self.key, self.number, self.log = db, key, number, log
        self.settings = settings
        self.topic: Topic | None = None
        self.partition = 0
        self.dead_letters = 0
        self.unread_lost = 0
        self._on_dirty = on_dirty
        self.groups: dict[bytes, Group] = {}
        self.deletions = Deletions()
        self.idmp = IdempotencyMaps(*idmp_defaults)
        self.detached: SortedDict[int, Id] = NOTHING_DETACHED
        self.first_ordinal = 0
        self.added_bias = 0
        self.node_origin = 0
        self.recent_ids: Any = None
        self.compacted = NEVER
        self.last_id: Id = ZERO
        self.max_deleted_id: Id = ZERO
        self.snapshot_due = 0
        self.snapshot_mark = 0, 0
        self._ms: list[int] = []
        self._seqs: list[int] = []
        self._payloads: list[bytes] = []
        self._effects: list[bytes] = []
        self._acks: list[int] = []  # what was acknowledged in `_acks_group`: first, how many, first, how many, ...
        self._acks_group: bytes | None = None
        self.is_dirty = False
        self._restore()
        self._staged_from = self.end_ordinal

    @property
    def settings(self) -> TopicSettings:
        """The topic's settings; the defaults for a stream that XTOPIC never spoke of."""
        return self._settings

    @settings.setter
    def settings(self, settings: TopicSettings) -> None:
        self._settings = settings
        self.guarded = settings.guards_appends

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

    def extend_by_columns(self, ms: int, seqs: list[int], payloads: list[bytes]) -> None:
        """Stage entries with the IDs ``ms-seqs[0]``, ``ms-seqs[1]``, ..., rising and above ``last_id``.

        The lists are the stream's from then on.
        """
        count = len(payloads)
        if self._payloads:
            self._ms += [ms] * count
            self._seqs += seqs
            self._payloads += payloads
        else:
            self._ms, self._seqs, self._payloads = [ms] * count, seqs, payloads
        self.last_id = (ms, seqs[-1])
        self.end_ordinal += count
        if not self.is_dirty:
            self.is_dirty = True
            self._on_dirty(self)

    def commit(self, effect: Effect) -> None:
        """Apply an effect and stage it."""
        effects.apply(self, effect)
        if self._acks_group is not None:
            self._close_acks()
        self._effects.append(effects.pack(effect))
        if not self.is_dirty:
            self.is_dirty = True
            self._on_dirty(self)

    def acknowledge(self, group: Group, ordinals: Sequence[int]) -> int:
        """Take entries off the pending list of ``group``; how many were on it.

        Neighbouring acknowledgements of one group in one tick become one effect.
        """
        ordinals = as_range(ordinals) or ordinals
        removed = group.pending.acknowledge(ordinals)
        if removed:
            self._stage_acks(group, ordinals)
        return removed

    def acknowledge_one(self, group: Group, ordinal: int) -> int:
        """The same for one entry."""
        removed = group.pending.acknowledge_one(ordinal)
        if removed:
            self._stage_acks(group, (ordinal,))
        return removed

    def acknowledge_each(self, group: Group, ordinals: Sequence[int | None]) -> list[int]:
        """The same one by one: 1 for each that was on the list, else 0; None was not."""
        removed = group.pending.acknowledge_each(ordinals)
        if any(removed):
            if isinstance(ordinals, range):  # perhaps some that were not on the list: they do no harm
                self._stage_acks(group, ordinals)
            else:
                self._stage_acks(group, [each for each in compress(ordinals, removed) if each is not None])
        return removed

    def _stage_acks(self, group: Group, ordinals: Sequence[int]) -> None:
        if self._acks_group is not group.name:
            self._close_acks()
            self._acks_group = group.name
        acks = self._acks
        if len(ordinals) == 1 or isinstance(ordinals, range):
            if acks and acks[-2] + acks[-1] == ordinals[0]:
                acks[-1] += len(ordinals)
            else:
                acks += ordinals[0], len(ordinals)
        else:
            spans = [1] * (2 * len(ordinals))
            spans[::2] = ordinals
            acks += spans
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
        self._trim_dead_front()

    def compact(self, superseded: bytes, end_ordinal: int, next_tombstone_ms: int | None, time_ms: int) -> None:
        """Entries whose key has a later one are gone, as a compaction found out; nobody deleted them."""
        self.commit([effects.COMPACTED, superseded, end_ordinal, next_tombstone_ms, time_ms])
        self._trim_dead_front()

    def _trim_dead_front(self) -> None:
        first = self.deletions.next_live(self.first_ordinal)
        if first > self.first_ordinal:
            self.trim(min(first, self.end_ordinal))

    def _detach(self) -> None:
        """Remember the IDs of pending entries that are trimmed away, for their segments may go."""
        pending = (each for group in self.groups.values() for each, *_ in group.pending.iterate(0, self.first_ordinal))
        self.detached = SortedDict((ordinal, self.id_at(ordinal)) for ordinal in pending) or NOTHING_DETACHED

    # -- the log behind it -------------------------------------------------------------------------------------

    def flush(self, now_ms: int) -> None:
        """Append what is staged: one write.

        Raises:
            StorageError: nothing was written; the caller must `reload`.
        """
        if self._acks_group is not None:
            self._close_acks()
        if len(self._payloads) == 1 and not self._effects:  # with many streams nearly always
            self.log.append_one(self._ms[0], self._seqs[0], self._payloads[0], now_ms)
            self._ms.clear()
            self._seqs.clear()
            self._payloads.clear()
            self._staged_from += 1
            self.is_dirty = False
            return
        self.log.append(self._ms, self._seqs, self._payloads, self._effects, now_ms=now_ms)
        self._forget_staged()

    def replicate(self, raw: bytes, *, roll: bool) -> None:
        """Append a leader's batches as they are, and change as they say. Nothing may be staged.

        Raises:
            StorageError: nothing was written.
        """
        found = self.log.append_batches(raw, roll=roll)
        self._staged_from = self.end_ordinal = self.log.end_ordinal
        for each in found:
            effects.apply(self, effects.unpack(each.effect))
        self._take_last_id()
        if self.topic is not None:
            self.topic.last_id = max(self.topic.last_id, self.last_id)
            self.topic.forget_fronts()

    def staged(self) -> Part:
        """What `flush` will append, for the journal."""
        if self._acks_group is not None:
            self._close_acks()
        return Part(self.number, self.log.end_offset, self._ms, self._seqs, self._payloads, self._effects)

    def reload(self) -> None:
        """Forget memory, staged changes too, and recover the state from the log."""
        self.groups.clear()
        self.deletions = Deletions()
        self.idmp = IdempotencyMaps(*self.idmp.defaults)
        self.detached = NOTHING_DETACHED
        self.first_ordinal = self.added_bias = self.node_origin = 0
        self.recent_ids = None
        self.compacted = NEVER
        self.last_id = self.max_deleted_id = ZERO
        self._restore()
        self._forget_staged()
        if self.topic is not None:
            self.topic.forget_fronts()

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
                attrs.astuple(self.compacted),
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
        self._take_last_id()

    def _take_last_id(self) -> None:
        """Entries were appended: the last ID is that of the last one, unless it was set to a higher one."""
        if self.log.last_id is not None:
            self.last_id = max(self.last_id, self.log.last_id)

    def _load(self, state: list[Any]) -> None:
        version, self.first_ordinal, self.node_origin, self.added_bias, *rest = state
        assert 1 <= version <= _SNAPSHOT_VERSION, f"snapshot version {version}"
        last_id, max_deleted, deletions, idmp, groups, detached, *later = rest
        self.compacted = Compacted(*later[0]) if later else NEVER
        self.last_id, self.max_deleted_id = tuple(last_id), tuple(max_deleted)
        self.deletions = Deletions.load(deletions)
        self.idmp = IdempotencyMaps.load(idmp)
        self.groups = {group.name: group for group in map(Group.load, groups)}
        self.detached = SortedDict((o, tuple(i)) for o, i in detached) if detached else NOTHING_DETACHED

    def _close_acks(self) -> None:
        if self._acks:
            self._effects.append(effects.pack([effects.ACKNOWLEDGED_SPANS, self._acks_group, self._acks]))
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
