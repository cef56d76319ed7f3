"""XADDs that wait for others: topics with ``linger.ms`` gather what arrives and append it together.

A request is kept as it arrived, its client waits, and when the topic's time is over all of them are run in one tick as
if they had just come: so IDs are of that moment, and a topic that was renamed or deleted meanwhile is no special case.
A client has what it sent in one topic's gathering at a time, however many topics its pipeline names, for its replies
must keep their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import attrs

from respbroker.commands.lingering import Lingers
from respbroker.sessions.client import Client, ReplyMode

if TYPE_CHECKING:
    from respbroker.broker.node import Node

NEVER: Final = float("inf")
ENTRIES_MAX: Final = 1000  # of one topic: then it is appended before its time
BYTES_MAX: Final = 1 << 20  # the same
ALL_BYTES_MAX: Final = 16 << 20  # of all topics together: then all of it is appended
_COST: Final = 200  # of a request in memory, beside its words
_LEAST: Final = 5  # words of an XADD


@attrs.define(eq=False)
class Gathering:
    """What waits for one topic: clients in order of arrival, each with its requests. ``due`` in monotonic seconds."""

    due: float
    requests: dict[Client, list[list[bytes]]] = attrs.Factory(dict)
    count: int = 0
    size: int = 0


class Lingering:
    """Owns the requests that are gathered.

    A client is ``lingering`` (and ``blocked``) as long as it has any. ``gathered`` tells for each client how many were
    put aside in this tick, ``appended`` which were run in it. ``size`` is in bytes of memory.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._gatherings: dict[tuple[int, bytes], Gathering] = {}
        self._of_client: dict[Client, Gathering] = {}
        self._appending = False
        self._due = NEVER
        self.size = 0
        self.gathered: dict[Client, int] = {}
        self.appended: dict[Client, list[list[bytes]]] = {}

    @property
    def next_moment(self) -> float:
        """When something is to be appended; CLIENT PAUSE puts it off."""
        return max(self._due, self._node.paused_until) if self._gatherings else NEVER

    @property
    def takes(self) -> bool:
        """Whether a request of the present client may wait: not while what was gathered is run, not in EXEC.

        CLIENT REPLY SKIP is of one request and would not be known any more.
        """
        node = self._node
        return not (self._appending or node.in_exec or node.client.reply_mode is ReplyMode.SKIP)

    # -- gathering -----------------------------------------------------------------------------------------------

    def begin(self, client: Client, words: list[bytes], wish: Lingers) -> None:
        """Put a request aside; its client waits from now on."""
        due = self._node.now + wish.linger_ms / 1000
        gathering = self._gatherings.get(wish.place)
        if gathering is None:
            gathering = self._gatherings[wish.place] = Gathering(due)
        self._of_client[client] = gathering
        gathering.requests[client] = []
        client.blocked = client.lingering = True
        client.plain = False
        self._add(client, gathering, words, due)

    def begin_all(self, members: Sequence[tuple[Client, list[list[bytes]]]], wish: Lingers) -> None:
        """The same for several clients whose requests begin alike, and for what else they sent."""
        for client, requests in members:
            client.requests_count += len(requests)
            self.begin(client, requests[0], wish)
            client.backlog.extend(requests[1 + self.more(client, requests[1:]) :])

    def join(self, client: Client, requests: list[list[bytes]]) -> list[list[bytes]]:
        """What a client sends that has requests here: those that join them are counted; the others are given back."""
        taken = self.more(client, requests)
        client.requests_count += taken
        return requests[taken:]

    def more(self, client: Client, requests: list[list[bytes]]) -> int:
        """Put those aside with which ``requests`` begins and which are for topics that linger; how many that were."""
        if self._node.paused_until > self._node.now:  # CLIENT PAUSE: who knows how much would come
            return 0
        gathering = self._of_client[client]
        before: bytes | None = None
        linger_ms = 0
        for done, words in enumerate(requests):
            if len(words) < _LEAST or (words[0] != b"XADD" and words[0].upper() != b"XADD"):
                return done
            if words[1] != before:
                before = words[1]
                entry = self._node.keyspace.entry_of(client.db, before)
                linger_ms = entry.settings.linger_ms if entry is not None and entry.settings is not None else 0
            if not linger_ms:
                return done
            self._add(client, gathering, words, self._node.now + linger_ms / 1000)
        return len(requests)

    def _add(self, client: Client, gathering: Gathering, words: list[bytes], due: float) -> None:
        gathering.requests[client].append(words)
        gathering.count += 1
        size = sum(map(len, words)) + _COST
        gathering.size += size
        self.size += size
        gathering.due = min(gathering.due, due)
        if gathering.count >= ENTRIES_MAX or gathering.size >= BYTES_MAX or self.size >= ALL_BYTES_MAX:
            gathering.due = self._node.now
        self._due = min(self._due, gathering.due)
        self.gathered[client] = self.gathered.get(client, 0) + 1

    def forget(self, client: Client) -> None:
        """The client is gone, and with it what it sent: nothing of it was answered."""
        gathering = self._of_client.pop(client, None)
        if gathering is not None:
            lost = gathering.requests.pop(client)
            gathering.count -= len(lost)
            size = sum(sum(map(len, words)) + _COST for words in lost)
            gathering.size -= size
            self.size -= size

    # -- appending -----------------------------------------------------------------------------------------------

    def begin_tick(self) -> None:
        if self.gathered or self.appended:
            self.gathered, self.appended = {}, {}

    def hurry(self) -> None:
        """Nothing waits beyond this tick: the server is about to stop."""
        for gathering in self._gatherings.values():
            gathering.due = self._node.now
        self._due = self._node.now
        self._node.paused_until = 0.0

    def append_due(self) -> None:
        """Run what has waited long enough; all of it if it is too much."""
        now, crowded = self._node.now, self.size >= ALL_BYTES_MAX
        due = [place for place, each in self._gatherings.items() if crowded or each.due <= now]
        for place in due:
            gathering = self._gatherings.pop(place)
            self.size -= gathering.size
            self._append(gathering)
        self._due = min((each.due for each in self._gatherings.values()), default=NEVER)

    def _append(self, gathering: Gathering) -> None:
        node = self._node
        batch = list(gathering.requests.items())
        behind: list[deque[list[bytes]]] = []
        for client, requests in batch:
            del self._of_client[client]
            client.blocked = client.lingering = False
            client.settle()
            behind.append(client.backlog)
            client.backlog = deque()
            client.requests_count -= len(requests)  # they were counted when they came
            self.appended[client] = requests
            node.speaks(client)
        self._appending = True
        try:
            node.dispatcher.run_all(batch)
        finally:
            self._appending = False
            for (client, _), rest in zip(batch, behind, strict=True):
                client.backlog += rest
                if client.backlog and not client.closing:
                    node.held[client.id] = client
