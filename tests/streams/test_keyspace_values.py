"""Values beside streams in a keyspace: their records, what takes whose place, and what a crash may leave of them."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from respbroker.errors import BusyKey, NoSuchPartition, PartOfTopic, WrongType
from respbroker.model.settings import Settings
from respbroker.model.topic_settings import DEFAULTS
from respbroker.resp.codec import encode_entry, encode_id
from respbroker.streams.catalog import CREATED, INTERNAL
from respbroker.streams.directories import remove_tree
from respbroker.streams.keyspace import Keyspace
from respbroker.values.kinds import HASH
from respbroker.values.records import member_name, words_of
from storage import CorruptLog, StorageError
from tests.support.memory_filesystem import MemoryFileSystem, PowerLoss
from tests.support.values import STREAM, content_of, records_of

DATABASES = 2
START_MS = 1_000_000


def disk() -> MemoryFileSystem:
    filesystem = MemoryFileSystem()
    filesystem.mkdir("d")
    return filesystem


def opened(filesystem: MemoryFileSystem, now_ms: int = START_MS, databases: int = DATABASES, **more: bool) -> Keyspace:
    return Keyspace(filesystem, "d", Settings.load("", [("databases", str(databases))]), now_ms, **more)


def test_the_records_are_a_compacted_topic_that_no_client_can_name() -> None:
    keyspace = opened(disk())
    keyspace.set_text(1, b"a", b"x", 0)
    keyspace.flush(START_MS)
    [(name, entry)] = keyspace.databases[INTERNAL].keys.items()
    assert (name, entry.settings is not None and entry.settings.is_compacted) == (b"1", True)
    assert [database.index for database in keyspace.visible] == [0, 1]
    assert not any(database.keys for database in keyspace.visible)


def test_what_a_tick_does_to_one_key_is_one_record() -> None:
    keyspace = opened(disk())
    for number in range(100):
        keyspace.set_text(0, b"a", b"%d" % number, 0)
    keyspace.flush(START_MS)
    assert records_of(keyspace).length == 1


def test_dropping_all_values_of_a_database_drops_their_log() -> None:
    keyspace = opened(disk())
    keyspace.set_text(0, b"a", b"x", 0)
    keyspace.flush(START_MS)
    number = keyspace.values[0].number
    keyspace.flush_databases(0)
    assert keyspace.trash == [number]
    assert keyspace.databases[INTERNAL].keys == {}


def test_a_value_takes_the_place_of_a_stream_in_one_piece() -> None:
    filesystem = disk()
    keyspace = opened(filesystem)
    keyspace.create(0, b"a").append((1, 1), b"payload")
    keyspace.set_text(0, b"b", b"x", 0)
    keyspace.flush(START_MS)
    keyspace.set_text(0, b"a", b"y", 0)
    first = filesystem.events
    keyspace.flush(START_MS)
    for event in range(first, filesystem.events + 1):  # the machine stops before each of these
        again = disk()
        keyspace = opened(again)
        keyspace.create(0, b"a").append((1, 1), b"payload")
        keyspace.set_text(0, b"b", b"x", 0)
        keyspace.flush(START_MS)
        keyspace.set_text(0, b"a", b"y", 0)
        assert again.events == first
        again.stop_at = event
        with contextlib.suppress(PowerLoss):
            keyspace.flush(START_MS)
        held = content_of(opened(again.killed()))
        assert held[0, b"b"] == (0, b"x")
        assert held[0, b"a"] in ((0, STREAM), (0, b"y"))
    assert held[0, b"a"] == (0, b"y")


@pytest.mark.parametrize("copied", [False, True])
def test_a_stream_takes_the_place_of_a_value_in_one_piece(copied: bool) -> None:
    outcomes = []
    for event in itertools.count():
        filesystem = disk()
        keyspace = opened(filesystem)
        keyspace.create(0, b"s").append((1, 1), b"payload")
        keyspace.set_text(0, b"v", b"x", 0)
        keyspace.flush(START_MS)
        filesystem.stop_at = filesystem.events + event  # the machine stops before each of these
        keyspace.values[0].remove(b"v")
        with contextlib.suppress(PowerLoss):
            (keyspace.copy if copied else keyspace.rename)(0, b"s", 0, b"v")
            keyspace.flush(START_MS)
            break
        outcomes.append(content_of(opened(filesystem.killed())))
    before = {(0, b"s"): (0, STREAM), (0, b"v"): (0, b"x")}
    after = {(0, b"v"): (0, STREAM)} | ({(0, b"s"): (0, STREAM)} if copied else {})
    assert all(outcome in (before, after) for outcome in outcomes)
    assert after in outcomes


@pytest.mark.parametrize("name", [b"t/0", b"t/1", b"t/7"])
def test_a_value_cannot_have_the_name_of_a_partition(name: bytes) -> None:
    keyspace = opened(disk())
    keyspace.create_topic(0, b"t", 2, DEFAULTS)
    with pytest.raises((NoSuchPartition, PartOfTopic)):
        keyspace.set_text(0, name, b"x", 0)
    with pytest.raises((NoSuchPartition, PartOfTopic)):
        keyspace.put_member(0, name, HASH, b"f", b"x")


def test_a_topic_cannot_have_partitions_named_as_values_are() -> None:
    keyspace = opened(disk())
    keyspace.set_text(0, b"t/1", b"x", 0)
    keyspace.create_topic(0, b"one", 1, DEFAULTS)
    with pytest.raises(BusyKey):
        keyspace.create_topic(0, b"t", 2, DEFAULTS)


def test_a_value_named_as_a_partition_beyond_the_last_one_stays_what_it_is() -> None:
    keyspace = opened(disk())
    keyspace.set_text(0, b"t/5", b"x", 0)
    keyspace.create_topic(0, b"t", 2, DEFAULTS)
    keyspace.set_text(0, b"t/5", b"y", 0)
    keyspace.ensure_whole(0, b"t/5", START_MS)
    with pytest.raises(WrongType):
        keyspace.lookup(0, b"t/5", START_MS)
    with pytest.raises(BusyKey):
        keyspace.grow_topic(0, b"t", 6)
    assert keyspace.delete(0, b"t/5")
    keyspace.grow_topic(0, b"t", 6)


def test_expired_values_are_hidden_while_nothing_may_be_changed() -> None:
    keyspace = opened(disk())
    keyspace.set_text(0, b"a", b"x", START_MS + 1)
    keyspace.frozen = True
    assert keyspace.value(0, b"a", START_MS + 1) is None
    assert not keyspace.exists(0, b"a", START_MS + 1)
    assert keyspace.lookup(0, b"a", START_MS + 1) is None
    assert b"a" in keyspace.values[0].keys
    keyspace.frozen = False
    assert keyspace.value(0, b"a", START_MS + 1) is None
    assert b"a" not in keyspace.values[0].keys


def test_a_stream_that_a_power_failure_doubled_is_no_value_any_more() -> None:
    """A value was deleted in a tick, a stream of its name made in a later one, and only that reached the disk."""
    filesystem = disk()
    keyspace = opened(filesystem)
    keyspace.set_text(0, b"a", b"x", 0)
    keyspace.set_text(0, b"b", b"x", 0)
    keyspace.flush(START_MS)
    keyspace.create(0, b"other").append((1, 1), b"payload")
    keyspace.flush(START_MS)
    keyspace.commit([CREATED, 0, b"a", keyspace._new_logs(1)])
    stream = keyspace.lookup(0, b"a", START_MS)
    assert stream is not None
    stream.append((1, 1), b"payload")
    keyspace.flush(START_MS)
    keyspace.close()
    keyspace = opened(filesystem)
    assert content_of(keyspace) == {(0, b"a"): (0, STREAM), (0, b"b"): (0, b"x"), (0, b"other"): (0, STREAM)}
    keyspace.flush(START_MS)
    keyspace.delete(0, b"a")
    keyspace.flush(START_MS)
    keyspace.close()
    assert set(content_of(opened(filesystem))) == {(0, b"b"), (0, b"other")}


def test_members_without_their_key_do_not_come_back_with_the_next_of_its_name() -> None:
    """As a follower has them that was sent a part of the records, in the order that compaction left, and then leads."""
    filesystem = disk()
    keyspace = opened(filesystem)
    keyspace.set_text(0, b"other", b"x", 0)
    keyspace.flush(START_MS)
    stream = records_of(keyspace)
    ms, seq = stream.last_id
    stream.append((ms, seq + 1), encode_entry(encode_id(ms, seq + 1), words_of(member_name(b"h", b"old"), b"x"), 0))
    keyspace.flush(START_MS)
    keyspace.close()
    keyspace = opened(filesystem, following=True)
    other = {(0, b"other"): (0, b"x")}
    assert (content_of(keyspace), keyspace.is_dirty) == (other, False)
    keyspace.close()
    keyspace = opened(filesystem)
    assert keyspace.findings == ["1 members in database 0 belonged to no key, and were removed"]
    keyspace.put_member(0, b"h", HASH, b"new", b"y")
    keyspace.flush(START_MS)
    keyspace.close()
    keyspace = opened(filesystem)
    assert content_of(keyspace) == other | {(0, b"h"): (0, {b"new": b"y"})}
    assert keyspace.findings == []


def test_values_of_a_database_that_is_not_there_any_more_are_an_error() -> None:
    filesystem = disk()
    keyspace = opened(filesystem)
    keyspace.set_text(1, b"a", b"x", 0)
    keyspace.flush(START_MS)
    keyspace.close()
    with pytest.raises(StorageError, match="database 1 has keys, but the setting databases is 1"):
        opened(filesystem, databases=1)


def test_a_log_that_is_damaged_names_its_file() -> None:
    filesystem = disk()
    keyspace = opened(filesystem)
    keyspace.set_text(0, b"a", b"x" * 100, 0)
    keyspace.flush(START_MS)
    path = keyspace.path_of(keyspace.values[0].number)
    keyspace.close()
    [file] = [name for name, _ in filesystem.files(path) if name.endswith(".log")]
    filesystem.sync_all()
    filesystem.flip(f"{path}/{file}", 8 * 150)
    with pytest.raises(StorageError, match=path):
        opened(filesystem)


def test_a_directory_of_values_that_was_removed_is_an_error() -> None:
    filesystem = disk()
    keyspace = opened(filesystem)
    keyspace.set_text(0, b"a", b"x", 0)
    keyspace.flush(START_MS)
    keyspace.directories_synced(keyspace.catalog.next_number)
    keyspace.flush(START_MS)
    filesystem.sync_all()
    keyspace.journal.clear()
    path = keyspace.path_of(keyspace.values[0].number)
    keyspace.close()
    remove_tree(filesystem, path)
    with pytest.raises(CorruptLog, match="the directory of the stream of values of database 0 is missing"):
        opened(filesystem)


def test_values_larger_than_what_is_read_at_once_are_read_whole() -> None:
    filesystem = disk()
    keyspace = opened(filesystem)
    for number in range(5):
        keyspace.set_text(0, b"%d" % number, b"%d" % number * 700_000, 0)
        keyspace.set_text(0, b"small%d" % number, b"x", 0)
    keyspace.flush(START_MS)
    before = content_of(keyspace)
    keyspace.close()
    assert content_of(opened(filesystem)) == before
