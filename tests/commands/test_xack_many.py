"""XACK of many IDs in one call, in any order and shape: told apart from nothing but a model of sets."""

from __future__ import annotations

import random

import pytest

from respbroker.streams import effects
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import NodeUnderTest, open_node

ENTRIES = 3000
FIRST_MS = 1_600_000_000_000
SHAPES = {
    "one entry a millisecond": lambda n: (FIRST_MS + n, 0),
    "fifty a millisecond": lambda n: (FIRST_MS + n // 50, n % 50),
    "some a millisecond": lambda n: (FIRST_MS + n // 3, n % 3 * 500),
}


def text(shape: str, number: int) -> str:
    ms, seq = SHAPES[shape](number)
    return f"{ms}-{seq}"


def ordered(chooser: random.Random) -> list[int]:
    first = chooser.randrange(ENTRIES - 50)
    return [*range(first, first + chooser.randint(32, 150))]  # may reach behind the end


def shuffled(chooser: random.Random) -> list[int]:
    numbers = ordered(chooser)
    chooser.shuffle(numbers)
    return numbers


def swapped(chooser: random.Random) -> list[int]:
    numbers = ordered(chooser)
    place = chooser.randrange(1, len(numbers) - 2)
    numbers[place], numbers[place + 1] = numbers[place + 1], numbers[place]
    return numbers


def repeated(chooser: random.Random) -> list[int]:
    numbers = ordered(chooser)
    numbers[chooser.randrange(1, len(numbers) - 1)] = numbers[0]
    return numbers


def with_gaps(chooser: random.Random) -> list[int]:
    return [number for number in ordered(chooser) if chooser.random() < 0.9]


def anywhere(chooser: random.Random) -> list[int]:
    return [chooser.randrange(ENTRIES + 100) for _ in range(100)]


def opened(disk: MemoryFileSystem, shape: str) -> NodeUnderTest:
    """A node whose stream has been given to two consumers, all but the last hundred entries; some are gone."""
    node = open_node("/node", disk)
    client = node.client()
    adds = [["XADD", "s", text(shape, n), "f", "v"] for n in range(ENTRIES)]
    node.pipeline(client, [*adds, ["XGROUP", "CREATE", "s", "g", "0"]])
    for consumer, count in (("c", 1500), ("d", 7), ("c", 1), ("d", ENTRIES - 1608)):
        node.run(client, "XREADGROUP", "GROUP", "g", consumer, "COUNT", count, "STREAMS", "s", ">")
    node.run(client, "XDEL", "s", *(text(shape, n) for n in range(100, 2000, 90)))
    node.run(client, "XTRIM", "s", "MINID", text(shape, 60))
    return node


def still_pending(node: NodeUnderTest) -> bytes:
    return node.run(node.client(), "XPENDING", "s", "g", "-", "+", 2 * ENTRIES)


@pytest.fixture(params=SHAPES)
def shape(request) -> str:
    return request.param


@pytest.fixture
def disk() -> MemoryFileSystem:
    disk = MemoryFileSystem()
    disk.mkdir("/node")
    return disk


@pytest.mark.parametrize("choose", [ordered, shuffled, swapped, repeated, with_gaps, anywhere])
def test_what_is_counted_and_what_is_left_is_what_a_set_says(disk, shape, choose) -> None:
    node, chooser = opened(disk, shape), random.Random(5)
    client = node.client()
    model = set(range(ENTRIES - 100))
    for _ in range(30):
        numbers = choose(chooser)
        reply = node.run(client, "XACK", "s", "g", *(text(shape, n) for n in numbers))
        assert reply == b":%d\r\n" % len(model.intersection(numbers))
        model.difference_update(numbers)
    left = still_pending(node)
    assert left.startswith(b"*%d\r\n" % len(model))
    assert all(b"\r\n%d-%d\r\n" % SHAPES[shape](number) in left for number in model)


@pytest.mark.parametrize("choose", [ordered, shuffled, anywhere])
def test_it_is_on_disk(disk, shape, choose) -> None:
    node, chooser = opened(disk, shape), random.Random(6)
    acks = [["XACK", "s", "g", *(text(shape, n) for n in choose(chooser))] for _ in range(10)]
    node.pipeline(node.client(), acks)
    before = still_pending(node)
    node.kill()
    assert still_pending(open_node("/node", disk)) == before


@pytest.mark.parametrize("place", [0, 1, 50, 99])
@pytest.mark.parametrize("word", ["oops", "1600000000000-1-1", "1600000000000-0 1600000000001-0", "", "-1", "1_6-0"])
def test_one_word_that_is_no_id_refuses_all(disk, word, place) -> None:
    node = opened(disk, "one entry a millisecond")
    before = still_pending(node)
    words = [f"{FIRST_MS + 200 + n}-0" for n in range(100)]
    words[place] = word
    reply = node.run(node.client(), "XACK", "s", "g", *words)
    assert reply == b"-ERR Invalid stream ID specified as stream command argument\r\n"
    assert still_pending(node) == before


def test_other_spellings_of_an_id_count(disk) -> None:
    node = opened(disk, "one entry a millisecond")
    words = [f"{FIRST_MS + n}" if n % 2 else f"{FIRST_MS + n}-00" for n in range(200, 300)]
    assert node.run(node.client(), "XACK", "s", "g", *words) == b":100\r\n"


def test_ids_added_by_the_same_pipeline_are_known(disk) -> None:
    node = opened(disk, "one entry a millisecond")
    ids = [b"1700000000000-%d" % n for n in range(100)]
    replies = node.pipeline(
        node.client(),
        [
            *([b"XADD", b"s", each, b"f", b"v"] for each in ids),
            ["XREADGROUP", "GROUP", "g", "e", "STREAMS", "s", ">"],
            [b"XACK", b"s", b"g", b"1599999999999-0", *ids[:99]],
            [b"XACK", b"s", b"g", *ids],
        ],
    )
    assert replies.endswith(b":99\r\n:1\r\n")


def test_acknowledgements_in_logs_of_older_versions_count(disk) -> None:
    node = opened(disk, "one entry a millisecond")
    stream = node.node.lookup(b"s")
    stream.commit([effects.ACKNOWLEDGED, b"g", [*range(200, 300), 500, 2500, 400]])
    before = still_pending(node)
    assert before.startswith(b"*2797\r\n")
    node.tick()
    node.kill()
    assert still_pending(open_node("/node", disk)) == before
