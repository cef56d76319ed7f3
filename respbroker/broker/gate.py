"""Which replies may leave: those that speak of nothing that a failover to an in-sync replica could lose.

A read is held until the high watermark has passed the last change of what it read; a write to a topic with ``acks all``
until it has passed the write; what changes whole databases goes by the server's own ``acks``. A write with ``acks 1``
is answered at once. Replies to one client keep their order, so no client sees the reply to a later request before that
to an earlier one. Nothing is held where there are no replicas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from respbroker.broker.acks import waits_for_replicas
from respbroker.broker.held_replies import HeldReplies
from respbroker.commands.table import Command
from respbroker.errors import NoReplicas
from respbroker.resp import replies
from respbroker.resp.codec import count_entries
from respbroker.sessions.client import Client, Output
from respbroker.streams.journal import CATALOG

if TYPE_CHECKING:
    from respbroker.broker.node import Node
    from respbroker.broker.together import Run
    from respbroker.streams.catalog import KeyEntry

Batch = Sequence[tuple[Client, list[list[bytes]]]]

_REFUSAL: Final = replies.error(NoReplicas())

#: Writes that tell what is in a stream, or what a value is, so they count as reads as well; SET and ZADD with options,
#: too. How many something was is told at once: it goes with the write, as docs/replication.md says.
_READING_WRITES: Final = frozenset(
    {
        *("xreadgroup", "xclaim", "xautoclaim"),
        *("getdel", "getex", "getset", "setnx", "msetnx", "append", "incr", "decr", "incrby", "decrby"),
        *("hsetnx", "hincrby", "zpopmin", "eval", "evalsha"),
    }
)
#: What speaks of no key though it has none among its words is answered at once, but for these.
_WHOLE: Final = frozenset({"exec", "keys", "scan", "dbsize", "randomkey", "xtopic|list"})
_PLAIN_SET: Final = 3  # words
_ZADD_OPTIONS: Final = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})
#: These, and what tells it with some options only: it is looked at request by request.
_MAY_READ: Final = _READING_WRITES | {"set", "zadd"}
_UNKNOWN: Final = 1 << 63  # a position that will be known when the follower is level


def _stands_first(command: Command) -> bool:
    """Whether the word behind the name, and whether it is a plain SET, tell all that a request speaks of."""
    keys = command.spec.keys
    return keys is not None and keys.find is None and keys.first == keys.last == 1 and command.name != "zadd"


def _tells_what_is_there(command: Command, words: list[bytes]) -> bool:
    """Whether the reply to a write speaks of more than what it did itself."""
    if command.name == "set":
        return len(words) > _PLAIN_SET
    if command.name == "zadd":
        return any(word.upper() in _ZADD_OPTIONS for word in words[2:3])
    return command.name in _READING_WRITES


class Gate:
    """Owns the replies that are held. Asked once a tick, after everything the tick wrote is appended."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._held = HeldReplies()
        self._released = -1  # the high watermark at which replies were let go last
        self._before = self._position = 0  # before the last tick, and behind it
        #: Of this tick, by database, command, key, and whether there are more words than in a plain SET.
        self._needs: dict[tuple[int, bytes, bytes, bool], int] = {}

    @property
    def holds_some(self) -> bool:
        return bool(self._held)

    @property
    def holds_earlier(self) -> bool:
        """Whether something is held that waits for no more than what earlier ticks brought."""
        return bool(self._held) and self._held.least_need <= self._before

    def lets_go(self, client: Client) -> bool:
        """Whether what the client has in ``out`` now may leave; where some is held, that is what came before it.

        One that is to be closed is, behind what is sent next: then that is everything.
        """
        return client not in self._held or (bool(client.out) and not client.closing)

    def pass_on(self, batch: Batch, runs: Sequence[Run], served: Sequence[Client], others: Batch) -> None:
        """Hold back replies of this tick that may not leave yet, and let go of those that may now.

        ``runs`` are parts of the batch; ``served`` were blocked and have been answered; ``others`` sent their requests
        in earlier ticks: they were held up, or lingered.
        """
        replication, held = self._node.replication, self._held
        high_watermark, position = replication.high_watermark, replication.position
        self._before, self._position = self._position, position
        is_quiet = not (batch or served or others)
        if not held and (is_quiet or (position <= high_watermark and not self._is_ahead)):
            return
        self._needs.clear()
        everything = self._everything
        for client in served:
            if client.out and (everything > high_watermark or client in held):
                held.hold(client, everything)
        if others:
            batch = _joined(batch, others)
        elif runs and not self._is_ahead:
            batch = self._without_runs(batch, runs, high_watermark)
        self._hold_back(batch, high_watermark)
        for client in held.spoken_to():
            if not client.closing:  # else what was let go waits only to be sent with the rest
                held.hold(client, 0)
        self.let_go()

    def let_go(self) -> None:
        """Let replies go that may leave by now."""
        high_watermark = self._node.replication.high_watermark
        if high_watermark != self._released:
            self._released = high_watermark
            self._node.speaks_to(self._held.release(high_watermark))

    def _without_runs(self, batch: Batch, runs: Sequence[Run], high_watermark: int) -> Batch:
        """Hold back the replies to runs of mere writes, where all need the same; gives the other requests."""
        acks, position = self._node.replication.acks_of_all, self._node.replication.position
        others: list[tuple[Client, list[list[bytes]]]] = []
        at = 0
        for run in runs:
            if acks is None or not run.command.is_write or run.command.name in _MAY_READ:
                continue
            others += batch[at : run.start]
            at = run.stop
            if acks == "all" and position > high_watermark:
                self._held.hold_group([client for client, _ in batch[run.start : run.stop]], position)
        return [*others, *batch[at:]]

    def _hold_back(self, batch: Batch, high_watermark: int) -> None:
        """Hold back the replies to these requests that may not leave yet."""
        held, needs = self._held, self._needs
        head, more, db, known = [b""], False, -1, 0  # of the request before: neighbours often ask alike
        for client, requests in batch:
            if not client.out or client.replica:
                continue
            if len(requests) == 1:
                begins, is_more = requests[0][:2], len(requests[0]) > _PLAIN_SET
                if begins == head and is_more is more and client.db == db:
                    need = known
                else:
                    need = self._need(client, requests, high_watermark)
                    if (client.db, *begins, is_more) in needs:
                        head, more, db, known = begins, is_more, client.db, need
            else:
                need = self._need(client, requests, high_watermark)
            if (need > high_watermark or client in held) and not _only_refused(client.out):
                held.hold(client, need)

    def put_behind(self, client: Client, output: Output) -> None:
        """Send a client something outside of a tick: behind what is held for it."""
        self._held.put_behind(client, output)

    @property
    def _is_ahead(self) -> bool:
        """Whether some of what is here may lie above the high watermark, nobody knows how far: this node has been
        restarted, or follows and is sent what it lacks.
        """
        replication = self._node.replication
        following = replication.following
        return replication.unproven or (following is not None and bool(following.touched))

    @property
    def _everything(self) -> int:
        """The position of the last change of all."""
        return _UNKNOWN if self._is_ahead else self._node.replication.position

    def learn(self, position: int) -> None:
        """What was read while nobody knew how far it lies above the high watermark lies before this position."""
        self._released = -1
        self._held.change_needs(_UNKNOWN, position)

    def recount(self) -> None:
        """The node follows in another order now, of which all that was read is a part: where in it will be learnt."""
        self._held.change_needs(None, _UNKNOWN)

    def forget(self, client: Client) -> None:
        """The client is gone."""
        self._held.forget(client)

    def close_all(self) -> None:
        """What is held cannot be promised any more: its clients are told nothing, and closed."""
        for client in self._held.drop_all():
            self._node.close(client, at_once=True)

    # -- what a reply speaks of --------------------------------------------------------------------------------------

    def _need(self, client: Client, requests: list[list[bytes]], enough: int) -> int:
        """The position that the high watermark must reach for the replies to these requests."""
        if self._node.replication.is_loading:
            return 0
        position, needs, db = self._node.replication.position, self._needs, client.db
        need = at = 0
        while at < len(requests):
            words = requests[at]
            head = (db, words[0], words[1] if len(words) > 1 else b"", len(words) > _PLAIN_SET)
            known = needs.get(head)
            if known is None:
                command = self._node.commands.by_raw_name.get(words[0]) or self._node.commands.find(words[0])
                known = self._need_of(client, command, words) if command is not None else 0
                if command is None or command.subcommands or not _stands_first(command):
                    need = max(need, known)
                    at += 1
                    continue
                needs[head] = known
            if known > need:
                need = known
                if need >= position > enough:
                    break
            at += count_entries(requests, at, 2 + (len(words) & 1)) or 1  # those behind it that begin alike
        return need

    def _need_of(self, client: Client, command: Command, words: list[bytes]) -> int:
        replication = self._node.replication
        if command.subcommands and len(words) > 1:
            command = command.subcommands.get(words[1].lower(), command)
        keys = command.spec.keys
        if keys is None:
            if command.is_write and replication.wants_all(None):  # FLUSHALL, FLUSHDB, SWAPDB
                return replication.position
            return self._everything if command.name in _WHOLE else 0
        only_writes = command.is_write and not _tells_what_is_there(command, words)
        need = 0
        for key in keys.of(words):
            entry = self.entry_of(client.db, key)
            if waits_for_replicas(command) and replication.wants_all(entry):
                return replication.position
            if not only_writes:
                need = max(need, self._last_change(client.db, entry))
        return need

    def entry_of(self, db: int, key: bytes) -> KeyEntry | None:
        """What the catalog has at a key, or at the topic that it is a partition of."""
        keyspace = self._node.keyspace
        entry = keyspace.databases[db].keys.get(key)
        if entry is None and b"/" in key:
            return keyspace.databases[db].keys.get(key.rpartition(b"/")[0])
        return entry

    def _last_change(self, db: int, entry: KeyEntry | None) -> int:
        """Of what is at a key, its absence included; a value changes with any of its database."""
        replication = self._node.replication
        if replication.unproven:
            return _UNKNOWN
        values = self._node.keyspace.values[db].number  # 0 if there are none: the catalog's again
        numbers = [CATALOG, values] if entry is None else [leaf.number for leaf in entry.leaves]
        if replication.following is not None and not replication.following.touched.isdisjoint(numbers):
            return _UNKNOWN
        return max(map(replication.last_change, numbers))


def _joined(batch: Batch, others: Batch) -> Batch:
    """All that was run of each client: its replies leave together, so they wait for whatever any of them speaks of."""
    requests: dict[Client, list[list[bytes]]] = {}
    for client, some in (*others, *batch):
        requests[client] = [*requests.get(client, ()), *some]
    return list(requests.items())


def _only_refused(out: Sequence[Output]) -> bool:
    """Whether a client is told of nothing but writes that were refused for want of replicas.

    While they are too few the high watermark stays where it is, so these must not wait for it.
    """
    if out[0].__class__ is bytes and not out[0].startswith(_REFUSAL):  # nearly always
        return False
    return all(
        isinstance(piece, bytes) and piece.startswith(_REFUSAL) and not piece.replace(_REFUSAL, b"") for piece in out
    )
