"""A log against a list: any order of appends, reads, rolls, drops, merges, cuts and reopenings."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from storage import Caches, Log, LogConfig, NotABatchBorder
from tests.support.memory_filesystem import MemoryFileSystem

payloads = st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=60)), max_size=12)
effects = st.lists(st.binary(max_size=30), max_size=3)
positions = st.floats(0, 1)


class LogAgainstList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.filesystem = MemoryFileSystem()
        self.caches = Caches(open_files_max=2, block_bytes_max=3000, tail_bytes_max=2000)
        self.config = LogConfig(
            segment_bytes=1500, index_interval_bytes=200, tail_bytes_max=900, batch_bytes_max=300,
            merge_target_bytes=700, checkpoint_interval_bytes=400,
        )  # fmt: skip
        self.ids: list[tuple[int, int]] = []
        self.payloads: list[bytes] = []
        self.effects: list[tuple[int, int, bytes]] = []
        #: End offset of each append, with the entries and effects there were.
        self.borders: list[tuple[int, int, int]] = [(0, 0, 0)]
        self.now_ms = 0
        self.log = self.open()

    def open(self) -> Log:
        return Log.open(self.filesystem, "/log", self.config, caches=self.caches)

    @rule(entries=payloads, effects=effects)
    def append(self, entries: list[tuple[int, bytes]], effects: list[bytes]) -> None:
        ms, seqs = [], []
        last = self.ids[-1] if self.ids else (0, 0)
        for step, _ in entries:
            last = (last[0] + step, 0 if step else last[1] + 1)
            ms.append(last[0])
            seqs.append(last[1])
        self.now_ms += 1
        end, count, _ = self.borders[-1]
        self.log.append(ms, seqs, [payload for _, payload in entries], effects, now_ms=self.now_ms)
        self.ids += zip(ms, seqs, strict=True)
        self.payloads += [payload for _, payload in entries]
        self.effects += [(end + len(entries) + i, self.now_ms, effect) for i, effect in enumerate(effects)]
        self.borders.append((end + len(entries) + len(effects), count + len(entries), len(self.effects)))

    @rule(steps=st.lists(st.integers(0, 2), min_size=1, max_size=12), payload=st.binary(max_size=60))
    def append_one_by_one(self, steps: list[int], payload: bytes) -> None:
        for step in steps:
            last = self.ids[-1] if self.ids else (0, 0)
            ms, seq = last[0] + step, 0 if step else last[1] + 1
            self.now_ms += 1
            end, count, effects_count = self.borders[-1]
            self.log.append_one(ms, seq, payload, self.now_ms)
            self.ids.append((ms, seq))
            self.payloads.append(payload)
            self.borders.append((end + 1, count + 1, effects_count))

    @rule(one=st.booleans())
    def append_and_take_back(self, one: bool) -> None:
        before = self.log.end_offset, self.log.last_id
        if one:
            self.log.append_one(1 << 60, 0, b"taken back", self.now_ms)
        else:
            self.log.append([1 << 60], [0], [b"taken back"], [b"effect"], now_ms=self.now_ms)
        self.log.take_back()
        assert (self.log.end_offset, self.log.last_id) == before

    @rule()
    def sync(self) -> None:
        pending = self.log.unsynced()
        pending.sync()
        self.log.synced(pending)

    @rule()
    def roll(self) -> None:
        self.log.roll(self.now_ms)

    @rule(killed=st.booleans())
    def reopen(self, killed: bool) -> None:
        if not killed:
            self.log.close()
        self.log = self.open()
        assert self.log.report.cut is None

    @rule()
    def go_idle(self) -> None:
        self.log.close_files()

    @rule()
    def snapshot(self) -> None:
        self.log.write_snapshot(b"state %d" % self.log.end_offset, self.log.end_offset)

    @rule(position=positions)
    def drop(self, position: float) -> None:
        before = self.log.first_ordinal
        ordinal = round(position * len(self.ids))
        self.log.drop_before(ordinal)
        assert before <= self.log.first_ordinal <= max(before, ordinal)

    @rule()
    def merge(self) -> None:
        for segment in self.log.merge_candidates():
            job = self.log.merge(segment)
            job.run()
            self.log.swap(job)

    @precondition(lambda self: len(self.borders) > 1)
    @rule(position=positions)
    def truncate(self, position: float) -> None:
        kept = [border for border in self.borders if border[0] >= self.log.cut_floor]
        border = kept[int(position * (len(kept) - 1))]
        try:
            self.log.truncate(border[0])
        except NotABatchBorder:
            assert self.log.segments.floor(border[0]).merged
            return
        end, entries, effects = border
        del self.ids[entries:], self.payloads[entries:], self.effects[effects:]
        self.borders = [b for b in self.borders if b[0] <= end]

    @rule(a=positions, b=positions)
    def read(self, a: float, b: float) -> None:
        first = self.log.first_ordinal
        low, high = sorted(first + round(x * (len(self.ids) - first)) for x in (a, b))
        assert b"".join(self.log.read(low, high)) == b"".join(self.payloads[low:high])
        assert self.log.read_each(low, high) == self.payloads[low:high]
        assert self.log.sizes(low, high) == [len(payload) for payload in self.payloads[low:high]]
        ms, seqs = self.log.ids(low, high)
        assert list(zip(ms, seqs, strict=True)) == self.ids[low:high]
        assert self.log.packed_ids(low, high) == (array("Q", ms).tobytes(), array("Q", seqs).tobytes())

    @rule(wanted=st.lists(st.tuples(st.tuples(st.integers(0, 60), st.integers(0, 6)), st.integers(1, 40)), max_size=8))
    def read_from_ids(self, wanted: list[tuple[tuple[int, int], int]]) -> None:
        for (entry_id, count), (first, pieces, stop, end) in zip(
            wanted, self.log.read_many(wanted, 1 << 20), strict=True
        ):
            assert first == max(self.log.first_ordinal, bisect_left(self.ids, entry_id))
            assert end == first + count
            assert stop == min(end, len(self.ids))
            assert b"".join(pieces) == b"".join(self.payloads[first:stop])

    @rule(ms=st.integers(0, 60), seq=st.integers(0, 6))
    def find(self, ms: int, seq: int) -> None:
        expected = max(self.log.first_ordinal, bisect_left(self.ids, (ms, seq)))
        assert self.log.ordinal_of((ms, seq)) == expected
        found = expected < len(self.ids) and self.ids[expected] == (ms, seq)
        assert self.log.find((ms, seq)) == (expected if found else None)

    @rule(position=positions)
    def replay(self, position: float) -> None:
        start = round(position * self.log.end_offset)
        first = max(start, self.log.start_offset)
        assert list(self.log.controls(start)) == [effect for effect in self.effects if effect[0] >= first]

    @invariant()
    def ends_agree(self) -> None:
        assert self.log.end_ordinal == len(self.ids)
        assert self.log.end_offset == self.borders[-1][0]
        assert self.log.last_id == (self.ids[-1] if self.ids else None)
        first = self.log.first_ordinal
        assert self.log.first_id == (self.ids[first] if first < len(self.ids) else None)


LogAgainstList.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
TestLogAgainstList = LogAgainstList.TestCase
