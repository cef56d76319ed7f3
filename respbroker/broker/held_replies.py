"""Replies that wait for the high watermark, each client's in their order.

Most wait for the position of the tick that made them, many at a time: those are kept together, a *group* for each tick,
and a client is in one group at most. Whatever else a client is told waits in a queue of its own, behind its group.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from respbroker.broker.outputs import weight
from respbroker.sessions.client import Client, Output

#: Ticks whose replies to one client are held, and bytes of one, before nothing more is read from it.
HELD_MAX: Final = 256
HELD_BYTES_MAX: Final = 1 << 20


class HeldReplies:
    """Owns them. *Need* is the position that the high watermark has to reach before a reply leaves."""

    def __init__(self) -> None:
        self._queues: dict[Client, deque[tuple[int, list[Output]]]] = {}
        self._groups: deque[tuple[int, list[Client]]] = deque()  # needs rise
        self._grouped: dict[Client, list[Output]] = {}

    def __bool__(self) -> bool:
        return bool(self._queues or self._grouped)

    def __contains__(self, client: Client) -> bool:
        return client in self._queues or client in self._grouped

    @property
    def least_need(self) -> int:
        """What the oldest of them need, or near it; there are some."""
        queued = [queue[0][0] for queue in islice(self._queues.values(), 1)]
        return min(queued + [need for need, _ in islice(self._groups, 1)])

    def hold(self, client: Client, need: int) -> None:
        """Put aside what is to be sent to a client, for it must wait or something before it does."""
        out, client.out = client.out, []
        queue = self._queues.get(client)
        if queue is None:
            self._queues[client] = deque(((self._behind_group(client, need), out),))
        else:
            queue.append((max(need, queue[-1][0]), out))
        if (queue is not None and len(queue) > HELD_MAX) or weight(out) > HELD_BYTES_MAX:
            client.awaiting = True

    def hold_group(self, clients: Iterable[Client], need: int) -> None:
        """The same for small replies to many, for which nothing has a greater need at the moment."""
        queues, grouped = self._queues, self._grouped
        group = []
        for client in clients:
            if client in grouped or client in queues:
                self.hold(client, need)
            elif client.out:
                grouped[client], client.out = client.out, []
                group.append(client)
        if group:
            self._groups.append((need, group))

    def put_behind(self, client: Client, output: Output) -> None:
        """Send a client something: behind what is held for it."""
        queue = self._queues.get(client)
        if queue is not None:
            queue[-1][1].append(output)
        elif client in self._grouped:
            self._queues[client] = deque(((self._behind_group(client, 0), [output]),))
        else:
            client.out.append(output)

    def release(self, high_watermark: int) -> list[Client]:
        """Give back to clients what may leave now; those that got something.

        One that is to be closed is, behind what it is sent next: it gets everything at once.
        """
        groups, queues, grouped = self._groups, self._queues, self._grouped
        released: list[Client] = []
        while groups and groups[0][0] <= high_watermark:
            need, clients = groups.popleft()
            for client in clients:
                out = grouped.pop(client, None)
                if out is None:  # it is gone
                    continue
                if queues and client in queues:
                    queues[client].appendleft((need, out))
                    continue
                client.out = out + client.out if client.out else out
                released.append(client)
        for client, queue in list(queues.items()):
            if queue[0][0] > high_watermark:
                continue
            if client.closing and queue[-1][0] > high_watermark:
                continue
            while queue and queue[0][0] <= high_watermark:
                client.out += queue.popleft()[1]
            if not queue:
                client.awaiting = False
                del queues[client]
            released.append(client)
        return released

    def spoken_to(self) -> list[Client]:
        """Those for whom something is held and that are about to be sent something else."""
        clients = [client for client in self._grouped if client.out]
        return clients + [client for client in self._queues if client.out and client not in self._grouped]

    def change_needs(self, before: int | None, need: int) -> None:
        """Whatever needed ``before`` needs this much now; None: all of it."""
        if before is None:
            self._ungroup()
        for queue in self._queues.values():
            for place, (each, pieces) in enumerate(queue):
                if before is None or each == before:
                    queue[place] = need, pieces

    def forget(self, client: Client) -> None:
        """The client is gone."""
        self._queues.pop(client, None)
        if self._grouped.pop(client, None) is not None and not self._grouped:
            self._groups.clear()

    def drop_all(self) -> Sequence[Client]:
        """Nothing of it will ever leave; whose it was."""
        clients = list(self._queues | self._grouped)
        self._queues.clear()
        self._groups.clear()
        self._grouped.clear()
        return clients

    def _behind_group(self, client: Client, need: int) -> int:
        """What something needs that is to leave behind the client's group."""
        return max(need, self._groups[-1][0]) if client in self._grouped else need

    def _ungroup(self) -> None:
        while self._groups:
            need, clients = self._groups.popleft()
            for client in clients:
                out = self._grouped.pop(client, None)
                if out is not None:
                    self._queues.setdefault(client, deque()).appendleft((need, out))
