"""The simulation finds what is broken: servers without one of their safeguards are caught."""

from __future__ import annotations

import pytest

from storage import CorruptLog, Log, raw, recovery
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.offsets import Offsets, ends_of
from tests.simulation.replicas.world import World
from tests.support.memory_filesystem import MemoryFileSystem

SEEDS = 60  # looked through at most


def test_where_damage_is_cut_off_the_simulation_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "is_damage", lambda *_, **__: False)
    with pytest.raises(Broken, match=r"a flipped bit in .* is not seen"):
        flip_bits()


def flip_bits() -> None:
    """In seeds that promise something, one soon behind the other, and nothing else."""
    worlds = (World(seed, topics=True, disks=True) for seed in range(SEEDS))
    for world in worlds:
        if world.plan.minimum > 1:
            world.plan.faults, world.plan.fault_every = {"flip a bit": 1.0}, 0.4
            world.run()


def test_where_nobody_checks_what_comes_the_simulation_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "is_intact", lambda *_: True)
    with pytest.raises((Broken, CorruptLog)):
        flip_on_the_way()


def flip_on_the_way() -> None:
    """Nothing else goes wrong, in a few seeds."""
    for seed in range(SEEDS):
        world = World(seed, topics=True, disks=True)
        world.plan.faults = {"heal": 1.0}
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
