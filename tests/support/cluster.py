"""Several nodes without sockets that talk to each other: what one says reaches the other in its next tick.

Time moves only when told. A connection is a `Link`: the peer on one side, a client on the other; bytes in between go
through the same decoders as on a socket. Links can be cut, and nodes stopped, killed and started again.
"""

from __future__ import annotations

import time
from pathlib import Path

import attrs

from respbroker.broker.clock import Now
from respbroker.broker.follower_session import GATHER_SECONDS
from respbroker.broker.node import Node
from respbroker.model.settings import Settings
from respbroker.resp.decoder import Decoder, Limits
from respbroker.resp.reply_decoder import ReplyDecoder
from respbroker.sessions.client import Client, Output
from respbroker.sessions.peer import Peer
from storage import FileSystem, OsFileSystem
from tests.support.nodes import TestClock, _flat, _word

GATHER_MS = round(GATHER_SECONDS * 1000)

Requests = list[list[bytes]]


@attrs.define(eq=False)
class Link:
    """A connection from a node's peer to another node's client."""

    peer: Peer
    source: Member
    target: Member
    client: Client
    decoder: Decoder
    answers: ReplyDecoder


@attrs.define(eq=False)
class Member:
    """One server of the cluster; ``node`` is None while it is down."""

    port: int
    directory: str
    filesystem: FileSystem
    settings: dict[str, str]
    node: Node | None = None
    arrived: list[tuple[Client, Requests]] = attrs.Factory(list)
    reports: list[str] = attrs.Factory(list)
    paused: bool = False
    boots: int = 1  #: starts of its machine
    syncs: bool = True  #: what was written is synced at once

    @property
    def gathers(self) -> bool:
        """Whether it leads, and something is still to be sent to a follower."""
        leading = None if self.node is None or self.paused else self.node.replication.leading
        return leading is not None and any(session.gathers for session in leading.sessions.values())

    def client(self, protocol: int = 2) -> Client:
        """A connected client."""
        assert self.node is not None
        client = self.node.connect(Now(self.node.now_ms, self.node.now), "127.0.0.1:50000", f"127.0.0.1:{self.port}", 8)
        client.protocol = protocol
        return client


class Cluster:
    """Owns the members, the links between them, and the time."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = str(directory)
        self.clock = TestClock()
        self.members: dict[int, Member] = {}
        self.links: list[Link] = []
        self.unreachable: set[tuple[int, int]] = set()  #: (from, to): cannot connect, and connections are cut
        self.held: set[tuple[int, int]] = set()  #: (from, to): what is said that way stays under way
        self._sent: dict[Client, list[Output]] = {}
        self._seed = 0

    def add(self, port: int, filesystem: FileSystem | None = None, **settings: object) -> Member:
        """Start another server, with settings by attribute name."""
        words = {name.replace("_", "-"): str(value) for name, value in settings.items()}
        path = f"{self.directory}/{port}"
        if filesystem is None:
            Path(path).mkdir(parents=True, exist_ok=True)
        member = Member(port, path, filesystem or OsFileSystem(), words)
        self.members[port] = member
        self.start(member)
        return member

    def start(self, member: Member) -> None:
        """Start a server that is down."""
        self._seed += 1
        loaded = Settings.load("", [("port", str(member.port)), *member.settings.items()])
        member.node = Node(
            member.filesystem, member.directory, loaded, self.clock.now(), clock=time.perf_counter, seed=self._seed,
            process_facts=lambda: {"boot_id": f"{member.boots}"},
        )  # fmt: skip

    def kill(self, member: Member) -> None:
        """kill -9: nothing is said or written any more; who was connected notices."""
        assert member.node is not None
        member.node._lock.release()
        member.node = None
        member.arrived.clear()
        for link in [each for each in self.links if member in (each.source, each.target)]:
            self._cut(link, "Connection reset by peer")

    # -- asking ------------------------------------------------------------------------------------------------------

    def ask(self, member: Member, client: Client, *words: bytes | str | int) -> bytes:
        """Have a client send a request and run until nothing more happens; the bytes it was sent."""
        member.arrived.append((client, [list(map(_word, words))]))
        self.settle()
        return self.take(client)

    def take(self, client: Client) -> bytes:
        """What was sent to the client since it was last asked for."""
        return b"".join(_flat(self._sent.pop(client, [])))

    # -- time --------------------------------------------------------------------------------------------------------

    def settle(self, rounds: int = 200) -> None:
        """Run ticks until nobody has anything more to say; time stands still, unless a leader gathers for a frame."""
        for _ in range(rounds):
            moved = [self.tick(member) for member in list(self.members.values())]
            if not any(moved):
                if not any(member.gathers for member in self.members.values()):
                    return
                self.clock.advance(GATHER_MS)
        raise AssertionError("the servers do not stop talking")

    def advance(self, milliseconds: int) -> None:
        """Let time pass, and what is due then happen."""
        self.clock.advance(milliseconds)
        for member in self.members.values():
            self.tick(member)
        self.settle()

    def tick(self, member: Member, *, hears: bool = False) -> bool:
        """One tick of one server, syncs and jobs done at once; whether anything moved. ``hears``: what its followers
        have said comes while it runs.
        """
        node = member.node
        if node is None or member.paused:
            return False
        batch, member.arrived = member.arrived, []
        late = [each for each in batch if hears and each[0].replica]
        now = self.clock.now()
        moved = bool(batch)
        node.tick([each for each in batch if each not in late], now)
        if late:
            awaited = node.awaited_replicas()
            node.hear([each for each in late if each[0] in awaited])
            member.arrived += [each for each in late if each[0] not in awaited]
        moved = self._carry(member, node) or moved
        if member.syncs and node.durability.needs_sync:
            request = node.durability.take_syncs()
            for file in request.files:
                file.sync()
            node.durability.synced(request)
            moved = True
        for job in node.housekeeping.take_jobs():
            job.done(job.run())
        member.reports += [sentence for _, sentence in node.housekeeping.take_reports()]
        return moved

    # -- the network ---------------------------------------------------------------------------------------------------

    def _carry(self, member: Member, node: Node) -> bool:
        moved = False
        for peer in node.take_peers():
            self._connect(member, peer)
            moved = True
        for client in (*node.take_frames(), *node.take_outputs()):
            self._sent.setdefault(client, []).extend(client.out)
            client.out = []
            if client.kill or (client.closing and not self._sent.get(client)):
                for link in [each for each in self.links if each.client is client]:
                    self._cut(link, "Connection closed by peer")
        for link in list(self.links):
            if link.source is member and link.peer.closing:
                self.links.remove(link)
                if link.target.node is not None:
                    link.target.node.disconnect(link.client)
            elif (link.source.port, link.target.port) in self.unreachable:
                self._cut(link, "Connection timed out")
            elif (member.port, (link.target if link.source is member else link.source).port) in self.held:
                continue
            elif link.source is member:
                moved = self._to_target(link) or moved
            elif link.target is member:
                moved = self._to_source(link) or moved
        return moved

    def _connect(self, member: Member, peer: Peer) -> None:
        target = self.members.get(peer.port)
        assert member.node is not None
        if target is None or target.node is None or (member.port, peer.port) in self.unreachable:
            member.node.peer_lost(peer, "Connection refused", self.clock.now())
            return
        client = target.node.connect(self.clock.now(), f"127.0.0.1:{40000 + member.port}", f"127.0.0.1:{peer.port}", 9)
        self.links.append(Link(peer, member, target, client, Decoder(Limits()), ReplyDecoder()))
        peer.connected = True
        member.node.peer_connected(peer, self.clock.now())

    def _to_target(self, link: Link) -> bool:
        if not link.peer.out:
            return False
        data = b"".join(link.peer.out)
        link.peer.out.clear()
        requests = link.decoder.feed(data)
        if requests:
            link.target.arrived.append((link.client, requests))
        return True

    def _to_source(self, link: Link) -> bool:
        data = self.take(link.client)
        if not data or link.source.node is None:
            return False
        link.source.node.peer_received(link.peer, link.answers.feed(data), self.clock.now())
        return True

    def _cut(self, link: Link, reason: str) -> None:
        if link in self.links:
            self.links.remove(link)
            link.target.arrived = [each for each in link.target.arrived if each[0] is not link.client]
            if link.target.node is not None:
                link.target.node.disconnect(link.client)
            if link.source.node is not None:
                link.source.node.peer_lost(link.peer, reason, self.clock.now())


def follower_of(cluster: Cluster, leader: Member, port: int = 7002, **settings: object) -> Member:
    """A follower that has everything."""
    follower = cluster.add(port, replicaof=f"127.0.0.1 {leader.port}", **settings)
    cluster.settle()
    cluster.advance(100)
    return follower


def logs_of(member: Member) -> dict[str, bytes]:
    """The bytes of every log below a member's directory."""
    root = Path(member.directory)
    found = [*root.glob("catalog/*.log"), *root.glob("streams/*/*.log")]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}
