"""What a follower makes of single ticks of its leader, and what of its role."""

from __future__ import annotations

import contextlib

import attrs
import pytest

from respbroker.errors import NoSuchPartition
from respbroker.streams.keyspace import Keyspace
from respbroker.streams.replica import RawPart
from storage import DiskFull, NotContiguous, StorageError
from tests.crash.driver import DIRECTORY
from tests.crash.state import state_of, state_of_keyspace
from tests.support.replicas import Follower, Pair


@pytest.fixture
def pair() -> Pair:
    return Pair()


# -- ticks ----------------------------------------------------------------------------------------------------


def test_what_changed_is_told_with_its_stream(pair: Pair) -> None:
    changed = pair.run("XADD s 1-1 f v")
    assert [(number, stream and stream.key) for number, stream in changed] == [(1, b"s"), (0, None)]
    assert pair.run("XADD s 1-2 f v") == [(1, pair.at(b"s"))]


def test_a_log_that_comes_before_its_key_is_loose_until_then(pair: Pair) -> None:
    [tick] = pair.lead("XADD s 1-1 f v;XGROUP CREATE s g 0")
    of_stream, of_catalog = tick.parts
    assert pair.keyspace.replicate([of_stream], 0, atomic=False) == [(1, None)]
    assert (pair.keyspace.lookup(0, b"s", 0), pair.keyspace.key_of(1)) == (None, None)
    assert pair.keyspace.numbers() == [0, 1]
    log = pair.keyspace.log_of(1)
    pair.keyspace.replicate([of_catalog], 0, atomic=False)
    assert pair.keyspace.key_of(1) == (0, b"s")
    assert pair.at(b"s").log is log
    assert list(pair.at(b"s").groups) == [b"g"]


def test_a_loose_log_is_found_after_a_restart(pair: Pair) -> None:
    [tick] = pair.lead("XADD s 1-1 f v")
    pair.keyspace.replicate(tick.parts[:1], 0, atomic=False)
    pair.follower.restart()
    assert pair.keyspace.findings == []
    assert pair.keyspace.numbers() == [0, 1]
    pair.keyspace.replicate(tick.parts[1:], 0, atomic=False)
    assert pair.at(b"s").length == 1


def test_a_stream_of_which_nothing_came_is_empty(pair: Pair) -> None:
    first, second = pair.lead("XADD s 1-1 f v", "XADD t 1-1 f v")
    pair.keyspace.replicate(first.parts[1:], 0, atomic=False)
    pair.keyspace.replicate(second.parts[1:], 0, atomic=False)
    assert pair.at(b"s").length == 0
    pair.follower = Follower(pair.follower.disk.powered_off())
    pair.keyspace.replicate([*first.parts[1:], *second.parts[1:]], 0, atomic=False)
    pair.follower.sync()
    pair.follower = Follower(pair.follower.disk.powered_off())
    assert pair.at(b"t").length == 0
    pair.keyspace.replicate([first.parts[0], second.parts[0]], 0, atomic=False)
    assert (pair.at(b"s").length, pair.at(b"t").length) == (1, 1)


def test_a_stream_in_which_nothing_was_ever_written_has_a_log_too(pair: Pair) -> None:
    pair.driver.node.keyspace.create(0, b"s")
    pair.follower.follow(pair.lead("EXISTS s"))
    assert pair.keyspace.numbers() == pair.leader.keyspace.numbers() == [0, 1]
    pair.keyspace.following = False
    assert pair.keyspace.exists(0, b"s", 0)


def test_a_partition_goes_back_under_a_topic_that_is_open(pair: Pair) -> None:
    pair.run("XTOPIC CREATE t PARTITIONS 2", "XADD t/1 9-4097 f v", "XTRIM t/1 MAXLEN 0")
    topic = pair.keyspace.find(0, b"t", 0)
    stream = pair.at(b"t/1")
    pair.run("XSETID t/1 5-0")
    assert pair.keyspace.find(0, b"t", 0) is topic
    assert pair.at(b"t/1") is not stream
    assert pair.at(b"t/1").last_id == (5, 0)
    assert pair.run("XADD t/1 * f v")[0][1] is pair.at(b"t/1")


def test_a_plain_stream_that_is_open_becomes_a_partition(pair: Pair) -> None:
    pair.run("XADD s 1-1 f v;XGROUP CREATE s g 0")
    stream = pair.at(b"s")
    pair.run("XTOPIC ALTER s PARTITIONS 3 CONFIG max.deliveries 7")
    assert pair.at(b"s/0") is stream
    assert (stream.key, stream.settings.max_deliveries) == (b"s/0", 7)
    assert list(pair.at(b"s/2").groups) == [b"g"]
    pair.run("RENAME s r", "XTOPIC ALTER r PARTITIONS 4")
    assert pair.at(b"r/0") is stream
    assert (stream.key, pair.at(b"r/3").partition) == (b"r/0", 3)
    with pytest.raises(NoSuchPartition):
        pair.at(b"r/4")


def test_keys_that_come_go_or_change_are_told_by_name(pair: Pair) -> None:
    told: list[tuple[int, bytes]] = []
    pair.keyspace.on_key_changed = lambda db, name: told.append((db, name))

    def told_of(*lines: str) -> list[tuple[int, bytes]]:
        told.clear()
        pair.run(*lines)
        return sorted(told)

    assert told_of("XADD s 1-1 f v") == [(0, b"s")]
    assert told_of("XADD s 1-2 f v") == []
    assert told_of("RENAME s r") == [(0, b"r"), (0, b"s")]
    assert told_of("XTOPIC ALTER r PARTITIONS 2") == [(0, b"r"), (0, b"r/0"), (0, b"r/1")]
    assert told_of("PEXPIRE r 100000") == [(0, b"r"), (0, b"r/0"), (0, b"r/1")]
    assert told_of("SWAPDB 0 1") == [(db, name) for db in (0, 1) for name in (b"r", b"r/0", b"r/1")]
    assert told_of("FLUSHALL") == [(1, b"r"), (1, b"r/0"), (1, b"r/1")]


def test_an_expired_key_is_hidden_until_the_leader_drops_it(pair: Pair) -> None:
    pair.run("XADD s 1-1 f v;PEXPIRE s 1000")
    entry = pair.keyspace.databases[0].keys[b"s"]
    assert pair.keyspace.lookup(0, b"s", entry.expires_ms) is None
    assert not pair.keyspace.exists(0, b"s", entry.expires_ms)
    assert pair.keyspace.lookup(0, b"s", entry.expires_ms - 1) is not None
    assert not pair.keyspace.is_dirty
    pair.driver.pass_time(2000)
    pair.run("EXISTS s")
    assert pair.keyspace.databases[0].keys == {}


# -- ticks that are refused ------------------------------------------------------------------------------------


def test_a_tick_that_does_not_continue_a_log_changes_nothing(pair: Pair) -> None:
    pair.run("XADD s 1-1 f v;XADD t 1-1 f v")
    _, missed, tick = pair.lead("XADD u 1-1 f v", "XADD t 1-2 f v", "MULTI;XADD s 1-2 f v;XADD t 1-3 f v;EXEC")
    before = state_of_keyspace(pair.keyspace)
    for atomic in (False, True):
        with pytest.raises(NotContiguous):
            pair.keyspace.replicate(tick.parts, 0, atomic=atomic)
        assert state_of_keyspace(pair.keyspace) == before
        assert pair.keyspace.journal.is_empty
    pair.follower.restart()
    assert state_of_keyspace(pair.keyspace) == before
    pair.follower.follow([missed, tick])
    assert (pair.at(b"s").length, pair.at(b"t").length) == (2, 3)


def test_a_leader_with_more_databases_is_not_followed(pair: Pair) -> None:
    pair.run("XADD s 1-1 f v")
    pair.follower.keyspace.close()
    pair.follower.settings = attrs.evolve(pair.follower.settings, databases=1)
    pair.follower.open()
    before = state_of_keyspace(pair.keyspace)
    [tick] = pair.lead("XADD t 1-1 f v;MOVE s 1")
    with pytest.raises(StorageError, match="beyond the 1 of the setting databases"):
        pair.follower.follow([tick])
    assert state_of_keyspace(pair.keyspace) == before


@pytest.mark.parametrize("atomic", [False, True])
def test_a_tick_that_finds_a_full_disk_changes_nothing(pair: Pair, atomic: bool) -> None:
    pair.run("XADD s 1-1 f v;XADD t 1-1 f v", "XTOPIC CREATE o PARTITIONS 2")
    [tick] = pair.lead("MULTI;XADD s 1-2 f v;XADD o/1 1-1 f v;RENAME t u;EXEC")
    before, recorded = state_of_keyspace(pair.keyspace), pair.keyspace.journal.log.end_offset
    size = sum(len(part.raw) for part in tick.parts)
    for room in range(0, 9 * size, 11):
        pair.follower.disk.room = room
        with contextlib.suppress(DiskFull):
            pair.keyspace.replicate(tick.parts, 0, atomic=atomic)
            break
        pair.follower.disk.room = None
        assert state_of_keyspace(pair.keyspace) == before
        assert pair.keyspace.journal.log.end_offset == recorded
    assert room > (2 * size if atomic else size - 12)
    assert state_of_keyspace(pair.keyspace) == state_of(pair.driver.node)


def test_a_tick_is_refused_by_a_full_disk_while_an_earlier_one_is_in_a_journal_with_a_checkpoint(pair: Pair) -> None:
    """To empty that journal needs room for another checkpoint."""
    pair.run("MULTI;XADD s 1-1 f v;XADD t 1-1 f v;EXEC")
    pair.keyspace.journal.log.checkpoint()
    [tick] = pair.lead("XADD s 1-2 f v")
    before, room_for_half = state_of_keyspace(pair.keyspace), len(tick.parts[0].raw) // 2
    pair.follower.disk.room = room_for_half
    with pytest.raises(DiskFull):
        pair.follower.follow([tick])
    assert state_of_keyspace(pair.keyspace) == before
    pair.follower.disk.room = None
    pair.follower.follow([tick])
    pair.follower = Follower(pair.follower.disk.killed())
    assert state_of_keyspace(pair.keyspace) == state_of(pair.driver.node)


# -- roles -----------------------------------------------------------------------------------------------------


def test_every_log_but_the_journal_stamps_the_epoch_and_tells_what_it_wrote(pair: Pair) -> None:
    told: list[tuple[int, bool]] = []
    pair.run("XADD s 1-1 f v", "XADD t 1-1 f v")
    pair.follower.restart()
    pair.keyspace.following = False
    stream = pair.at(b"s")
    pair.keyspace.leader_epoch = 7
    pair.keyspace.on_append = lambda number, _, begins: told.append((number, begins))
    stream.append((2, 0), b"one")
    pair.at(b"t").append((2, 0), b"one")
    pair.keyspace.create(0, b"u").append((2, 0), b"one")
    pair.keyspace.atomic = True
    pair.keyspace.flush(0)
    assert told == [(1, False), (2, False), (3, True), (0, False)]
    assert [log.last_epoch for log in pair.keyspace.live_logs] == [7] * 4
    assert not pair.keyspace.journal.is_empty
    assert pair.keyspace.journal.log.last_epoch == 0
    pair.keyspace.reopen()
    pair.at(b"s").append((3, 0), b"two")
    pair.keyspace.flush(0)
    assert told[4:] == [(1, False)]


def test_a_tick_that_is_redone_has_the_epoch_it_was_written_in() -> None:
    pair = Pair()
    pair.lead("XADD s 1-1 f v;XADD t 1-1 f v")
    disk = pair.driver.disk
    pair.driver.settle()
    written = len(disk.content(f"{DIRECTORY}/streams/0000000002/{0:020d}.log"))
    pair.lead("MULTI;XADD s 2-1 f v;XADD t 2-1 f v;EXEC")
    left = disk.killed()
    path = f"{DIRECTORY}/streams/0000000002/{0:020d}.log"
    whole = bytes(left.content(path))
    del left.content(path)[written:]
    Follower(left)
    assert bytes(left.content(path)) == whole


def test_a_follower_that_leads_forgets_logs_without_keys_and_keys_without_logs(pair: Pair) -> None:
    pair.run("XADD s 1-1 f v")
    first, second, topic = pair.lead("XADD t 1-1 f v", "XADD u 1-1 f v", "XTOPIC CREATE o PARTITIONS 2")
    pair.keyspace.replicate(first.parts[1:], 0, atomic=False)
    pair.keyspace.replicate(second.parts, 0, atomic=False)
    pair.keyspace.replicate([part for part in topic.parts if part.number != 4], 0, atomic=False)
    for number in (2, 4):
        pair.keyspace.remove_log(number)
    pair.keyspace.replicate([RawPart(9, first.parts[0].raw, roll=True)], 0, atomic=False)
    pair.follower.restart()
    pair.keyspace.following = False
    assert [*pair.keyspace.databases[0].keys] == [b"s", b"u", b"o"]
    assert pair.at(b"o/0").length == 0
    assert [finding.partition(" and ")[0] for finding in pair.keyspace.findings] == [
        "a stream's directory belonged to no key",
        "stream b't' in database 0 had not been copied yet",
    ]
    assert pair.keyspace.is_dirty
    pair.keyspace.flush(0)
    stream = pair.keyspace.create(0, b"new")
    assert stream.end_ordinal == 0
    stream.append((1, 1), b"x")
    before = state_of_keyspace(pair.keyspace)
    pair.keyspace.flush(0)
    pair.keyspace.close()
    assert state_of_keyspace(Keyspace(pair.follower.disk, DIRECTORY, pair.follower.settings, 0)) == before


def test_what_a_follower_had_not_synced_is_on_the_disk_once_it_leads(pair: Pair) -> None:
    pair.run("XADD s 1-1 f v", "XTOPIC CREATE o PARTITIONS 2", "XADD s 1-2 f v")
    pair.driver.settle()
    pair.run("XADD s 1-3 f v")  # behind the leader's word that the directories are on its disk
    pair.keyspace.following = False
    before = state_of_keyspace(pair.keyspace)
    left = pair.follower.disk.powered_off()
    assert state_of_keyspace(Keyspace(left, DIRECTORY, pair.follower.settings, 0)) == before


def test_a_leader_that_follows_stages_nothing(pair: Pair) -> None:
    pair.run("XADD s 1-1 f v;PEXPIRE s 1000")
    pair.driver.settle()
    keyspace = pair.driver.node.keyspace
    keyspace.following = True
    assert keyspace.lookup(0, b"s", 1 << 62) is None
    keyspace.directories_synced(9)
    assert not keyspace.is_dirty
    stream = keyspace.lookup(0, b"s", 0)
    assert stream is not None
    stream.append((9, 0), b"x")
    with pytest.raises(AssertionError):
        keyspace.flush(0)


def test_a_leader_that_may_not_write_remembers_no_synced_directories_meanwhile(pair: Pair) -> None:
    """They are named by a later sync; a change staged between two ticks would be in the way of the next role."""
    pair.run("XADD s 1-1 f v")
    pair.driver.settle()
    keyspace = pair.driver.node.keyspace
    keyspace.frozen = True
    keyspace.directories_synced(9)
    assert not keyspace.is_dirty
    keyspace.frozen = False
    keyspace.directories_synced(9)
    assert keyspace.is_dirty
