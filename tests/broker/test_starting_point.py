"""From where on a follower is sent a log."""

from __future__ import annotations

from pathlib import Path

from respbroker.broker.follower_session import FollowerSession, starting_point
from storage import Log, LogConfig, Selection
from tests.support.cluster import Cluster
from tests.support.memory_filesystem import MemoryFileSystem


def led(*epochs: tuple[int, int], dropped: int = 0) -> Log:
    """A log with a segment for each epoch, of so many entries; the first ones dropped."""
    disk = MemoryFileSystem()
    log = Log.open(disk, "/log", LogConfig())
    number = 0
    for epoch, count in epochs:
        log.leader_epoch = epoch
        log.roll(0)
        for _ in range(count):
            number += 1
            log.append_one(number, 0, b"entry", 0)
    pending = log.unsynced()
    pending.sync()
    log.synced(pending)
    for segment in log.segments.sealed[:dropped]:
        log.drop_before(segment.end_ordinal)
    return log


def test_a_follower_goes_on_where_its_log_ends_or_is_cut_where_its_epoch_ends() -> None:
    log = led((1, 5), (2, 5))
    assert [starting_point(log, end, 1) for end in (0, 3, 5, 9)] == [0, 3, 5, 5]
    assert [starting_point(log, end, 2) for end in (7, 10, 12)] == [7, 10, 10]


def test_a_follower_that_ends_before_the_log_begins_has_it_anew() -> None:
    log = led((1, 5), (1, 5), dropped=1)
    assert log.start_offset == 5
    assert [starting_point(log, end, 1) for end in (0, 4, 5, 9)] == [-1, -1, 5, 9]


def test_a_follower_that_parted_before_the_log_begins_has_it_anew_though_it_is_as_long() -> None:
    log = led((1, 3), (2, 3), (2, 4), dropped=2)
    assert log.start_offset == 6
    assert [starting_point(log, end, 1) for end in (3, 6, 9)] == [-1, -1, -1]
    assert [starting_point(log, end, 2) for end in (6, 9)] == [6, 9]


def settle(log: Log) -> None:
    for _ in range(2):
        pending = log.unsynced()
        pending.sync()
        log.synced(pending)


def test_a_log_of_which_effects_are_left_out_on_the_way_comes_anew_with_its_state(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    leader = cluster.add(7001)
    assert leader.node is not None
    keyspace = leader.node.keyspace
    for number in range(1, 20):
        cluster.ask(leader, leader.client(), "XADD", "s", f"{number}-1", "f", "v")
        if number % 3 == 0:
            cluster.ask(leader, leader.client(), "XGROUP", "CREATE", "s", f"g{number}", "0")
        log = keyspace.log_of(1)
        assert log is not None
        if number in (9, 19):
            log.roll(0)
    for number in range(20, 22):
        cluster.ask(leader, leader.client(), "XADD", "s", f"{number}-1", "f", "v")
        log.write_snapshot(b"state", log.end_offset)
        settle(log)

    def session(behind: int) -> FollowerSession:
        made = FollowerSession(leader.client(), "node", "127.0.0.1", 7002, 0.0, behind={1: behind})
        made._reader(1, log)
        return made

    sessions = session(5), session(0), session(-1)
    job = log.clean(log.settled()[1:], Selection())
    job.run()
    log.swap(job)
    assert log.replay_floor > 5
    told = []
    for each in sessions:
        for _ in range(9):
            each.read_on(keyspace)
        assert not each.behind
        told.append([piece for piece in each.client.out if b"state" in piece])
    assert all(told)
