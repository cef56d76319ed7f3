"""What moving one stream asks of the two servers, step by step: a generator of turns, without a socket in it.

Many streams move at once. Each is a generator that yields a `Turn`, what it wants to ask of both sides, and is sent
the `Answer`; whoever runs them (`respbroker.migration.driver`) sends the turns of all of them together.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

import attrs

from respbroker.resp.reply_decoder import ErrorReply
from respbroker.resp.requests import Word
from respbroker.tools.connection import Failed
from respbroker.tools.output import shown

Entry = list[Any]  #: ``[ID, [field, value, ...]]``, as XRANGE answers it
Request = Sequence[Word]


@attrs.frozen
class Turn:
    """Requests to the source and to the target. ``entries`` are added to the target's ``key`` before its requests.

    ``stand_ins`` is how many of them are none of the source's and go again.
    """

    source: Sequence[Request] = ()
    target: Sequence[Request] = ()
    key: bytes = b""
    entries: Sequence[Entry] = ()
    stand_ins: int = 0


@attrs.frozen
class Answer:
    """The replies to a turn, each in its place; a refusal is an `ErrorReply` in the place of its reply.

    Added entries are not answered: what goes wrong with one ends the migration.
    """

    source: list[Any]
    target: list[Any]


T = TypeVar("T")
Steps = Generator[Turn, Answer, T]


def done(replies: Sequence[Any], key: bytes) -> list[Any]:
    """Replies of which none may be a refusal. Raises Failed with the first that is one."""
    for reply in replies:
        if isinstance(reply, ErrorReply):
            raise Failed(f"{shown(key)}: the server refuses: {said(reply)}")
    return list(replies)


def said(reply: ErrorReply) -> str:
    """A refusal in the server's words, without the code ``ERR``."""
    return reply.text if reply.code == "ERR" else str(reply)


def fields_of(flat: Sequence[Any]) -> dict[bytes, Any]:
    """A map as RESP2 has it: names and values in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
