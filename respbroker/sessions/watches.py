"""Who watches which key: the clients whose EXEC must fail when a key changes.

A watch is of a name in a database, whether or not there is a key. It breaks once and stays broken until the client's
EXEC, DISCARD or UNWATCH. Both directions are kept: ``Client.watched`` and the watchers of each key here, changed only
together and only by this class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from respbroker.sessions.client import Client


class Watches:
    """The watchers of every watched key; false while nothing is watched at all."""

    def __init__(self) -> None:
        self._watchers: dict[tuple[int, bytes], set[Client]] = {}

    def __bool__(self) -> bool:
        return bool(self._watchers)

    def watch(self, client: Client, db: int, key: bytes) -> None:
        """Let ``client`` watch ``key``; a second time is nothing."""
        name = (db, key)
        client.watched.add(name)
        self._watchers.setdefault(name, set()).add(client)

    def unwatch(self, client: Client) -> None:
        """Forget all that ``client`` watches, and that it broke."""
        client.watch_broken = False
        for name in client.watched:
            watchers = self._watchers[name]
            watchers.discard(client)
            if not watchers:
                del self._watchers[name]
        client.watched.clear()

    def touched(self, db: int, key: bytes) -> None:
        """``key`` was modified: break the watch of everyone who watches it, the one who modified it included."""
        for client in self._watchers.get((db, key), ()):
            client.watch_broken = True
