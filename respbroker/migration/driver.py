"""Running the turns of many streams over two connections, so that both servers are at work while we are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import attrs

from respbroker.migration.link import Link, Ticket
from respbroker.migration.turns import Answer, Entry, Steps, Turn, said
from respbroker.resp.reply_decoder import ErrorReply
from respbroker.resp.requests import appends, requests
from respbroker.tools.connection import Failed
from respbroker.tools.output import shown

WIDTH: Final = 32  # streams that are moved at the same time
UNANSWERED_MAX: Final = 2000  # XADDs: their replies must fit into the sockets' buffers while we only send

T = TypeVar("T")


@attrs.define
class _Added:
    """Entries that were sent to the target, until it has answered."""

    key: bytes
    entries: list[Entry]
    ticket: Ticket


@attrs.define
class _Job(Generic[T]):
    """A stream on the move, and what it wants to ask next."""

    steps: Steps[T]
    turn: Turn


class Driver:
    """Two servers, and what has been sent to the target without an answer yet. ``entries`` counts those added."""

    def __init__(self, source: Link, target: Link) -> None:
        self.source, self.target = source, target
        self.entries = 0
        self._added: deque[_Added] = deque()

    def run(self, steps: Iterable[Steps[T]], after_turn: Callable[[], None] = lambda: None) -> Iterable[T]:
        """The results, in the order in which they are there. Raises Failed with the first that fails."""
        waiting = iter(steps)
        jobs: list[_Job[T]] = []
        while True:
            jobs += [_Job(each, next(each)) for each in islice(waiting, WIDTH - len(jobs))]
            if not jobs:
                break
            answers = self._turn(jobs)
            after_turn()
            kept = []
            for job, answer in zip(jobs, answers, strict=True):
                try:
                    job.turn = job.steps.send(answer)
                    kept.append(job)
                except StopIteration as end:
                    yield end.value
            jobs = kept
        self._check(-1)

    def _turn(self, jobs: list[_Job[T]]) -> list[Answer]:
        asked = [words for job in jobs for words in job.turn.source]
        source = self.source.send(requests(asked), len(asked)) if asked else None
        self.source.flush()
        tickets = [self._tell_target(job.turn) for job in jobs]
        self.target.flush()
        replies: list[Any] = self.source.receive(source) if source else []
        answers, position = [], 0
        for job, ticket in zip(jobs, tickets, strict=True):
            count = len(job.turn.source)
            told = self.target.receive(ticket) if ticket else []
            answers.append(Answer(replies[position : position + count], told))
            position += count
        self._check(UNANSWERED_MAX)
        return answers

    def _tell_target(self, turn: Turn) -> Ticket | None:
        if turn.entries:
            self._check(UNANSWERED_MAX - len(turn.entries))
            raw = appends(turn.key, turn.entries)
            entries = list(turn.entries)
            self._added.append(_Added(turn.key, entries, self.target.send(raw, len(entries))))
            self.entries += len(entries) - turn.stand_ins
        return self.target.send(requests(turn.target), len(turn.target)) if turn.target else None

    def _check(self, unanswered_max: int) -> None:
        """Look at what the target answered to entries; wait until no more than so many are unanswered."""
        while self._added and (self._added[0].ticket.is_answered or self.target.unanswered > unanswered_max):
            added = self._added.popleft()
            replies = self.target.receive(added.ticket)
            if replies != [entry_id for entry_id, _ in added.entries]:
                raise Failed(_refused(self.target.place, added))


def _refused(place: str, added: _Added) -> str:
    for (entry_id, _), reply in zip(added.entries, added.ticket.replies, strict=True):
        if isinstance(reply, ErrorReply):
            return f"{place} does not take the entry {entry_id.decode()} of {shown(added.key)}: {said(reply)}"
    return f"{place} answers to the entries of {shown(added.key)} with other IDs than theirs"
