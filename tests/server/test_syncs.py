"""Where a sync runs, and when the disk is known to be quick."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from respbroker.server.syncs import Syncs


@attrs.define
class Disk:
    """A file whose sync does as told, and that notes who called it."""

    sync_it: Callable[[], None] = lambda: None
    threads: list[threading.Thread] = attrs.Factory(list)

    def sync(self) -> None:
        self.threads.append(threading.current_thread())
        self.sync_it()


@attrs.define
class Request:
    files: list[Disk]


@pytest.fixture
def woken() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def syncs(woken: threading.Semaphore) -> Iterator[Syncs]:
    syncs = Syncs(woken.release)
    yield syncs
    syncs.stop()


def in_thread(syncs: Syncs, woken: threading.Semaphore, request: Any) -> Any:
    syncs.start(request)
    assert woken.acquire(timeout=20)
    (one,) = syncs.take_done()
    assert one.task is request
    return one


def make_quick(syncs: Syncs, woken: threading.Semaphore) -> None:
    """Sync until the disk is known to be quick."""
    for _ in range(1000):
        if syncs.is_quick(alone=False):
            return
        in_thread(syncs, woken, Request([Disk()]))
    raise AssertionError("a sync of nothing is never quick")


def test_nothing_is_known_of_the_disk_at_first(syncs: Syncs) -> None:
    assert not syncs.is_quick(alone=True)


def test_the_thread_syncs_and_shows_that_the_disk_is_quick(syncs: Syncs, woken: threading.Semaphore) -> None:
    disk = Disk()
    assert in_thread(syncs, woken, Request([disk])).error is None
    assert disk.threads != [threading.current_thread()]
    make_quick(syncs, woken)


def test_a_sync_that_is_waited_for_runs_here_and_a_slow_one_ends_that(syncs: Syncs, woken: threading.Semaphore) -> None:
    make_quick(syncs, woken)
    slow = Disk(lambda: threading.Event().wait(0.05) and None)
    syncs.perform(Request([slow]))
    assert slow.threads == [threading.current_thread()]
    assert not syncs.is_quick(alone=False)


def test_a_failure_is_told(syncs: Syncs, woken: threading.Semaphore) -> None:
    def fail() -> None:
        raise OSError(5, "Input/output error")

    one = in_thread(syncs, woken, Request([Disk(fail)]))
    assert isinstance(one.error, OSError)
    with pytest.raises(OSError, match="Input/output error"):
        syncs.perform(Request([Disk(fail)]))
