"""Values on a node: compaction, restarts, a full disk, whoever waits, watches or listens, and all commands for keys."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from random import Random

import pytest

from respbroker.sessions.client import Client
from respbroker.values.kinds import HASH, SORTED_SET
from tests.support.keyspace_events import listen
from tests.support.memory_filesystem import MemoryFileSystem
from tests.support.nodes import NodeUnderTest, open_node, settle
from tests.support.values import compact_often, content_of, records_of

WRONGTYPE = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"


@pytest.fixture(autouse=True)
def _close_files() -> Iterator[None]:
    """Nodes are left as a kill would leave them; their files are closed with the memory of them."""
    yield
    gc.collect()


@pytest.fixture
def disk() -> MemoryFileSystem:
    disk = MemoryFileSystem()
    disk.mkdir("d")
    return disk


@pytest.fixture
def node(disk: MemoryFileSystem) -> NodeUnderTest:
    return open_node("d", disk)


@pytest.fixture
def client(node: NodeUnderTest) -> Client:
    return node.client()


# -- the log behind them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_compaction_bounds_the_log_and_a_restart_gives_the_same_values(
    node: NodeUnderTest, client: Client, disk: MemoryFileSystem, seed: int
) -> None:
    rng = Random(seed)
    node.run(client, "SET", "first", "x")
    compact_often(node.node)
    sizes = []
    for _ in range(4):
        for number in range(600):
            _change(node, client, rng, number)
        settle(node)
        sizes.append(records_of(node.node.keyspace).log.size)
    before = content_of(node.node.keyspace)
    assert 20 < len(before) < 70
    assert max(sizes) < 8 * 2048
    node.kill()
    again = open_node("d", disk.killed())
    assert content_of(again.node.keyspace) == before
    assert again.node.keyspace.findings == []


def _change(node: NodeUnderTest, client: Client, rng: Random, number: int) -> None:
    key = b"%d" % rng.randrange(20)
    match rng.randrange(10):
        case 0:
            node.run(client, "DEL", key, b"h" + key, b"z" + key)
        case 1 | 2:
            node.run(client, "HSET", b"h" + key, rng.randrange(3), number)
        case 3:
            node.run(client, "HDEL", b"h" + key, rng.randrange(3))
        case 4:
            node.run(client, "ZADD", b"z" + key, number, rng.randrange(3))
        case 5:
            node.run(client, "EXPIRE", b"h" + key, rng.choice((1, 100_000)))
        case 6:
            node.run(client, "RENAME", b"h" + key, b"h%d" % rng.randrange(20))
        case _:
            node.run(client, "SET", key, number)


def test_the_operator_is_told_of_whose_records_were_compacted(node: NodeUnderTest, client: Client) -> None:
    node.run(client, "SET", "k", "x")
    compact_often(node.node)
    for number in range(100):
        node.run(client, "SET", "k", number)
    settle(node)
    said = [sentence for _, sentence in node.node.housekeeping.reports]
    assert any(sentence.startswith("compacted the values of database 0 in") for sentence in said)


def test_a_full_disk_refuses_the_tick_and_what_it_changed_is_as_before(
    node: NodeUnderTest, client: Client, disk: MemoryFileSystem
) -> None:
    node.run(client, "SET", "k", "before")
    node.run(client, "HSET", "h", "f", "before")
    before = content_of(node.node.keyspace)
    disk.room = 10
    assert node.run(client, "SET", "k", "after").startswith(b"-MISCONF")
    assert node.run(client, "HSET", "h", "f", "after", "g", "new").startswith(b"-MISCONF")
    assert node.run(client, "GET", "k") == b"$6\r\nbefore\r\n"
    assert content_of(node.node.keyspace) == before
    disk.room = None
    node.clock.advance(1100)
    assert node.run(client, "SET", "k", "after") == b"+OK\r\n"
    node.kill()
    assert content_of(open_node("d", disk.killed()).node.keyspace) == before | {(0, b"k"): (0, b"after")}


def test_the_first_value_is_refused_by_a_full_disk_as_any_other(
    node: NodeUnderTest, client: Client, disk: MemoryFileSystem
) -> None:
    disk.room = 0
    assert node.run(client, "SET", "k", "x").startswith(b"-MISCONF")
    assert node.run(client, "GET", "k") == b"$-1\r\n"
    disk.room = None
    node.clock.advance(1100)
    assert node.run(client, "SET", "k", "x") == b"+OK\r\n"
    assert node.run(client, "GET", "k") == b"$1\r\nx\r\n"


def test_debug_reload_and_save_keep_values(node: NodeUnderTest, client: Client) -> None:
    node.run(client, "SET", "k", "x", "EX", 100)
    node.run(client, "ZADD", "z", 1, "m")
    before = content_of(node.node.keyspace)
    assert node.run(client, "SAVE") == b"+OK\r\n"
    assert node.run(client, "DEBUG", "RELOAD") == b"+OK\r\n"
    assert content_of(node.node.keyspace) == before


def test_an_exec_that_writes_a_stream_and_a_value_is_written_whole(
    node: NodeUnderTest, client: Client, disk: MemoryFileSystem
) -> None:
    node.run(client, "SET", "k", 0)
    node.run(client, "XADD", "s", "*", "n", 0)
    first = disk.events
    node.pipeline(client, [["MULTI"], ["XADD", "s", "*", "n", 1], ["SET", "k", 1], ["EXEC"]])
    written = [line for line in disk.log[first:] if line.startswith("write")]
    assert "journal" in written[0]
    assert len(written) == 4  # that, both logs, and in the catalog that their directories are on the disk


# -- whoever waits, watches or listens ---------------------------------------------------------------------------


def test_a_reader_waits_on_while_its_key_holds_a_value(node: NodeUnderTest, client: Client) -> None:
    reader = node.client()
    assert node.run(reader, "XREAD", "BLOCK", 0, "STREAMS", "k", "$") == b""
    node.run(client, "SET", "k", "x")
    assert node.output(reader) == b""
    node.run(client, "DEL", "k")
    node.run(client, "XADD", "k", "1-1", "f", "v")
    assert b"1-1" in node.output(reader)


def test_a_reader_of_a_group_is_refused_when_its_key_becomes_a_value(node: NodeUnderTest, client: Client) -> None:
    reader = node.client()
    node.run(client, "XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")
    assert node.run(reader, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "k", ">") == b""
    node.run(client, "SET", "k", "x")
    assert node.output(reader) == WRONGTYPE


def test_a_reader_of_a_partition_is_told_when_a_string_takes_the_topics_place(
    node: NodeUnderTest, client: Client
) -> None:
    reader = node.client()
    node.run(client, "XTOPIC", "CREATE", "t", "PARTITIONS", 2)
    node.run(client, "XGROUP", "CREATE", "t", "g", "$")
    assert node.run(reader, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "t/1", ">") == b""
    node.run(client, "SET", "t", "x")
    assert node.output(reader).startswith(b"-NOGROUP")
    assert node.run(client, "KEYS", "*") == b"*1\r\n$1\r\nt\r\n"


@pytest.mark.parametrize(
    "change",
    [
        ["SET", "k", "y"],
        ["DEL", "k"],
        ["EXPIRE", "k", 100],
        ["RENAME", "other", "k"],
        ["SWAPDB", 0, 1],
        ["FLUSHALL"],
        ["DEBUG", "RELOAD"],
    ],
)
def test_a_watched_value_that_changes_fails_the_exec(
    node: NodeUnderTest, client: Client, change: list[str | int]
) -> None:
    watcher = node.client()
    node.pipeline(client, [["SET", "k", "x"], ["SET", "other", "x"]])
    node.run(watcher, "WATCH", "k")
    node.run(client, *change)
    assert node.pipeline(watcher, [["MULTI"], ["PING"], ["EXEC"]]).endswith(b"*-1\r\n")


def test_events_of_keys_are_told_for_values(node: NodeUnderTest, client: Client) -> None:
    events = listen(node)
    node.pipeline(client, [["SET", "k", 1], ["EXPIRE", "k", 1], ["RENAME", "k", "l"], ["COPY", "l", "m"], ["DEL", "m"]])
    assert events() == [
        *("set@0 k", "expire@0 k", "rename_from@0 k", "rename_to@0 l", "copy_to@0 m", "del@0 m"),
    ]
    node.clock.advance(1001)
    node.tick()
    assert events() == ["expired@0 l"]


# -- all commands for keys ---------------------------------------------------------------------------------------


def test_a_stream_and_a_value_refuse_each_others_commands(node: NodeUnderTest, client: Client) -> None:
    node.run(client, "XADD", "s", "*", "f", "v")
    node.run(client, "SET", "k", "x")
    for words in (
        ["XADD", "k", "*", "f", "v"], ["XLEN", "k"], ["XRANGE", "k", "-", "+"], ["XREAD", "STREAMS", "k", "0"],
        ["XGROUP", "CREATE", "k", "g", "0"], ["XINFO", "STREAM", "k"], ["XTRIM", "k", "MAXLEN", 0],
        ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "k", ">"], ["XDEL", "k", "1-1"], ["XACK", "k", "g", "1-1"],
        ["XPENDING", "k", "g"], ["XTOPIC", "INFO", "k"], ["XTOPIC", "ALTER", "k", "PARTITIONS", 2],
        ["XTOPIC", "DELETE", "k"], ["XSETID", "k", "1-1"], ["XCLAIM", "k", "g", "c", 0, "1-1"],
        ["XAUTOCLAIM", "k", "g", "c", 0, "0"], ["XADD", "k", "NOMKSTREAM", "*", "f", "v"],
        ["GET", "s"], ["HGET", "s", "f"], ["ZADD", "s", 1, "m"], ["HGET", "k", "f"], ["ZCARD", "k"],
    ):  # fmt: skip
        assert node.run(client, *words) == WRONGTYPE, words
    assert node.run(client, "GET", "k") == b"$1\r\nx\r\n"


def test_a_scan_gives_every_key_once_though_others_come_and_go(node: NodeUnderTest, client: Client) -> None:
    for number in range(30):
        node.run(client, "SET", f"v{number}", "x")
        node.run(client, "XADD", f"s{number}", "*", "f", "v")
    seen: list[bytes] = []
    cursor = "0"
    for step in range(100):
        node.pipeline(client, [["SET", f"new{step}", "x"], ["XADD", f"more{step}", "*", "f", "v"], ["DEL", "v3"]])
        words = node.run(client, "SCAN", cursor, "COUNT", 7).split(b"\r\n")
        cursor = words[2].decode()
        seen += words[5::2]
        if cursor == "0":
            break
    old = [name for name in seen if name[:1] in b"vs" and name != b"v3"]
    assert sorted(old) == sorted({b"%c%d" % (kind, n) for kind in b"vs" for n in range(30)} - {b"v3"})
    assert cursor == "0"


def test_a_scan_by_type_finds_those_alone(node: NodeUnderTest, client: Client) -> None:
    node.pipeline(client, [["SET", "k", 1], ["HSET", "h", "f", 1], ["ZADD", "z", 1, "m"], ["XADD", "s", "*", "f", "v"]])
    for kind, key in (("string", b"k"), ("hash", b"h"), ("ZSET", b"z"), ("stream", b"s")):
        assert node.run(client, "SCAN", 0, "TYPE", kind) == b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\n%b\r\n" % key
    assert node.run(client, "SCAN", 0, "TYPE", "list") == b"*2\r\n$1\r\n0\r\n*0\r\n"


def test_what_is_told_of_keys_counts_values_too(node: NodeUnderTest, client: Client) -> None:
    node.pipeline(client, [["SET", "k", 1, "EX", 10], ["HSET", "h", "f", 1], ["XADD", "s", "*", "f", "v"]])
    assert node.run(client, "DBSIZE") == b":3\r\n"
    assert b"db0:keys=3,expires=1,avg_ttl=10000," in node.run(client, "INFO", "keyspace")
    assert node.run(client, "EXISTS", "k", "h", "s", "none") == b":3\r\n"
    assert node.run(client, "TTL", "k") == b":10\r\n"
    assert node.run(client, "TYPE", "h") == b"+hash\r\n"
    assert node.run(client, "OBJECT", "ENCODING", "k") == b"$3\r\nint\r\n"
    assert node.run(client, "TOUCH", "k", "h") == b":2\r\n"
    assert int(node.run(client, "MEMORY", "USAGE", "h")[1:]) > 100
    assert node.run(client, "RANDOMKEY")[4:5] in b"khs"
    assert node.run(client, "PERSIST", "k") == b":1\r\n"
    assert node.run(client, "MOVE", "h", 1) == b":1\r\n"
    node.run(client, "SELECT", 1)
    assert node.run(client, "KEYS", "*") == b"*1\r\n$1\r\nh\r\n"


def test_nobody_sees_the_topic_of_records(node: NodeUnderTest, client: Client) -> None:
    node.run(client, "SET", "k", 1)
    assert node.run(client, "XTOPIC", "LIST") == b"*0\r\n"
    assert node.run(client, "KEYS", "*") == b"*1\r\n$1\r\nk\r\n"
    assert node.run(client, "SELECT", -1).startswith(b"-ERR")
    assert node.run(client, "SELECT", 16).startswith(b"-ERR")
    assert node.run(client, "SWAPDB", 0, -1).startswith(b"-ERR")
    assert node.run(client, "MOVE", "k", -1).startswith(b"-ERR")


def test_flushing_one_database_leaves_the_values_of_others(
    node: NodeUnderTest, client: Client, disk: MemoryFileSystem
) -> None:
    other = node.client()
    node.run(other, "SELECT", 1)
    node.run(client, "SET", "k", 1)
    node.run(other, "SET", "k", 2)
    node.pipeline(client, [["SET", "l", 1], ["FLUSHDB"]])
    assert content_of(node.node.keyspace) == {(1, b"k"): (0, b"2")}
    node.kill()
    assert content_of(open_node("d", disk.killed()).node.keyspace) == {(1, b"k"): (0, b"2")}


def test_members_are_put_in_and_taken_out_through_the_context(node: NodeUnderTest, client: Client) -> None:
    context = node.node
    context.client = client
    context.put_member(b"h", HASH, b"f", b"x")
    context.put_member(b"z", SORTED_SET, b"m", b"1.5")
    assert (context.hash(b"h"), context.hash(b"none")) == ({b"f": b"x"}, None)
    found = context.sorted_set(b"z")
    assert found is not None
    assert list(found) == [(b"m", 1.5)]
    assert context.remove_member(b"h", b"f")
    assert not context.remove_member(b"h", b"f")
    assert context.hash(b"h") is None


def test_neighbouring_sets_are_as_those_one_by_one(node: NodeUnderTest, client: Client, disk: MemoryFileSystem) -> None:
    sets = [["SET", key, number] for number, key in enumerate(("a", "a", "s", "t/0", "t/7", "n/1", "s", "h", "a"))]
    requests = [*sets, ["SET", "a", "x", "EX", 10], ["SET", "a", "y"], ["SET", "a"], ["set", "b", "z"], ["SET", "b", 1]]
    replies, states = [], []
    for together in (True, False):
        node.pipeline(client, [["FLUSHALL"], ["XADD", "s", "1-1", "f", "v"], ["HSET", "h", "f", "v"]])
        node.run(client, "XTOPIC", "CREATE", "t", "PARTITIONS", 2)
        if together:
            replies.append(node.pipeline(client, requests))
        else:
            replies.append(b"".join(node.run(client, *words) for words in requests))
        states.append(content_of(node.node.keyspace))
    assert replies[0] == replies[1]
    assert states[0] == states[1]
    assert content_of(open_node("d", disk.killed()).node.keyspace) == states[0]


def test_neighbouring_sets_are_told_one_by_one(node: NodeUnderTest, client: Client) -> None:
    events = listen(node)
    node.pipeline(client, [["SET", "k", 1], ["SET", "k", 2], ["SET", "l", 3]])
    assert events() == ["set@0 k", "set@0 k", "set@0 l"]
