"""Neighbouring equal requests are served at once, and nobody can tell: replies and state are those of one by one."""

from __future__ import annotations

import random

import pytest

from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import NodeUnderTest, open_node

Request = list[bytes]


def entry_id(number: int) -> bytes:
    return b"%d-0" % (1_600_000_000_000 + number)


def in_memory(disk: MemoryFileSystem | None = None) -> NodeUnderTest:
    if disk is None:
        disk = MemoryFileSystem()
        disk.mkdir("/node")
    return open_node("/node", disk)


def one_by_one(node: NodeUnderTest, requests: list[Request]) -> bytes:
    client = node.client()
    return b"".join(node.run(client, *words) for words in requests)


def state(node: NodeUnderTest) -> bytes:
    questions = [[b"XRANGE", b"s", b"-", b"+"], [b"XPENDING", b"s", b"g"], [b"XINFO", b"STREAM", b"s", b"FULL"]]
    return one_by_one(node, questions)


def same(prepared: list[Request], requests: list[Request]) -> bytes:
    """Run the requests in one pipeline and one by one, on two nodes prepared alike; the replies, which must agree."""
    together, apart = in_memory(), in_memory()
    for node in (together, apart):
        node.pipeline(node.client(), prepared)
    replies = together.pipeline(together.client(), requests)
    assert replies == one_by_one(apart, requests)
    assert state(together) == state(apart)
    return replies


ADD: Request = [b"XADD", b"s", b"*", b"f", b"v"]


def test_appends_to_one_stream() -> None:
    replies = same([ADD], [ADD] * 120)
    assert replies.count(b"$") == 120


def test_appends_of_several_fields_among_others() -> None:
    same([], [ADD, [*ADD, b"g", b"w"], ADD, [b"XADD", b"t", *ADD[2:]], ADD, [b"PING"], ADD, ADD])


def test_an_append_with_a_field_too_few_is_refused_in_its_place() -> None:
    replies = same([ADD], [ADD, ADD, [*ADD, b"odd"], ADD, ADD])
    assert replies.count(b"-ERR wrong number of arguments") == 1


def test_appends_across_a_sequence_that_gets_another_digit() -> None:
    same([[b"XADD", b"s", b"1800000000000-8", b"f", b"v"]], [ADD] * 100)


def test_appends_up_to_the_last_sequence_of_a_millisecond() -> None:
    last = [[b"XADD", b"s", b"1800000000000-18446744073709551613", b"f", b"v"]]
    replies = same(last, [ADD] * 4)
    assert b"1800000000000-18446744073709551615" in replies
    assert b"1800000000001-0" in replies


def add(key: bytes, *trim: bytes) -> Request:
    return [b"XADD", key, *trim, b"*", b"f", b"v"]


@pytest.mark.parametrize("operator", [b"~", b"="])
@pytest.mark.parametrize("maxlen", [b"0", b"1", b"99", b"100", b"101", b"250", b"1000"])
@pytest.mark.parametrize("present", [0, 1, 150, 500])
def test_appends_that_trim(operator: bytes, maxlen: bytes, present: int) -> None:
    same([ADD] * present, [add(b"s", b"MAXLEN", operator, maxlen)] * 350)


def test_appends_that_trim_a_stream_with_gaps() -> None:
    gaps = [[b"XADD", b"s", entry_id(n), b"f", b"v"] for n in range(500)]
    gaps += [[b"XDEL", b"s", *(entry_id(n) for n in range(50, 500, 3))]]
    same(gaps, [add(b"s", b"MAXLEN", b"~", b"300")] * 400)
    same(gaps, [add(b"s", b"MAXLEN", b"=", b"300")] * 400)


def test_appends_that_trim_from_where_the_stream_was_emptied() -> None:
    emptied = [*[ADD] * 130, [b"XTRIM", b"s", b"MAXLEN", b"0"], *[ADD] * 30]
    same(emptied, [add(b"s", b"MAXLEN", b"~", b"50")] * 400)


@pytest.mark.parametrize("size", [b"0", b"1", b"7", b"100"])
def test_appends_that_trim_nodes_of_another_size(size: bytes) -> None:
    nodes = [[b"CONFIG", b"SET", b"stream-node-max-entries", size]]
    same(nodes, [add(b"s", b"MAXLEN", b"~", b"20")] * 300)


def test_appends_that_trim_more_than_the_limit_of_one_request() -> None:
    nodes = [[b"CONFIG", b"SET", b"stream-node-max-entries", b"3"]]
    same([*nodes, *[ADD] * 2000], [add(b"s", b"MAXLEN", b"~", b"20")] * 50)


def test_appends_that_trim_count_as_changes_each() -> None:
    counts = []
    for requests in ([add(b"s", b"MAXLEN", b"~", b"100")] * 350, [add(b"s", b"maxlen", b"~", b"100")] * 350):
        node = in_memory()
        node.pipeline(node.client(), requests)
        counts.append(node.node.dirty)
    assert counts == [350 + 2, 350 + 2]


def test_appends_count_as_changes_each_whoever_watches() -> None:
    node = in_memory()
    node.run(node.client(), b"WATCH", b"s")
    node.pipeline(node.client(), [ADD] * 10)
    assert node.node.dirty == 10


def test_appends_that_trim_survive_a_restart() -> None:
    disk = MemoryFileSystem()
    disk.mkdir("/node")
    node = in_memory(disk)
    node.pipeline(node.client(), [*[ADD] * 150, *[add(b"s", b"MAXLEN", b"~", b"100")] * 400])
    before = one_by_one(node, [[b"XRANGE", b"s", b"-", b"+"], [b"XLEN", b"s"]])
    node.node.stop()
    assert one_by_one(in_memory(disk), [[b"XRANGE", b"s", b"-", b"+"], [b"XLEN", b"s"]]) == before


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([b"MAXLEN", b"~", b"-1"], id="below zero"),
        pytest.param([b"MAXLEN", b"~", b"x"], id="no number"),
        pytest.param([b"MAXLEN", b"=", b"x"], id="no number, exactly"),
        pytest.param([b"MAXLEN", b"?", b"1"], id="no operator"),
    ],
)
def test_appends_that_trim_by_nonsense_are_refused_each(words: Request) -> None:
    replies = same([ADD], [ADD, *[add(b"s", *words)] * 3, ADD])
    assert replies.count(b"-ERR") == 3


def test_appends_to_many_streams() -> None:
    keys = [b"a", b"b", b"c", b"s"]
    chooser = random.Random(5)
    made = [add(key) for key in keys]
    requests = [add(chooser.choice(keys)) for _ in range(300)]
    same(made, requests)
    same([], requests)
    same(made[:2], requests)


def test_appends_of_all_kinds_among_each_other() -> None:
    chooser = random.Random(11)
    kinds = [
        add(b"s"),
        add(b"t"),
        [*add(b"s"), b"g", b"w"],
        [*add(b"t"), b"odd"],
        [b"xadd", *add(b"t")[1:]],
        add(b"s", b"MAXLEN", b"~", b"100"),
        add(b"s", b"MAXLEN", b"=", b"120"),
        add(b"t", b"MAXLEN", b"~", b"10"),
        add(b"s", b"MAXLEN", b"100"),
        [b"XADD", b"s", b"NOMKSTREAM", b"*", b"f", b"v"],
        [b"XADD", b"t", b"*", b"f"],
        [b"XLEN", b"s"],
        [b"EXPIRE", b"t", b"1000"],
    ]
    for _ in range(20):
        requests = []
        for _ in range(60):
            requests += [chooser.choice(kinds)] * chooser.choice((1, 1, 2, 30))
        same([], requests)


def test_appends_to_many_streams_beyond_the_last_id() -> None:
    last = [[b"XADD", b"s", b"18446744073709551615-18446744073709551614", b"f", b"v"], add(b"t")]
    replies = same(last, [add(b"s"), add(b"t")] * 3)
    assert replies.count(b"-ERR") == 2


def test_a_watcher_learns_of_appends_to_many_streams() -> None:
    node = in_memory()
    watcher, writer = node.client(), node.client()
    node.pipeline(writer, [add(b"s"), add(b"t")])
    node.run(watcher, b"WATCH", b"t")
    node.pipeline(writer, [add(b"s"), add(b"t"), add(b"s"), add(b"t")])
    node.run(watcher, b"MULTI")
    node.run(watcher, b"PING")
    assert node.run(watcher, b"EXEC") == b"*-1\r\n"


def test_a_blocked_reader_is_served_behind_a_run_of_appends() -> None:
    node = in_memory()
    reader, writer = node.client(), node.client()
    node.run(writer, *ADD)
    assert node.run(reader, b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$") == b""
    node.pipeline(writer, [ADD, ADD, ADD, [b"XLEN", b"s"], ADD])
    assert node.output(reader).count(b"$1\r\nv\r\n") == 3


def test_a_watched_stream_that_a_run_changes_breaks_the_transaction() -> None:
    node = in_memory()
    watcher, writer = node.client(), node.client()
    node.run(writer, *ADD)
    node.pipeline(watcher, [[b"WATCH", b"s"], [b"MULTI"], [b"XLEN", b"s"]])
    node.pipeline(writer, [ADD, ADD, ADD])
    assert node.run(watcher, b"EXEC") == b"*-1\r\n"


def test_each_append_of_a_run_is_notified() -> None:
    node = in_memory()
    listener, writer = node.client(), node.client()
    node.run(writer, b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
    node.run(listener, b"SUBSCRIBE", b"__keyevent@0__:xadd")
    node.pipeline(writer, [ADD, ADD, ADD])
    assert node.output(listener).count(b"$1\r\ns\r\n") == 3


GROUP: list[Request] = [
    *([b"XADD", b"s", entry_id(n), b"f", b"v"] for n in range(3000)),
    [b"XGROUP", b"CREATE", b"s", b"g", b"0"],
    [b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"1500", b"STREAMS", b"s", b">"],
    [b"XREADGROUP", b"GROUP", b"g", b"d", b"COUNT", b"500", b"STREAMS", b"s", b">"],
]


def acks(numbers: list[int]) -> list[Request]:
    return [[b"XACK", b"s", b"g", entry_id(number)] for number in numbers]


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(list(range(100)), id="a whole run"),
        pytest.param(list(range(1000, 1100)), id="over the border of a block"),
        pytest.param(list(range(1450, 1550)), id="of two consumers"),
        pytest.param(list(range(1950, 2050)), id="beyond what was delivered"),
        pytest.param([5, 5, 5, 6, 4, 4], id="twice and out of order"),
        pytest.param(list(range(0, 3000, 7)), id="with gaps"),
    ],
)
def test_acknowledgements(numbers: list[int]) -> None:
    same(GROUP, acks(numbers))


def test_acknowledgements_at_random() -> None:
    chooser = random.Random(7)
    same(GROUP, acks([chooser.randrange(3100) for _ in range(1000)]))


def test_acknowledging_the_same_again_answers_zero() -> None:
    replies = same(GROUP, acks([*range(50), *range(50)]))
    assert replies == b":1\r\n" * 50 + b":0\r\n" * 50


def test_an_acknowledgement_of_no_id_is_refused_in_its_place() -> None:
    requests = [*acks([1, 2]), [b"XACK", b"s", b"g", b"oops"], *acks([3]), [b"XACK", b"t", b"g", b"1-1"], *acks([4])]
    replies = same(GROUP, requests)
    assert replies == b":1\r\n:1\r\n-ERR Invalid stream ID specified as stream command argument\r\n:1\r\n:0\r\n:1\r\n"


def many(*batches: list[int]) -> list[Request]:
    return [[b"XACK", b"s", b"g", *map(entry_id, numbers)] for numbers in batches]


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param([list(range(at, at + 100)) for at in range(0, 2100, 100)], id="all, a hundred at a time"),
        pytest.param([[7, 3, 3], [3, 9], [1, 2], [4], [5, 6]], id="few, twice, and one alone"),
        pytest.param([list(range(50, 0, -1)), list(range(40, 90))], id="backwards and overlapping"),
    ],
)
def test_acknowledgements_of_many_entries_each(batches: list[list[int]]) -> None:
    same(GROUP, many(*batches))


def test_among_many_acknowledgements_of_many_one_of_no_id_is_refused_in_its_place() -> None:
    bad = [b"XACK", b"s", b"g", entry_id(5), b"oops"]
    requests = [*many([1, 2], [3, 4]), bad, *many([5, 6], [7, 1600])]
    replies = same(GROUP, requests)
    assert replies == b":2\r\n:2\r\n-ERR Invalid stream ID specified as stream command argument\r\n:2\r\n:2\r\n"


def test_acknowledgements_survive_a_restart() -> None:
    disk = MemoryFileSystem()
    disk.mkdir("/node")
    node = in_memory(disk)
    node.pipeline(node.client(), GROUP)
    node.pipeline(node.client(), acks([*range(100), 3, 4, 1200]))
    before = state(node)
    node.node.stop()
    assert state(in_memory(disk)) == before


@pytest.mark.parametrize("maxlen", [b"0", b"1", b"100", b"250", b"1000"])
def test_the_short_way_of_trimming_trims_as_the_long_one(maxlen: bytes) -> None:
    short, long = in_memory(), in_memory()
    for node, word in ((short, b"MAXLEN"), (long, b"maxlen")):  # only the usual spelling takes the short way
        node.pipeline(node.client(), [[b"XADD", b"s", word, b"~", maxlen, b"*", b"f", b"v"]] * 700)
    assert state(short) == state(long)


@pytest.mark.parametrize(
    "words", [[b"-1", b"*", b"f", b"v"], [b"x", b"*", b"f", b"v"], [b"10", b"*", b"f", b"v", b"g"]]
)
def test_the_short_way_of_trimming_refuses_as_the_long_one(words: Request) -> None:
    node = in_memory()
    short, long = (one_by_one(node, [[b"XADD", b"s", word, b"~", *words]]) for word in (b"MAXLEN", b"maxlen"))
    assert short == long
    assert short.startswith(b"-ERR")
