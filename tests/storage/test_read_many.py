"""Many reads at once answer as each by itself, whatever of the log is cached."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage import Caches, Log, LogConfig
from tests.support.memory_filesystem import MemoryFileSystem

CONFIG = LogConfig(index_interval_bytes=300, tail_bytes_max=0)
Ids = list[tuple[int, int]]

steps = st.lists(st.lists(st.integers(0, 1), max_size=6), max_size=40)
wanted = st.lists(st.tuples(st.tuples(st.integers(0, 60), st.integers(0, 30)), st.integers(1, 60)), max_size=12)


def filled(batches: list[list[int]]) -> tuple[Log, Ids]:
    """A log of one segment; a step of 0 is the same millisecond again, no step at all an effect."""
    log = Log.open(MemoryFileSystem(), "/log", CONFIG, caches=Caches())
    ids: Ids = []
    last = (1, 0)
    for batch in batches:
        if not batch:
            log.append([], [], [], [b"effect" * len(batches)], now_ms=1)
            continue
        new: Ids = []
        for step in batch:
            last = (last[0] + step, 0 if step else last[1] + 1)
            new.append(last)
        log.append(*map(list, zip(*new, strict=True)), [payload(each) for each in new], now_ms=1)  # type: ignore[arg-type]
        ids += new
    return log, ids


def payload(entry_id: tuple[int, int]) -> bytes:
    return b"<%d-%d>" % entry_id


@given(steps, wanted)
@example([[1] * 6] * 40, [((4, 0), 60), ((9, 0), 1), ((200, 0), 9), ((0, 0), 60)])
@example([[1] * 6, [], [1] * 6, [], []] * 8, [((4, 0), 60), ((9, 0), 1)])
@example([[0] * 6, []] * 20, [((1, 100), 60), ((1, 20), 9)])
@example([[0] * 6] * 40, [((1, 100), 60), ((1, 20), 9)])
@settings(max_examples=200, deadline=None)
def test_many_reads_answer_as_each_by_itself(
    batches: list[list[int]], wanted: list[tuple[tuple[int, int], int]]
) -> None:
    log, ids = filled(batches)
    wanted = [*wanted, *((each, count) for each in ids for count in (1, 5, 6, 12, 40))]
    for _ in range(3):  # the second reader of a block puts it into the cache, the third finds it there
        for (entry_id, count), (first, pieces, stop, end) in zip(wanted, log.read_many(wanted, 1 << 20), strict=True):
            assert first == bisect_left(ids, entry_id)
            assert end == first + count
            assert stop == min(end, len(ids))
            assert b"".join(pieces) == b"".join(map(payload, ids[first:stop]))
