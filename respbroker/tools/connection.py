"""The connection to a running server, and each way in which it fails as one sentence.

redis-py is imported when a connection is made, so `respbroker serve` does not load it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    import redis

DEFAULT_URL: Final = "redis://127.0.0.1:6379"
CONNECT_SECONDS: Final = 5.0
REPLY_SECONDS: Final = 60.0
PIPELINE: Final = 1000  # requests sent before their replies are read

Word = bytes | str | int


class Failed(click.ClickException):
    """What was asked for cannot be done; the message is a sentence, the exit status 1."""


class Refusal(Exception):
    """The server answered with an error; ``text`` is without the code ``ERR``."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def is_missing_key(self) -> bool:
        return self.text == "no such key"


class Server:
    """A running server. Replies are as they came: bytes, numbers, lists and (by RESP3) dictionaries."""

    def __init__(self, url: str) -> None:
        self.place = without_password(url)
        self._url = url
        self._client: redis.Redis | None = None

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()

    def ask(self, *words: Word) -> Any:
        """The reply to one request. Raises Refusal, or Failed where there is no server to answer."""
        [reply] = self.ask_each([words])
        if isinstance(reply, Refusal):
            raise reply
        return reply

    def ask_all(self, requests: Sequence[Sequence[Word]], *, atomic: bool = False) -> list[Any]:
        """The replies to several requests. Raises the first Refusal."""
        replies = self.ask_each(requests, atomic=atomic)
        for reply in replies:
            if isinstance(reply, Refusal):
                raise reply
        return replies

    def ask_each(self, requests: Sequence[Sequence[Word]], *, atomic: bool = False) -> list[Any]:
        """The same, with a Refusal in the place of its reply. ``atomic`` sends them as one transaction."""
        replies: list[Any] = []
        size = max(len(requests), 1) if atomic else PIPELINE
        for start in range(0, len(requests), size):
            with in_sentences(self.place):
                replies += self._send(requests[start : start + size], atomic)
        return [_refusal(reply) if isinstance(reply, Exception) else reply for reply in replies]

    def _send(self, requests: Sequence[Sequence[Word]], atomic: bool) -> list[Any]:
        if self._client is None:
            self._client = connect(self._url)
        pipeline = self._client.pipeline(transaction=atomic)
        for words in requests:
            pipeline.execute_command(*words)  # type: ignore[no-untyped-call]
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        return replies


@contextlib.contextmanager
def in_sentences(place: str) -> Iterator[None]:
    """What redis-py and the system raise where there is no reply, as Failed."""
    from redis import exceptions

    try:
        yield
    except exceptions.AuthenticationError as error:
        raise Failed(_about_password(place, str(error))) from None
    except exceptions.BusyLoadingError:
        raise Failed(f"the server at {place} is still reading its files: try again soon") from None
    except (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.InvalidResponse, OSError) as error:
        raise Failed(f"no server can be reached at {place}: {_cause(error)}") from None
    except exceptions.RedisError as error:
        raise Failed(f"the server at {place} says: {error}") from None


def _about_password(place: str, said: str) -> str:
    if "invalid username-password" in said or "WRONGPASS" in said or "invalid password" in said:
        return f"the server at {place} does not take this user and password"
    return f"the server at {place} wants a password: give it in RESPBROKER_URL, as redis://:PASSWORD@HOST"


def connect(url: str) -> redis.Redis:
    """A client that has not connected yet, tries once, and leaves replies alone.

    Raises:
        click.UsageError: the URL is none.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=REPLY_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
    except (ValueError, TypeError) as error:
        raise click.UsageError(f"the URL {without_password(url)} cannot be used: {error}") from None
    client.connection_pool.connection_kwargs.update(protocol=3, decode_responses=False)  # whatever the URL says
    client.response_callbacks.clear()
    return client


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    return re.sub(r"(?<=://).*@", "", url.partition("?")[0])


def _refusal(error: Exception) -> Refusal:
    return Refusal(str(error))


def _cause(error: Exception) -> str:
    """What the operating system or the library says, without the address that stands before it."""
    text = str(error).rstrip(".")
    found = re.fullmatch(r"Error -?\d+ (?:connecting to [^ ]*|while reading from [^ ]*)[.:] ?(.*)", text, re.DOTALL)
    return (found[1] if found else text).rstrip(".") or type(error).__name__
