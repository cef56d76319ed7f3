"""The run: who is started and killed when, and how far things are."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count as count_from
from itertools import pairwise
from pathlib import Path
from typing import Final

import attrs
import redis

from examples.flights.connection import GROUP, STREAM, connect, supports_idempotent_append
from examples.flights.processes import Server, check, ending, run_module
from examples.flights.producer import PIPELINE
from examples.flights.results import Results

CONSUMERS: Final = 3
VICTIM: Final = 1  # the consumer to be killed
MANY: Final = 50  # entries the victim should hold when it is killed
STALLED_SECONDS: Final = 90.0  # without progress, give up


@attrs.define
class Story:
    """What happened, for the summary."""

    flights_count: int
    idempotent: bool
    seconds: float = 0.0
    appended_count: int = 0
    victim_pending_count: int = 0  #: entries pending with the consumer when it was killed
    server_away_seconds: float | None = None  #: None where the server was not ours to kill
    results: list[Results] = attrs.Factory(list)

    @property
    def handled_times(self) -> list[int]:
        """How often each flight was handled, by all consumers together."""
        return [sum(times) for times in zip(*(results.times for results in self.results), strict=True)]

    @property
    def handled_count(self) -> int:
        return self.flights_count - self.missing_count

    @property
    def missing_count(self) -> int:
        return self.handled_times.count(0)

    @property
    def repeated_count(self) -> int:
        """Handlings beyond the first of each flight."""
        return sum(times - 1 for times in self.handled_times if times)

    @property
    def is_good(self) -> bool:
        """Nothing lost; and nothing appended twice, where the server can tell."""
        return not self.missing_count and (self.appended_count == self.flights_count or not self.idempotent)


@attrs.define
class Run:
    """One run. ``tell`` is called with a sentence when something happens, ``show`` with counts of flights appended
    and handled, ten times a second."""

    url: str
    server: Server | None  #: None when it is somebody else's, who will not be killed then
    directory: Path  #: where consumers note what they did
    flights_count: int
    producers_count: int
    tell: Callable[[str], None]
    show: Callable[[int, int], None]

    def run(self) -> Story:
        client = connect(self.url)
        story = Story(self.flights_count, supports_idempotent_append(client))
        prepare(client, story.idempotent)
        paths = [self.directory / f"handled-by-{name}" for name in range(CONSUMERS)]
        story.results = [Results(path, self.flights_count) for path in paths]
        started = time.monotonic()
        with self._consumers(paths) as consumers, self._producers() as producers:
            self._until(client, story, lambda _, handled: handled > self.flights_count // 4, producers + consumers)
            story.victim_pending_count = self._kill_consumer(client, consumers[VICTIM])
            alive = [*producers, *(consumer for consumer in consumers if consumer is not consumers[VICTIM])]
            self._until(client, story, lambda appended, _: appended > self.flights_count // 2, alive)
            if self.server is not None:
                story.server_away_seconds = self._kill_server(self.server)
            self._until(client, story, lambda *_: is_done(client, producers), alive)
        story.seconds = time.monotonic() - started
        story.appended_count = client.xlen(STREAM)
        return story

    @contextmanager
    def _consumers(self, paths: list[Path]) -> Iterator[list[subprocess.Popen[bytes]]]:
        consumers = [
            run_module("consumer", self.url, f"consumer-{number}", path, self.flights_count)
            for number, path in enumerate(paths)
        ]
        with ending(consumers):
            yield consumers

    @contextmanager
    def _producers(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        borders = [self.flights_count * n // self.producers_count for n in range(self.producers_count + 1)]
        producers = [
            run_module("producer", self.url, f"producer-{number}", first, end)
            for number, (first, end) in enumerate(pairwise(borders))
        ]
        with ending(producers):
            yield producers

    def _until(
        self,
        client: redis.Redis,
        story: Story,
        reached: Callable[[int, int], bool],
        processes: list[subprocess.Popen[bytes]],
    ) -> None:
        """Show the progress until a point is reached."""
        last, since = (-1, -1), time.monotonic()
        while True:
            counts = client.xlen(STREAM), story.flights_count - _unhandled(story.results)
            self.show(*counts)
            if reached(*counts):
                return
            for process in processes:
                check(process)
            if counts != last:
                last, since = counts, time.monotonic()
            elif time.monotonic() - since > STALLED_SECONDS:
                raise SystemExit(f"Nothing moves any more: {counts[0]} appended, {counts[1]} handled.")
            time.sleep(0.1)

    def _kill_consumer(self, client: redis.Redis, consumer: subprocess.Popen[bytes]) -> int:
        """SIGKILL at a moment at which it holds entries, if possible many; how many."""
        for attempt in count_from(1):
            os.kill(consumer.pid, signal.SIGSTOP)
            held = {each["name"]: each["pending"] for each in client.xinfo_consumers(STREAM, GROUP)}
            count = held.get(f"consumer-{VICTIM}", 0)
            if count >= MANY or (count and attempt > MANY):
                break
            os.kill(consumer.pid, signal.SIGCONT)
            time.sleep(0.001)
        consumer.kill()
        self.tell(f"killed consumer-{VICTIM} with -9: {count} entries are pending with it")
        return int(count)

    def _kill_server(self, server: Server) -> float:
        """SIGKILL, and start it on the same files; the seconds until it answered again."""
        killed = time.monotonic()
        server.kill()
        server.start()
        away = time.monotonic() - killed
        self.tell(f"killed the server with -9, started it again: it answered after {away:.2f} s")
        return away


def prepare(client: redis.Redis, idempotent: bool) -> None:
    """An empty stream with its group; it remembers enough idempotent IDs for the pipelines of the producers."""
    client.delete(STREAM)
    client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    if idempotent:
        client.xcfgset(STREAM, idmp_duration=300, idmp_maxsize=2 * PIPELINE)


def is_done(client: redis.Redis, producers: list[subprocess.Popen[bytes]]) -> bool:
    """Whether all is appended, nothing is left to be read and nothing is pending."""
    if any(producer.poll() is None for producer in producers):
        return False
    (group,) = client.xinfo_groups(STREAM)
    return bool(group["lag"] == 0 and group["pending"] == 0)


def _unhandled(all_results: list[Results]) -> int:
    """How many flights nobody has handled; bytes of all consumers or-ed together as big numbers."""
    together = 0
    for results in all_results:
        together |= int.from_bytes(results.times, "little")
    return together.to_bytes(len(all_results[0].times), "little").count(0)
