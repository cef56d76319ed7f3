"""DIR/replication: what a node remembers of replication; read at the start, replaced and synced at each change."""

from __future__ import annotations

from typing import Final

from respbroker.replication.state import ReplicationState
from storage import CorruptLog, FileSystem
from storage.files import disk_error, replace

_NAME: Final = "replication"


class ReplicationStore:
    """Owns the file; ``state`` is what it says, None where this directory never took part in replication."""

    def __init__(self, filesystem: FileSystem, directory: str) -> None:
        self._filesystem = filesystem
        self._directory = directory
        self.state = self._written = self._load()  # the second as the file is for certain, else None

    @property
    def path(self) -> str:
        return f"{self._directory}/{_NAME}"

    def _load(self) -> ReplicationState | None:
        try:
            return ReplicationState.decode(self._filesystem.read(self.path))
        except FileNotFoundError:
            return None
        except ValueError as problem:
            raise CorruptLog(f"the file cannot be read: {problem}", file=self.path) from None

    def begins_unconfirmed(self, minimum: int) -> bool:
        """Whether a node with this memory and that ``min.insync.replicas`` led, and others may know a newer leader."""
        state = self.state
        if state is None or state.leader is not None:
            return False
        others = {member.node for member in state.membership.members} - {state.node}
        return bool(state.in_sync or (minimum > 1 and others))

    def begins_leading(self, replicaof: tuple[str, int] | None, minimum: int) -> bool:
        """Whether a node with this memory and these settings leads when it starts, and may change what it finds."""
        if self.state is None:
            return not replicaof
        return self.state.leader is None and not self.begins_unconfirmed(minimum)

    def machine_ran_on(self, boot_id: str) -> bool:
        """Whether the machine, whose present start has this name, runs since the directory was last in use; or the
        server stopped in order. Not known of a server that never took part in replication.
        """
        return self.state is not None and bool(boot_id) and self.state.boot in ("", boot_id)

    def save(self, state: ReplicationState) -> None:
        """Remember ``state``; it is on the disk when this returns.

        Raises:
            StorageError: it is not.
        """
        try:
            if state != self._written:  # else it takes no room
                self._written = None
                replace(self._filesystem, self.path, state.encode(), sync=True)
                self._written = state
            self._filesystem.sync_directory(self._directory)
        except OSError as error:
            raise disk_error(error, self.path, "remember the part this node plays") from error
        self.state = state
