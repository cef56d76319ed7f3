"""What a client does when servers may change places: ask each what it is, and repeat a request where the leader is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, ReadOnlyError, ResponseError, TimeoutError
from redis.retry import Retry

PATIENCE_SECONDS: Final = 30.0  # without a leader, give up
PAUSE_SECONDS: Final = 0.02
ANSWER_SECONDS: Final = 2.0  # without an answer, ask elsewhere
#: Nothing was written, and it may go better in a moment.
PASSING: Final = ("NOREPLICAS", "UNBLOCKED", "MASTERDOWN")

Result = TypeVar("Result")


class Leader:
    """A client of whichever of some servers leads."""

    def __init__(self, ports: list[int]) -> None:
        self._clients = [
            redis.Redis(port=port, socket_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 0), decode_responses=True)
            for port in ports
        ]
        self._found: redis.Redis | None = None

    def call(self, request: Callable[[redis.Redis], Result]) -> Result:
        """Make a request of the leader, again if it fails on the way: it may have been carried out though."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return request(self.find())
            except (ConnectionError, TimeoutError, ReadOnlyError, BusyLoadingError) as problem:
                self._found, last = None, problem
            except ResponseError as problem:
                if not str(problem).startswith(PASSING):
                    raise
                last = problem
            if time.monotonic() > deadline:
                raise last
            time.sleep(PAUSE_SECONDS)

    def find(self) -> redis.Redis:
        """The server that says it leads. One that has been replaced may say so too: it acknowledges nothing."""
        if self._found is None:
            for client in self._clients:
                if role(client) == "master":
                    self._found = client
                    self._clients.append(self._clients.pop(0))  # should it be the wrong one, the others come first
                    break
            else:
                raise ConnectionError("no server leads")
        return self._found


def role(client: redis.Redis) -> str:
    """What a server says it is; empty if it says nothing."""
    try:
        answer: list[str] = client.execute_command("ROLE")
    except redis.RedisError:
        return ""
    return answer[0]
