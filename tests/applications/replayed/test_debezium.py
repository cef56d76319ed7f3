"""Debezium Server's redis sink: what it takes for success must be in the stream.

The sink sends PING, then a batch of XADD in one pipeline, and takes every reply for success that does not hold the
words of OOM: then the source forgets the record. A connection that ends is tried again, and so is a PING answered by
LOADING.
"""

from __future__ import annotations

import threading

import attrs

from tests.support.replica_sets import until
from tests.support.servers import Server
from tests.support.wire import ConnectionEnded, NoReply, Wire, parse

STREAM = "shop.public.orders"
FULL = b"OOM command not allowed when used memory > 'maxmemory'"
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
BATCH = 50


@attrs.define
class Sink:
    """The sink's rules for ``server``, and how often each made it try again."""

    server: Server
    broken: int = 0
    full: int = 0
    stopped: threading.Event = attrs.field(factory=threading.Event)
    _wire: Wire | None = None

    def handle(self, batch: list[str]) -> None:
        """Until nothing of the batch is left, as far as the sink can tell."""
        while batch and not self.stopped.is_set():
            try:
                if self._wire is None:
                    self._wire = self.server.connect()
                batch = self._send(self._wire, batch)
            except (OSError, ConnectionEnded, NoReply):
                self.broken += 1
                self.close()
                self.stopped.wait(0.01)  # before the next attempt, as the sink waits too

    def _send(self, wire: Wire, batch: list[str]) -> list[str]:
        pong = wire.call("PING")
        if pong == LOADING:
            return batch
        assert pong == b"+PONG\r\n", pong  # else the sink gives up
        replies = wire.pipeline(["XADD", STREAM, "*", "key", record, "value", "{}"] for record in batch)
        left = [record for record, reply in zip(batch, replies, strict=True) if FULL in reply]
        self.full += len(left)
        return left

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def stored(server: Server) -> list[str]:
    """The key of every record in the stream, in order."""
    entries = parse(server.call("XRANGE", STREAM, "-", "+")).items or ()
    return [(entry.items[1].items[1].text or b"").decode() for entry in entries if entry.items and entry.items[1].items]


def memory(server: Server) -> dict[str, int]:
    """The two numbers that the sink asks before a batch."""
    text = (parse(server.call("INFO", "memory")).text or b"").decode()
    pairs = dict(line.split(":") for line in text.splitlines() if line.count(":") == 1)
    return {name: int(pairs[name]) for name in ("used_memory", "maxmemory")}


def test_what_the_sink_took_for_success_is_there_after_the_server_was_killed(lasting_server: Server) -> None:
    sink, taken = Sink(lasting_server), list[str]()

    def run() -> None:
        for first in range(0, 100_000, BATCH):
            batch = [str(n) for n in range(first, first + BATCH)]
            sink.handle(batch)
            if sink.stopped.is_set():
                return
            taken.extend(batch)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        until(lambda: len(taken) >= 4 * BATCH, "the sink is at work")
        lasting_server.kill()
        until(lambda: sink.broken > 0, "the sink notices")
        before = len(taken)
        lasting_server.start_again(loaded=False)
        until(lambda: len(taken) >= before + 4 * BATCH, "the sink is at work again")
    finally:
        sink.stopped.set()
        thread.join()
        sink.close()
    found = stored(lasting_server)
    assert set(taken) <= set(found)
    assert list(dict.fromkeys(found)) == sorted(set(found), key=int)  # some twice, but in order


def test_a_full_server_keeps_the_sink_waiting(server: Server) -> None:
    sink = Sink(server)
    batch = [str(n) for n in range(BATCH)]
    thread = threading.Thread(target=sink.handle, args=(batch,))
    try:
        server.call("CONFIG", "SET", "maxmemory", memory(server)["used_memory"] // 2)
        until(lambda: FULL in server.call("XADD", STREAM, "*", "key", "-1", "value", "{}"), "writes are refused")
        server.call("DEL", STREAM)
        thread.start()
        until(lambda: sink.full >= 2 * BATCH, "the sink has tried twice")
        assert stored(server) == []
        assert memory(server)["used_memory"] > memory(server)["maxmemory"] > 0
    finally:
        server.call("CONFIG", "SET", "maxmemory", 0)
        if thread.ident is not None:
            thread.join()
        sink.close()
    assert stored(server) == batch
