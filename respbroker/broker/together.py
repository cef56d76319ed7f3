"""Requests that several clients send alike: run at once, as if one of them had sent all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from respbroker.broker.timing import Timing
from respbroker.commands.lingering import Lingers
from respbroker.commands.table import Command
from respbroker.errors import ReplyError
from respbroker.sessions.client import Client, Output, Reply
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node

_TOGETHER_MAX: Final = 2048  # requests that are looked at to be run at once; more gain nothing


class Run(NamedTuple):
    """A part of a batch, from client to client: each asked for this command alone, and all were served at once."""

    start: int
    stop: int
    command: Command


class Together:
    """The half of `respbroker.broker.dispatch.Dispatcher` that serves neighbours. ``runs`` are those of the tick."""

    _node: Node
    _by_raw_name: dict[bytes, Command]
    timing: Timing
    disturbed: bool

    if TYPE_CHECKING:

        def run(self, client: Client, requests: list[list[bytes]]) -> None: ...
        def _add(self, command: Command, out: list[Output], replies: list[Reply]) -> None: ...

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def _run_together(self, batch: Sequence[tuple[Client, list[list[bytes]]]], at: int) -> tuple[int, int]:
        """Run the requests of neighbouring plain clients as if one had sent them all; of how many clients, and how many
        ask alike.

        That is done where their commands have a handler for runs (see `RunHandler`), which look at nothing of a
        client but its database and its protocol.
        """
        client, requests = batch[at]
        head, db, protocol = requests[0][:2], client.db, client.protocol
        command = self._by_raw_name.get(head[0])
        if command is None or command.run is None or self.disturbed:
            return 0, 0
        if not command.words_min <= len(requests[0]) <= command.words_max:
            return 0, 0
        alike: list[list[bytes]] = []
        members: list[tuple[Client, list[list[bytes]]]] = []
        for member in islice(batch, at, None):
            client, requests = member
            if requests[0][:2] != head or (len(requests) > 1 and requests[-1][:2] != head):
                break
            if not client.plain or client.backlog or client.db != db or client.protocol != protocol:
                break
            if len(alike) > _TOGETHER_MAX:
                break
            alike += requests
            members.append(member)
        if len(members) < 2:
            return 0, 0
        node, clock = self._node, self.timing.clock
        node.client = members[0][0]
        out: list[Reply] = []
        began = clock()
        try:
            served = command.run(node, alike, 0, out)
        except Lingers as wish:
            self._node.lingering.begin_all(members, wish)
            return len(members), len(members)
        except (ReplyError, StorageError):  # each will be told by itself
            return 0, len(members)
        if served:
            self.timing.account(members[0][0], command, alike[served - 1], served, clock() - began)
            if node.unfinished:
                node.finish_command()
        if len(out) == len(alike) == len(members) and command.is_fast:  # nearly always; it is answered by bytes
            self._hand_out_singles(command, members, out)
            done = whole = len(members)
        else:
            done, whole = self._hand_out(command, members, out)
        if whole:
            self.runs.append(Run(at, at + whole, command))
        return done, len(members)

    def _hand_out_singles(
        self, command: Command, members: Sequence[tuple[Client, list[list[bytes]]]], replies: list[Reply]
    ) -> None:
        """Give each client its reply; each has sent one request."""
        now, name = self._node.now, command.name
        for (client, _), reply in zip(members, replies, strict=True):
            client.out.append(reply)  # type: ignore[arg-type]  # a fast command answers by bytes
            client.requests_count += 1
            client.last_active, client.last_command = now, name

    def _hand_out(
        self, command: Command, members: Sequence[tuple[Client, list[list[bytes]]]], replies: list[Reply]
    ) -> tuple[int, int]:
        """Give each client its replies; one that was not served to its end goes on by itself. How many were served, and
        how many of them wholly by these.
        """
        now, name, at = self._node.now, command.name, 0
        for done, (client, requests) in enumerate(members):
            end = at + len(requests)
            if end > len(replies):
                if at == len(replies):
                    return done, done
                self._add(command, client.out, replies[at:])
                client.requests_count += len(replies) - at
                self.run(client, requests[len(replies) - at :])
                return done + 1, done
            self._add(command, client.out, replies[at:end])
            client.requests_count += end - at
            client.last_active, client.last_command = now, name
            at = end
        return len(members), len(members)
