"""The simulation finds servers that break a rule of compaction, retention, full disks or acknowledgements.

Each test takes one away, and looks for a seed that shows it. Only those faults come that give it an occasion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pytest
from pyroaring import BitMap64

from respbroker.broker.compactor import Compactor
from respbroker.broker.durability import Durability
from respbroker.broker.frames import Frames
from respbroker.broker.gate import Gate
from respbroker.broker.held_replies import HeldReplies
from respbroker.broker.housekeeping import Housekeeping
from respbroker.broker.leading import Leading
from respbroker.broker.log_copies import LogCopies
from respbroker.replication.in_sync import InSync
from respbroker.streams.cleaning import is_due
from storage import Log, StorageError, retention
from storage.compaction import Compaction
from tests.simulation.replicas.broken import Broken
from tests.simulation.replicas.world import World

SEEDS: Final = 60  # looked through at most
QUIET: Final = {"heal": 1.0}
FULL: Final = {"full disk": 3.0, "full for a while": 1.0}
TORN: Final = {"full disk": 3.0, "die in an exec": 1.0}
APART: Final = {"isolate": 1.0, "partition": 1.0, "heal": 0.5}
ALONE: Final = {"isolate": 3.0, "kill": 1.0, "heal": 1.0}
KILLED: Final = {"kill": 2.0, "partition": 2.0, "one way": 1.0, "isolate": 1.0, "heal": 1.0}


def look(faults: dict[str, float], *, every: float = 0.4, late_ms: int = 0) -> None:
    """In seeds that promise something. ``late_ms``: the last server's clock is so much ahead, and it never leads."""
    for seed in range(SEEDS):
        world = World(seed, topics=True, disks=True)
        if world.plan.minimum < 2:
            continue
        world.plan.faults, world.plan.fault_every = faults, every
        if late_ms:
            world.plan.foolish = world.plan.failovers = 0.0
            world.plan.jumps = False
            world.servers[world.ports[-1]].clock_jump_ms = late_ms
        world.run()


# -- compaction ----------------------------------------------------------------------------------------------------


def test_a_follower_that_compacts_by_what_it_finds_itself_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = Compactor._decide

    def decide_itself(self: Compactor, each: Any) -> None:
        decide(self, each)
        if self._node.replication.follows and each.offset and each.result.superseded:
            for ordinal in BitMap64.deserialize(each.result.superseded):
                each.gone.add(ordinal)

    monkeypatch.setattr(Compactor, "_is_due", lambda self, stream: is_due(stream, self._node.now_ms))
    monkeypatch.setattr(Compactor, "_decide", decide_itself)
    with pytest.raises(AssertionError):  # a server's own, or that a reader is told so
        look(QUIET)


def test_a_compaction_that_takes_the_newest_entry_of_a_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def add_dirty(self: Compaction, ordinals: Sequence[int], keys: Sequence[bytes | None], *_: Any) -> None:
        for ordinal, key in zip(ordinals, keys, strict=True):
            if key is not None and self._last.setdefault(key, ordinal) != ordinal:
                self._dead.update([ordinal])

    monkeypatch.setattr(Compaction, "add_dirty", add_dirty)
    with pytest.raises(Broken, match=r"prices has .* of which change \d+ is known"):
        look(QUIET)


def test_tombstones_that_go_before_their_time_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    def bury(self: Compaction, tombstones: Sequence[tuple[int, int]]) -> None:
        self._dead.update([ordinal for ordinal, _ in tombstones])

    monkeypatch.setattr(Compaction, "_bury", bury)
    with pytest.raises(Broken, match=r"the tombstone .* is gone before its time"):
        look(QUIET)


def test_a_log_that_is_copied_without_the_state_behind_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = LogCopies.finish
    monkeypatch.setattr(LogCopies, "finish", lambda self, number, *_: finish(self, number, -1, b""))
    with pytest.raises(Broken):
        look(APART)


# -- retention -----------------------------------------------------------------------------------------------------


def test_a_follower_that_gives_up_entries_by_its_own_clock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Housekeeping._keep_logs

    def keep_by_its_clock(self: Housekeeping) -> None:
        keep(self)
        for stream in self._node.keyspace.opened() if self._node.replication.follows else ():
            stream.first_ordinal = max(stream.first_ordinal, stream.log.retained_from(self._node.now_ms))

    monkeypatch.setattr(Housekeeping, "_keep_logs", keep_by_its_clock)
    with pytest.raises(Broken, match=r"is gone, and is not \d+ ms old"):
        look(QUIET, late_ms=60_000)


def test_entries_that_go_before_their_time_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    def reason(segment: Any, _: int, config: Any, now_ms: int) -> str | None:
        is_old = config.retention_ms is not None and now_ms - segment.last_append_ms > config.retention_ms / 4
        return "it is old" if is_old else None

    monkeypatch.setattr(retention, "_reason", reason)
    with pytest.raises(Broken, match=r"aged on \d+: .* is gone, and is not \d+ ms old"):
        look(QUIET)


# -- full disks ----------------------------------------------------------------------------------------------------


def test_half_a_tick_that_stays_when_the_rest_had_no_room_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Log, "take_back", lambda self: None)
    with pytest.raises(Broken, match=r"has an entry that was refused|is not so behind change"):
        look(TORN)


def test_a_tick_that_had_no_room_and_is_sent_to_followers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def send(self: Leading, *, atomic: bool = False) -> None:
        self._tick += self._appended
        self._appended, self._atomic = [], self._atomic or atomic

    monkeypatch.setattr(Leading, "confirm", send)
    monkeypatch.setattr(Leading, "take_back", send)
    with pytest.raises(Broken):
        look(TORN)


def test_a_tick_that_had_no_room_and_is_acknowledged_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Durability, "_tell_refused", lambda self, batch: None)
    with pytest.raises(Broken, match="which was acknowledged"):
        look(FULL)


def test_writes_that_are_refused_for_ever_after_a_full_disk_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Durability, "_try_again", lambda self: None)
    with pytest.raises(Broken, match="no room"):
        look(FULL)


def test_a_follower_that_passes_over_what_it_has_no_room_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    append = Frames._append

    def append_or_not(self: Frames, appends: Any, *, atomic: bool) -> None:
        try:
            append(self, appends, atomic=atomic)
        except StorageError:
            return

    monkeypatch.setattr(Frames, "_append", append_or_not)
    with pytest.raises(Broken):
        look(FULL)


# -- acknowledgements ----------------------------------------------------------------------------------------------


def test_a_high_watermark_that_goes_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def move(self: InSync) -> None:
        if len(self.nodes) + 1 >= self._minimum:
            counted: Iterable[int] = (each.acknowledged for each in self._followers.values() if each.counted)
            self.high_watermark = min([self.local, *counted])

    monkeypatch.setattr(InSync, "_raise", move)
    with pytest.raises(Broken, match="the high watermark went back"):
        look(KILLED)


def test_what_counts_as_acknowledged_when_it_is_sent_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    ship_to = Leading._ship_to

    def ship_and_count(self: Leading, session: Any, tick: Any, flags: int, *, awaited: bool) -> None:
        ship_to(self, session, tick, flags, awaited=awaited)
        if session.level:
            self.in_sync.acknowledged(session.node, self._replication.position, 0, self._node.now, level=True)

    monkeypatch.setattr(Leading, "_ship_to", ship_and_count)
    with pytest.raises(Broken, match="which was acknowledged"):
        look(KILLED)


def test_replies_that_are_let_go_one_tick_too_early_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_on, release = Gate.pass_on, HeldReplies.release
    before: dict[HeldReplies, list[int]] = {}

    def remember(self: Gate, *arguments: Any) -> None:
        self._released = -1
        before.setdefault(self._held, [0]).append(self._node.replication.position)
        pass_on(self, *arguments)

    monkeypatch.setattr(Gate, "pass_on", remember)
    monkeypatch.setattr(HeldReplies, "release", lambda self, mark: release(self, max(mark, before[self][-2])))
    with pytest.raises(Broken, match=r"which was acknowledged|is known"):
        look(KILLED)


def test_reads_of_what_replicas_do_not_have_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate, "_last_change", lambda *_: 0)
    with pytest.raises(Broken, match=r"was read, and is gone|saw|is known"):
        look(ALONE, every=1.0)
