"""A log that follows another, cut off at every write, every sync and every change of a name: it opens again with what
was promised, and catches up."""

from __future__ import annotations

import pytest

from storage import Caches, Log, NotABatchBorder, RawChunk
from tests.storage.replica_model import CONFIG, Node
from tests.support.memory_filesystem import MemoryFileSystem, PowerLoss


def leaders() -> tuple[Node, Node]:
    """Two that were equal up to somewhere in epoch 1: one went on in it, the other in epoch 2, with part of it merged
    and cleaned later."""
    old, new = Node(), Node()
    for node in (old, new):
        node.history = [0, 1]
        fill(node, 40)
        node.log.roll(0)
    fill(old, 25)
    new.history = [0, 1, 2]
    fill(new, 60)
    for _ in range(2):
        new.append([b"entry"], [b"effect"], 7, one=False)
        new.snapshot()
        new.sync()
    new.merge()
    new.clean(lambda ordinal: ordinal % 3 == 0, new.log.epoch_end(1))
    new.check()
    old.check()
    return old, new


def fill(node: Node, count: int) -> None:
    for i in range(count):
        node.append([b"%d" % i * 9] * (i % 4), [b"effect %d" % i] * ((i + 1) % 3 // 2), i, one=False)


OLD, NEW = leaders()


def chunks(node: Node, offset: int, end: int) -> list[RawChunk]:
    """Of different sizes, up to ``end``."""
    reader, found, size = node.log.raw_reader(offset), [], 1
    while (chunk := reader.read(size)) and chunk.base_offset < end:
        found.append(chunk)
        size = size * 7 % 997 + 1
    return found


class Workload:
    """Follow one, be cut where the other begins to differ, follow that."""

    def __init__(self, filesystem: MemoryFileSystem) -> None:
        self.filesystem = filesystem
        self.log: Log | None = None
        self.promised = 0
        self.is_cut = False

    def run(self) -> None:
        self.filesystem.mkdir("/data")
        self.filesystem.sync_directory("")
        self.log = open_log(self.filesystem)
        self.feed(OLD, OLD.log.end_offset)
        self.promised = min(self.promised, NEW.log.epoch_end(1))
        self.log.truncate(NEW.log.epoch_end(1))
        self.is_cut = True
        self.feed(NEW, NEW.log.end_offset)
        self.log.close()

    def feed(self, leader: Node, end: int) -> None:
        assert self.log
        for number, chunk in enumerate(chunks(leader, self.log.end_offset, end)):
            self.log.append_batches(chunk.raw, roll=chunk.begins_segment)
            if number % 4 == 3:
                pending = self.log.unsynced()
                pending.sync()
                self.log.synced(pending)
                self.promised = self.log.end_offset

    def check(self, filesystem: MemoryFileSystem) -> None:
        """What is left is a beginning, whole appends only, and goes on."""
        if "/data" not in filesystem.names:
            filesystem.mkdir("/data")
        log = open_log(filesystem)
        assert log.end_offset >= self.promised
        node = Node()
        node.log, node.filesystem, node.gone = log, filesystem, NEW.gone
        node.history = NEW.history
        shared = NEW.log.epoch_end(1)
        leader = NEW if log.last_epoch == 2 or log.end_offset <= shared else OLD
        assert leader is NEW or not self.is_cut
        node.records = leader.records[: log.end_offset]
        node.wanted = NEW.log.newest_snapshot()
        node.check()
        log.truncate(log.end_offset if leader is NEW else shared)
        try:
            NEW.log.raw_reader(log.end_offset)
        except NotABatchBorder as border:  # merged since
            log.truncate(border.restart_offset)
        for chunk in chunks(NEW, log.end_offset, NEW.log.end_offset):
            log.append_batches(chunk.raw, roll=chunk.begins_segment)
        node.records = NEW.records
        node.take_over()
        assert node.segments().keys() == {path.replace("/log/", "/data/log/") for path in NEW.segments()}
        node.log = open_log(filesystem.killed())
        assert node.log.report.cut is None
        node.check()


def open_log(filesystem: MemoryFileSystem) -> Log:
    return Log.open(filesystem, "/data/log", CONFIG, caches=Caches(open_files_max=3, block_bytes_max=4000))


def events() -> list[str]:
    filesystem = MemoryFileSystem()
    Workload(filesystem).run()
    return filesystem.log


EVENTS = events()


def cut_at(event: int, tear: int = 0) -> Workload:
    filesystem = MemoryFileSystem()
    filesystem.stop_at, filesystem.tear = event, tear
    workload = Workload(filesystem)
    with pytest.raises(PowerLoss):
        workload.run()
    filesystem.stop_at = None
    return workload


def test_the_workload_does_what_it_is_for() -> None:
    workload = Workload(MemoryFileSystem())
    workload.run()
    assert workload.log
    assert len(workload.log.segments.all) > 4
    assert any(segment.bare for segment in workload.log.segments.all)
    assert {event.split("/")[0].strip() for event in EVENTS} >= {"create", "write", "sync", "remove", "truncate"}


def test_what_was_written_survives_a_kill_at_every_event() -> None:
    for event in range(len(EVENTS)):
        workload = cut_at(event, tear=event * 37 % 500)
        workload.check(workload.filesystem.killed())


def test_what_was_synced_survives_loss_of_power_at_every_event(pytestconfig: pytest.Config) -> None:
    for event in range(len(EVENTS)):
        workload = cut_at(event)
        for seed in (None, *range(pytestconfig.getoption("--storage-seeds"))):
            try:
                workload.check(workload.filesystem.powered_off(seed))
            except BaseException as error:
                error.add_note(f"event {event} ({EVENTS[event]}), seed {seed}")
                raise
