"""One small class for each kind of workload: what it prepares, what one round does, and what must have arrived."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Protocol

import attrs

from tests.benchmarks import consumer
from tests.benchmarks.loader import Load, WrongReply, drive, redis_benchmark, request
from tests.benchmarks.measure import Sample
from tests.benchmarks.peers import FIRST_MS, Target

KEY, GROUP = "s", "g"


@attrs.frozen
class Scale:
    """How much is done: ``factor`` shortens or lengthens rounds, ``gigabytes`` sizes what lies on disk."""

    factor: float = 1.0
    gigabytes: float = 1.0

    def __call__(self, count: int, step: int = 1) -> int:
        """``count`` scaled, a multiple of ``step`` and at least one."""
        return max(1, round(count * self.factor / step)) * step


class Scenario(Protocol):
    def prepare(self, target: Target, scale: Scale) -> None: ...
    def round(self, target: Target, scale: Scale) -> Sample: ...


def sampled(target: Target, entries_each: int, load: Callable[[], Load]) -> Sample:
    """Run a load and ask the server's CPU time before and after; operations per second are compared."""
    cpu = target.cpu_seconds
    done = load()
    return Sample(
        figure=done.operations / done.seconds,
        operations=done.operations,
        entries=done.operations * entries_each,
        seconds=done.seconds,
        p50_ms=done.p50_ms,
        p99_ms=done.p99_ms,
        server_cpu=target.cpu_seconds - cpu,
        loader_share=done.loader_share,
        rss_mb=target.rss_mb,
    )


def expect(what: str, found: int, least: int, most: int | None = None) -> None:
    """Raises: WrongReply where the number of entries is not what it should be."""
    if not least <= found <= (least if most is None else most):
        raise WrongReply(f"{what}: {found} instead of {least}")


@attrs.frozen
class Ping:
    operations: int
    clients: int
    pipeline: int = 1

    def prepare(self, target: Target, scale: Scale) -> None: ...

    def round(self, target: Target, scale: Scale) -> Sample:
        count = scale(self.operations, self.clients * self.pipeline)
        return sampled(
            target,
            0,
            lambda: redis_benchmark(target.port, count, ["PING"], clients=self.clients, pipeline=self.pipeline),
        )


def keys_of(streams: int) -> list[str]:
    """What redis-benchmark makes of ``s:__rand_int__`` with so large a keyspace."""
    return [f"{KEY}:{number:012d}" for number in range(streams)]


@attrs.frozen
class Append:
    """XADD by redis-benchmark; with ``streams`` to keys chosen at random."""

    operations: int
    clients: int
    pipeline: int = 1
    value_size: int = 100
    streams: int = 0
    trim: tuple[str, ...] = ()

    def prepare(self, target: Target, scale: Scale) -> None: ...

    def round(self, target: Target, scale: Scale) -> Sample:
        count = scale(self.operations, self.clients * self.pipeline)
        key = f"{KEY}:__rand_int__" if self.streams else KEY
        words = ["XADD", key, *self.trim, "*", "field", "x" * self.value_size]
        before = self._entries(target)
        sample = sampled(
            target,
            1,
            lambda: redis_benchmark(
                target.port, count, words, clients=self.clients, pipeline=self.pipeline, keyspace=self.streams
            ),
        )
        expect("entries added", self._entries(target) - before, count, count + self.clients * self.pipeline)
        target.call("DEL", KEY)
        return sample

    def _entries(self, target: Target) -> int:
        if self.streams:
            return target.lengths(keys_of(self.streams))
        if target.number("EXISTS", KEY) == 0:
            return 0
        found = re.search(rb"entries-added\r\n:(\d+)", target.call("XINFO", "STREAM", KEY))
        assert found
        return int(found[1])


@attrs.frozen
class Read:
    """XRANGE or XREAD from IDs in the middle half of a stream, by the raw loader."""

    command: str
    count: int
    operations: int
    stored: int = 200_000
    batch: int = 200
    clients: int = 10

    def prepare(self, target: Target, scale: Scale) -> None:
        target.fill(KEY, self._stored(scale), 100, batch=self.batch)
        if self.batch == 1:  # the last segment stays active: what is read lies in front of it
            target.fill("other", 10, 100)

    def _stored(self, scale: Scale) -> int:
        return max(scale(self.stored, 200), 4 * self.count)

    def _request(self, start: int) -> bytes:
        if self.command == "XREAD":
            return request("XREAD", "COUNT", self.count, "STREAMS", KEY, f"{FIRST_MS + start - 1}-0")
        return request("XRANGE", KEY, f"{FIRST_MS + start}-0", "+", "COUNT", self.count)

    def round(self, target: Target, scale: Scale) -> Sample:
        stored = self._stored(scale)
        chooser = random.Random(1)
        requests = [self._request(chooser.randrange(stored // 4, stored // 2)) for _ in range(500)]
        wire = drive_one(target, requests[0])
        expect("entries in a reply", wire.count(b"x" * 100), self.count)
        each = scale(self.operations, self.clients) // self.clients
        scripts = [cycled(requests, each, shift) for shift in range(self.clients)]
        return sampled(target, self.count, lambda: drive(target.port, scripts, size=len(wire)))


def drive_one(target: Target, data: bytes) -> bytes:
    """One prepared request; its reply."""
    with target.server.connect() as wire:
        wire.send_bytes(data)
        return wire.read()


def cycled(requests: Sequence[bytes], count: int, shift: int) -> Iterator[bytes]:
    """``count`` requests from the list, over and over."""
    return (requests[(shift * 37 + n) % len(requests)] for n in range(count))


@attrs.frozen
class GroupRead:
    """XREADGROUP ``>``: ten consumers share one group, which begins anew each round."""

    count: int
    entries: int
    clients: int = 10

    def prepare(self, target: Target, scale: Scale) -> None:
        target.fill(KEY, self._entries(scale), 100)

    def _entries(self, scale: Scale) -> int:
        return scale(self.entries, self.clients * self.count)

    def round(self, target: Target, scale: Scale) -> Sample:
        entries = self._entries(scale)
        target.restart_group(KEY, GROUP)
        operations = entries // self.count
        words = ["XREADGROUP", "GROUP", GROUP, "c", "COUNT", str(self.count), "STREAMS", KEY, ">"]
        if self.count < 100:
            sample = sampled(
                target, self.count, lambda: redis_benchmark(target.port, operations, words, clients=self.clients)
            )
        else:
            size = len(drive_one(target, request("XRANGE", KEY, "-", "+", "COUNT", self.count)))
            size += len(b"*1\r\n*2\r\n$1\r\ns\r\n")
            scripts = [repeat(request(*words), operations // self.clients) for _ in range(self.clients)]
            sample = sampled(target, self.count, lambda: drive(target.port, scripts, size=size))
        expect("entries pending", target.pending(KEY, GROUP), entries)
        return sample


@attrs.frozen
class Acknowledge:
    """XACK of everything pending: ``ids`` in one call, ``pipeline`` calls in one piece."""

    ids: int
    entries: int
    pipeline: int = 1
    clients: int = 10

    def prepare(self, target: Target, scale: Scale) -> None:
        target.fill(KEY, self._entries(scale), 10)

    def _entries(self, scale: Scale) -> int:
        return scale(self.entries, self.clients * self.ids * self.pipeline)

    def round(self, target: Target, scale: Scale) -> Sample:
        entries = self._entries(scale)
        target.fill_pending(KEY, GROUP, entries)
        names = [b"%d-0" % (FIRST_MS + n) for n in range(entries)]
        requests = [request("XACK", KEY, GROUP, *names[at : at + self.ids]) for at in range(0, entries, self.ids)]
        step = self.pipeline
        pieces = [b"".join(requests[at : at + step]) for at in range(0, len(requests), step)]
        scripts = [pieces[first :: self.clients] for first in range(self.clients)]
        sample = sampled(target, self.ids, lambda: drive(target.port, scripts, lines=step))
        expect("entries pending", target.pending(KEY, GROUP), 0)
        return attrs.evolve(
            sample, figure=sample.figure * step, operations=sample.operations * step, entries=entries
        )  # fmt: skip


@attrs.frozen
class PendingPages:
    """XAUTOCLAIM or XPENDING, pages of 100 from anywhere in a long list of pending entries."""

    command: str
    pending: int
    operations: int
    clients: int = 10

    def prepare(self, target: Target, scale: Scale) -> None:
        entries = max(scale(self.pending, 1000), 2000)
        target.fill(KEY, entries, 10)
        target.fill_pending(KEY, GROUP, entries)

    def _request(self, start: int) -> bytes:
        if self.command == "XPENDING":
            return request("XPENDING", KEY, GROUP, f"{FIRST_MS + start}-0", "+", 100)
        return request("XAUTOCLAIM", KEY, GROUP, "d", 0, f"{FIRST_MS + start}-0", "COUNT", 100)

    def round(self, target: Target, scale: Scale) -> Sample:
        pending = max(scale(self.pending, 1000), 2000)
        chooser = random.Random(2)
        requests = [self._request(100 * chooser.randrange(pending // 100 - 1)) for _ in range(2000)]
        wire = drive_one(target, requests[0])
        each = scale(self.operations, self.clients) // self.clients
        scripts = [cycled(requests, each, shift) for shift in range(self.clients)]
        sample = sampled(target, 100, lambda: drive(target.port, scripts, lines=wire.count(b"\n")))
        expect("entries pending", target.pending(KEY, GROUP), pending)
        return sample


@attrs.frozen
class Pipeline:
    """Producers (XADD, 16 in a pipeline) and four consumers (XREADGROUP COUNT 100, then XACK of what came) at once."""

    entries: int
    consumers: int = 4

    def prepare(self, target: Target, scale: Scale) -> None: ...

    def round(self, target: Target, scale: Scale) -> Sample:
        count = scale(self.entries, 160)
        target.call("DEL", KEY)
        target.call("XGROUP", "CREATE", KEY, GROUP, "$", "MKSTREAM")
        with subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.consumer", str(target.port), str(self.consumers), str(count)],
            stdout=subprocess.PIPE,
        ) as consumers:
            assert consumers.stdout is not None
            consumers.stdout.readline()
            cpu, began = target.cpu_seconds, time.perf_counter()
            words = ["XADD", KEY, "*", consumer.FIELD, consumer.VALUE]
            load = redis_benchmark(target.port, count, words, clients=10, pipeline=16)
            seen, reads, used = map(float, consumers.communicate(timeout=300)[0].split())
        seconds = time.perf_counter() - began
        expect("entries consumed", int(seen), count)
        expect("entries pending", target.pending(KEY, GROUP), 0)
        return Sample(
            count / seconds, count, count, seconds, server_cpu=target.cpu_seconds - cpu, rss_mb=target.rss_mb,
            loader_share=(load.loader_share * load.seconds + used) / seconds, notes={"entries per read": count / reads},
        )  # fmt: skip
