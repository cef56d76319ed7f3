"""Where a sync runs: in the thread at first, at once when the disk has shown to be quick."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from respbroker.server.syncs import FILES_MAX, Syncs


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


def finish(syncs: Syncs, woken: threading.Semaphore, request: Any) -> Any:
    syncs.start(request)
    done = syncs.take_done()
    if not done:
        assert woken.acquire(timeout=20)
        done = syncs.take_done()
    (one,) = done
    assert one.task is request
    return one


def make_quick(syncs: Syncs, woken: threading.Semaphore) -> None:
    """Sync until it is done at once."""
    for _ in range(1000):
        disk = Disk()
        finish(syncs, woken, Request([disk]))
        if disk.threads == [threading.current_thread()]:
            return
    raise AssertionError("a sync of nothing is never done at once")


def test_the_first_sync_runs_in_the_thread(syncs: Syncs, woken: threading.Semaphore) -> None:
    disk = Disk()
    assert finish(syncs, woken, Request([disk])).error is None
    assert disk.threads != [threading.current_thread()]


def test_many_files_go_to_the_thread_however_quick_the_disk(syncs: Syncs, woken: threading.Semaphore) -> None:
    make_quick(syncs, woken)
    disk = Disk()
    finish(syncs, woken, Request([disk] * (FILES_MAX + 1)))
    assert threading.current_thread() not in disk.threads


def test_a_disk_that_becomes_slow_goes_back_to_the_thread(syncs: Syncs, woken: threading.Semaphore) -> None:
    make_quick(syncs, woken)
    slow = Disk(lambda: threading.Event().wait(0.05) and None)
    finish(syncs, woken, Request([slow]))
    after = Disk()
    finish(syncs, woken, Request([after]))
    assert after.threads != [threading.current_thread()]


@pytest.mark.parametrize("quick", [False, True])
def test_a_failure_is_told(quick: bool, syncs: Syncs, woken: threading.Semaphore) -> None:
    if quick:
        make_quick(syncs, woken)

    def fail() -> None:
        raise OSError(5, "Input/output error")

    one = finish(syncs, woken, Request([Disk(fail)]))
    assert isinstance(one.error, OSError)
    assert one.result is None
