"""An application as it might be: a producer and a consumer on redis-py, which look up where the server is."""

from __future__ import annotations

import threading
from typing import Any, Final

import attrs
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

STREAM, GROUP = "orders", "billing"
#: The consumer fails at every such order the first time, and claims it again once it was idle for so long.
HARD, IDLE_MS = 7, 300
PAUSE_SECONDS: Final = 0.001

Entry = tuple[str, dict[str, str]]


@attrs.define
class Address:
    """Where the server is: a line in a configuration, or a name in DNS."""

    url: str

    def connect(self) -> redis.Redis:
        """A client of the server that is named now. It does not try again by itself: it would ask the same server."""
        return redis.Redis.from_url(self.url, decode_responses=True, retry=Retry(NoBackoff(), 0))


class Part(threading.Thread):
    """A thread that works with one server until told to stop, and asks for the address again when it is cut off."""

    def __init__(self, address: Address) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.stopping = threading.Event()
        self.cuts = 0

    def run(self) -> None:
        client = self.address.connect()
        while not self.stopping.is_set():
            try:
                self.work(client)
            except redis.ConnectionError:
                self.cuts += 1
                self.stopping.wait(0.05)
                client = self.address.connect()

    def work(self, client: redis.Redis) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self.stopping.set()
        self.join()


class Producer(Part):
    """Adds orders by their numbers; each only once the one before was taken."""

    def __init__(self, address: Address, first: int) -> None:
        super().__init__(address)
        self.added = first

    def work(self, client: redis.Redis) -> None:
        client.xadd(STREAM, {"order": self.added})
        self.added += 1
        self.stopping.wait(PAUSE_SECONDS)


class Consumer(Part):
    """Reads orders, handles and acknowledges them; what it failed at it claims again later."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.handled: list[int] = []

    def work(self, client: redis.Redis) -> None:
        reply = client.xreadgroup(GROUP, "anna", {STREAM: ">"}, count=20, block=50)
        self._acknowledge(client, [each for each in entries_of(reply) if int(each[1]["order"]) % HARD])
        _, idle, *_ = client.xautoclaim(STREAM, GROUP, "anna", IDLE_MS, count=50)
        self._acknowledge(client, idle)

    def _acknowledge(self, client: redis.Redis, entries: list[Entry]) -> None:
        for entry_id, fields in entries:
            if client.xack(STREAM, GROUP, entry_id):
                self.handled.append(int(fields["order"]))


def entries_of(reply: Any) -> list[Entry]:
    """The entries in a reply to XREADGROUP of one stream, as RESP2 or RESP3 has them."""
    if isinstance(reply, dict):
        return [each for pages in reply.values() for page in pages for each in page]
    return [each for _, some in reply for each in some]
