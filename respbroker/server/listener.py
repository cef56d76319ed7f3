"""Listening sockets, and what is decided about a peer before it becomes a client."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import resource
import socket
import stat
from typing import Final

import attrs

from respbroker.model.settings import Settings

_log = logging.getLogger("respbroker.server")

ACCEPTS_PER_TURN: Final = 256
FILES_RESERVED: Final = 512  # descriptors for logs and ourselves, not for clients

TOO_MANY_CLIENTS: Final = b"-ERR max number of clients reached\r\n"
DENIED: Final = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    b"default user. In this mode connections are only accepted from the loopback interface. If you want to connect "
    b"from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode "
    b"sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the "
    b"same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. "
    b"Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by "
    b"editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the "
    b"server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' "
    b"option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above "
    b"things in order for the server to start accepting connections from the outside.\r\n"
)


def listen(settings: Settings) -> list[socket.socket]:
    """Sockets on every address of ``bind`` (all on one port), and on ``unixsocket``.

    Raises:
        OSError: an address that is not marked optional (``-``) cannot be had.
    """
    listeners: list[socket.socket] = []
    port = settings.port
    for word in settings.bind:
        try:
            listener = _listen_tcp(word.removeprefix("-"), port, settings.tcp_backlog)
        except OSError as error:
            if word.startswith("-") and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue
            for opened in listeners:
                opened.close()
            raise OSError(error.errno, f"cannot listen on {word} port {port}: {error.strerror or error}") from error
        listeners.append(listener)
        port = port or listener.getsockname()[1]
    if settings.unixsocket:
        listeners.append(_listen_unix(settings.unixsocket, settings.tcp_backlog))
    return listeners


def _listen_tcp(host: str, port: int, backlog: int) -> socket.socket:
    host = {"*": "0.0.0.0", "::*": "::"}.get(host, host)
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _listen_unix(path: str, backlog: int) -> socket.socket:
    if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
        os.unlink(path)  # left behind by a server that was killed
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(backlog)
    listener.setblocking(False)
    return listener


def prepare(sock: socket.socket, keepalive_seconds: int) -> None:
    """Set up an accepted socket. Keep-alive probes start, and give up, as in Redis.

    Raises:
        OSError: the peer is gone already.
    """
    sock.setblocking(False)
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keepalive_seconds:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, keepalive_seconds // 3))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def format_address(address: object) -> str:
    """``host:port``, ``[host]:port``; a Unix socket's path with port 0."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{address or ''}:0"


def is_local(address: object) -> bool:
    """Whether a peer comes by a loopback address or a Unix socket."""
    if not isinstance(address, tuple):
        return True
    ip = ipaddress.ip_address(address[0].partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback


@attrs.define
class Arrived:
    """What one call of `accept` brought: sockets with the peer's and our address, and how many were refused."""

    accepted: list[tuple[socket.socket, str, str]] = attrs.Factory(list)
    refused_count: int = 0


def accept(listener: socket.socket, settings: Settings, room: int) -> Arrived:
    """Take peers that wait, no more than `ACCEPTS_PER_TURN`; of those ``room`` may stay.

    Raises:
        OSError: the system has no file descriptor left for them, and nobody was taken.
    """
    arrived = Arrived()
    for _ in range(ACCEPTS_PER_TURN):
        try:
            sock, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            break
        except OSError:
            if arrived.accepted:
                break  # the next call will tell
            raise
        try:
            prepare(sock, settings.tcp_keepalive)
            refused = refusal(settings, address, room - len(arrived.accepted))
            local = sock.getsockname()
            if refused is not None:
                arrived.refused_count += 1
                sock.send(refused)
        except OSError:  # gone already
            refused = b""
        if refused is None:
            peer = address if isinstance(address, tuple) else local
            arrived.accepted.append((sock, format_address(peer), format_address(local)))
        else:
            sock.close()
    return arrived


def refusal(settings: Settings, address: object, room: int) -> bytes | None:
    """What a peer is told instead of being served, or None; ``room`` is how many may still come."""
    if room <= 0:
        return TOO_MANY_CLIENTS
    if settings.protected_mode and not settings.requirepass and not is_local(address):
        return DENIED
    return None


def raise_file_limit(wanted: int) -> int:
    """Raise the limit of open files for ``wanted`` clients; returns how many clients fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS: a hard limit of infinity cannot be had
            pass
    if soft == resource.RLIM_INFINITY:
        return wanted
    fitting = max(1, soft - min(FILES_RESERVED, soft // 2))
    if fitting < wanted:
        _log.warning("open files are limited to %d: at most %d clients instead of %d", soft, fitting, wanted)
    return min(wanted, fitting)
