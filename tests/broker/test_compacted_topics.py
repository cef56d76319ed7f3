"""A compacted topic keeps the last entry of each key, and everything that reads it agrees on that."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hiredis
import msgpack
import pytest

from respbroker.sessions.client import Client
from respbroker.streams.cleaning import dirty_ratio
from respbroker.streams.stream import Stream
from storage.snapshot import decode_snapshot, encode_snapshot
from tests.support.nodes import NodeUnderTest, open_node, settle

SETTINGS = {"cleanup.policy": "compact", "key.field": "key", "segment.bytes": 2048, "delete.retention.ms": 60_000}

Entry = tuple[int, bytes | None, bytes]  # ms of the ID, key, value; a tombstone has no value


@pytest.fixture(autouse=True)
def _close_files() -> Iterator[None]:
    """Nodes are left as a kill would leave them; their files are closed with the memory of them."""
    yield
    gc.collect()


def ask(node: NodeUnderTest, client: Client, *words: str | int) -> Any:
    """The reply, decoded."""
    reader = hiredis.Reader()
    reader.feed(node.run(client, *words))
    return reader.gets()


def topic(node: NodeUnderTest, client: Client, **more: str | int) -> None:
    settings = SETTINGS | {name.replace("_", "."): value for name, value in more.items()}
    words = [word for setting in settings.items() for word in setting]
    assert ask(node, client, "XTOPIC", "CREATE", "t", "PARTITIONS", 1, "CONFIG", *words) == b"OK"


def fill(node: NodeUnderTest, client: Client, first: int, end: int, keys: int) -> None:
    for i in range(first, end):
        ask(node, client, "XADD", "t", f"{i + 1}-0", "key", f"k{i % keys}", "value", i)


def stream_of(node: NodeUnderTest) -> Stream:
    stream = node.node.keyspace.lookup(0, b"t", node.clock.ms)
    assert isinstance(stream, Stream)
    return stream


def entries(node: NodeUnderTest, client: Client, key: str = "t") -> list[Entry]:
    found: list[Entry] = []
    for entry_id, words in ask(node, client, "XRANGE", key, "-", "+"):
        fields = dict(zip(words[::2], words[1::2], strict=True))
        found.append((int(entry_id.partition(b"-")[0]), fields.get(b"key"), fields.get(b"value", b"")))
    return found


def expected(first_active: int, end: int, keys: int) -> list[Entry]:
    """What `fill` leaves after a compaction of what is sealed."""
    last = {i % keys: i for i in range(first_active)}
    return [(i + 1, b"k%d" % (i % keys), b"%d" % i) for i in sorted({*last.values(), *range(first_active, end)})]


def group_facts(node: NodeUnderTest, client: Client) -> dict[bytes, Any]:
    row = ask(node, client, "XINFO", "GROUPS", "t")[0]
    return dict(zip(row[::2], row[1::2], strict=True))


def test_the_last_entry_of_each_key_stays_and_the_rest_leaves_the_disk(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    fill(node, client, 0, 200, 10)
    stream = stream_of(node)
    size, active = stream.log.size, stream.log.segments.active.first_ordinal
    assert dirty_ratio(stream) == 1
    settle(node)
    assert entries(node, client) == expected(active, 200, 10)
    assert ask(node, client, "XLEN", "t") == len(expected(active, 200, 10))
    assert stream.log.size < size / 4
    assert dirty_ratio(stream) == 0
    assert any("10 keys in 31076 bytes, 30042 bytes given back" in said for _, said in node.node.housekeeping.reports)
    facts = dict(zip(*[iter(ask(node, client, "XINFO", "STREAM", "t"))] * 2, strict=True))
    assert facts[b"entries-added"] == 200
    assert facts[b"max-deleted-entry-id"] == b"0-0"


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_topic_that_nobody_uses_after_a_restart_is_compacted_too(tmp_path: Path, partitions: int) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    if partitions > 1:
        assert ask(node, client, "XTOPIC", "ALTER", "t", "PARTITIONS", partitions).startswith(b"OK")
    node.pipeline(client, [["XADD", "t", "*", "key", f"k{i % 10}", "value", i] for i in range(400)])
    for i in range(400, 600):
        ask(node, client, "XADD", "t", "*", "key", f"k{i % 10}", "value", i)
    node.kill()
    again = open_node(tmp_path)
    settle(again, 4 * partitions)
    said = [sentence for _, sentence in again.node.housekeeping.reports if sentence.startswith("compacted t")]
    assert len(said) >= (1 if partitions == 1 else 2), again.node.housekeeping.reports
    last = {entry[1]: entry[2] for entry in entries(again, again.client())}
    assert last == {b"k%d" % (i % 10): b"%d" % i for i in range(590, 600)}
    assert ask(again, again.client(), "XLEN", "t") < 300


def test_xtopic_info_tells_how_much_is_dirty(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    fill(node, client, 0, 100, 10)
    assert b"dirty-ratio\r\n$5\r\n1.000" in node.run(client, "XTOPIC", "INFO", "t")
    settle(node)
    assert b"dirty-ratio\r\n$5\r\n0.000" in node.run(client, "XTOPIC", "INFO", "t")


def test_a_snapshot_from_before_there_was_compaction_is_read(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    fill(node, client, 0, 20, 20)
    ask(node, client, "XDEL", "t", "3-0")
    ask(node, client, "SAVE")
    node.tick()
    node.kill()
    path = max((tmp_path / "streams").glob("*/*.snapshot"))
    decoded = decode_snapshot(path.read_bytes())
    assert decoded is not None
    version, *values, compacted = msgpack.unpackb(decoded[1], strict_map_key=False)
    assert (version, compacted) == (2, [0, None, 0])
    path.write_bytes(encode_snapshot(msgpack.packb([1, *values]), decoded[0]))
    node = open_node(tmp_path)
    assert [ms for ms, *_ in entries(node, node.client())] == [1, 2, *range(4, 21)]


def test_what_is_updated_for_ever_does_not_grow_for_ever(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    ask(node, client, "XGROUP", "CREATE", "t", "g", 0)
    sizes = []
    for turn in range(12):
        fill(node, client, turn * 100, turn * 100 + 100, 5)
        ask(node, client, "XREADGROUP", "GROUP", "g", "c", "NOACK", "COUNT", 1000, "STREAMS", "t", ">")
        settle(node, 2)
        ask(node, client, "SAVE")
        settle(node, 2)
        sizes.append(stream_of(node).log.size)
    assert max(sizes[6:]) <= 1.5 * max(sizes[:6])
    assert len(stream_of(node).log.segments.all) <= 4


def test_entries_without_a_key_stay_and_so_does_what_is_active(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    for i in range(0, 80, 2):
        ask(node, client, "XADD", "t", f"{i + 1}-0", "other", "x" * 40, "value", i)
        ask(node, client, "XADD", "t", f"{i + 2}-0", "other", "x", "key", "k", "value", i + 1)
    active = stream_of(node).log.segments.active.first_ordinal
    settle(node)
    found = entries(node, client)
    assert [ms for ms, key, _ in found if key is None] == list(range(1, 80, 2))
    keyed = range(1, 80, 2)
    last = max(i for i in keyed if i < active)
    assert [ms for ms, key, _ in found if key] == [i + 1 for i in keyed if i >= last]


def test_a_tombstone_removes_its_key_and_goes_itself_after_its_time(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    fill(node, client, 0, 40, 8)
    ask(node, client, "XADD", "t", "41-0", "key", "k3")
    for i in range(41, 80):
        ask(node, client, "XADD", "t", f"{i + 1}-0", "key", "other", "value", "x" * 30)
    settle(node, 2)
    keys = [(ms, key) for ms, key, _ in entries(node, client)]
    assert [key for key in keys if key[1] == b"k3"] == [(41, b"k3")]
    assert (40, b"k7") in keys
    node.clock.advance(60_000)
    settle(node, 4)
    keys = [(ms, key) for ms, key, _ in entries(node, client)]
    assert not [key for key in keys if key[1] == b"k3"]
    assert (40, b"k7") in keys


def test_an_entry_that_was_deleted_supersedes_nothing(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    fill(node, client, 0, 40, 40)
    ask(node, client, "XADD", "t", "41-0", "key", "k3", "value", "new")
    ask(node, client, "XDEL", "t", "41-0")
    fill(node, client, 41, 100, 100)
    settle(node)
    assert (4, b"k3", b"3") in entries(node, client)


def test_a_group_that_reads_through_a_compacted_range_has_an_exact_lag(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    ask(node, client, "XGROUP", "CREATE", "t", "g", 0)
    fill(node, client, 0, 100, 10)
    ask(node, client, "XREADGROUP", "GROUP", "g", "c", "COUNT", 20, "STREAMS", "t", ">")
    ask(node, client, "XACK", "t", "g", *[f"{i + 1}-0" for i in range(10)])
    fill(node, client, 100, 200, 10)
    settle(node)
    left = [ms for ms, *_ in entries(node, client)]
    assert left[0] > 20
    assert group_facts(node, client)[b"lag"] == len(left)
    seen: list[int] = []
    while reply := ask(node, client, "XREADGROUP", "GROUP", "g", "c", "COUNT", 3, "STREAMS", "t", ">"):
        seen += [int(entry_id.partition(b"-")[0]) for entry_id, _ in reply[0][1]]
        assert group_facts(node, client)[b"lag"] == len(left) - len(seen)
    assert seen == left


def test_pending_entries_that_are_gone_are_known_until_they_are_acknowledged(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    ask(node, client, "XGROUP", "CREATE", "t", "g", 0)
    fill(node, client, 0, 60, 6)
    ask(node, client, "XREADGROUP", "GROUP", "g", "c", "COUNT", 4, "STREAMS", "t", ">")
    fill(node, client, 60, 200, 6)
    settle(node)
    for _ in range(2):
        ids = [b"%d-0" % i for i in (1, 2, 3, 4)]
        history = ask(node, client, "XREADGROUP", "GROUP", "g", "c", "STREAMS", "t", 0)[0][1]
        assert history == [[each, None] for each in ids]
        assert ask(node, client, "XPENDING", "t", "g")[:3] == [4, b"1-0", b"4-0"]
        assert [row[0] for row in ask(node, client, "XPENDING", "t", "g", "-", "+", 10)] == ids
        node.tick()
        node.kill()
        node = open_node(tmp_path)
        client = node.client()
    assert ask(node, client, "XACK", "t", "g", "2-0") == 1
    assert ask(node, client, "XAUTOCLAIM", "t", "g", "d", 0, 0) == [b"0-0", [], [b"1-0", b"3-0", b"4-0"]]
    assert ask(node, client, "XACK", "t", "g", "3-0") == 0
    fill(node, client, 200, 400, 6)
    settle(node)
    assert stream_of(node).log.find((2, 0)) is None
    assert ask(node, client, "XPENDING", "t", "g")[0] == 0


def test_retention_and_compaction_go_together(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client, cleanup_policy="compact,delete", retention_ms=300_000)
    fill(node, client, 0, 100, 50)
    settle(node, 3)
    assert len(entries(node, client)) < 100
    assert (1, b"k0", b"0") not in entries(node, client)
    node.clock.advance(200_000)
    fill(node, client, 100, 200, 25)
    settle(node, 3)
    assert any(ms <= 100 for ms, *_ in entries(node, client))
    node.clock.advance(200_000)
    fill(node, client, 200, 240, 25)
    settle(node, 6)
    found = entries(node, client)
    assert min(ms for ms, *_ in found) > 91  # older ones are gone with their segments, last of their keys or not
    node.clock.advance(150_000)
    fill(node, client, 240, 300, 25)
    settle(node, 6)
    found = entries(node, client)
    assert min(ms for ms, *_ in found) > 100
    assert {key for _, key, _ in found} == {b"k%d" % i for i in range(25)}


def test_a_copy_of_a_compacted_topic_reads_the_same(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    ask(node, client, "XGROUP", "CREATE", "t", "g", 0)
    fill(node, client, 0, 100, 10)
    ask(node, client, "XREADGROUP", "GROUP", "g", "c", "COUNT", 15, "STREAMS", "t", ">")
    settle(node)
    assert ask(node, client, "COPY", "t", "u") == 1
    assert entries(node, client, "u") == entries(node, client)
    for words in (["XINFO", "GROUPS"], ["XPENDING"], ["XLEN"]):
        more = ["g"] if words == ["XPENDING"] else []
        assert ask(node, client, *words, "u", *more) == ask(node, client, *words, "t", *more)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_done_to_it_a_topic_is_as_a_dictionary_has_it(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    node = open_node(tmp_path)
    client = node.client()
    topic(node, client)
    ask(node, client, "XGROUP", "CREATE", "t", "g", 0)
    alive: dict[int, tuple[bytes, bytes]] = {}
    count = 0
    for _ in range(60):
        for _ in range(rng.randrange(1, 15)):
            count += 1
            key = b"k%d" % rng.randrange(8)
            value = b"" if rng.random() < 0.1 else b"%d" % count
            more = ["value", value.decode()] if value else []
            ask(node, client, "XADD", "t", f"{count}-0", "key", key.decode(), *more)
            alive[count] = key, value
        if rng.random() < 0.2:
            gone = rng.choice([ms for ms, *_ in entries(node, client)])
            ask(node, client, "XDEL", "t", f"{gone}-0")
            del alive[gone]
        if rng.random() < 0.3:
            reply = ask(node, client, "XREADGROUP", "GROUP", "g", "c", "COUNT", 30, "STREAMS", "t", ">")
            ids = [each[0].decode() for each in (reply[0][1] if reply else [])]
            ask(node, client, "XACK", "t", "g", *rng.sample(ids, len(ids) // 2 + 1)) if ids else None
        if rng.random() < 0.3:
            settle(node, rng.randrange(1, 3))
        if rng.random() < 0.1:
            node.tick()
            node.kill()
            ms = node.clock.ms
            node = open_node(tmp_path)
            node.clock.ms = ms
            client = node.client()
        check(node, client, alive)


def check(node: NodeUnderTest, client: Client, alive: dict[int, tuple[bytes, bytes]]) -> None:
    """What is there was added and not deleted, and only superseded entries and old tombstones are missing."""
    found = entries(node, client)
    assert [(alive[ms], ms) for ms, *_ in found] == [((key, value), ms) for ms, key, value in found]
    last = {key: ms for ms, (key, _) in alive.items()}
    for ms in alive.keys() - {ms for ms, *_ in found}:
        key, value = alive[ms]
        assert last[key] != ms or not value
        del alive[ms]
    assert ask(node, client, "XLEN", "t") == len(found)
    cursor = int(group_facts(node, client)[b"last-delivered-id"].partition(b"-")[0])
    assert group_facts(node, client)[b"lag"] == sum(ms > cursor for ms, *_ in found)
