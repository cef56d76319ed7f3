"""A leader whose appends are caught, and a follower's keyspace that is fed with them, without anything in between."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from respbroker.broker.follower_session import starting_point
from respbroker.model.settings import Settings
from respbroker.streams.directories import remove_tree
from respbroker.streams.keyspace import Keyspace
from respbroker.streams.replica import RawPart
from respbroker.streams.stream import Stream
from storage import FileSystem, Log, end_of_batches
from storage.batch import parse_header
from tests.crash.driver import DIRECTORY, SETTINGS, Driver
from tests.crash.state import state_of, state_of_keyspace
from tests.support.memory_filesystem import MemoryFileSystem


@attrs.define
class Tick:
    """What a leader wrote between two flushes."""

    parts: list[RawPart]
    atomic: bool
    now_ms: int

    def joined(self, other: Tick) -> Tick:
        """Both as one."""
        return Tick(self.parts + other.parts, self.atomic or other.atomic, other.now_ms)


class Leader:
    """Catches what the node of a driver appends, tick by tick, and what the files of segments must hold therefore."""

    def __init__(self, driver: Driver, epoch: int) -> None:
        self.driver = driver
        self.keyspace = driver.node.keyspace
        self.keyspace.leader_epoch = epoch
        self.keyspace.on_append = self._appended
        self.ticks: list[Tick] = []
        #: By number of a log and base offset.
        self.segments: dict[tuple[int, int], bytearray] = {}
        self._bases: dict[int, int] = {}
        self._parts: list[RawPart] = []
        self._atomic = False
        driver.before_flush = self._before_flush
        driver.after_flush = self._after_flush

    def _appended(self, number: int, buffers: Sequence[bytes], begins_segment: bool) -> None:
        raw = b"".join(buffers)
        if begins_segment:
            header = parse_header(raw)
            assert header is not None
            self._bases[number] = header.base_offset
            self.segments[number, header.base_offset] = bytearray()
        if number in self._bases:
            self.segments[number, self._bases[number]] += raw
        self._parts.append(RawPart(number, raw, begins_segment))

    def _before_flush(self) -> None:
        self.keyspace.write_values(self.driver.clock.ms)
        self._atomic = self.keyspace.atomic

    def _after_flush(self) -> None:
        if self._parts:
            self.ticks.append(Tick(self._parts, self._atomic, self.driver.clock.ms))
            self._parts = []

    def take(self) -> list[Tick]:
        """The ticks since the last call."""
        ticks, self.ticks = self.ticks, []
        return ticks


class Follower:
    """A keyspace that follows, and what a node would do for it."""

    def __init__(self, disk: MemoryFileSystem, policy: str = "everysec") -> None:
        self.disk = disk
        self.settings = Settings.load("", list((SETTINGS | {"appendfsync": policy}).items()))
        self.written: dict[Log, None] = {}
        if DIRECTORY not in disk.names:
            disk.mkdir(DIRECTORY)
            disk.sync_directory("")
        self.open()

    def open(self) -> None:
        """As after a start."""
        self.written.clear()
        self.keyspace = Keyspace(self.disk, DIRECTORY, self.settings, 0, following=True)
        self.keyspace.on_unsynced = lambda log: self.written.__setitem__(log, None)

    def restart(self) -> None:
        """Stop cleanly, and start."""
        self.keyspace.close()
        self.open()

    def follow(self, ticks: Sequence[Tick]) -> list[list[tuple[int, Stream | None]]]:
        """Append some ticks."""
        return [self.keyspace.replicate(tick.parts, tick.now_ms, atomic=tick.atomic) for tick in ticks]

    def catch_up(self, ticks: Sequence[Tick], numbers: Sequence[int]) -> None:
        """Append what is missing in these logs of all ticks there ever were, log by log and the catalog last."""
        logs: dict[int, list[RawPart]] = {}
        for tick in ticks:
            for part in tick.parts:
                logs.setdefault(part.number, []).append(part)
        for number in (*numbers[1:], 0):
            log = self.keyspace.log_of(number)
            end = log.end_offset if log is not None else 0
            for part in logs.get(number, ()):
                if end_of_batches(part.raw) > end:
                    self.keyspace.replicate([part], ticks[-1].now_ms, atomic=False)

    def sync(self) -> None:
        """Sync what was written, and remove what was dropped."""
        keyspace = self.keyspace
        logs = [log for log in self.written if log in keyspace.live_logs]
        self.written.clear()
        for log in sorted(logs, key=lambda log: log is keyspace.catalog.log):
            pending = log.unsynced()
            pending.sync()
            log.synced(pending)
        keyspace.directories_synced(keyspace.catalog.next_number)
        keyspace.journal.clear()
        for path in keyspace.set_trash_aside(keyspace.take_trash()):
            remove_tree(self.disk, path)

    def maintain(self) -> None:
        """Snapshots, dropping and merging."""
        keyspace = self.keyspace
        keyspace.write_due_snapshots()
        for stream in keyspace.opened():
            for job in keyspace.maintain(stream):
                job.run()
                stream.log.swap(job)
            if stream.log.unsynced():
                keyspace.on_unsynced(stream.log)


class Pair:
    """A leader and its follower."""

    def __init__(self) -> None:
        disk = MemoryFileSystem()
        disk.mkdir(DIRECTORY)
        disk.sync_directory("")
        self.driver = Driver(disk, "everysec", 1)
        self.leader = Leader(self.driver, epoch=1)
        self.follower = Follower(MemoryFileSystem())

    def lead(self, *lines: str) -> list[Tick]:
        """One tick for each line; requests of a line are parted by ``;``."""
        for line in lines:
            self.driver.tick([(0, [request.split() for request in line.encode().split(b";")])])
        return self.leader.take()

    def run(self, *lines: str) -> list[tuple[int, Stream | None]]:
        """The same, followed; what changed in the last tick."""
        changed: list[tuple[int, Stream | None]] = []
        for tick in self.lead(*lines):
            [changed] = self.follower.follow([tick])
        assert state_of_keyspace(self.keyspace) == state_of(self.driver.node)
        return changed

    @property
    def keyspace(self) -> Keyspace:
        return self.follower.keyspace

    def at(self, key: bytes, now_ms: int = 0) -> Stream:
        """The follower's stream at a key."""
        stream = self.keyspace.lookup(0, key, now_ms)
        assert stream is not None
        return stream


def segments_on(disk: FileSystem, number: int) -> dict[int, bytes]:
    """The bytes of a log's segments by base offset."""
    path = f"{DIRECTORY}/catalog" if number == 0 else f"{DIRECTORY}/streams/{number:010d}"
    names = [name for name, _ in disk.files(path) if name.endswith(".log")]
    return {int(name.partition(".")[0]): disk.read(f"{path}/{name}") for name in names}


def resync(follower: Follower, leader: Keyspace) -> None:
    """Bring a follower to where its leader is: cut what the leader does not have, copy what cannot be had otherwise,
    and read the rest from the leader's logs, the catalog last."""
    keyspace = follower.keyspace
    ends = {number: _common_end(keyspace, leader, number) for number in keyspace.numbers()}
    anew = {number for number, end in ends.items() if end is None}
    anew |= {*keyspace.cut({number: end for number, end in ends.items() if end is not None})}
    for number in keyspace.numbers():
        if leader.log_of(number) is None:
            keyspace.remove_log(number)
    for number in (*leader.numbers()[1:], 0):
        log, source = keyspace.log_of(number), leader.log_of(number)
        assert source is not None
        end = log.end_offset if log is not None else 0
        if number in anew or (log is None and source.replay_floor):
            end = copy_log(follower, number, source)
        reader = source.raw_reader(end)
        while (chunk := reader.read(700)) is not None:
            keyspace.replicate([RawPart(number, chunk.raw, chunk.begins_segment)], 0, atomic=False)


def _common_end(keyspace: Keyspace, leader: Keyspace, number: int) -> int | None:
    """Where to cut a log so that the leader's goes on from there, which may be where it ends; None if it has to be
    copied anew, or the leader has none."""
    log, source = keyspace.log_of(number), leader.log_of(number)
    assert log is not None
    if source is None:
        return None
    start = starting_point(source, log.end_offset, log.last_epoch)
    return start if start >= 0 else None


def copy_log(follower: Follower, number: int, source: Log) -> int:
    """Copy a log anew, with its newest snapshot; where it ends."""
    keyspace = follower.keyspace
    origin, newest = source.origin, source.newest_snapshot()
    path = keyspace.copy_path(number)
    remove_tree(follower.disk, path)
    start = origin.base_offset, origin.first_ordinal, origin.last_id
    copy = Log.create_at(
        follower.disk, path, *start, keyspace.log_config, keyspace.caches, last_epoch=origin.last_epoch
    )
    reader = source.raw_reader(origin.base_offset)
    while (chunk := reader.read(700)) is not None:
        copy.append_batches(chunk.raw, roll=chunk.begins_segment)
    if newest is not None:
        offset, state = newest
        copy.write_snapshot(state, offset)
    copy.close()
    keyspace.adopt_copy(number, path)
    return source.end_offset
