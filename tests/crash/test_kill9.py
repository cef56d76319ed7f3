"""A real server, killed with -9 under load again and again: everything it answered is there."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis

from tests.support.servers import ROOT, respbroker_server

ROUNDS = 3
ANSWERS = 150  # before the server is killed


class Load(threading.Thread):
    """Writes, reads in a group and acknowledges until the connection breaks; remembers what was answered."""

    def __init__(self, port: int, name: str, enough: threading.Event) -> None:
        super().__init__(daemon=True)
        self._client = redis.Redis(port=port, socket_timeout=20, retry=None)
        self._name = name
        self._enough = enough
        self.added: list[bytes] = []
        self.acknowledged: set[bytes] = set()
        self.pairs = 0
        self.values = 0  # set, counted and scored so often

    def run(self) -> None:
        try:
            while True:
                self._once()
        except redis.ConnectionError:
            pass

    def _once(self) -> None:
        self.added.append(self._client.xadd(self._name, {"n": len(self.added)}))
        read = self._client.xreadgroup("g", self._name, {self._name: ">"}, count=2)
        for _, entries in read:
            for entry_id, _fields in entries[:1]:
                self._client.xack(self._name, "g", entry_id)
                self.acknowledged.add(entry_id)
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.xadd("left", {"from": self._name})
            pipeline.xadd("right", {"from": self._name})
            pipeline.execute()
        self.pairs += 1
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.set(f"{self._name}:last", self.values + 1)
            pipeline.hset(f"{self._name}:hash", str(self.values), self._name)
            pipeline.zadd(f"{self._name}:set", {str(self.values): self.values})
            pipeline.execute()
        self.values += 1
        if len(self.added) >= ANSWERS:
            self._enough.set()


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_everything_answered_survives_kill_9(policy: str, tmp_path: Path) -> None:
    names = ["one", "two"]
    added: dict[str, list[bytes]] = {name: [] for name in names}
    acknowledged: dict[str, set[bytes]] = {name: set() for name in names}
    pairs = 0
    with respbroker_server("--appendfsync", policy, "--segment.bytes", "20000", directory=tmp_path) as server:
        client = redis.Redis(port=server.port)
        for name in names:
            client.xgroup_create(name, "g", "0", mkstream=True)
        for _ in range(ROUNDS):
            enough = threading.Event()
            loads = [Load(server.port, name, enough) for name in names]
            for load in loads:
                load.start()
            assert enough.wait(60)
            server.kill()
            for load in loads:
                load.join(30)
                added[load._name] += load.added
                acknowledged[load._name] |= load.acknowledged
                pairs += load.pairs
            server.start_again()
            client = redis.Redis(port=server.port)
            for name in names:
                stored = [entry_id for entry_id, _ in client.xrange(name)]
                assert set(added[name]) <= set(stored)
                assert len(stored) <= len(added[name]) + ROUNDS  # and no more than was asked for
                assert client.xlen(name) == len(stored)
                pending = {each["message_id"] for each in client.xpending_range(name, "g", "-", "+", 100_000)}
                assert not pending & acknowledged[name]
            for load in loads:
                _check_values(client, load)
            assert client.xlen("left") == client.xlen("right") >= pairs


def _check_values(client: redis.Redis, load: Load) -> None:
    """All that was answered, and nothing that was not asked for; and gone for the next round."""
    name = load._name
    assert int(client.get(f"{name}:last") or 0) in (load.values, load.values + 1)
    for found in (client.hkeys(f"{name}:hash"), client.zrange(f"{name}:set", 0, -1)):
        assert {b"%d" % number for number in range(load.values)} <= set(found)
        assert len(found) <= load.values + 1
    client.delete(f"{name}:last", f"{name}:hash", f"{name}:set")


def test_a_second_server_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with respbroker_server(directory=tmp_path):
        command = [sys.executable, "-m", "respbroker", "serve", "--port", "0", "--dir", str(tmp_path / "data")]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode != 0
    assert "Traceback" not in second.stderr
    assert str(tmp_path / "data") in second.stderr
    assert "in use" in second.stderr or "another" in second.stderr, second.stderr
