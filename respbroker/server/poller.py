"""Which sockets are ready: epoll where there is one, `selectors` elsewhere.

Masks are epoll's numbers in both. Readiness is level-triggered: what was not read is reported again.
"""

from __future__ import annotations

import select
import selectors
from typing import Final, Protocol

READ: Final = 0x001
WRITE: Final = 0x004
ERROR: Final = 0x008
HANG_UP: Final = 0x010
PEER_CLOSED: Final = 0x2000  # the peer will send nothing more; seen even while we do not read
GONE: Final = ERROR | HANG_UP | PEER_CLOSED


class Poller(Protocol):
    """A set of file descriptors and what is awaited of each."""

    def fileno(self) -> int: ...
    def register(self, fd: int, mask: int) -> None: ...
    def modify(self, fd: int, mask: int) -> None: ...
    def unregister(self, fd: int) -> None: ...
    def poll(self, seconds: float) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class SelectorPoller:
    """The same on `selectors`. While a connection is not read, its end goes unnoticed here."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def fileno(self) -> int:
        """Of the selector itself where it has one; -1 for `select` and `poll`."""
        fileno = getattr(self._selector, "fileno", None)
        return -1 if fileno is None else int(fileno())

    def register(self, fd: int, mask: int) -> None:
        if events := _events(mask):
            self._selector.register(fd, events)

    def modify(self, fd: int, mask: int) -> None:
        self.unregister(fd)
        self.register(fd, mask)

    def unregister(self, fd: int) -> None:
        try:
            self._selector.unregister(fd)
        except KeyError:  # it awaited nothing
            pass

    def poll(self, seconds: float) -> list[tuple[int, int]]:
        return [(key.fd, _mask(events)) for key, events in self._selector.select(seconds)]

    def close(self) -> None:
        self._selector.close()


def _events(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)


def _mask(events: int) -> int:
    return (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0)


def best_poller() -> Poller:
    """epoll on Linux."""
    return select.epoll() if hasattr(select, "epoll") else SelectorPoller()
