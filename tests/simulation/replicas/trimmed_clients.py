"""Clients of the topics that give up what is old: it goes from the front only, and not before its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from respbroker.resp.reply_decoder import ErrorReply
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.clients import Caller, Producer, Words
from tests.simulation.replicas.history import Id, parse_id
from tests.simulation.replicas.topics import AGED, AGED_MS, SIZED

if TYPE_CHECKING:
    from tests.simulation.replicas.world import World


class TrimmedWriter(Producer):
    """Adds to these topics alone."""

    streams = (AGED, SIZED)
    weights = (1, 1)


class TrimmedReader(Caller):
    """Reads all of them on any server; of what it saw over one connection only the oldest may be gone."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._key = AGED
        self._seen: dict[str, set[Id]] = {}
        self._left = 0

    def connected(self, connection: Any) -> None:
        self._seen.clear()
        self._left = self.rng.choice((5, 30, 1000))
        super().connected(connection)

    def next_requests(self) -> list[Words]:
        self._key = self.rng.choice((AGED, SIZED))
        return [("XRANGE", self._key, "-", "+")]

    def answered(self, replies: list[Any]) -> bool:
        if isinstance(replies[0], ErrorReply):
            return False
        entries = [(parse_id(entry_id), fields[1]) for entry_id, fields in replies[0]]
        self.world.history.read(self._key, entries, self.counts)
        if self.counts:
            ids = {entry_id for entry_id, _ in entries}
            self._check(self._seen.get(self._key, set()) - ids, ids)
            self._seen[self._key] = ids
        self._left -= 1
        return self._left > 0

    def _check(self, gone: set[Id], left: set[Id]) -> None:
        where = f"{self._key} on {self.target}"
        if gone and self._key == SIZED and not left:
            raise Broken(f"{where} had {len(gone)} entries, and is empty")
        if left and any(entry_id > min(left) for entry_id in gone):
            raise Broken(f"{where}: {max(gone)} is gone, and {min(left)} is not")
        if gone and self._key == AGED and self.world.is_young(max(gone), AGED_MS):
            raise Broken(f"{where}: {max(gone)} is gone, and is not {AGED_MS} ms old")
