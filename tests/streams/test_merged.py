"""Several streams read as one, against a sorted list."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respbroker.streams.merged import PIECE_BYTES, Merged
from respbroker.streams.stream import Id, Stream
from storage import LogConfig
from tests.support.several_streams import LEAST, MOST, Streams


class Read(Streams):
    """Streams that are read as one."""

    def expected(self, first: Id, last: Id, count: int | None, *, backwards: bool) -> list[tuple[Id, int, int, bytes]]:
        found = [each for each in self.live if first <= each[0] <= last]
        return (found[::-1] if backwards else found)[:count]

    def check(self, first: Id = LEAST, last: Id = MOST, count: int | None = None, *, backwards: bool = False) -> None:
        expected = self.expected(first, last, count, backwards=backwards)
        merged = Merged(self.streams, first, last, count, backwards=backwards)
        assert merged.count == len(expected)
        assert b"".join(map(bytes, pieces_of(merged))) == b"".join(payload for *_, payload in expected)
        entries = []
        for stream, low, high in Merged(self.streams, first, last, count, backwards=backwards).runs():
            assert low < high
            ordinals = range(low, high)
            entries += [(stream.number, ordinal) for ordinal in (reversed(ordinals) if backwards else ordinals)]
        assert entries == [(place, ordinal) for _, place, ordinal, _ in expected]


def pieces_of(merged: Merged[Stream]) -> list[Any]:
    return [buffer for piece in merged.pieces() for buffer in piece]


counts = st.none() | st.integers(1, 12) | st.integers(13, 3000)
steps = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 4), st.integers(0, 2), st.sampled_from([0, 6, 6, 90, 3000])),
    st.tuples(st.just("burst"), st.integers(0, 4), st.integers(2, 40)),
    st.tuples(st.just("scatter"), st.integers(0, 1000), st.integers(2, 60)),
    st.tuples(st.just("delete"), st.integers(0, 1000)),
    st.tuples(st.just("thin"), st.integers(2, 5)),
    st.tuples(st.just("trim"), st.integers(0, 4), st.integers(1, 20)),
    st.tuples(st.just("flush"), st.integers(0, 4)),
)


@settings(max_examples=150, deadline=None)
@given(
    streams_count=st.integers(1, 5),
    program=st.lists(steps, max_size=25),
    first=st.integers(0, 60),
    last=st.integers(0, 60),
    count=counts,
    backwards=st.booleans(),
)
def test_streams_read_as_one_are_the_sorted_list(
    streams_count: int, program: list[Any], first: int, last: int, count: int | None, backwards: bool
) -> None:
    world = Read(streams_count)
    for name, *arguments in program:
        carry_out(world, name, arguments)
    ids = [(0, 0), *sorted({each[0] for each in world.live}), (1 << 64, 0)]
    low, high = sorted((first % len(ids), -1 - last % len(ids)), key=lambda place: ids[place])
    world.check(ids[low], ids[high], count, backwards=backwards)
    ms, seq = ids[low]
    world.check((ms, seq + 1), MOST, count, backwards=backwards)
    world.check(count=count, backwards=backwards)


def carry_out(world: Read, name: str, arguments: list[Any]) -> None:
    match name, arguments:
        case "append", [place, gap, size]:
            world.append(place % len(world.streams), gap=gap, size=size)
        case "burst", [place, count]:
            for _ in range(count):
                world.append(place % len(world.streams))
        case "scatter", [seed, count]:
            rng = random.Random(seed)
            for _ in range(count):
                world.append(rng.randrange(len(world.streams)), gap=rng.choice((0, 0, 1)))
        case "delete", [number] if world.live:
            world.delete(number % len(world.live))
        case "thin", [step]:
            for number in reversed(range(0, len(world.live), step)):
                world.delete(number)
        case "trim", [place, count]:
            stream = world.streams[place % len(world.streams)]
            floor = min(stream.first_ordinal + count, stream.end_ordinal)
            if floor > stream.first_ordinal:
                stream.trim(floor)
                world.live = [e for e in world.live if e[1] != stream.number or e[2] >= floor]
        case "flush", [place]:
            world.streams[place % len(world.streams)].flush(1)


@pytest.mark.parametrize("backwards", [False, True])
def test_many_entries_are_read_in_several_rounds(backwards: bool) -> None:
    world = Read(16, LogConfig())
    rng = random.Random(7)
    for number in range(30_000):
        world.append(rng.randrange(16) if number % 3000 < 2000 else 3, gap=rng.choice((0, 0, 1)))
        if number % 500 == 0:
            for stream in world.streams:
                stream.flush(1)
    for number in sorted(rng.sample(range(30_000), 500), reverse=True):
        world.delete(number)
    world.check(backwards=backwards)
    world.check(count=20_000, backwards=backwards)
    world.check((world.last_id[0] // 2, 0), count=777, backwards=backwards)


@pytest.mark.parametrize("backwards", [False, True])
def test_no_piece_holds_more_than_its_bound_when_small_entries_become_large(backwards: bool) -> None:
    world = Read(4)
    rng = random.Random(3)
    for size in [10] * 2000 + [PIECE_BYTES // 3] * 40 + [2 * PIECE_BYTES] * 3 + [10] * 2000:
        world.append(rng.randrange(4), size=size)
    for stream in world.streams:
        stream.flush(1)
    expected = b"".join(each[3] for each in world.expected(LEAST, MOST, None, backwards=backwards))
    read, sizes = [], []
    for piece in Merged(world.streams, LEAST, MOST, backwards=backwards).pieces():
        sizes.append(sum(map(len, piece)))
        read += map(bytes, piece)
    assert b"".join(read) == expected
    assert max(sizes) < 2 * PIECE_BYTES + 100
    assert len([size for size in sizes if size > PIECE_BYTES]) == 3, "only what is larger by itself"


@pytest.mark.parametrize("count", [None, 250, 2000])
@pytest.mark.parametrize("backwards", [False, True])
def test_what_changes_while_it_is_read_is_not_seen(count: int | None, backwards: bool) -> None:
    world = Read(3)
    for number in range(3000):
        world.append(number % 3)
    for number in range(2900, 0, -7):
        world.delete(number)
    expected = b"".join(each[3] for each in world.expected(LEAST, MOST, count, backwards=backwards))
    merged = Merged(world.streams, LEAST, MOST, count, backwards=backwards)
    pieces = merged.pieces()
    read = [*map(bytes, next(pieces))]
    for number in range(len(world.live) - 1, 0, -2):
        world.delete(number)
    for number in range(100):
        world.append(number % 3)
    read += [bytes(buffer) for piece in pieces for buffer in piece]
    assert b"".join(read) == expected


def test_neighbours_of_one_stream_are_slices() -> None:
    world = Read(4, LogConfig())
    for place in (0, 3, 1, 3, 2):
        for _ in range(100):
            world.append(place)
    runs = [(stream.number, low, high) for stream, low, high in Merged(world.streams, LEAST, MOST).runs()]
    joined: list[list[int]] = []
    for place, low, high in runs:
        if joined and joined[-1][0] == place and joined[-1][2] == low:
            joined[-1][2] = high
        else:
            joined.append([place, low, high])
    assert joined == [[0, 0, 100], [3, 0, 100], [1, 0, 100], [3, 100, 200], [2, 0, 100]]
    assert len(runs) < 25
    assert len(pieces_of(Merged(world.streams, LEAST, MOST))) < 25
