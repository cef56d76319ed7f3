"""From a client's requests to handlers: the refusals common to all commands, in their order.

`Dispatcher.run` serves one client's turn. A *plain* client (see `Client.settle`) on an undisturbed node takes the short
way: one dictionary look-up, the arity, the handler. Everything else takes the long way, one check after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from respbroker.broker.outputs import extend, weight
from respbroker.broker.timing import Timing
from respbroker.broker.together import Together
from respbroker.commands.lingering import Lingers
from respbroker.commands.monitor import feed_monitors, refuse_to_monitor
from respbroker.commands.pubsub import refuse_while_subscribed
from respbroker.commands.table import Command, CommandTable, Flag
from respbroker.commands.transactions import queue
from respbroker.errors import ExecAbort, MisConf, NoAuth, OutOfMemory, ReplyError, SeveralPartitions, UnknownCommand
from respbroker.resp import replies
from respbroker.sessions.client import Client, Output, Reply, ReplyMode
from storage import StorageError

if TYPE_CHECKING:
    from respbroker.broker.node import Node

_NEVER_QUEUED: Final = frozenset({"exec", "discard", "multi", "watch", "quit", "reset"})
#: Bytes of replies that one client's requests make in one turn; those behind them wait until it has taken these.
REPLIES_MAX: Final = 32 << 20
_LARGE: Final = 4 << 10  # smaller ones are not worth counting: the requests of one turn are at most 256 KB
#: Lines of HTTP: somebody's browser is made to speak to us, and must not get to the lines behind them.
_OTHER_PROTOCOLS: Final = frozenset({b"post", b"host:"})


#: What CLIENT PAUSE WRITE holds back too: it changes something elsewhere, or by other commands.
_MAY_WRITE: Final = frozenset({"publish", "spublish", "eval", "evalsha"})


class Dispatcher(Together):
    """Runs requests of the node; all state is the node's.

    ``disturbed`` is true while any condition of the whole node asks for the long way: MONITOR, CLIENT PAUSE, a disk
    that refuses, a slow log that wants every command timed.
    """

    def __init__(self, node: Node, commands: CommandTable, clock: Callable[[], float]) -> None:
        super().__init__()
        self._node = node
        self._by_raw_name = commands.by_raw_name
        self._commands = commands
        self.timing = Timing(node, clock)
        self.disturbed = False
        self._room = 0  # bytes of large replies that the running client's turn may still make

    def run_all(self, batch: Sequence[tuple[Client, list[list[bytes]]]]) -> None:
        """Run what arrived in a tick, client by client; what several ask alike is run at once."""
        node, at, count = self._node, 0, len(batch)
        apart = 0  # those before it cannot be served together
        self.runs.clear()
        while at < count:
            client, requests = batch[at]
            at += 1
            if client.backlog or client.blocked:
                if client.lingering and not client.backlog:
                    requests = node.lingering.join(client, requests)
                client.backlog.extend(requests)
                if client.backlog and not (client.blocked or client.lagging):
                    node.held[client.id] = client
            elif client.plain and apart < at < count:
                done, looked_at = self._run_together(batch, at - 1)
                if done:
                    at += done - 1
                    continue
                apart = at - 1 + looked_at
                if len(requests) != 1 or not self._run_single(client, requests[0]):
                    self.run(client, requests)
            elif len(requests) != 1 or not self._run_single(client, requests[0]):
                self.run(client, requests)

    def run(self, client: Client, requests: list[list[bytes]]) -> None:
        """Run one client's requests in order, until it must wait; replies go to ``client.out``."""
        node = self._node
        node.client = client
        client.requests_count += len(requests)
        client.last_active = node.now
        done = 0
        self._room = REPLIES_MAX
        while done < len(requests) and self._room > 0:
            if client.blocked or client.closing or client.kill:
                break
            if client.plain and not self.disturbed:
                short = self._run_plain(client, requests[done:] if done else requests)
                done += short
                if short:
                    continue
            if self._must_wait(client, requests[done]):
                break
            before = len(client.out)
            self.run_one(client, requests[done])
            self._room -= weight(client.out[before:])
            done += 1
        if client.lingering:
            done += node.lingering.more(client, requests[done:])
        if done < len(requests) and not client.closing:
            client.backlog.extend(requests[done:])
            client.lagging = self._room <= 0
            if not (client.blocked or client.lagging):  # then somebody else lets it go on
                node.held[client.id] = client

    def _add(self, command: Command, out: list[Output], replies: list[Reply]) -> None:
        """Append what a run answered; what is fast answers by small replies in one piece."""
        if command.is_fast:
            out += replies  # type: ignore[arg-type]  # a fast command answers by bytes
            return
        for reply in replies:
            self._add_one(out, reply)

    def _add_one(self, out: list[Output], reply: Reply) -> None:
        if isinstance(reply, bytes):
            out.append(reply)
            if len(reply) > _LARGE:
                self._room -= len(reply)
        elif reply is not None:
            out.extend(reply)
            self._room -= weight(reply)

    def _run_plain(self, client: Client, requests: list[list[bytes]]) -> int:
        """The short way, for as many requests as it can be taken; how many that were."""
        node, out, find, clock = self._node, client.out, self._by_raw_name.get, self.timing.clock
        current: Command | None = None
        done = calls = 0
        began = clock()
        count = len(requests)
        while done < count:
            words = requests[done]
            command = find(words[0])
            if command is None or not command.words_min <= len(words) <= command.words_max or command.subcommands:
                break
            if command is not current or not command.is_fast:
                if current is not None:
                    ended = clock()
                    self.timing.account(client, current, requests[done - 1], calls, ended - began)
                    began, calls = ended, 0
                current = command
            served = 0
            try:
                if command.run is not None and done + 1 < count:
                    together: list[Reply] = []
                    served = command.run(node, requests, done, together)
                    self._add(command, out, together)
                reply = None if served else command.handler(node, words)
            except (ReplyError, StorageError) as refusal:
                reply = self._otherwise(command, words, refusal)
                if client.lingering:
                    done += 1
                    break
            calls += served or 1
            done += served or 1
            if reply is not None:
                self._add_one(out, reply)
            if node.unfinished:
                node.finish_command()
                node.client = client
            if not client.plain or client.blocked or client.closing or self.disturbed or self._room <= 0:
                break
        if current is not None and calls:
            client.last_command = current.name
            self.timing.account(client, current, requests[done - 1], calls, clock() - began)
        return done

    def _run_single(self, client: Client, words: list[bytes]) -> bool:
        """The short way for a client that sent one request, as most do who do not pipeline; whether it was taken."""
        command = self._by_raw_name.get(words[0])
        if command is not None and command.subcommands:
            command = command.subcommands.get(words[1].lower()) if len(words) > 1 else None
            if command is None or not command.is_fast:
                return False
        if command is None or not client.plain or self.disturbed:
            return False
        if not command.words_min <= len(words) <= command.words_max:
            return False
        node, clock = self._node, self.timing.clock
        node.client = client
        client.requests_count += 1
        client.last_active, client.last_command = node.now, command.name
        began = clock()
        try:
            reply = command.handler(node, words)
        except (ReplyError, StorageError) as refusal:
            reply = self._otherwise(command, words, refusal)
        if reply.__class__ is bytes:
            client.out.append(reply)
        elif reply is not None:
            extend(client.out, reply)
        if node.unfinished:
            node.finish_command()
        if not client.lingering:
            self.timing.account(client, command, words, 1, clock() - began)
        return True

    def run_one(self, client: Client, words: list[bytes]) -> None:
        """Run one request the long way."""
        node = self._node
        node.client = client
        skip = client.reply_mode is ReplyMode.SKIP_NEXT
        if skip:
            client.reply_mode = ReplyMode.SKIP
        reply = self._checked(client, words)
        if reply is not None and not client.replies_suppressed:
            extend(client.out, reply)
        if skip and client.reply_mode is ReplyMode.SKIP:
            client.reply_mode = ReplyMode.ON
            client.settle()
        if node.unfinished:
            node.finish_command()
            node.client = client

    def resolve(self, words: list[bytes]) -> Command:
        """The command for these words. Raises UnknownCommand, UnknownSubcommand, WrongArity."""
        command = self._commands.find(words[0])
        if command is None:
            raise UnknownCommand(words)
        return command.resolve(words)

    def _checked(self, client: Client, words: list[bytes]) -> Reply:
        try:
            command = self.resolve(words)
            client.last_command = command.name
            self.refuse(client, command, words)
        except ReplyError as refusal:
            if words[0].lower() in _OTHER_PROTOCOLS:
                self._node.close(client, at_once=True)
                return None
            return self._rejected(client, words, refusal)
        if client.transaction is not None and command.name not in _NEVER_QUEUED:
            return self._queued(client, command, words)
        return self.handle(client, command, words)

    def _queued(self, client: Client, command: Command, words: list[bytes]) -> Reply:
        """Queue a request for EXEC; a queue too large for ``client-query-buffer-limit`` ends its connection."""
        node = self._node
        reply = queue(client, command, words)
        assert client.transaction is not None
        if client.transaction.size > node.settings.client_query_buffer_limit:
            node.statistics.query_limit_disconnections += 1
            node.close(client, at_once=True)
        return reply

    def refuse(self, client: Client, command: Command, words: list[bytes]) -> None:
        """Raise what stands against running this command now."""
        if not client.authenticated and Flag.NO_AUTH not in command.flags:
            raise NoAuth
        if client.confined:
            refuse_while_subscribed(command)
        if client.monitor:
            refuse_to_monitor(command)
        if client.transaction is not None and Flag.NO_MULTI in command.flags:
            raise ReplyError("Command not allowed inside a transaction")
        node = self._node
        if command.is_write and node.write_refusal:
            raise MisConf(node.write_refusal)
        if node.replication.is_short or not node.replication.is_idle:
            node.replication.refuse(client, command, words)
        if node.housekeeping.out_of_memory and Flag.DENYOOM in command.flags:
            raise OutOfMemory

    def handle(self, client: Client, command: Command, words: list[bytes]) -> Reply:
        """Run a request against which nothing stands; what its handler refuses becomes the reply."""
        clock = self.timing.clock
        began = clock()
        try:
            reply = command.handler(self._node, words)
        except (ReplyError, StorageError) as refusal:
            reply = self._otherwise(command, words, refusal)
            if client.lingering:  # it will be run later
                return None
        self.timing.account(client, command, words, 1, clock() - began)
        if self._node.monitors:
            feed_monitors(self._node, list(self._node.monitors.values()), command, words)
        return reply

    def _otherwise(self, command: Command, words: list[bytes], refusal: ReplyError | StorageError) -> Reply:
        """What to do where a handler raised: what the command does with a topic of several partitions, or refuse."""
        if isinstance(refusal, SeveralPartitions) and command.spec.on_topic is not None:
            if self._node.in_exec and command.is_write:
                self._node.keyspace.atomic = True  # one key, but perhaps several partitions
            try:
                return command.spec.on_topic(self._node, refusal.topic, words)
            except (ReplyError, StorageError) as second:
                refusal = second
        if isinstance(refusal, Lingers):
            self._node.lingering.begin(self._node.client, words, refusal)
            return None
        return self._failed(command, refusal)

    def _failed(self, command: Command, error: ReplyError | StorageError) -> bytes:
        refusal = error if isinstance(error, ReplyError) else self._node.durability.refusal_of(error)
        command.failed_calls += 1
        self._node.statistics.count_error(refusal.code)
        return replies.error(refusal)

    def _rejected(self, client: Client, words: list[bytes], refusal: ReplyError) -> bytes:
        command = self._commands.find(words[0])
        if command is not None and command.subcommands and len(words) > 1:
            command = command.subcommands.get(words[1].lower())
        if command is not None:
            command.rejected_calls += 1
        if command is not None and command.name == "exec":
            code = "" if refusal.code == "ERR" else f"{refusal.code} "
            refusal = ExecAbort(f"Transaction discarded because of: {code}{refusal.text}")
            client.transaction = None
            self._node.unwatch(client)
            client.settle()
        elif client.transaction is not None:
            client.transaction.broken = True
        self._node.statistics.count_error(refusal.code)
        return replies.error(refusal)

    def _must_wait(self, client: Client, words: list[bytes]) -> bool:
        """Whether CLIENT PAUSE holds this request back."""
        node, command = self._node, self._commands.find(words[0])
        if node.paused_until <= node.now or command is None:
            return False
        if not node.pause_writes_only:
            return command.name != "client"
        if client.transaction is not None and command.name != "exec":
            return False
        queued = client.transaction.queue if client.transaction is not None else [(command, words)]
        return any(one.is_write or one.name in _MAY_WRITE for one, _ in queued)
