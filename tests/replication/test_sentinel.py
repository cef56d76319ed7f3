"""Three servers and three unchanged redis-sentinels: clients that ask these for the leader never stop, nor lose."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis
from redis.sentinel import MasterNotFoundError, Sentinel

from tests.support import needs, servers
from tests.support.replica_sets import SET_NAME, ReplicaSet, replica_set, sentinels, until
from tests.support.servers import HOST, Server


@attrs.frozen
class Watched:
    """Servers, the sentinels that watch them, and a client's view of these."""

    together: ReplicaSet
    sentinels: list[Server]

    @property
    def sentinel(self) -> Sentinel:
        """As a program uses it."""
        return Sentinel([(HOST, each.port) for each in self.sentinels], socket_timeout=2)

    def address(self) -> tuple[str, int] | None:
        """Where sentinels say the leader is."""
        try:
            host, port = self.sentinel.discover_master(SET_NAME)
        except MasterNotFoundError:
            return None
        return host, port

    def leader_rows(self) -> list[dict[str, Any]]:
        """SENTINEL MASTER, as each sentinel answers."""
        return [client.sentinel_master(SET_NAME) for client in self.clients()]

    def follower_rows(self) -> list[dict[str, Any]]:
        """SENTINEL REPLICAS, all of each sentinel."""
        return [row for client in self.clients() for row in client.sentinel_slaves(SET_NAME)]

    def clients(self) -> Iterator[redis.Redis]:
        """A connection to each sentinel."""
        for each in self.sentinels:
            with redis.Redis(port=each.port, decode_responses=True) as client:
                yield client

    def is_whole(self) -> bool:
        """Whether every sentinel knows the other two, and two followers that are well and could lead."""
        leaders, followers = self.leader_rows(), self.follower_rows()
        return (
            all(row["num-other-sentinels"] == 2 and row["flags"] == "master" for row in leaders)
            and len(followers) == 2 * len(self.sentinels)
            and all(row["flags"] == "slave" and row["master-link-status"] == "ok" for row in followers)
            and all(row["slave-priority"] == 100 for row in followers)
        )

    def wait_for_change(self, before: tuple[str, int]) -> Server:
        """The new leader, as soon as there is one and writes can be made."""
        until(lambda: self.address() not in (None, before), "another leader")
        now = self.address()
        return next(server for server in self.together.servers if (HOST, server.port) == now)


class Producer(threading.Thread):
    """Adds numbers one after the other through sentinel, each again until it is acknowledged, and never twice."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._enough = threading.Event()
        self.acknowledged: list[int] = []
        self.refusals: set[str] = set()

    def run(self) -> None:
        number = 0
        while not self._enough.is_set():
            try:
                self._client.execute_command("XADD", "s", "IDMP", "producer", number, "*", "n", number)
            except (redis.RedisError, OSError) as refusal:
                self.refusals.add(f"{type(refusal).__name__}: {refusal}")
                self._enough.wait(0.02)
                continue
            self.acknowledged.append(number)
            number += 1

    def wait_for_more(self) -> None:
        """Until something that was sent from now on is acknowledged."""
        goal = len(self.acknowledged) + 2
        until(lambda: len(self.acknowledged) >= goal, f"writes go on after {self.refusals}")

    def end(self) -> None:
        self._enough.set()
        self.join()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Three servers with a password, and three sentinels that know all about them."""
    try:
        servers.redis_binary()
    except servers.NotInstalled as missing:
        needs.missing(f"redis-sentinel, from {missing}")
    with (
        replica_set(tmp_path, "--acks", "all", "--min.insync.replicas", "2", password="secret") as together,
        sentinels(tmp_path, together.servers[0].port, password="secret") as started,
    ):
        watched = Watched(together, started)
        until(watched.is_whole, "sentinels that know everybody")
        yield watched


def test_clients_go_on_through_the_death_of_the_leader_and_its_return_and_a_failover(watched: Watched) -> None:
    together, sentinel = watched.together, watched.sentinel
    first = together.servers[0]
    producer = Producer(sentinel.master_for(SET_NAME, socket_timeout=2, password=together.password))
    producer.start()
    try:
        producer.wait_for_more()
        first.kill()
        second = watched.wait_for_change((HOST, first.port))
        producer.wait_for_more()

        first.start_again()
        assert together.wait_until_in_sync() is second
        until(lambda: (HOST, first.port) in sentinel.discover_slaves(SET_NAME), "the dead leader is back, as a replica")

        chosen = watched.sentinels[0]
        assert chosen.call("SENTINEL", "CKQUORUM", SET_NAME).startswith(b"+OK 3 usable Sentinels")
        assert chosen.call("SENTINEL", "FAILOVER", SET_NAME) == b"+OK\r\n"
        third = watched.wait_for_change((HOST, second.port))
        producer.wait_for_more()
        until(watched.is_whole, "the leader that was replaced is a replica")
    finally:
        producer.end()
    assert together.wait_until_in_sync() is third
    for each in together.servers:
        with redis.Redis(port=each.port, password=together.password, decode_responses=True) as client:
            stored = [int(fields["n"]) for _, fields in client.xrange("s")]
        assert stored[: len(producer.acknowledged)] == producer.acknowledged
    reader = sentinel.slave_for(SET_NAME, password=together.password)
    assert (reader.xlen("s"), reader.role()[0]) == (len(stored), b"slave")
