"""Logs that a follower takes anew, each in a directory beside the one it will replace.

That is needed where the leader's log begins behind the end of the follower's, or holds what was cleaned: then nothing
but the leader's own batches, from the first, and its snapshot make the same log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.replication.messages import Append
from respbroker.replication.words import BadMessage
from respbroker.streams.directories import remove_tree
from storage import Log

if TYPE_CHECKING:
    from respbroker.broker.node import Node


class LogCopies:
    """Owns the logs that are being copied; one that is finished is handed to the keyspace."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._logs: dict[int, Log] = {}

    def has(self, number: int) -> bool:
        """Whether this log is being copied."""
        return number in self._logs

    def begin(self, number: int, base_offset: int, first_ordinal: int, ms: int, seq: int, epoch: int) -> None:
        """The log will come, from here on."""
        keyspace = self._node.keyspace
        path = self._node.keyspace.copy_path(number)
        remove_tree(keyspace.filesystem, path)
        self._logs[number] = Log.create_at(
            keyspace.filesystem,
            path,
            base_offset,
            first_ordinal,
            (ms, seq),
            keyspace.log_config,
            keyspace.caches,
            last_epoch=epoch,
        )

    def extend(self, append: Append) -> None:
        """More of it has come."""
        self._logs[append.number].append_batches(append.raw, roll=append.roll)

    def finish(self, number: int, snapshot_offset: int, state: bytes) -> None:
        """It is complete: put it in its place."""
        log = self._logs.pop(number, None)
        if log is None:
            raise BadMessage(f"the end of a copy of log {number}, which was not begun")
        if snapshot_offset >= 0:
            log.write_snapshot(state, snapshot_offset)
        pending = log.unsynced()
        pending.sync()
        log.synced(pending)
        log.close()
        self._node.keyspace.adopt_copy(number, self._node.keyspace.copy_path(number))

    def forget(self) -> None:
        """The session is over; what is half done is begun anew in the next."""
        for log in self._logs.values():
            log.close_files()
        for number in self._logs:
            remove_tree(self._node.keyspace.filesystem, self._node.keyspace.copy_path(number))
        self._logs.clear()
