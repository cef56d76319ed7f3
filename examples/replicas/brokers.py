"""Three servers, and what an operator does with them: start, cut off, kill, promote, watch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import redis

from examples.flights.processes import HOST, Server
from examples.replicas.leader import role

COUNT: Final = 3
#: A write is acknowledged when every in-sync replica has it, and two servers do at least.
SETTINGS: Final = ("--acks", "all", "--min.insync.replicas", "2")
PATIENCE_SECONDS: Final = 30.0


class Brokers:
    """Owns the servers; the first leads in the beginning."""

    def __init__(self, place: Path) -> None:
        self.servers = [Server(place / f"broker-{number}", options=SETTINGS) for number in range(COUNT)]
        for follower in self.servers[1:]:
            follower.options = (*SETTINGS, "--replicaof", HOST, str(self.servers[0].port))
        self.leader = self.servers[0]

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.servers]

    def start(self) -> None:
        """Start all, and wait until they are in sync."""
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait()
        until(self.are_in_sync, "not all replicas came in sync")

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def are_in_sync(self) -> bool:
        return self.info(self.leader).get("in_sync_replicas") == COUNT

    def isolate_and_kill(self) -> int:
        """Kill the leader at a moment at which it has bytes that no follower was sent; how many."""
        while True:
            client(self.leader).execute_command("CLIENT", "KILL", "TYPE", "replica")  # they come back a second later
            before = None
            while not (facts := self.info(self.leader))["connected_slaves"]:
                before = before or facts["master_repl_offset"]
                if alone := facts["master_repl_offset"] - before:
                    self.leader.kill()
                    return int(alone)
            until(self.are_in_sync, "not all replicas came in sync")

    def promote(self) -> Server:
        """Let the follower lead that was in sync and has most; sentinel chooses in the same way, by the same fields."""
        facts = {server.port: self.info(server) for server in self.servers if server is not self.leader}
        fit = [server for server in self.servers if facts.get(server.port, {}).get("slave_priority")]
        self.leader = max(fit, key=lambda server: int(facts[server.port]["slave_repl_offset"]))
        client(self.leader).execute_command("REPLICAOF", "NO", "ONE")
        until(lambda: role(client(self.leader)) == "master", "the follower was not made leader")
        return self.leader

    def wait_until_equal(self) -> None:
        """Until all have the same position."""
        until(lambda: len({self.position_of(each) for each in self.servers}) == 1, "the followers did not come level")

    def position_of(self, server: Server) -> int | None:
        return self.info(server).get("master_repl_offset")

    def info(self, server: Server) -> dict[str, Any]:
        """INFO replication; nothing of a server that does not answer."""
        try:
            facts: dict[str, Any] = client(server).info("replication")
        except redis.RedisError:
            return {}
        return facts

    def cut_off(self, server: Server) -> int:
        """How many records a server says it cut off because its leader does not have them."""
        return sum(int(count) for count in re.findall(r"cut off (\d+) records", server.log.read_text()))


def client(server: Server) -> redis.Redis:
    return redis.Redis(HOST, server.port, socket_timeout=5, decode_responses=True)


def until(reached: Callable[[], bool], failure: str) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise SystemExit(f"After {PATIENCE_SECONDS:g} seconds {failure}.")
        time.sleep(0.02)
