"""TCP proxies on 127.0.0.1 that cut connections, or let nothing through for a while, one way or both."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading

import attrs

from tests.support.servers import HOST

BUFFER_MAX = 256 * 1024
LOOK_MS = 20  # so late at most is noticed what another thread has changed


@attrs.define(eq=False)
class Way:
    """One direction of a connection."""

    source: socket.socket
    sink: socket.socket
    to_server: bool
    buffer: bytearray = attrs.Factory(bytearray)


@attrs.define(eq=False)
class Proxy:
    """A port that stands for a server's. Any thread may change what it lets through."""

    listener: socket.socket
    port: int
    target: int = 0  #: the server's port
    stalled: frozenset[bool] = frozenset()  #: ways that nothing passes: True, to the server; False, from it
    refuses: bool = False  #: new connections
    ways: list[Way] = attrs.Factory(list)
    to_cut: int = 0  #: so many connections are to be cut

    def heal(self) -> None:
        """Let everything through."""
        self.stalled, self.refuses = frozenset(), False

    def cut(self, count: int = 1 << 30) -> None:
        """End some connections, or all."""
        self.to_cut = count


class Proxies:
    """Owns the proxies, and the thread that moves the bytes."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.each = [self._open() for _ in range(count)]
        self._random = random.Random(seed)
        self._over = False
        self._thread = threading.Thread(target=self._run, name="proxies", daemon=True)
        self._thread.start()

    @staticmethod
    def _open() -> Proxy:
        listener = socket.create_server((HOST, 0))
        listener.setblocking(False)
        return Proxy(listener, listener.getsockname()[1])

    def close(self) -> None:
        """End the thread and all connections."""
        self._over = True
        self._thread.join()
        for proxy in self.each:
            proxy.listener.close()
            for way in proxy.ways:
                way.source.close()

    def _run(self) -> None:
        while not self._over:
            poller, handlers = select.poll(), {}
            for proxy in self.each:
                self._cut(proxy)
                poller.register(proxy.listener, select.POLLIN)
                handlers[proxy.listener.fileno()] = (proxy, None)
                for way in proxy.ways:
                    if way.to_server in proxy.stalled:
                        continue
                    wanted = way.sink if way.buffer else way.source
                    poller.register(wanted, self._mask(wanted, proxy))
                    handlers[wanted.fileno()] = (proxy, wanted)
            for fd, _ in poller.poll(LOOK_MS):
                proxy, ready = handlers[fd]
                if ready is None:
                    self._accept(proxy)
                else:
                    for way in proxy.ways[:]:
                        if way.to_server not in proxy.stalled and ready in (way.source, way.sink):
                            self._move(proxy, way)

    @staticmethod
    def _mask(sock: socket.socket, proxy: Proxy) -> int:
        """A socket is the sink of one way and the source of the other."""
        ways = [way for way in proxy.ways if way.to_server not in proxy.stalled]
        reads = any(way.source is sock and not way.buffer for way in ways)
        writes = any(way.sink is sock and way.buffer for way in ways)
        return (select.POLLIN if reads else 0) | (select.POLLOUT if writes else 0)

    def _accept(self, proxy: Proxy) -> None:
        with contextlib.suppress(OSError):
            near, _ = proxy.listener.accept()
            if proxy.refuses or not proxy.target:
                near.close()
                return
            try:
                far = socket.create_connection((HOST, proxy.target), timeout=1)
            except OSError:
                near.close()
                return
            for sock in (near, far):
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            proxy.ways += [Way(near, far, to_server=True), Way(far, near, to_server=False)]

    def _move(self, proxy: Proxy, way: Way) -> None:
        try:
            if not way.buffer:
                data = way.source.recv(BUFFER_MAX)
                if not data:
                    self._end(proxy, way)
                    return
                way.buffer += data
            del way.buffer[: way.sink.send(way.buffer)]
        except BlockingIOError:
            pass
        except OSError:
            self._end(proxy, way)

    def _cut(self, proxy: Proxy) -> None:
        count, proxy.to_cut = proxy.to_cut, 0
        while count > 0 and proxy.ways:
            self._end(proxy, self._random.choice(proxy.ways))
            count -= 1

    @staticmethod
    def _end(proxy: Proxy, way: Way) -> None:
        """Close a connection, with both its ways."""
        ends = {way.source, way.sink}
        proxy.ways[:] = [each for each in proxy.ways if each.source not in ends]
        for sock in ends:
            sock.close()
