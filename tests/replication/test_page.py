"""The page on replication is enough: a follower written from it alone has the leader's bytes, and counts as in sync."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.replication.bare_follower import IN_SYNC, LEVEL, BareFollower, Files
from tests.support import servers
from tests.support.servers import Server


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[Server]:
    # No segment is full or old enough to be merged while the test runs: bytes are the same until then.
    with servers.running("respbroker", directory=tmp_path) as server:
        yield server


def files_of(server: Server) -> dict[int, Files]:
    """What the leader has on its disk, by log and segment."""
    data = server.directory / "data"
    places = {0: data / "catalog"} | {int(path.name): path for path in (data / "streams").iterdir()}
    return {
        number: {int(path.stem): bytearray(path.read_bytes()) for path in place.glob("*.log")}
        for number, place in places.items()
    }


def catch_up(follower: BareFollower, client: redis.Redis) -> None:
    """Take frames until the follower has everything that the leader has written by now."""
    position = client.info("replication")["master_repl_offset"]
    while not (follower.flags & LEVEL and follower.position >= position):
        follower.take()


def write(client: redis.Redis, keys: list[str]) -> None:
    for key in keys:
        for n in range(50):
            client.xadd(key, {"n": n, "text": "x" * 100})
        client.xgroup_create(key, "group", id="0")
        for _, entries in client.xreadgroup("group", "anna", {key: ">"}, count=10):
            client.xack(key, "group", *(entry_id for entry_id, _ in entries[:5]))
    with client.pipeline(transaction=True) as transaction:
        for key in keys:
            transaction.xadd(key, {"in": "a transaction"})
        transaction.execute()


def test_a_follower_written_from_the_page_has_the_leaders_logs_byte_by_byte(leader):
    client = redis.Redis(port=leader.port)
    write(client, ["before", "too"])
    follower = BareFollower("0123456789abcdef")
    follower.connect(leader.port)
    catch_up(follower, client)
    write(client, ["while", "before2"])
    client.rename("while", "after")
    client.expire("too", 1000)
    catch_up(follower, client)
    assert follower.wanted == b"fresh"
    assert follower.kinds >= {b"tick", b"chunk", b"members"}
    assert follower.logs == files_of(leader)


def test_it_goes_on_where_it_was_when_it_comes_back(leader):
    client = redis.Redis(port=leader.port)
    write(client, ["stream", "other"])
    follower = BareFollower("0123456789abcdef")
    follower.connect(leader.port)
    catch_up(follower, client)
    follower.connection.disconnect()
    for n in range(10):
        client.xadd("stream", {"n": n})
    before = len(follower.logs[1][0]) + len(follower.logs[2][0])
    follower.connect(leader.port)
    assert follower.wanted == b"some"
    assert follower.verdicts == []
    catch_up(follower, client)
    assert before > 0
    assert follower.logs == files_of(leader)


def test_a_log_that_it_cannot_read_any_more_is_sent_anew(leader):
    client = redis.Redis(port=leader.port)
    write(client, ["stream", "other"])
    follower = BareFollower("0123456789abcdef")
    follower.connect(leader.port)
    catch_up(follower, client)
    follower.connection.disconnect()
    follower.lost.add(1)
    follower.position = 0
    follower.connect(leader.port)
    assert follower.wanted == b"all"
    catch_up(follower, client)
    assert {b"copy", b"copied"} <= follower.kinds
    assert follower.logs == files_of(leader)


def test_a_write_to_a_topic_with_acks_all_is_answered_when_it_has_acknowledged(leader):
    client = redis.Redis(port=leader.port)
    config = ["acks", "all", "min.insync.replicas", "2"]
    client.execute_command("XTOPIC", "CREATE", "safe", "CONFIG", *config)
    with pytest.raises(redis.ResponseError, match="NOREPLICAS"):
        client.xadd("safe", {"n": 0})
    follower = BareFollower("0123456789abcdef")
    follower.connect(leader.port)
    while not follower.flags & IN_SYNC:
        follower.take()
    writer = redis.Connection(port=leader.port)
    writer.connect()
    writer.send_command("XADD", "safe", "*", "n", "1")
    while not writer.can_read(timeout=0):
        follower.take()
    writer.read_response()
    assert follower.logs == files_of(leader)
    assert client.wait(1, 0) == 1
