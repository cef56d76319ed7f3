"""Retention on a node: every stream that has one, those too that nobody has used since the start.

Open streams are looked at every `ROUND_SECONDS`. Closed ones are opened a few at a time for a look, and closed again;
one that has nothing to give up is left alone until it may have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from respbroker.errors import quoted
from respbroker.streams.retention import Loss, apply_retention, due_ms
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.streams.catalog import KeyEntry
    from respbroker.streams.stream import Stream

ROUND_SECONDS: Final = 10.0
#: Closed streams that one call opens, and looks at: it runs ten times a second, between the requests of clients.
OPENED_AT_ONCE: Final = 10
LOOKED_AT_ONCE: Final = 1000
NEVER: Final = 1 << 64

Limits = tuple[int | None, int | None]  # retention.ms, retention.bytes
Leaf = tuple[int, bytes, int]  # database, key, number of the partition


class Retention:
    """Owns the walk over the closed streams, and what is known of when they must be looked at."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._leaves: list[Leaf] = []  # still to be looked at, the next one last
        self._walk_at = node.now
        #: By number of a closed stream: when to look at it, and under which limits that was worked out.
        self._due: dict[int, tuple[int, Limits]] = {}

    def apply(self, stream: Stream) -> None:
        """Trim one open stream with nothing staged. Raises StorageError."""
        node = self._node
        if node.durability.refusal:  # the trim could not be written
            return
        losses = apply_retention(stream, node.now_ms)
        if losses is not None:
            node.changed(stream.key, "xtrim", stream.db)
            for loss in losses:
                self._tell(stream, loss)

    def _tell(self, stream: Stream, loss: Loss) -> None:
        name = self._node.keyspace.names_of(stream.db, stream.key)[-1]
        group, (ms, seq) = quoted(loss.group), loss.last_id
        where = f"entries of '{quoted(name)}' were removed by retention before group '{group}' had"
        self._node.statistics.unread_lost += loss.unread
        for count, done in ((loss.unread, "read"), (loss.pending, "acknowledged")):
            if count:
                self._node.housekeeping.notices.add(count, f"{where} {done} them", f", up to {ms}-{seq}")

    # -- closed streams ----------------------------------------------------------------------------------------

    def look_at_closed(self) -> None:
        """Go on with the walk over closed streams; a new one begins every `ROUND_SECONDS`."""
        node = self._node
        if node.durability.refusal or not node.keyspace.settled:  # then each that is opened has something to sync
            return
        opened = looked = 0
        while self._leaves and looked < LOOKED_AT_ONCE:
            db, key, index = self._leaves.pop()
            looked += 1
            entry = node.keyspace.databases[db].keys.get(key)
            if entry is not None and index < len(entry.leaves) and self._is_due(entry, index):
                self._look_at(db, key, entry, index)
                opened += 1
                if opened == OPENED_AT_ONCE:
                    return
        if not self._leaves and node.now >= self._walk_at:
            self._walk_at = node.now + ROUND_SECONDS
            self._begin()

    def _begin(self) -> None:
        keyspace = self._node.keyspace
        leaves: list[Leaf] = []
        due: dict[int, tuple[int, Limits]] = {}
        for database in keyspace.databases:
            for key, entry in database.keys.items():
                if keyspace.retention_of(entry.settings) == (None, None):
                    continue
                for index, leaf in enumerate(entry.leaves):
                    if leaf.stream is None:
                        leaves.append((database.index, key, index))
                        if leaf.number in self._due:
                            due[leaf.number] = self._due[leaf.number]
        self._leaves, self._due = leaves[::-1], due

    def _is_due(self, entry: KeyEntry, index: int) -> bool:
        leaf, now_ms = entry.leaves[index], self._node.now_ms
        if leaf.stream is not None or (entry.expires_ms and entry.expires_ms <= now_ms):
            return False
        due_at, limits = self._due.get(leaf.number, (0, None))
        return due_at <= now_ms or limits != self._node.keyspace.retention_of(entry.settings)

    def _look_at(self, db: int, key: bytes, entry: KeyEntry, index: int) -> None:
        """Open a stream; it stays open if there is something to do."""
        node, leaf = self._node, entry.leaves[index]
        limits = node.keyspace.retention_of(entry.settings)
        try:
            stream = node.keyspace.open_leaf(db, key, entry, index)
            self.apply(stream)
            log = stream.log
            if log.unsynced():
                node.durability.mark_written(log)
            elif not stream.is_dirty and not (log.segments.sealed and self._may_drop(stream)):
                due_at = due_ms(stream)
                node.keyspace.close_leaf(leaf)
                self._due[leaf.number] = NEVER if due_at is None else due_at, limits
        except StorageError as error:  # to be told once
            node.housekeeping.report("error", str(error))
            self._due[leaf.number] = NEVER, limits

    @staticmethod
    def _may_drop(stream: Stream) -> bool:
        """Whether a segment has been trimmed away that is to go in the rounds to come."""
        return stream.log.segments.sealed[0].end_ordinal <= stream.first_ordinal
