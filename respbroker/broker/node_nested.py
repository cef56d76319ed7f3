"""Requests within a request: those that EXEC runs, and those that a script makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from respbroker.sessions.client import Client, Reply
from respbroker.streams.keyspace import Keyspace

if TYPE_CHECKING:
    from respbroker.broker.dispatch import Dispatcher
    from respbroker.commands.table import Command


class NodeNested:
    """The part of `respbroker.broker.node.Node` that runs them; see `respbroker.commands.context.Context`."""

    client: Client
    dispatcher: Dispatcher
    keyspace: Keyspace

    def __init__(self) -> None:
        self._in_exec = False
        self._exec_keys: set[tuple[int, bytes]] = set()  # written to by the EXEC that runs
        self._catalog_before_exec = 0

    @property
    def in_exec(self) -> bool:
        return self._in_exec

    @in_exec.setter
    def in_exec(self, on: bool) -> None:
        self._in_exec = on
        if on:
            self._catalog_before_exec = self.keyspace.catalog.staged_count
        elif self._exec_keys and self.keyspace.catalog.staged_count != self._catalog_before_exec:
            self.keyspace.atomic = True  # it writes to a stream and to the catalog
        self._exec_keys.clear()

    def execute(self, command: Command, words: list[bytes]) -> Reply:
        self._note_keys(command, words)
        return self.dispatcher.handle(self.client, command, words)

    def call(self, words: list[bytes]) -> Reply:
        command = self.dispatcher.resolve(words)
        self.dispatcher.refuse(self.client, command, words)
        if self._in_exec:
            self._note_keys(command, words)
        timing = self.dispatcher.timing
        began = timing.clock()
        reply = command.handler(self, words)  # type: ignore[arg-type]  # this is the node
        timing.account(self.client, command, words, 1, timing.clock() - began)
        return reply

    def _note_keys(self, command: Command, words: list[bytes]) -> None:
        """Remember which keys EXEC writes to: several are there after a crash together, or none is."""
        if command.is_write and command.spec.keys is not None:
            db = self.client.db
            self._exec_keys.update((db, key) for key in command.spec.keys.of(words))
            if len(self._exec_keys) > 1:
                self.keyspace.atomic = True
