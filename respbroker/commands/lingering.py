"""What stands before an XADD to a topic that asks for more than appending: waiting for others, fitting a schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from respbroker.errors import ReplyError
from respbroker.streams.schemas import count_fitting, ensure_fits
from respbroker.streams.stream import Stream

if TYPE_CHECKING:
    from respbroker.commands.context import Context
    from respbroker.streams.topic import Topic


class Lingers(ReplyError):
    """Not a refusal: the request is to be kept, and to be run again together with others. Nothing was changed.

    ``place`` is the database and the name of the topic, ``linger_ms`` how long it may take.
    """

    def __init__(self, place: tuple[int, bytes], linger_ms: int) -> None:
        super().__init__()
        self.place, self.linger_ms = place, linger_ms


def ensure_no_linger(ctx: Context, found: Stream | Topic) -> None:
    """Raise Lingers if the topic gathers what is added, and this is not the moment when it is appended."""
    linger_ms = found.settings.linger_ms
    if linger_ms and ctx.may_linger:
        whole = found.topic or found if isinstance(found, Stream) else found
        raise Lingers((whole.db, whole.key if isinstance(whole, Stream) else whole.name), linger_ms)


def ensure_may_append(ctx: Context, stream: Stream, words: Sequence[bytes], start: int) -> None:
    """Raise Lingers or SchemaMismatch."""
    ensure_no_linger(ctx, stream)
    ensure_fits(stream.settings, words, start)


def count_ready(ctx: Context, found: Stream | Topic, requests: Sequence[Sequence[bytes]], start: int) -> int:
    """How many of the requests may be appended, up to the first that may not. Raises Lingers."""
    ensure_no_linger(ctx, found)
    return count_fitting(found.settings, requests, start)
