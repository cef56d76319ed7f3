"""A topic of several partitions: streams that share one order of IDs.

IDs rise over the whole topic, in the order of appending, so a reader who goes on behind the last ID it saw misses
nothing, whatever partition the next entry is in. The sequence number of an ID is congruent to its partition modulo
4096, so the ID alone tells where an entry is. A topic that grew out of a plain stream has IDs from before: all of them
are in partition 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64_intdigest

from respbroker.errors import IdsExhausted
from respbroker.model.stream_id import U64_MAX
from respbroker.model.topic_settings import PARTITIONS_MAX, TopicSettings
from respbroker.streams.stream import Id, Stream
from respbroker.streams.stream_entries import ZERO

if TYPE_CHECKING:
    from respbroker.streams.topic_group import TopicGroup

STRIDE: Final = PARTITIONS_MAX


class Topic:
    """One topic while it is open. ``partitions`` are its streams by number; their ``topic`` is this.

    ``last_id`` is the highest ID given out in any partition. IDs up to ``plain_until`` are all in partition 0.
    ``groups`` are those at work: somebody has read for them. ``key_field`` is the setting, empty for none; ``guarded``
    says that an XADD is not just appended.
    """

    __slots__ = (
        "_settings",
        "_sticky",
        "_sticky_tick",
        "_trim_room",
        "db",
        "fronts",
        "groups",
        "guarded",
        "key_field",
        "last_id",
        "name",
        "partitions",
        "plain_until",
    )

    def __init__(
        self, db: int, name: bytes, settings: TopicSettings, plain_until: Id, partitions: Sequence[Stream]
    ) -> None:
        self.db, self.name, self.settings, self.plain_until = db, name, settings, plain_until
        self.partitions: list[Stream] = []
        self.groups: dict[bytes, TopicGroup] = {}
        self.last_id: Id = ZERO
        self._sticky, self._sticky_tick = -1, -1
        self._trim_room = 0, 0, 0, 0
        #: Cache of trimming: of each partition the ordinal and the ID of its first live entry.
        self.fronts: list[tuple[int, Id]] = []
        for stream in partitions:
            self.add(stream)

    @property
    def settings(self) -> TopicSettings:
        return self._settings

    @settings.setter
    def settings(self, settings: TopicSettings) -> None:
        self._settings = settings
        self.key_field = settings.key_field_bytes
        self.guarded = settings.guards_appends

    def add(self, stream: Stream) -> None:
        """One more partition, behind the others."""
        stream.topic, stream.partition = self, len(self.partitions)
        stream.settings = self.settings
        self.partitions.append(stream)
        self.last_id = max(self.last_id, stream.last_id)

    def replace(self, index: int, stream: Stream) -> None:
        """Another stream takes the place of a partition."""
        stream.topic, stream.partition, stream.settings = self, index, self.settings
        self.partitions[index] = stream
        self.last_id = max(self.last_id, stream.last_id)
        self.forget_fronts()

    def forget_fronts(self) -> None:
        """A partition is not what it was: what trimming remembers may be wrong."""
        self.fronts.clear()
        self._trim_room = 0, 0, 0, 0

    @property
    def is_ordered(self) -> bool:
        """Whether each partition belongs to one consumer of a group at a time."""
        return self.settings.group_mode != "shared"

    @property
    def length(self) -> int:
        """Live entries."""
        return sum(stream.length for stream in self.partitions)

    @property
    def _appended(self) -> int:
        """How many entries were appended; less after a partition was replaced."""
        return sum(stream.end_ordinal for stream in self.partitions)

    def has_trim_room(self, maxlen: int, node_entries: int) -> bool:
        """Whether trimming to about ``maxlen`` entries cannot take any yet."""
        of_maxlen, of_node_entries, since, until = self._trim_room
        return maxlen == of_maxlen and node_entries == of_node_entries and since <= self._appended < until

    def set_trim_room(self, maxlen: int, node_entries: int, count: int) -> None:
        """So many entries are to be appended before trimming to about ``maxlen`` can take any more."""
        since = self._appended
        self._trim_room = maxlen, node_entries, since, since + count

    # -- where an entry is, or goes ------------------------------------------------------------------------------

    def partition_of(self, entry_id: Id) -> Stream | None:
        """The partition in which an entry with that ID is, if it is anywhere."""
        if entry_id <= self.plain_until:
            return self.partitions[0]
        index = entry_id[1] % STRIDE
        return self.partitions[index] if index < len(self.partitions) else None

    def index_of_key(self, key: bytes) -> int:
        """The partition of all entries with that key."""
        return xxh3_64_intdigest(key) % len(self.partitions)

    def indexes_of_keys(self, keys: Iterable[bytes]) -> list[int]:
        """The same for each of several. Raises TypeError where one is none."""
        count = len(self.partitions)
        return [digest % count for digest in map(xxh3_64_intdigest, keys)]

    def sticky(self, tick: int) -> int:
        """The partition of entries without a key: one for a whole tick, so that they make one batch, then the next."""
        if tick != self._sticky_tick:
            self._sticky_tick = tick
            self._sticky = (self._sticky + 1) % len(self.partitions)
        return self._sticky

    # -- IDs -----------------------------------------------------------------------------------------------------

    def next_id(self, index: int, now_ms: int) -> Id:
        """Give out the next ID of partition ``index``.

        Raises:
            IdsExhausted: there is none behind the last one.
        """
        ms, seq = self.last_id
        if now_ms > ms:
            ms, seq = now_ms, index
        else:
            seq = next_sequence(seq, index)
            if seq > U64_MAX:
                if ms == U64_MAX:
                    raise IdsExhausted
                ms, seq = ms + 1, index
        self.last_id = ms, seq
        return ms, seq

    def take_id(self, entry_id: Id) -> None:
        """An ID above ``last_id`` was chosen by a client."""
        self.last_id = entry_id


def next_sequence(seq: int, index: int) -> int:
    """The lowest number above ``seq`` that tells partition ``index``."""
    return seq + 1 + (index - seq - 1) % STRIDE
