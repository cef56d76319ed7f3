"""Neighbouring reads are served at once, and nobody can tell: replies and state are those of one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from storage import Log
from tests.broker import test_together
from tests.broker.test_runs import ADD, Request, entry_id, in_memory, same, state
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import NodeUnderTest

ENTRIES: list[Request] = [[b"XADD", b"s", entry_id(n), b"f", b"v%d" % n] for n in range(1500)]
GROUP: list[Request] = [
    [b"XGROUP", b"CREATE", b"s", b"g", b"0"],
    [b"XGROUP", b"CREATECONSUMER", b"s", b"g", b"c"],
    [b"XGROUP", b"CREATECONSUMER", b"s", b"g", b"d"],
]
GAPS: list[Request] = [[b"XDEL", b"s", *(entry_id(n) for n in range(100, 1400, 7))]]
TRIMMED: list[Request] = [[b"XTRIM", b"s", b"MAXLEN", b"1000"]]


def xrange(first: int, count: int, key: bytes = b"s") -> Request:
    return [b"XRANGE", key, entry_id(first), b"+", b"COUNT", b"%d" % count]


def xread(first: int, count: int, key: bytes = b"s") -> Request:
    return [b"XREAD", b"COUNT", b"%d" % count, b"STREAMS", key, entry_id(first)]


def xreadgroup(count: int, consumer: bytes = b"c", *options: bytes, key: bytes = b"s") -> Request:
    return [b"XREADGROUP", b"GROUP", b"g", consumer, b"COUNT", b"%d" % count, *options, b"STREAMS", key, b">"]


# -- XRANGE and XREAD --------------------------------------------------------------------------------------------

UNUSUAL: list[Request] = [
    [b"XRANGE", b"s", b"-", b"+", b"COUNT", b"3"],
    [b"XRANGE", b"s", b"(" + entry_id(7), b"+", b"COUNT", b"3"],
    [b"XRANGE", b"s", b"1600000000007", b"+", b"COUNT", b"3"],
    [b"XRANGE", b"s", entry_id(7), entry_id(9), b"COUNT", b"10"],
    [b"XRANGE", b"s", entry_id(1490), b"+"],
    [b"XRANGE", b"s", entry_id(7), b"+", b"count", b"3"],
    [b"xrange", b"s", entry_id(7), b"+", b"COUNT", b"3"],
    [b"XRANGE", b"s", entry_id(7), b"+", b"COUNT", b"0"],
    [b"XRANGE", b"s", entry_id(7), b"+", b"COUNT", b"-1"],
    [b"XRANGE", b"s", entry_id(7), b"+", b"COUNT", b"03"],
    [b"XRANGE", b"s", entry_id(7), b"+", b"COUNT", b""],
    [b"XRANGE", b"s", entry_id(7), b"+", b"COUNT", b"9" * 18],
    [b"XRANGE", b"s", entry_id(7), b"+", b"LIMIT", b"3"],
    [b"XRANGE", b"s", b"18446744073709551615-18446744073709551615", b"+", b"COUNT", b"3"],
    [b"XRANGE", b"s", b"18446744073709551616-0", b"+", b"COUNT", b"3"],
    [b"XRANGE", b"s", b"1600000000007-", b"+", b"COUNT", b"3"],
    [b"XRANGE", b"s", b"1-2-3", b"+", b"COUNT", b"3"],
    [b"XREAD", b"COUNT", b"3", b"STREAMS", b"s", b"0"],
    [b"XREAD", b"COUNT", b"3", b"STREAMS", b"s", b"$"],
    [b"XREAD", b"COUNT", b"3", b"STREAMS", b"s", b"+"],
    [b"XREAD", b"COUNT", b"3", b"STREAMS", b"s", b">"],
    [b"XREAD", b"COUNT", b"0", b"STREAMS", b"s", entry_id(1497)],
    [b"XREAD", b"count", b"3", b"streams", b"s", entry_id(7)],
    [b"XREAD", b"COUNT", b"3", b"STREAMS", b"s", b"1600000000007-18446744073709551615"],
    [b"XREAD", b"COUNT", b"3", b"STREAMS", b"s", b"18446744073709551615-18446744073709551615"],
    [b"XREAD", b"BLOCK", b"3", b"STREAMS", b"s", b"18446744073709551615-18446744073709551615"],
]


@pytest.mark.parametrize("words", UNUSUAL, ids=lambda words: b" ".join(words).decode())
def test_a_read_in_another_form_among_usual_ones(words: Request) -> None:
    usual = [xrange(7, 3), xrange(8, 3)] if words[0].upper() == b"XRANGE" else [xread(7, 3), xread(8, 3)]
    same(ENTRIES, [*usual, words, *usual, words, words, *usual])


@pytest.mark.parametrize("prepared", [[], GAPS, TRIMMED, [*GAPS, *TRIMMED]], ids=["whole", "gaps", "trimmed", "both"])
@pytest.mark.parametrize("read", [xrange, xread])
def test_reads_from_anywhere(prepared: list[Request], read: object) -> None:
    chooser = random.Random(3)
    assert callable(read)
    requests = [read(chooser.randrange(-5, 1505), chooser.choice((1, 2, 10, 300, 2000))) for _ in range(300)]
    same([*ENTRIES, *prepared], requests)


def in_another_form(words: Request) -> Request:
    """The same request, written so that it is not served as the usual ones are."""
    if words[0] == b"XRANGE":
        return [*words[:3], b"18446744073709551615-18446744073709551615", *words[4:]]
    return [*words[:3], b"MAXCOUNT", b"100000", *words[3:]]


@pytest.mark.parametrize("prepared", [[], GAPS, TRIMMED, [*GAPS, *TRIMMED]], ids=["whole", "gaps", "trimmed", "both"])
@pytest.mark.parametrize("staged", [[], [ADD]], ids=["written", "some staged"])
def test_usual_reads_answer_as_all_others(prepared: list[Request], staged: list[Request]) -> None:
    chooser = random.Random(4)
    node = in_memory()
    client = node.client()
    node.pipeline(client, [*ENTRIES, *prepared])
    for _ in range(300):
        read = chooser.choice((xrange, xread))
        words = read(chooser.randrange(-5, 1505), chooser.choice((1, 2, 10, 300, 2000)))
        added = len(node.pipeline(client, staged)) if staged else 0
        replies = node.pipeline(client, [*staged, words, in_another_form(words)])[added:]
        assert replies[: len(replies) // 2] * 2 == replies


def test_reads_of_several_keys() -> None:
    other = [[b"XADD", b"t", entry_id(n), b"g", b"w%d" % n] for n in range(50)]
    text = [[b"XGROUP", b"CREATE", b"empty", b"g", b"0", b"MKSTREAM"]]
    keys = [b"s", b"t", b"s", b"none", b"s", b"empty", b"t"]
    same([*ENTRIES, *other, *text], [read(n, 4, key) for key in keys for read in (xrange, xread) for n in (3, 10)])


def test_reads_behind_appends_of_the_same_tick() -> None:
    later = [b"XADD", b"s", entry_id(2000), b"f", b"v"]
    replies = same(ENTRIES, [later, xrange(1498, 10), xrange(1498, 10), xread(1498, 10), xread(1999, 10)])
    assert replies.count(entry_id(2000)) == 1 + 4


def test_reads_count_as_hits_and_misses_each() -> None:
    node = in_memory()
    node.pipeline(node.client(), ENTRIES[:50])
    node.pipeline(node.client(), [xrange(3, 2), xrange(4, 2), xread(9, 2), xread(9, 2, b"none"), xread(70, 2)])
    statistics = node.node.statistics
    assert (statistics.keyspace_hits, statistics.keyspace_misses) == (4, 1)
    assert node.node.commands.commands["xrange"].calls == 2


def test_each_client_is_answered_in_its_protocol() -> None:
    for prepared, request in (([], xread(5, 2)), (GROUP, xreadgroup(2))):
        node = in_memory()
        node.pipeline(node.client(), [*ENTRIES, *prepared])
        node.run(node.client(), *request)  # has been seen before
        clients = [node.client(), node.client(3), node.client(3), node.client()]
        node.tick([(client, [request]) for client in clients])
        assert [node.output(client)[:2] for client in clients] == [b"*1", b"%1", b"%1", b"*1"]


def test_several_clients_get_their_own_replies() -> None:
    chooser = random.Random(8)
    for _ in range(30):
        parts = [
            [chooser.choice((xrange, xread))(chooser.randrange(1500), chooser.choice((1, 10, 900)))]
            * chooser.randrange(1, 3)
            for _ in range(8)
        ]
        test_together.same(ENTRIES, parts)


def test_replies_of_more_than_one_piece_go_to_the_client_that_asked() -> None:
    large = [[b"XADD", b"s", entry_id(n), b"f", b"%04d" % n * 10_000] for n in range(60)]
    test_together.same(large, [[xrange(n, 5)] for n in range(50)])
    same(large, [xrange(n, 3) for n in range(60)])


class Counting(list[Request]):
    """The requests of a client, counting how often somebody looks at them."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        type(self).looks += 1
        return super().__getitem__(place)


@pytest.mark.parametrize("words", [xread(3, 2, b"none"), [b"XRANGE", b"s", b"-", b"+"], xreadgroup(1)])
def test_what_cannot_be_served_together_is_tried_but_once(words: Request) -> None:
    node = in_memory()
    node.pipeline(node.client(), [*ENTRIES[:20], *GROUP, xreadgroup(100)])
    Counting.looks = 0
    node.tick([(node.client(), Counting([words])) for _ in range(300)])
    assert Counting.looks < 300 * 6


# -- XREADGROUP --------------------------------------------------------------------------------------------------

SET_BACK: list[Request] = [[b"XGROUP", b"SETID", b"s", b"g", entry_id(300)]]
DELETED_ONCE: list[Request] = [[b"XDEL", b"s", entry_id(40)], [b"XTRIM", b"s", b"MINID", entry_id(50)]]
DELETED_LAST: list[Request] = [[b"XDEL", b"s", entry_id(1499)], [b"XADD", b"s", entry_id(1600), b"f", b"v"]]


@pytest.mark.parametrize(
    "prepared",
    [
        pytest.param([], id="whole"),
        pytest.param(GAPS, id="gaps"),
        pytest.param(TRIMMED, id="trimmed"),
        pytest.param(SET_BACK, id="a group that does not know its counter"),
        pytest.param([*DELETED_ONCE, *SET_BACK], id="deleted and trimmed away"),
        pytest.param(DELETED_LAST, id="the last one deleted"),
        pytest.param([[b"XSETID", b"s", entry_id(5000)]], id="a last ID that no entry has"),
        pytest.param([[b"XGROUP", b"SETID", b"s", b"g", b"9999999999999-0"]], id="a cursor in the future"),
    ],
)
def test_new_entries_to_consumers_in_any_order(prepared: list[Request]) -> None:
    chooser = random.Random(6)
    kinds = [
        xreadgroup(1),
        xreadgroup(10),
        xreadgroup(3, b"d"),
        xreadgroup(3, b"new"),
        xreadgroup(7, b"c", b"NOACK"),
        xreadgroup(2, b"d", b"BLOCK", b"1"),
        xreadgroup(4, b"c", b"BLOCK", b"9223372036854775807"),
        xreadgroup(4, b"c", b"CLAIM", b"5"),
        [b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"5", b"STREAMS", b"s", b"0"],
        [b"XREADGROUP", b"GROUP", b"none", b"c", b"COUNT", b"5", b"STREAMS", b"s", b">"],
        [b"XPENDING", b"s", b"g"],
        [b"XINFO", b"GROUPS", b"s"],
        ADD,
    ]
    for _ in range(6):
        requests: list[Request] = []
        for _ in range(40):
            requests += [chooser.choice(kinds)] * chooser.choice((1, 1, 2, 5, 30))
        requests += [xreadgroup(10, b"d", b"BLOCK", b"1"), *[xreadgroup(300)] * 9]
        waiting = [words for words in requests if b"BLOCK" not in words]
        same([*ENTRIES, *GROUP, *prepared, xreadgroup(1)], [*requests[:40], *waiting])


def test_a_consumer_that_is_made_by_reading_is_notified() -> None:
    node = in_memory()
    listener, reader = node.client(), node.client()
    node.pipeline(reader, [*ENTRIES, *GROUP, xreadgroup(1), xreadgroup(1, b"e")])
    node.pipeline(reader, [[b"XGROUP", b"DELCONSUMER", b"s", b"g", b"e"]])
    node.run(reader, b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
    node.run(listener, b"SUBSCRIBE", b"__keyevent@0__:xgroup-createconsumer")
    node.pipeline(reader, [xreadgroup(1), xreadgroup(1), xreadgroup(1, b"e"), xreadgroup(1, b"e")])
    assert node.output(listener).count(b"$1\r\ns\r\n") == 1


def test_a_timeout_that_is_too_long_is_refused_each_time() -> None:
    endless = xreadgroup(1, b"c", b"BLOCK", b"9223372036854775807")
    replies = same([*ENTRIES, *GROUP], [xreadgroup(1), endless, endless, endless, xreadgroup(1)])
    assert replies.count(b"-ERR timeout is out of range") == 3


def test_new_entries_to_several_clients() -> None:
    chooser = random.Random(9)
    for _ in range(20):
        parts = [[xreadgroup(chooser.choice((1, 10, 100)), chooser.choice((b"c", b"d")))] for _ in range(12)]
        parts[5] *= 3
        test_together.same([*ENTRIES, *GROUP, xreadgroup(1), xreadgroup(1, b"d")], parts)


def test_reads_of_one_consumer_in_a_row_are_one_effect() -> None:
    node = in_memory()
    node.pipeline(node.client(), [*ENTRIES, *GROUP, xreadgroup(1), xreadgroup(1, b"d")])
    log = log_of(node)
    before = log.end_offset
    node.tick([(node.client(), [xreadgroup(1, name)]) for name in (b"c", b"c", b"c", b"d", b"d", b"c")])
    assert log.end_offset - before == 3


def test_what_is_given_out_in_runs_survives_a_restart() -> None:
    disk = MemoryFileSystem()
    disk.mkdir("/node")
    node = in_memory(disk)
    node.pipeline(node.client(), [*ENTRIES, *GROUP, xreadgroup(1), xreadgroup(1, b"d")])
    node.pipeline(node.client(), [*[xreadgroup(10)] * 20, *[xreadgroup(7, b"d")] * 20, *[xreadgroup(5)] * 3])
    before = state(node)
    node.node.stop()
    assert state(in_memory(disk)) == before


# -- what lies on the disk is damaged ----------------------------------------------------------------------------


def log_of(node: NodeUnderTest) -> Log:
    stream = node.node.lookup(b"s")
    assert stream is not None
    return stream.log


def damaged() -> NodeUnderTest:
    """A node with 600 large entries and a group, and with damage in the middle of them."""
    disk = MemoryFileSystem()
    disk.mkdir("/node")
    node = in_memory(disk)
    client = node.client()
    for first in range(0, 600, 50):
        node.pipeline(client, [[b"XADD", b"s", entry_id(n), b"f", b"v" * 1000] for n in range(first, first + 50)])
    node.pipeline(client, GROUP)
    disk.flip(log_of(node).segments.active.path, 8 * 250_000)
    return node


@pytest.mark.parametrize("read", [xrange, xread])
def test_damage_is_told_to_those_who_meet_it_and_to_nobody_else(read: object) -> None:
    assert callable(read)
    node = damaged()
    client = node.client()
    requests = [read(n, 5) for n in range(0, 600, 40)]
    replies = [node.run(client, *words) for words in requests]
    assert node.pipeline(client, requests) == b"".join(replies)
    assert 0 < sum(reply.startswith(b"-MISCONF") for reply in replies) < len(replies)


def test_a_group_is_given_what_lies_before_the_damage() -> None:
    together, apart = damaged(), damaged()
    requests = [xreadgroup(30)] * 20
    replies = together.pipeline(together.client(), requests)
    client = apart.client()
    assert replies == b"".join([apart.run(client, *words) for words in requests])
    assert 0 < replies.count(b"-MISCONF") < 20
    pending = [node.run(node.client(), b"XPENDING", b"s", b"g") for node in (together, apart)]
    assert pending[0] == pending[1]
