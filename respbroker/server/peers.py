"""Connections that this server makes to others: dialling, reading, sending, and each end as a sentence.

They are sockets like those of clients, seen to in the same turns. What happens to them is told to the node before its
tick, what the node wants of them is done behind it. Nothing here waits: names are resolved in a thread.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

import attrs

from respbroker.broker.clock import Now
from respbroker.broker.job import Job
from respbroker.model.settings import Settings
from respbroker.resp.reply_decoder import ReplyDecoder, ReplyViolation
from respbroker.server.listener import format_address, prepare
from respbroker.server.outputs import Outbox
from respbroker.server.poller import PEER_CLOSED, READ, WRITE, Poller
from respbroker.sessions.peer import Peer
from respbroker.sessions.statistics import Statistics

CONNECT_SECONDS: Final = 5.0  # for each address of a name
#: Read at a time. The sockets' own buffers are left to the system: it lets them grow beyond what may be asked for.
READ_SIZE: Final = 64 * 1024
READ_SIZE_LARGE: Final = 512 * 1024  # where one sent more than that: logs are being copied
READS_MAX: Final = 2  # of one connection in a turn
UNSENT_MAX: Final = 64 * 1024 * 1024

Address = tuple[socket.AddressFamily, Any]  # as `socket.connect` takes it


class PeerNode(Protocol):
    """The node's side; see `Peer` for what is promised to it. All but `take_peers` are called before a tick."""

    settings: Settings
    statistics: Statistics

    def take_peers(self) -> list[Peer]: ...
    def peer_connected(self, peer: Peer, now: Now) -> None: ...
    def peer_received(self, peer: Peer, replies: list[Any], now: Now) -> None: ...
    def peer_lost(self, peer: Peer, reason: str, now: Now) -> None: ...


@attrs.define(eq=False)
class Link:
    """The edge's side of a `Peer`: looked up, then one address after the other is tried, then open, then lost."""

    peer: Peer
    addresses: list[Address] = attrs.Factory(list)  # still to be tried
    sock: socket.socket | None = None
    give_up_at: float = 0.0  # while it connects
    mask: int = 0  # what the poller awaits
    read_size: int = READ_SIZE
    decoder: ReplyDecoder = attrs.Factory(ReplyDecoder)
    outbox: Outbox = attrs.Factory(Outbox)
    lost: str = ""  # why, in a sentence

    @property
    def name(self) -> str:
        return format_address((self.peer.host, self.peer.port))

    @property
    def is_connecting(self) -> bool:
        return self.sock is not None and not self.peer.connected


class Peers:
    """Owns the sockets to other servers. ``submit`` runs a job in a thread and calls its ``done`` before a tick."""

    def __init__(self, node: PeerNode, poller: Poller, submit: Callable[[Job], None]) -> None:
        self._node = node
        self._poller = poller
        self._submit = submit
        self._links: list[Link] = []
        self._by_fd: dict[int, Link] = {}

    # -- before the tick -----------------------------------------------------------------------------------------

    def serve(self, fd: int, mask: int, now: Now) -> None:
        """A socket is ready; it may be nobody's here."""
        link = self._by_fd.get(fd)
        if link is None:
            return
        if link.is_connecting:
            self._finish_connecting(link, now)
            return
        if mask & WRITE:
            self._send(link)
        if mask & ~WRITE and link.sock is not None:
            self._read(link, now)

    def before_tick(self, now: Now) -> None:
        """Tell the node who was lost."""
        for link in self._links[:]:
            if link.is_connecting and now.seconds >= link.give_up_at:
                self._try_next(link, f"no answer within {CONNECT_SECONDS:.0f} seconds", now.seconds)
            if link.lost:
                self._links.remove(link)
                link.peer.connected = False
                if not link.peer.closing:
                    self._node.peer_lost(link.peer, link.lost, now)

    def _read(self, link: Link, now: Now) -> None:
        """Take what is there. Where that ends within a reply, the rest is nearly always there a moment later."""
        replies: list[Any] = []
        for _ in range(READS_MAX):
            data = self._receive(link)
            if not data:
                break
            try:
                replies += link.decoder.feed(data)
            except ReplyViolation as violation:
                self._lose(link, f"what {link.name} sends is not understood (is it a respbroker?): {violation}")
                return
            if not link.decoder.is_within:
                break
        if replies and not link.peer.closing:
            self._node.peer_received(link.peer, replies, now)

    def _receive(self, link: Link) -> bytes:
        """Read once; nothing if nothing is there, or the connection is over."""
        assert link.sock is not None
        try:
            data = os.read(link.sock.fileno(), link.read_size)
        except BlockingIOError:
            return b""
        except OSError as error:
            self._lose(link, f"the connection to {link.name} broke: {_words(error)}")
            return b""
        if not data:
            self._lose(link, f"{link.name} closed the connection")
        link.read_size = READ_SIZE if len(data) < READ_SIZE else READ_SIZE_LARGE
        self._node.statistics.net_input_bytes += len(data)
        self._node.statistics.net_repl_input_bytes += len(data)
        return data

    # -- behind the tick -----------------------------------------------------------------------------------------

    def after_tick(self, now: float) -> None:
        """Do what the node wants: dial, send, close."""
        for peer in self._node.take_peers():
            link = Link(peer)
            self._links.append(link)
            self._look_up(link)
        for link in self._links[:]:
            if link.peer.connected and link.peer.out:
                pieces, link.peer.out = link.peer.out, []
                link.outbox.add(pieces)
                self._send(link)
            if link.peer.closing:
                self._close(link)
                self._links.remove(link)
            elif link.sock is None and link.addresses:
                self._try_next(link, "", now)

    def next_deadline(self) -> float | None:
        """When `before_tick` should be called at the latest."""
        moments = [0.0 if link.lost else link.give_up_at for link in self._links if link.lost or link.is_connecting]
        return min(moments, default=None)

    def close(self) -> None:
        """Close all of them; nobody is told."""
        for link in self._links:
            self._close(link)
        self._links.clear()

    def _send(self, link: Link) -> None:
        """Send what the socket takes, and await its turn to write for the rest."""
        assert link.sock is not None
        try:
            self._node.statistics.net_output_bytes += link.outbox.send(link.sock)
        except OSError as error:
            self._lose(link, f"the connection to {link.name} broke: {_words(error)}")
            return
        if link.outbox.size > UNSENT_MAX:
            self._lose(link, f"{link.name} leaves more than {UNSENT_MAX >> 20} MB unread of what it is sent")
            return
        self._await(link, READ | PEER_CLOSED | (WRITE if link.outbox.pieces else 0))

    # -- dialling ------------------------------------------------------------------------------------------------

    def _look_up(self, link: Link) -> None:
        """Find the addresses: at once where the host is one, else in a thread."""
        host, port = link.peer.host, link.peer.port
        try:
            link.addresses = _addresses(host, port, socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            job = Job(f"resolve {host}", lambda: _resolve(host, port), lambda found: self._looked_up(link, found))
            self._submit(job)

    def _looked_up(self, link: Link, found: list[Address] | str) -> None:
        if isinstance(found, str):
            self._lose(link, found)
        else:
            link.addresses = found

    def _try_next(self, link: Link, trouble: str, now: float) -> None:
        """Connect to the next address; lost if ``trouble`` with this one was the last."""
        self._close(link)
        while link.addresses:
            family, address = link.addresses.pop(0)
            try:
                link.sock = sock = socket.socket(family, socket.SOCK_STREAM)
                prepare(sock, self._node.settings.tcp_keepalive)
                sock.connect(address)
            except BlockingIOError:  # it is under way
                pass
            except OSError as error:
                trouble = _words(error)
                self._close(link)
                continue
            self._by_fd[sock.fileno()] = link
            link.give_up_at, link.mask = now + CONNECT_SECONDS, WRITE
            self._poller.register(sock.fileno(), WRITE)
            return
        self._lose(link, f"cannot connect to {link.name}: {trouble}")

    def _finish_connecting(self, link: Link, now: Now) -> None:
        assert link.sock is not None
        try:
            local = local_end(link.sock)
        except OSError as error:
            self._try_next(link, _words(error), now.seconds)
            return
        self._await(link, READ | PEER_CLOSED)
        link.peer.connected = True
        link.peer.local_address = format_address(local)
        if not link.peer.closing:
            self._node.peer_connected(link.peer, now)

    # -- the end -------------------------------------------------------------------------------------------------

    def _lose(self, link: Link, reason: str) -> None:
        """It is over; the node is told before the next tick."""
        link.lost = reason
        link.addresses.clear()
        self._close(link)

    def _close(self, link: Link) -> None:
        if link.mask:
            assert link.sock is not None
            del self._by_fd[link.sock.fileno()]
            self._poller.unregister(link.sock.fileno())
            link.mask = 0
        if link.sock is not None:
            link.sock.close()
            link.sock = None

    def _await(self, link: Link, mask: int) -> None:
        if mask != link.mask:
            assert link.sock is not None
            link.mask = mask
            self._poller.modify(link.sock.fileno(), mask)


def local_end(sock: socket.socket) -> Any:
    """The address of our end, now that the system is done with connecting.

    Raises:
        OSError: it could not connect.
    """
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not error and sock.getsockname() == sock.getpeername():
        error = errno.ECONNREFUSED  # nobody listens there, and the system took that very port for our end
    if error:
        raise OSError(error, os.strerror(error))
    return sock.getsockname()


def _addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    """Where ``host`` can be reached.

    Raises:
        OSError: nowhere, or with AI_NUMERICHOST: it is a name.
        UnicodeError: that cannot be a name.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, *_, address in found]


def _resolve(host: str, port: int) -> list[Address] | str:
    """The same for names, in a thread; a failure is a sentence."""
    try:
        return _addresses(host, port)
    except (OSError, UnicodeError) as error:
        return f"cannot find the address of {host}: {_words(error)}"


def _words(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
