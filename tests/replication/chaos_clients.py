"""Clients that go on through every failure, remember what they were told, and check it at the end.

They know the addresses of all servers and ask the next one after a refusal or a lost connection. What they remember
must hold whatever happened: see `check` of each.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import redis

from tests.support.servers import HOST

ANSWER_SECONDS = 2.0
PAUSE_SECONDS = 0.02  # before the next server is asked


class Broken(AssertionError):
    """Something that was promised is not so."""


def promise(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what[:2000])


class Client(threading.Thread):
    """Owns a connection to each server, and a thread until `end`."""

    def __init__(self, ports: Sequence[int], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._servers = [
            redis.Redis(
                host=HOST, port=port, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, retry=None,
                decode_responses=True, protocol=2,
            )
            for port in ports
        ]  # fmt: skip
        self._turn = 0
        self.over = threading.Event()
        self.refusals = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self.once()
        except Exception as failure:  # it is raised again by the main thread
            self.failure = failure

    def once(self) -> None:
        raise NotImplementedError

    def ask(self, *words: Any) -> Any:
        """The reply of the server that was last found to lead. RedisError: refused, or no answer."""
        try:
            return self._servers[self._turn].execute_command(*words)
        except redis.RedisError:
            self.next_server()
            raise

    def next_server(self) -> None:
        self.refusals += 1
        self._turn = (self._turn + 1) % len(self._servers)
        self.over.wait(PAUSE_SECONDS)

    def insist(self, *words: Any) -> Any:
        """The reply to a request that may be made again and again; None when it is all over before there is one."""
        while not self.over.is_set():
            try:
                return self.ask(*words)
            except redis.RedisError:
                continue
        return None

    def end(self) -> None:
        self.over.set()
        self.join()
        if self.failure is not None:
            raise self.failure


class Producer(Client):
    """Adds 0, 1, 2 … to a stream, each until it is acknowledged."""

    def __init__(self, ports: Sequence[int], stream: str, name: str) -> None:
        super().__init__(ports, name)
        self.stream = stream
        self.acknowledged: dict[int, str] = {}
        self._numbers = itertools.count()

    def once(self) -> None:
        number = next(self._numbers)
        entry = self.insist("XADD", self.stream, "IDMP", self.name, number, "*", "from", self.name, "n", number)
        if entry is not None:
            self.acknowledged[number] = entry

    def check(self, stored: Sequence[tuple[str, dict[str, str]]], *, all_of_them: bool) -> None:
        """Its entries are there once, in the order in which they were added, under the IDs that were told."""
        own = [(int(fields["n"]), entry) for entry, fields in stored if fields["from"] == self.name]
        numbers = [number for number, _ in own]
        promise(len(set(numbers)) == len(numbers), f"{self.name}: an entry is there twice")
        promise(numbers == sorted(numbers), f"{self.name}: entries are in another order than they were added in")
        if all_of_them:
            found = dict(own)
            lost = {number: entry for number, entry in self.acknowledged.items() if found.get(number) != entry}
            promise(not lost, f"{self.name}: acknowledged and lost, or under another ID: {lost} in {self.stream}")


class Pairs(Client):
    """Adds to two streams in one transaction: both or none."""

    def __init__(self, ports: Sequence[int], streams: tuple[str, str], name: str) -> None:
        super().__init__(ports, name)
        self.streams = streams
        self.acknowledged: list[int] = []
        self._numbers = itertools.count()

    def once(self) -> None:
        number = next(self._numbers)
        pipeline = self._servers[self._turn].pipeline(transaction=True)
        for stream in self.streams:
            pipeline.execute_command("XADD", stream, "*", "from", self.name, "n", number)
        try:
            pipeline.execute()
        except redis.RedisError:
            self.next_server()
        else:
            self.acknowledged.append(number)

    def check(self, left: Sequence[tuple[str, dict[str, str]]], right: Sequence[tuple[str, dict[str, str]]]) -> None:
        """Both streams have the same, and what was acknowledged is in it."""
        here, there = ([fields["n"] for _, fields in entries] for entries in (left, right))
        promise(here == there, f"{self.name}: one half of a transaction is missing: {set(here) ^ set(there)}")
        lost = set(map(str, self.acknowledged)) - set(here)
        promise(not lost, f"{self.name}: transactions {lost} were acknowledged and lost")


class Consumer(Client):
    """Reads in a group and acknowledges most of what it got."""

    def __init__(self, ports: Sequence[int], stream: str, name: str, seed: int) -> None:
        super().__init__(ports, name)
        self.stream = stream
        self.received: list[str] = []
        self.kept: set[str] = set()  # received, and meant to stay pending
        self.acknowledged: set[str] = set()
        self._random = random.Random(seed)

    def once(self) -> None:
        try:
            reply = self.ask(
                "XREADGROUP", "GROUP", "g", self.name, "COUNT", 10, "BLOCK", 200, "STREAMS", self.stream, ">"
            )
        except redis.RedisError:
            return
        for entry, _ in reply[0][1] if reply else ():
            self.received.append(entry)
            if self._random.random() < 0.2:
                self.kept.add(entry)
            elif self.insist("XACK", self.stream, "g", entry) is not None:
                self.acknowledged.add(entry)

    def check(self, pending: dict[str, str], last_delivered: str) -> None:
        """What it kept is pending with it, what it acknowledged is not, and the group's cursor is behind all."""
        for entry in self.kept:
            promise(
                pending.get(entry) == self.name, f"{entry} went to {self.name} and is pending with {pending.get(entry)}"
            )
        again = self.acknowledged & pending.keys()
        promise(not again, f"{self.name} acknowledged what is pending: {again}")
        promise(len(set(self.received)) == len(self.received), f"{self.name} was given an entry twice")
        late = [entry for entry in self.received if order(entry) > order(last_delivered)]
        promise(not late, f"{self.name} was given entries behind the group's cursor: {late}")


class Reader(Client):
    """Looks at the end of a stream on any server: what has been seen stays."""

    def __init__(self, ports: Sequence[int], stream: str, name: str, seed: int) -> None:
        super().__init__(ports, name)
        self.stream = stream
        self.seen: dict[str, tuple[dict[str, str], int, float]] = {}  # fields, where, when
        self._random = random.Random(seed)

    def once(self) -> None:
        index = self._random.randrange(len(self._servers))
        try:
            for entry, fields in self._servers[index].execute_command("XREVRANGE", self.stream, "+", "-", "COUNT", 3):
                self.seen[entry] = fields, index, time.time()
        except redis.RedisError:
            self.refusals += 1
        self.over.wait(PAUSE_SECONDS)

    def check(self, stored: Sequence[tuple[str, dict[str, str]]]) -> None:
        """All that was seen is there."""
        there = dict(stored)
        lost = {entry: seen for entry, seen in self.seen.items() if there.get(entry) != seen[0]}
        promise(not lost, f"{self.name} has seen what is not in {self.stream} any more: {lost}")


def order(entry: str) -> tuple[int, int]:
    """An ID as it is ordered."""
    ms, _, seq = entry.partition("-")
    return int(ms), int(seq)
