"""Who was answered together and is likely to write again at once: a sync waits a moment for them.

Clients that wait for their replies fall into two companies, one of which writes while the other's sync runs. Each then
has a sync of its own, and waits for the other's as well. Where the first ones wait for those just answered, all share
one. Nobody is waited for longer than a sync takes, or `WAIT_SECONDS_MAX`; and if that was in vain, which it is where
clients think between their requests, it is not tried again for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from respbroker.server.connection import Connection

WAIT_SECONDS_MAX: Final = 0.005
_SLEEP_SHARE: Final = 0.1  # of a sync: how long others are given before we look again
_TRUST_MIN: Final = 0.5  # from here on they are waited for
_TRUST_GAIN: Final = 1 / 64  # by each sync


class Company:
    """Owned by `OutputCommit`. ``pace`` says how many seconds a sync takes; 0 if nobody is to be waited for."""

    def __init__(self, pace: Callable[[], float]) -> None:
        self._pace = pace
        self._awaited: set[Connection] = set()
        self._trust = 1.0
        self._waited = False
        #: Until when it is waited for.
        self.until = 0.0

    def answered(self, connections: Iterable[Connection], now: float) -> None:
        """These were answered by one sync."""
        self._awaited = set(connections)
        self._waited = False
        self._trust = min(1.0, self._trust + _TRUST_GAIN)
        wait = min(self._pace(), WAIT_SECONDS_MAX) if self._trust >= _TRUST_MIN else 0.0
        self.until = now + wait

    def heard(self, connections: Iterable[Connection]) -> None:
        """These have sent something."""
        if self._awaited:
            self._awaited.difference_update(connections)

    def is_awaited(self, now: float) -> bool:
        """Whether a sync should wait for more of them."""
        if self._awaited and now < self.until:
            self._waited = True
            return True
        return False

    def left(self) -> None:
        """The sync starts, whoever is missing."""
        if self._waited:
            self._trust = self._trust / 2 if self._awaited else 1.0
        self._awaited = set()
        self._waited = False

    @property
    def pause_seconds(self) -> float:
        """How long to do nothing while they are waited for, so that they come together and not one by one."""
        return min(self._pace(), WAIT_SECONDS_MAX) * _SLEEP_SHARE
