"""node-redis and ioredis at three replicated servers, whose leader they learn from unchanged redis-sentinels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.applications.node.programs import Node
from tests.support.replica_sets import SET_NAME, ReplicaSet, replica_set, sentinels, until
from tests.support.servers import Server
from tests.support.wire import parse


@attrs.frozen
class Watched:
    together: ReplicaSet
    sentinels: list[Server]

    def leader_port(self) -> int:
        """Of the server that the first sentinel names."""
        address = parse(self.sentinels[0].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SET_NAME)).items
        assert address is not None
        return int(address[1].text or b"")

    def is_known(self) -> bool:
        """Whether every sentinel knows the two others and both followers, so that a failover can be had."""
        replies = [parse(each.call("SENTINEL", "MASTER", SET_NAME)).items or () for each in self.sentinels]
        rows = [{row[n].text: row[n + 1].text for n in range(0, len(row), 2)} for row in replies]
        return all((row[b"num-other-sentinels"], row[b"num-slaves"]) == (b"2", b"2") for row in rows)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with (
        replica_set(tmp_path, "--acks", "all", "--min.insync.replicas", "2") as together,
        sentinels(tmp_path, together.servers[0].port) as started,
    ):
        watched = Watched(together, started)
        until(watched.is_known, "sentinels that know everybody")
        yield watched


def stored(leader: Server, stream: str) -> set[str]:
    """The numbers in that stream."""
    entries = parse(leader.call("XRANGE", stream, "-", "+")).items or ()
    fields = [entry.items[1].items for entry in entries if entry.items]
    return {(words[1].text or b"").decode() for words in fields if words}


def test_producers_and_workers_go_on_after_the_leader_was_killed_and_after_a_failover(
    node: Node, watched: Watched
) -> None:
    """At the failover the leader is alive: it must end connections, or ioredis would stay at a replica for good."""
    first, sentinel = watched.together.servers[0], watched.sentinels[0]
    ports = [each.port for each in watched.sentinels]
    with node.start("sentinels.mjs", "redis") as redis, node.start("sentinels.mjs", "ioredis") as ioredis:
        programs = {"redis": redis, "ioredis": ioredis}
        for library, program in programs.items():
            program.ask("start", ports=ports, name=SET_NAME, stream=library)

        def all_go_on() -> None:
            for program in programs.values():
                program.ask("goOn")

        all_go_on()
        first.kill()
        until(lambda: watched.leader_port() != first.port, "another leader")
        all_go_on()
        second = watched.leader_port()
        until(lambda: sentinel.call("SENTINEL", "FAILOVER", SET_NAME) == b"+OK\r\n", "a failover may begin")
        until(lambda: watched.leader_port() != second, "a third leader")
        all_go_on()
        acknowledged = {library: program.ask("stop") for library, program in programs.items()}
    (leader,) = (each for each in watched.together.servers if each.port == watched.leader_port())
    for library, numbers in acknowledged.items():
        assert numbers
        assert set(numbers) <= stored(leader, library), library
