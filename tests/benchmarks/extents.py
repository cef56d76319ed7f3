"""Workloads about size and lateness: memory, restarts, thousands of connections, the tail while history is scanned."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time

import attrs

from tests.benchmarks.loader import connect, redis_benchmark, request
from tests.benchmarks.measure import Sample, percentile
from tests.benchmarks.peers import Target
from tests.benchmarks.scenarios import GROUP, KEY, Scale, expect

BIG_VALUE = 10_000
STREAMS = 10


def fill_gigabytes(target: Target, scale: Scale, share: float = 1.0) -> None:
    """Ten streams that together have ``scale.gigabytes``, of large values so that it does not take all day."""
    each = max(10, round(scale.gigabytes * share * 1e9 / STREAMS / BIG_VALUE))
    for number in range(STREAMS):
        target.fill(f"{KEY}{number}", each, BIG_VALUE, batch=20)


@attrs.frozen
class ResidentMemory:
    """Memory with many gigabytes of streams."""

    def prepare(self, target: Target, scale: Scale) -> None:
        fill_gigabytes(target, scale)

    def round(self, target: Target, scale: Scale) -> Sample:
        with target.server.connect(timeout=60) as wire:  # each stream is used once
            for number in range(STREAMS):
                wire.call("XRANGE", f"{KEY}{number}", "-", "+", "COUNT", 100)
        return Sample(target.rss_mb, rss_mb=target.rss_mb)


@attrs.frozen
class PendingMemory:
    """What a million pending entries add to the memory, given out by reads of 1000."""

    pending: int

    def prepare(self, target: Target, scale: Scale) -> None:
        target.fill(KEY, scale(self.pending, 1000), 10)
        target.read_once(KEY)  # our caches of the log have a bound of their own, and are not what is asked for

    def round(self, target: Target, scale: Scale) -> Sample:
        target.call("XGROUP", "DESTROY", KEY, GROUP)
        before = target.rss_mb
        target.fill_pending(KEY, GROUP, scale(self.pending, 1000))
        return Sample(max(0.0, target.rss_mb - before), rss_mb=target.rss_mb)


@attrs.frozen
class Restart:
    """kill -9 and start again: seconds until PING is answered, and until a stream is."""

    streams: int = 0

    def prepare(self, target: Target, scale: Scale) -> None:
        if not self.streams:
            fill_gigabytes(target, scale)
            return
        with target.server.connect(timeout=120) as wire:
            for start in range(0, scale(self.streams), 100):
                names = [f"k{n}" for n in range(start, min(start + 100, scale(self.streams)))]
                wire.pipeline([("XADD", name, "*", "f", "v") for name in names])

    def round(self, target: Target, scale: Scale) -> Sample:
        keys = target.number("DBSIZE")
        seconds = target.restart()
        expect("streams after a restart", target.number("DBSIZE"), keys)
        return Sample(seconds, rss_mb=target.rss_mb)


@attrs.frozen
class IdleConnections:
    """PING among thousands of idle connections: p99, and the memory of each."""

    connections: int

    def prepare(self, target: Target, scale: Scale) -> None: ...

    def round(self, target: Target, scale: Scale) -> Sample:
        count = scale(self.connections)
        before = target.rss_mb
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(connect(target.port))
            target.call("PING")
            load = redis_benchmark(target.port, scale(50_000, 50), ["PING"], clients=50)
            each = (target.rss_mb - before) * 1024 / count
            rss = target.rss_mb
        return Sample(
            load.p99_ms, load.operations, 0, load.seconds, load.p50_ms, load.p99_ms, rss_mb=rss,
            notes={"kB per connection": each},
        )  # fmt: skip


@attrs.frozen
class BlockedReaders:
    """Thousands of blocked XREADGROUP, woken one by one: p99 from sending XADD to the entry's arrival."""

    connections: int

    def prepare(self, target: Target, scale: Scale) -> None: ...

    def round(self, target: Target, scale: Scale) -> Sample:
        count = scale(self.connections)
        before = target.rss_mb
        target.call("DEL", KEY)
        target.call("XGROUP", "CREATE", KEY, GROUP, "$", "MKSTREAM")
        read = request("XREADGROUP", "GROUP", GROUP, "c", "COUNT", 1, "BLOCK", 0, "STREAMS", KEY, ">")
        add = request("XADD", KEY, "*", "f", b"x" * 100)
        latencies = []
        epoll = select.epoll()
        with contextlib.ExitStack() as stack:
            readers: dict[int, socket.socket] = {}
            for _ in range(count):
                reader = stack.enter_context(connect(target.port))
                reader.sendall(read)
                readers[reader.fileno()] = reader
                epoll.register(reader.fileno(), select.EPOLLIN)
            producer = stack.enter_context(connect(target.port))
            while b"blocked_clients:%d\r" % count not in target.call("INFO", "clients"):
                pass
            each = (target.rss_mb - before) * 1024 / count
            cpu, began = target.cpu_seconds, time.perf_counter()
            for _ in range(count):
                sent = time.perf_counter()
                producer.sendall(add)
                ((fd, _),) = epoll.poll(60)
                latencies.append(time.perf_counter() - sent)
                assert readers[fd].recv(4096).startswith(b"*1")
                epoll.unregister(fd)
                producer.recv(4096)
            seconds = time.perf_counter() - began
            rss, cpu = target.rss_mb, target.cpu_seconds - cpu
        epoll.close()
        expect("entries pending", target.pending(KEY, GROUP), count)
        latencies.sort()
        p50, p99 = percentile(latencies, 0.5) * 1e3, percentile(latencies, 0.99) * 1e3
        return Sample(p99, count, count, seconds, p50, p99, cpu, rss_mb=rss, notes={"kB per connection": each})


@attrs.frozen
class Tail:
    """XADD and delivery to a blocked XREADGROUP at a fixed rate: p99 of both, idle and while history is scanned."""

    seconds: float
    rate: int = 10_000

    def prepare(self, target: Target, scale: Scale) -> None:
        fill_gigabytes(target, scale, 0.2)
        target.call("XGROUP", "CREATE", KEY, GROUP, "$", "MKSTREAM")

    def round(self, target: Target, scale: Scale) -> Sample:
        seconds = max(0.5, self.seconds * scale.factor)
        idle_added, idle_delivered = self._measure(target, seconds)
        scan = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.scan", str(target.port), str(STREAMS)])
        try:
            cpu = target.cpu_seconds
            added, delivered = self._measure(target, seconds)
            cpu = target.cpu_seconds - cpu
        finally:
            scan.kill()
            scan.wait()
        target.call("XTRIM", KEY, "MAXLEN", 0)
        count = len(delivered)
        p99 = percentile(delivered, 0.99) * 1e3
        idle = percentile(idle_delivered, 0.99) * 1e3
        notes = {
            "XADD p99 ms": percentile(added, 0.99) * 1e3,
            "XADD p99 ms idle": percentile(idle_added, 0.99) * 1e3,
            "delivery p99 ms idle": idle,
            "times idle": p99 / idle,
        }
        return Sample(
            p99, count, count, seconds, percentile(delivered, 0.5) * 1e3, p99, cpu, rss_mb=target.rss_mb, notes=notes
        )  # fmt: skip

    def _measure(self, target: Target, seconds: float) -> tuple[list[float], list[float]]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.offered", str(target.port), str(self.rate), str(seconds)],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        added, delivered = (sorted(map(float, line.split())) for line in done.stdout.splitlines())
        expect("entries delivered", len(delivered), len(added))
        return added, delivered
