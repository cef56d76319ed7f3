"""A node of a few commands with the border of the real one: what the edge needs, and nothing else.

PING, ECHO, QUIT; WAIT blocks until somebody says GO; WRITE is answered +OK and asks for a sync; BIG n answers n bytes;
LAZY n answers n pieces of 64 KB one by one. REPLICA makes the client one: what it is sent from then on are frames;
each WRITE sends one to all replicas, WRITE n n2 ... sends frames of so many bytes. HOLD is answered when a replica says
ACK, which is heard behind a tick.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from respbroker.model.settings import Settings
from respbroker.resp import replies
from respbroker.sessions.client import Client
from respbroker.sessions.statistics import Statistics

CHUNK = b"x" * 65536
FRAME = b"+frame\r\n"


class Request:
    """What the toy wants synced; ``gate`` lets a test decide when that is done."""

    def __init__(self, node):
        self.files = [SimpleNamespace(sync=node.sync)]


class ToyDurability:
    def __init__(self, node):
        self._node = node
        self.needs_sync = self.wants_sync_now = False
        self.logs_to_sync = 1
        self.log = []

    def take_syncs(self):
        self.needs_sync = False
        return Request(self._node)

    def synced(self, request):
        self.log.append("synced")

    def sync_failed(self, request, error):
        self.log.append(f"failed: {error}")

    def checkpoint(self):
        self.log.append("checkpoint")


class ToyHousekeeping:
    def __init__(self):
        self.jobs, self.reports = [], []

    @property
    def has_wishes(self):
        return bool(self.jobs or self.reports)

    def take_jobs(self):
        jobs, self.jobs = self.jobs, []
        return jobs

    def take_reports(self):
        reports, self.reports = self.reports, []
        return reports


class ToyNode:
    def __init__(self, settings: Settings | None = None, sync=lambda: None) -> None:
        self.settings = settings or Settings()
        self.sync = sync
        self.durability = ToyDurability(self)
        self.housekeeping = ToyHousekeeping()
        self.statistics = Statistics()
        self.shutdown_requested = None
        self.clients: dict[int, Client] = {}
        self.deadline = None
        self.wanted_peers, self.told_of_peers = [], []
        self.ticks = 0
        self._speaking: dict[int, Client] = {}
        self._holding: list[Client] = []
        self.during_hold = lambda: None
        self.frame = lambda: FRAME

    def connect(self, now, address="", local="", fd=-1):
        client = Client(len(self.clients) + 1, address, local, fd, connected_at=now.seconds, last_active=now.seconds)
        client.authenticated = not self.settings.requirepass
        self.clients[client.id] = client
        return client

    def end_waiting(self):
        pass

    def disconnect(self, client):
        self.clients.pop(client.id, None)
        client.out.clear()
        client.backlog.clear()
        client.blocked = False

    def tick(self, batch, now):
        self.ticks += 1
        for client, requests in batch:
            client.last_active = now.seconds
            self._speaking[client.id] = client
            if client.blocked:
                client.backlog.extend(requests)
            else:
                self._run(client, requests)

    def _run(self, client, requests):
        out = client.out
        for position, words in enumerate(requests):
            name = words[0].upper()
            if name == b"PING":
                out.append(replies.PONG)
            elif name == b"ECHO":
                out.append(replies.bulk(words[1]))
            else:
                self._run_rare(client, name, words)
            if client.blocked or client.closing:
                client.backlog.extend(requests[position + 1 :])
                break

    def _run_rare(self, client, name, words):
        out = client.out
        if name == b"WRITE":
            self.durability.needs_sync = True
            out.append(replies.OK)
            for replica in self._replicas():
                replica.out.extend([bytes([n]) * int(size) for n, size in enumerate(words[1:], 1)] or [self.frame()])
        elif name == b"WAIT":
            client.blocked = True
        elif name == b"GO":
            out.append(replies.OK)
            self._wake()
        elif name == b"BIG":
            out.append(b"$%d\r\n" % int(words[1]))
            out.append(memoryview(b"x" * int(words[1])))
            out.append(b"\r\n")
        elif name == b"LAZY":
            out.append(b"$%d\r\n" % (int(words[1]) * len(CHUNK)))
            out.append(self.lazily(int(words[1])))
            out.append(b"\r\n")
        elif name == b"HOLD":
            self._holding.append(client)
            self.during_hold()
        elif name == b"REPLICA":
            client.replica = True
            out.append(replies.OK)
        elif name == b"QUIT":
            out.append(replies.OK)
            client.closing = True
        elif name == b"SHUTDOWN":
            self.shutdown_requested = {}
        else:
            out.append(b"-ERR unknown command\r\n")

    def lazily(self, count) -> Iterator[bytes]:
        self.pulled = 0
        for _ in range(count):
            self.pulled += 1
            yield CHUNK

    def _wake(self):
        for client in list(self.clients.values()):
            if client.blocked:
                client.blocked = False
                client.out.append(b"+woken\r\n")
                self._speaking[client.id] = client
                waiting = list(client.backlog)
                client.backlog.clear()
                self._run(client, waiting)

    def go_on(self, client):
        client.lagging = False

    def _replicas(self):
        return [client for client in self.clients.values() if client.replica]

    def take_frames(self):
        return [client for client in self._replicas() if client.out]

    @property
    def holds_replies(self):
        return bool(self._holding)

    def awaited_replicas(self):
        return self._replicas() if self._holding else []

    def hear(self, batch):
        assert [requests for _, requests in batch] == [[[b"ACK"]]]
        for client in self._holding:
            client.out.append(b"+held\r\n")
        self._holding.clear()

    def leave(self):
        self.told_of_peers.append("leave")

    def take_peers(self):
        wanted, self.wanted_peers = self.wanted_peers, []
        return wanted

    def peer_connected(self, peer, now):
        self.told_of_peers.append("connected")
        peer.out.append(b"PING\r\n")

    def peer_received(self, peer, replies, now):
        self.told_of_peers += replies

    def peer_lost(self, peer, reason, now):
        self.told_of_peers.append(reason)

    def take_outputs(self):
        speaking, self._speaking = self._speaking, {}
        return [client for client in speaking.values() if client.out or client.closing or client.kill]

    def next_deadline(self):
        return self.deadline

    def stop(self):
        self.durability.log.append("stopped")

    def protocol_error(self, client, error):
        client.out.append(replies.error(error))
        client.closing = True
        self._speaking[client.id] = client
