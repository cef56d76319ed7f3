"""Load: redis-benchmark where replies are small, and a raw loader that counts reply bytes where they are large.

The raw loader sends prepared requests on several connections, one in flight on each, and counts what comes back into
one reused buffer. It parses nothing: a reply is over when as many bytes, or as many lines, have arrived as it has.
"""

from __future__ import annotations

import csv
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from tests.benchmarks.measure import loader_cpu, percentile
from tests.support.servers import HOST

BUFFER_BYTES = 1 << 20
ROUND_SECONDS_MAX = 300


class WrongReply(Exception):
    """An error reply, or more or less than was to come."""


@attrs.frozen
class Load:
    """What a load generator saw."""

    operations: int
    seconds: float
    p50_ms: float
    p99_ms: float
    loader_share: float


def redis_benchmark(
    port: int, operations: int, words: Sequence[str | bytes], *, clients: int, pipeline: int = 1, keyspace: int = 0
) -> Load:
    """``operations`` times the same request; with ``keyspace``, ``__rand_int__`` in it is a number below that."""
    program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if program is None:
        raise FileNotFoundError("redis-benchmark (package redis-tools) is not installed")
    command = [program, "-h", HOST, "-p", str(port), "-n", str(operations), "-c", str(clients), "-P", str(pipeline)]
    command += ["--csv", "--precision", "3", *(["-r", str(keyspace)] if keyspace else []), *map(_text, words)]
    cpu, began = loader_cpu(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=ROUND_SECONDS_MAX, check=True)
    rows = [row for row in csv.reader(done.stdout.splitlines()) if len(row) == 8]
    if len(rows) != 2 or "rror" in done.stderr:
        raise WrongReply(done.stdout[-500:] + done.stderr[-500:])
    row = dict(zip(*rows, strict=True))
    share = (loader_cpu() - cpu) / (time.perf_counter() - began)
    seconds = operations / float(row["rps"])
    return Load(operations, seconds, float(row["p50_latency_ms"]), float(row["p99_latency_ms"]), share)


def _text(word: str | bytes) -> str:
    return word.decode() if isinstance(word, bytes) else word


def request(*words: str | bytes | int) -> bytes:
    """A request as it goes out."""
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


@attrs.define(eq=False)
class _Connection:
    sock: socket.socket
    requests: Iterator[bytes]
    left: int = 0
    began: float = 0.0


def drive(port: int, scripts: Sequence[Iterable[bytes]], *, size: int = 0, lines: int = 0) -> Load:
    """Send each script on a connection of its own, one piece after the reply to the piece before it.

    Every piece (a request or a pipeline) is answered by ``size`` bytes, or by ``lines`` lines where sizes vary.

    Raises:
        WrongReply: an error, or another size.
    """
    assert bool(size) != bool(lines)
    expected, count_lines = size or lines, not size
    buffer = bytearray(BUFFER_BYTES)
    epoll = select.epoll()
    connections: dict[int, _Connection] = {}
    for script in scripts:
        sock = connect(port)
        connections[sock.fileno()] = _Connection(sock, iter(script))
        epoll.register(sock.fileno(), select.EPOLLIN)
    latencies: list[float] = []
    clock = time.perf_counter
    cpu, started = loader_cpu(), clock()
    for fd in [fd for fd, connection in connections.items() if not _send_next(connection, expected, clock)]:
        connections.pop(fd).sock.close()
    while connections:
        for fd, _ in epoll.poll(ROUND_SECONDS_MAX):
            connection = connections[fd]
            received = connection.sock.recv_into(buffer)
            if not received or (connection.left == expected and buffer[0] == 45):
                raise WrongReply(bytes(buffer[: min(received, 300)]))
            connection.left -= buffer.count(b"\n", 0, received) if count_lines else received
            if connection.left > 0:
                continue
            if connection.left < 0:
                raise WrongReply(f"{-connection.left} more than the {expected} expected: {bytes(buffer[:300])!r}")
            latencies.append(clock() - connection.began)
            if not _send_next(connection, expected, clock):
                epoll.unregister(fd)
                connections.pop(fd).sock.close()
    seconds = clock() - started
    share = (loader_cpu() - cpu) / seconds
    epoll.close()
    latencies.sort()
    return Load(
        len(latencies), seconds, percentile(latencies, 0.5) * 1e3, percentile(latencies, 0.99) * 1e3, share
    )  # fmt: skip


def _send_next(connection: _Connection, expected: int, clock: Callable[[], float]) -> bool:
    data = next(connection.requests, None)
    if data is None:
        return False
    connection.left = expected
    connection.began = clock()
    connection.sock.sendall(data)
    return True


def connect(port: int) -> socket.socket:
    """A connection that sends at once."""
    sock = socket.create_connection((HOST, port), timeout=ROUND_SECONDS_MAX)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
