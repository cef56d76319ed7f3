"""How far the oldest entries of several streams reach into each, against a sorted list."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from respbroker.streams.topic_trimming import LISTED_MAX, floors_of_oldest
from storage import LogConfig
from tests.support.several_streams import Streams


@settings(max_examples=40, deadline=None)
@given(
    streams_count=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    entries=st.integers(1, 4 * LISTED_MAX),
    share=st.floats(0, 1),
    thinned=st.sampled_from([0, 2, 3, 30]),
    stretch=st.integers(1, 900),
)
def test_floors_divide_the_oldest_entries_from_the_others(
    streams_count: int, seed: int, entries: int, share: float, thinned: int, stretch: int
) -> None:
    world = Streams(streams_count, LogConfig(index_interval_bytes=500))
    rng = Random(seed)
    while len(world.live) < entries:
        place = rng.randrange(streams_count)
        for _ in range(min(rng.choice((1, 1, 2, stretch)), entries - len(world.live))):
            world.append(place, gap=rng.randrange(2))
    for stream in world.streams[1:]:
        stream.flush(1)
    if thinned:
        for number in reversed(range(0, len(world.live) - 1, thinned)):
            world.delete(number)
        dead = rng.randrange(len(world.live))
        for number in reversed(range(dead, min(dead + stretch, len(world.live) - 1))):
            world.delete(number)
    count = round(share * len(world.live))
    floors = floors_of_oldest(world.streams, count)
    oldest = [each for each in world.live if each[2] < floors[each[1]]]
    assert oldest == world.live[:count]
    assert all(s.first_ordinal <= floor <= s.end_ordinal for s, floor in zip(world.streams, floors, strict=True))
