"""When the keys of a database expire: a heap that forgets lazily."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from respbroker.values.kinds import Value

_SPARE: Final = 64  # outdated times that are not worth a clean-up


class Expiries:
    """Every expiry that a key of ``keys`` was ever given; one that is not the key's any more is outdated."""

    __slots__ = ("_heap", "_keys")

    def __init__(self, keys: Mapping[bytes, Value]) -> None:
        self._keys = keys
        self._heap: list[tuple[int, bytes]] = []

    def note(self, expires_ms: int, key: bytes) -> None:
        """The key has been given this expiry."""
        heappush(self._heap, (expires_ms, key))
        if len(self._heap) > 2 * len(self._keys) + _SPARE:
            self._clean_up()

    def due(self, now_ms: int, limit: int) -> list[bytes]:
        """Up to ``limit`` keys whose time has come; they stay due until they go."""
        found: dict[bytes, int] = {}
        while self._heap and self._heap[0][0] <= now_ms and len(found) < limit:
            expires_ms, key = heappop(self._heap)
            if self._is_present(expires_ms, key):
                found[key] = expires_ms
        for key, expires_ms in found.items():
            heappush(self._heap, (expires_ms, key))
        return list(found)

    def _is_present(self, expires_ms: int, key: bytes) -> bool:
        value = self._keys.get(key)
        return value is not None and value.expires_ms == expires_ms

    def _clean_up(self) -> None:
        self._heap = [each for each in set(self._heap) if self._is_present(*each)]
        heapify(self._heap)
