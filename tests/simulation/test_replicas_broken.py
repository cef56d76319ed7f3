"""The simulation finds what is broken: servers without one of their safeguards are caught, and people without care."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from storage import Log, recovery
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.disks import DiskFaults
from tests.simulation.replicas.offsets import Offsets, ends_of
from tests.simulation.replicas.world import World
from tests.support.memory_filesystem import MemoryFileSystem

SEEDS = 60  # looked through at most
FLIPS = {"flip a bit": 1.0}
CARELESS = {"put an old copy back": 3.0, "isolate": 2.0, "kill": 1.0, "heal": 1.0}


@pytest.mark.parametrize(
    ("owner", "safeguard", "instead", "faults", "words"),
    [
        (recovery, "is_damage", lambda *_, **__: False, FLIPS, "a flipped bit in .* is not seen"),
        (DiskFaults, "rest_is_whole", lambda *_: True, CARELESS, "begins to lead without|has lost"),
    ],
    ids=["damage is cut off", "an old copy is put back at any time"],
)
def test_without_a_safeguard_something_is_lost(
    owner: Any, safeguard: str, instead: Callable[..., Any], faults: dict[str, float], words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(owner, safeguard, instead)
    with pytest.raises(Broken, match=words):
        run_some(faults)


def run_some(faults: dict[str, float]) -> None:
    """Seeds that promise something, with these faults alone, one soon behind the other."""
    worlds = (World(seed, topics=True, disks=True) for seed in range(SEEDS))
    for world in worlds:
        if world.plan.minimum > 1:
            world.plan.faults, world.plan.fault_every = faults, 0.4
            world.run()


def test_another_record_under_an_offset_that_all_had_is_found() -> None:
    def disk_with(payload: bytes) -> MemoryFileSystem:
        disk = MemoryFileSystem()
        for path in ("/data", "/data/streams"):
            disk.mkdir(path)
        log = Log.open(disk, "/data/streams/0000000001")
        log.append([1, 2], [0, 0], [b"first", payload], [b"effect"], now_ms=1)
        return disk

    offsets, disk = Offsets(), disk_with(b"second")
    offsets.learn("here", disk, ends_of(disk))
    assert offsets.count == 3
    offsets.learn("there", disk_with(b"second"), ends_of(disk))
    offsets.learn("there", disk_with(b"other"), {1: 1})  # what lies behind was in sync nowhere
    with pytest.raises(Broken, match="another record at offset"):
        offsets.learn("there", disk_with(b"other"), ends_of(disk))
